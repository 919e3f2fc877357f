/** News that all nodes are to know, told until each has acknowledged it. */
import { checkDuration } from "./clock.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { AnyNode } from "./node.ts";

/** Whom a node tells, and how long it gathers news for them. */
export interface Neighbourhood {
  /** The nodes that it tells, and that tell it. */
  peers: readonly string[];
  /** How long news may wait for more of it, in ms, from 1 to 24 days. */
  delayMs: number;
}

/**
 * Says whom a node tells. What one node knows reaches all if their
 * neighbourhoods together are connected.
 */
export type Topology = (
  nodeId: string,
  nodeIds: readonly string[],
) => Neighbourhood;

/** Options of {@linkcode star}. */
export interface StarOptions {
  /**
   * How many nodes all others tell. Each one more takes as many messages
   * again, and lets news travel while one is down or cut off.
   *
   * @default {1}
   */
  hubs?: number;
  /**
   * How long a hub gathers news, in ms, from 1 to 24 days.
   *
   * @default {200}
   */
  hubDelayMs?: number;
  /**
   * How long another node gathers news for the hubs, in ms, from 1 to 24 days.
   *
   * @default {1}
   */
  leafDelayMs?: number;
}

/**
 * The topology of the fewest messages: all tell the first node, the hub, which
 * tells all. News takes two hops and the two delays at the most; of the
 * messages, a piece of news costs one, and its share of the hub's rounds.
 *
 * @example
 * ```ts
 * import { star } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * const topology = star({ hubDelayMs: 200 });
 * const nodes = ["n0", "n1", "n2"];
 * assertEquals(topology("n0", nodes), { peers: ["n1", "n2"], delayMs: 200 });
 * assertEquals(topology("n2", nodes), { peers: ["n0"], delayMs: 1 });
 * ```
 *
 * @param options How many hubs; the delays.
 */
export function star(options: StarOptions = {}): Topology {
  const { hubs = 1, hubDelayMs = 200, leafDelayMs = 1 } = options;
  return (nodeId, nodeIds) => {
    const isHub = nodeIds.indexOf(nodeId) < hubs;
    const peers = isHub ? nodeIds : nodeIds.slice(0, hubs);
    return {
      peers: peers.filter((id) => id !== nodeId),
      delayMs: isHub ? hubDelayMs : leafDelayMs,
    };
  };
}

/**
 * What is gossiped: a state that only grows, and pieces of it, so that it does
 * no harm to be told something twice, late, or in another order.
 *
 * @typeParam D A piece of the state, as JSON: some of a set's elements, say.
 */
export interface GossipOptions<D> {
  /**
   * Takes in what another node told; returns what of it was new, to be told on,
   * or `undefined` when nothing was.
   */
  merge(delta: D): D | undefined;
  /** Two pieces as one. */
  join(a: D, b: D): D;
  /**
   * The whole state, for a neighbour that has lost its memory; `undefined` while it
   * is empty.
   */
  full(): D | undefined;
  /**
   * Who tells whom.
   *
   * @default {star()}
   */
  topology?: Topology;
  /**
   * The type of the messages.
   *
   * @default {"gossip"}
   */
  type?: string;
  /**
   * How long an acknowledgement may wait for news to travel with, in ms, from 1
   * to 24 days.
   *
   * @default {500}
   */
  ackMs?: number;
  /**
   * After how long without acknowledgement to tell again, in ms, from 2 to 24
   * days, and from then on twice as often: more than `ackMs` and the way there
   * and back together.
   *
   * @default {800}
   */
  retryMs?: number;
}

/** A message of the gossip's own. */
interface GossipBody<D> {
  /** Which life of its sender this comes from. */
  epoch: number;
  /** The number of what is told, to be acknowledged. */
  batch?: number;
  /** What is told; none in a first message that only says who is there. */
  delta?: D | undefined;
  /** It has been told before: acknowledge it at once. */
  again?: boolean;
  /** The numbers that are acknowledged, and of which life of their sender. */
  acks?: number[];
  of?: number;
}

/**
 * Gossip among the nodes: what one {@linkcode Gossip.add}s, all take in by
 * `merge`, as long as there is a way, whatever gets lost.
 *
 * News is gathered for a while, told to the neighbours in one message, told on
 * by them if it is news to them, and told again until it is acknowledged, which
 * costs a message only when there is no news to travel with. Then it is
 * forgotten: what is kept follows what is on its way. For a neighbour that does
 * not answer that is one piece, told again and again, and one that waits.
 *
 * A node that restarts has another epoch, by which its neighbours see that it
 * has lost its memory, and tell it all.
 *
 * @example A set that all nodes know
 * ```ts
 * import { Gossip } from "@gyre/node";
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   const set = new Set<number>();
 *   const gossip = new Gossip<number[]>(node, {
 *     merge(delta) {
 *       const news = delta.filter((element) => !set.has(element));
 *       for (const element of news) set.add(element);
 *       return news.length > 0 ? news : undefined;
 *     },
 *     join: (a, b) => [...a, ...b],
 *     full: () => set.size > 0 ? [...set] : undefined,
 *   });
 *   node.on<{ element: number }>("add", ({ body: { element } }) => {
 *     gossip.add([element]);
 *     return {};
 *   });
 *   node.on("read", () => ({ value: [...set] }));
 * });
 * await test.deliver({ src: "c1", body: { type: "add", msg_id: 1, element: 7 } });
 * await test.advance(200);
 * const told = test.sent().filter(({ body }) => body.type === "gossip");
 * assertEquals(told.map(({ dest, body }) => [dest, body.delta]), [["n2", [7]], ["n3", [7]]]);
 * ```
 *
 * @typeParam D A piece of the state.
 */
export class Gossip<D> {
  readonly #node: AnyNode;
  readonly #options: GossipOptions<D>;
  readonly #topology: Topology;
  readonly #type: string;
  readonly #ackMs: number;
  readonly #retryMs: number;
  readonly #epoch: number;
  readonly #links: Map<string, Link<D>> = new Map();
  #delayMs = 1;
  #roundBegun = false;

  /**
   * Sets the handler of the gossip's messages.
   *
   * @param node The node, in its set-up.
   * @param options What is gossiped; to whom, and when.
   * @throws {RangeError} A duration is out of range.
   * @throws {Error} That type of message has a handler already.
   */
  constructor(node: AnyNode, options: GossipOptions<D>) {
    const { topology = star(), type = "gossip", ackMs = 500, retryMs = 800 } =
      options;
    checkDuration(ackMs, "ackMs");
    checkDuration(retryMs / 2, "retryMs / 2");
    this.#node = node;
    this.#options = options;
    this.#topology = topology;
    this.#type = type;
    this.#ackMs = ackMs;
    this.#retryMs = retryMs;
    this.#epoch = node.random();
    node.on<GossipBody<D>>(type, (message) => this.#receive(message));
    node.every(retryMs / 2, () => {
      for (const link of this.#neighbours()) link.tick();
    });
  }

  /**
   * Takes in a piece of the state, by `merge`, and tells all of what was new.
   *
   * @param delta The piece.
   */
  add(delta: D): void {
    this.#takeIn(delta, undefined);
  }

  /** How many pieces are kept because a neighbour has not acknowledged them. */
  get unacknowledged(): number {
    let count = 0;
    for (const link of this.#links.values()) count += link.unacknowledged;
    return count;
  }

  #receive({ src, body }: Message<GossipBody<D>>): void {
    const { epoch, batch, delta, again, acks = [], of } = body;
    if (
      typeof epoch !== "number" || !Array.isArray(acks) ||
      (batch !== undefined && typeof batch !== "number") ||
      !this.#node.nodeIds.includes(src)
    ) {
      throw new RpcError(
        ErrorCode.malformedRequest,
        `${this.#type}: not a message of a node's`,
      );
    }
    this.#neighbours();
    const link = this.#link(src);
    link.heard(epoch);
    if (of === this.#epoch) link.acknowledged(acks);
    if (batch === undefined) return;
    link.acknowledge(batch, again ? 1 : this.#ackMs);
    if (delta !== undefined) this.#takeIn(delta, link);
  }

  #takeIn(delta: D, from: Link<D> | undefined): void {
    const neighbours = this.#neighbours(); // who is new among them is told all that was before
    const news = this.#options.merge(delta);
    if (news === undefined) return;
    const others = [...neighbours].filter((link) => link !== from);
    if (others.length === 0) return;
    for (const link of others) link.queue(news);
    this.#beginRound();
  }

  /** One round for all neighbours: were each told in its own time, the last one decided. */
  #beginRound(): void {
    if (this.#roundBegun) return;
    this.#roundBegun = true;
    this.#node.after(this.#delayMs, () => {
      this.#roundBegun = false;
      for (const link of this.#links.values()) {
        if (link.mayTell) link.send();
      }
    });
  }

  #neighbours(): Iterable<Link<D>> {
    if (this.#links.size === 0) {
      const { nodeId, nodeIds } = this.#node;
      const { peers, delayMs } = this.#topology(nodeId, nodeIds);
      checkDuration(delayMs, "delayMs");
      this.#delayMs = delayMs;
      for (const peer of peers) this.#link(peer);
    }
    return this.#links.values();
  }

  /** The link to a node; who tells this one something is a neighbour, too. */
  #link(peer: string): Link<D> {
    let link = this.#links.get(peer);
    if (link === undefined) {
      link = new Link(this.#node, this.#options, {
        epoch: this.#epoch,
        retryMs: this.#retryMs,
        send: (body) => this.#node.send(peer, { type: this.#type, ...body }),
      });
      this.#links.set(peer, link);
      if (link.mayTell) this.#beginRound();
    }
    return link;
  }
}

/** How a link sends, and when it sends again. */
interface LinkOptions<D> {
  epoch: number;
  retryMs: number;
  send(body: GossipBody<D>): void;
}

/** What one node tells another, and what it owes it. */
class Link<D> {
  readonly #node: AnyNode;
  readonly #state: GossipOptions<D>;
  readonly #options: LinkOptions<D>;
  /** Which life of the peer was heard last. */
  #epoch: number | undefined;
  /** News that waits to be sent. */
  #queued: D | undefined;
  /** What was sent and not acknowledged, by its number, the oldest first. */
  readonly #inFlight: Map<number, { delta: D | undefined; at: number }> =
    new Map();
  /**
   * Whether something had to be sent again: until that is acknowledged there is
   * nothing else, under one number, so that an answer counts however late.
   */
  #stalled = false;
  #acks: number[] = [];
  #nextBatch = 0;
  #ackAt = Infinity;
  #cancelAck = () => {};

  constructor(node: AnyNode, state: GossipOptions<D>, options: LinkOptions<D>) {
    this.#node = node;
    this.#state = state;
    this.#options = options;
    this.#queued = state.full();
  }

  /** Whether there is news, and it need not wait for what was told before. */
  get mayTell(): boolean {
    return this.#queued !== undefined && !this.#stalled;
  }

  get unacknowledged(): number {
    return this.#inFlight.size + (this.#queued === undefined ? 0 : 1);
  }

  /** Keeps news until the next {@linkcode Link.send}. */
  queue(news: D): void {
    this.#queued = this.#joined(this.#queued, news);
  }

  /** Says that something has arrived, in so many ms at the latest. */
  acknowledge(batch: number, ms: number): void {
    this.#acks.push(batch);
    const at = this.#node.now() + ms;
    if (at >= this.#ackAt) return;
    this.#cancelAck();
    this.#ackAt = at;
    this.#cancelAck = this.#node.after(ms, () => this.send());
  }

  /** Takes in what the peer has acknowledged. */
  acknowledged(batches: readonly unknown[]): void {
    for (const batch of batches) this.#inFlight.delete(batch as number);
    if (this.#stalled && this.#inFlight.size === 0) this.#goOn();
  }

  /** The peer is there; if that is another life of it, it has lost its memory. */
  heard(epoch: number): void {
    if (this.#epoch !== undefined && this.#epoch !== epoch) {
      this.#inFlight.clear();
      this.#acks = [];
      this.#queued = this.#state.full();
      this.#goOn();
    }
    this.#epoch = epoch;
  }

  /** Sends again what was not acknowledged in time; says hello to who was never heard. */
  tick(): void {
    const [oldest] = this.#inFlight.values();
    if (oldest === undefined) {
      if (this.#epoch === undefined) this.send(true);
      return;
    }
    const now = this.#node.now();
    if (!this.#stalled) {
      if (now - oldest.at < this.#options.retryMs) return;
      this.#stalled = true;
      let all: D | undefined;
      for (const { delta } of this.#inFlight.values()) {
        all = this.#joined(all, delta);
      }
      this.#inFlight.clear();
      this.#inFlight.set(this.#nextBatch++, { delta: all, at: now });
    }
    for (const [batch, { delta }] of this.#inFlight) {
      this.#transmit({ batch, delta, again: true });
    }
  }

  /** Sends the news and acknowledgements that there are; with `hello`, even if there are none. */
  send(hello = false): void {
    if (!this.mayTell && !hello) return this.#transmit({});
    const batch = this.#nextBatch++;
    const delta = this.#queued;
    this.#queued = undefined;
    this.#inFlight.set(batch, { delta, at: this.#node.now() });
    this.#transmit({ batch, delta });
  }

  #goOn(): void {
    this.#stalled = false;
    this.send();
  }

  #joined(a: D | undefined, b: D | undefined): D | undefined {
    return a === undefined ? b : b === undefined ? a : this.#state.join(a, b);
  }

  /** Sends a message, with all acknowledgements that are due. */
  #transmit(
    what: { batch?: number; delta?: D | undefined; again?: boolean },
  ): void {
    this.#cancelAck();
    this.#ackAt = Infinity;
    const acks = this.#acks;
    this.#acks = [];
    if (acks.length === 0 && what.batch === undefined) return;
    const { epoch, send } = this.#options;
    send({
      epoch,
      ...what,
      ...(acks.length > 0 && { acks, of: this.#epoch! }),
    });
  }
}
