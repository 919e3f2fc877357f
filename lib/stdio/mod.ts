/**
 * A node on the process's stdin and stdout, in Deno, Node.js or Bun: lines in, batched lines out.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import type { AnyNode } from "../node.ts";
import { consoleToStderr } from "./console.ts";
import { currentProcess } from "./current_process.ts";
import { filteredLog, stderrLog } from "./log.ts";
import { Memory } from "./memory.ts";
import { collect } from "./runtime.ts";
import { serveOn, type ServeOptions } from "./serve.ts";

export type { Input } from "./inbox.ts";
export { type StderrLog, stderrLog } from "./log.ts";
export type { Output } from "./outbox.ts";
export type { ServeOptions };

/**
 * Runs a node on stdin and stdout until the end of the input, SIGTERM, SIGINT
 * or a closed stdout; then settles every pending RPC, lets running handlers
 * finish, for 1 s at most, and writes what is left to write. What there is to
 * log goes to stderr, unless the options, or the node's, say otherwise.
 * Meanwhile `console.log` and its like, which would write among the messages on
 * stdout, write to stderr.
 *
 * @example
 * ```ts ignore
 * import { Node } from "@gyre/node";
 * import { serve } from "@gyre/node/stdio";
 *
 * const node = new Node();
 * node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * Deno.exit(await serve(node));
 * ```
 *
 * @param node The node.
 * @param options Limits, log, what to read from and to write to.
 * @returns The exit code: 0, or 1 when stdout was closed.
 * @throws {RangeError} There is no such `logLevel`.
 */
export async function serve(
  node: AnyNode,
  options: ServeOptions = {},
): Promise<number> {
  const process = await currentProcess();
  const {
    input = process.stdin,
    output = process.stdout,
    lines = new TextLineStream(),
    logLevel = "info",
  } = options;
  const { log, flush } = options.log
    ? { log: filteredLog(options.log, logLevel), flush: () => {} }
    : stderrLog(logLevel, () => node.nodeId || "node");
  const memory = new Memory(() => node.pendingCount, {
    ...process,
    collect,
    now: () => performance.now(),
  });
  const restoreConsole = output === process.stdout
    ? consoleToStderr()
    : () => {};
  try {
    return await serveOn(
      node,
      { ...options, lines, log, ...process.quicker?.(input, output) },
      { ...process, used: () => memory.used() },
    );
  } finally {
    restoreConsole();
    memory.stop();
    await flush();
  }
}
