/**
 * A node on Deno's stdin and stdout: lines in, batched lines out.
 *
 * @module
 */
export type { Input } from "./inbox.ts";
export { type StderrLog, stderrLog } from "./log.ts";
export type { Output } from "./outbox.ts";
export { serve, type ServeOptions } from "./serve.ts";
