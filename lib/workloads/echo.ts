/** Maelstrom's `echo`: what is sent comes back. */
import type { AnyNode } from "../node.ts";

/**
 * Sets the handler of `echo`, which sends its field `echo` back.
 *
 * @param node The node.
 */
export function echo(node: AnyNode): void {
  node.on("echo", ({ body: { echo } }) => ({ echo }));
}
