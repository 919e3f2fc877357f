/** Maelstrom's `broadcast`: what one node is told, all know. */
import { ErrorCode, RpcError } from "../errors.ts";
import { star } from "../gossip.ts";
import type { AnyNode } from "../node.ts";
import { gossipedSet, type Pace } from "./g_set.ts";

/** What to save: time, or messages. */
export type BroadcastAim = "speed" | "thrift";

/**
 * When what is told. At 25 nodes, 100 ms apart, 100 operations a second: 1.8
 * messages each and 0.4 s at the most, or 0.75 and 1.2 s. For thrift
 * acknowledgements wait for more than a round of the hub's, to travel with news;
 * and it takes, at the worst, one and a half times `retryMs`, such a round and two
 * ways until all know what got lost: just less than 2 s.
 */
const PACES: Readonly<Record<BroadcastAim, Pace>> = {
  speed: { topology: star({ hubDelayMs: 200, leafDelayMs: 1 }) },
  thrift: {
    topology: star({ hubDelayMs: 500, leafDelayMs: 500 }),
    ackMs: 610,
    retryMs: 860,
  },
};

/** Options of {@linkcode broadcast}. */
export interface BroadcastOptions {
  /**
   * What to save.
   *
   * @default {"speed"}
   */
  aim?: BroadcastAim;
}

/**
 * Sets the handlers of `broadcast`, `read` and `topology`. A message is known
 * to the node that was told as soon as that answers, and to all others by
 * `Gossip`, in a star: the topology that Maelstrom proposes is for
 * learning what a bad one costs, and is passed over.
 *
 * @param node The node.
 * @param options What to save.
 */
export function broadcast(node: AnyNode, options: BroadcastOptions = {}): void {
  const set = gossipedSet(node, PACES[options.aim ?? "speed"]);
  node.on("broadcast", ({ body: { message } }) => {
    if (message === undefined) {
      throw new RpcError(ErrorCode.malformedRequest, "broadcast: no 'message'");
    }
    set.add(message);
    return {};
  });
  node.on("read", () => ({ messages: set.elements() }));
  node.on("topology", () => ({}));
}
