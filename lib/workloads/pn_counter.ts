/** Maelstrom's `pn-counter`: a counter that goes up and down. */
import { ErrorCode, RpcError } from "../errors.ts";
import { Gossip, star } from "../gossip.ts";
import type { AnyNode } from "../node.ts";

/** By how much each life of each node has raised and lowered the counter: both only grow. */
type Counts = Record<string, readonly [up: number, down: number]>;

/** Gathered for so long, in ms, by hub and others: few messages, and all know within 1 s. */
const DELAY_MS = 300;

/**
 * Sets the handlers of `add` and `read`. Both are answered at once, by what
 * this node knows, so that a partition stops neither; the nodes agree by
 * `Gossip`. Each node changes its own two counts only, so that the greater one
 * is the newer one; after a restart it begins others, as it has forgotten
 * these. What a node has told nobody when it crashes, of the last 0.3 s or so, is
 * lost.
 *
 * @param node The node.
 */
export function pnCounter(node: AnyNode): void {
  counter(node);
}

/**
 * The handlers of a counter.
 *
 * @param node The node.
 * @param lowest The least `delta`, if there is one.
 */
export function counter(node: AnyNode, lowest?: number): void {
  const life = node.random();
  const counts = new Map<string, readonly [number, number]>();
  const gossip = new Gossip<Counts>(node, {
    merge(delta) {
      const news = Object.entries(delta).filter(([key, [up, down]]) => {
        const [knownUp, knownDown] = counts.get(key) ?? [0, 0];
        if (up <= knownUp && down <= knownDown) return false;
        counts.set(key, [Math.max(up, knownUp), Math.max(down, knownDown)]);
        return true;
      });
      return news.length > 0 ? Object.fromEntries(news) : undefined;
    },
    // Of one life's counts the later ones are greater, or the same.
    join: (a, b) => ({ ...a, ...b }),
    full: () => counts.size > 0 ? Object.fromEntries(counts) : undefined,
    topology: star({ hubDelayMs: DELAY_MS, leafDelayMs: DELAY_MS }),
  });
  node.on("add", ({ body: { delta } }) => {
    const by = delta as number;
    if (!Number.isFinite(by) || by < (lowest ?? by)) {
      const range = lowest === undefined ? "" : ` from ${lowest}`;
      throw new RpcError(
        ErrorCode.malformedRequest,
        `add: 'delta' is not a number${range}`,
      );
    }
    const own = `${node.nodeId} ${life}`;
    const [up, down] = counts.get(own) ?? [0, 0];
    gossip.add({ [own]: by > 0 ? [up + by, down] : [up, down - by] });
    return {};
  });
  node.on("read", () => {
    let value = 0;
    for (const [up, down] of counts.values()) value += up - down;
    return { value };
  });
}
