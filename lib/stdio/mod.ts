/**
 * A node on Deno's stdin and stdout: lines in, batched lines out.
 *
 * @module
 */
import type { AnyNode } from "../node.ts";
import * as deno from "./deno.ts";
import { Memory } from "./memory.ts";
import { serveOn, type ServeOptions } from "./serve.ts";

export type { Input } from "./inbox.ts";
export { type StderrLog, stderrLog } from "./log.ts";
export type { Output } from "./outbox.ts";
export type { ServeOptions };

/**
 * Runs a node on stdin and stdout until the end of the input, SIGTERM, SIGINT
 * or a closed stdout; then settles every pending RPC, lets running handlers
 * finish, for 1 s at most, and writes what is left to write.
 *
 * @example
 * ```ts ignore
 * import { Node } from "@gyre/node";
 * import { serve } from "@gyre/node/stdio";
 * import { TextLineStream } from "@std/streams/text-line-stream";
 *
 * const node = new Node();
 * node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * Deno.exit(await serve(node, { lines: new TextLineStream() }));
 * ```
 *
 * @param node The node.
 * @param options The line splitter, limits, log.
 * @returns The exit code: 0, or 1 when stdout was closed.
 */
export async function serve(
  node: AnyNode,
  options: ServeOptions,
): Promise<number> {
  const { input = deno.stdin, output = deno.stdout } = options;
  const memory = new Memory(() => node.pendingCount);
  try {
    return await serveOn(
      node,
      { ...options, ...deno.quicker(input, output) },
      { ...deno, used: () => memory.used() },
    );
  } finally {
    memory.stop();
  }
}
