/** Maelstrom's `g-counter`: a counter that only grows. */
import type { AnyNode } from "../node.ts";
import { counter } from "./pn_counter.ts";

/**
 * Sets the handlers of `add` and `read`, as `pnCounter` does; but a
 * negative `delta` is refused.
 *
 * @param node The node.
 */
export function gCounter(node: AnyNode): void {
  counter(node, 0);
}
