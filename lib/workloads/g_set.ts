/** Maelstrom's `g-set`: a set that only grows. */
import { ErrorCode, RpcError } from "../errors.ts";
import { chunks, Gossip, type GossipOptions } from "../gossip.ts";
import type { AnyNode } from "../node.ts";

/** Who tells whom, and when. */
export type Pace = Pick<
  GossipOptions<unknown[]>,
  "topology" | "ackMs" | "retryMs"
>;

/** A set that all nodes tell each other of. */
export interface GossipedSet {
  /** Adds an element, any JSON, and lets all know. */
  add(element: unknown): void;
  /** All elements that this node knows. */
  elements(): unknown[];
}

/**
 * A set that all nodes tell each other of; by `Gossip`, whose messages these are.
 *
 * @param node The node, in its set-up.
 * @param options Who tells whom, and when.
 */
export function gossipedSet(
  node: AnyNode,
  options: Pace = {},
): GossipedSet {
  const known = new Map<string, unknown>(); // by their JSON: equal ones are one
  const gossip = new Gossip<unknown[]>(node, {
    merge(delta) {
      const news = delta.filter((element) => {
        const key = JSON.stringify(element);
        return !known.has(key) && known.set(key, element);
      });
      return news.length > 0 ? news : undefined;
    },
    join: (a, b) => [...a, ...b],
    split: chunks,
    full: () => known.size > 0 ? [...known.values()] : undefined,
    ...options,
  });
  return {
    add: (element) => gossip.add([element]),
    elements: () => [...known.values()],
  };
}

/**
 * Sets the handlers of `add` and `read`. Both are answered at once, by what
 * this node knows, so that a partition stops neither. What a node has told nobody
 * when it crashes, of the last 0.2 s or so, is lost; the rest it is told again.
 *
 * @param node The node.
 */
export function gSet(node: AnyNode): void {
  const set = gossipedSet(node);
  node.on("add", ({ body: { element } }) => {
    if (element === undefined) {
      throw new RpcError(ErrorCode.malformedRequest, "add: no 'element'");
    }
    set.add(element);
    return {};
  });
  node.on("read", () => ({ value: set.elements() }));
}
