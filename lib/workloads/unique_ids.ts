/** Maelstrom's `unique-ids`: ids that no other node, and no other life of this one, ever gives. */
import type { AnyNode } from "../node.ts";

/**
 * Sets the handler of `generate`. An id is the node's name, a random number of
 * this life of it, and a count: nodes need not ask each other, so that a
 * partition stops nobody, and a restart repeats nothing.
 *
 * @param node The node.
 */
export function uniqueIds(node: AnyNode): void {
  const life = [node.random(), node.random()]
    .map((number) => Math.floor(number * 2 ** 32).toString(36)).join("");
  let count = 0;
  node.on("generate", () => ({ id: `${node.nodeId}-${life}-${count++}` }));
}
