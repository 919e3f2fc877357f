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

/** A message has so many parts of the state at the most, if nothing else is asked for. */
const MAX_PARTS = 1000;
/** So many full messages are gathered for a neighbour that does not answer; then it is to be told all. */
const MAX_GATHERED = 10;
/** So many messages are sent before the first of them is acknowledged, where one does not do. */
const MAX_AHEAD = 10;
/** Who has not answered for so many times as long as `retryMs` is away. */
const AWAY_RETRIES = 4;
/** Within so many ms of one another all nodes are set up: Maelstrom gives each that long to answer `init`. */
const SET_UP_MS = 10_000;

/**
 * Says whom a node tells. What one node knows reaches all if their
 * neighbourhoods together are connected. While some nodes don't answer, it is
 * asked again, without them: who is its neighbour then is one for as long.
 */
export type Topology = (
  nodeId: string,
  nodeIds: readonly string[],
) => Neighbourhood;

/** Options of {@linkcode star}. */
export interface StarOptions {
  /**
   * How many nodes all others tell. Each one more takes as many messages
   * again, and lets news travel at once where one is down or cut off: until
   * another node stands in for it, it takes some seconds.
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
 * messages, a piece of news costs one, and its share of the hub's rounds. While
 * the hub doesn't answer, those who notice tell the first node that does.
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
   * or `undefined` when nothing was. Where it throws nothing counts as told: it
   * is told again. So it must not have taken in a part by then.
   */
  merge(delta: D): D | undefined;
  /** Two pieces as one. */
  join(a: D, b: D): D;
  /**
   * Cuts a piece into several of at most so many parts each, whatever a part is:
   * an element of a set, say. {@linkcode chunks} does it for lists.
   *
   * @default none is cut; good enough where the whole state is small
   */
  split?(delta: D, maxParts: number): D[];
  /**
   * How many parts a message has at the most. Ten times as many are gathered
   * for a neighbour that does not answer; instead of more it is told all, once it
   * does.
   *
   * @default {1000}
   */
  maxParts?: number;
  /**
   * The whole state, for a neighbour that has lost its memory, or missed too
   * much; `undefined` while it is empty.
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

/**
 * A list in pieces: the `split` of a {@linkcode Gossip} of lists.
 *
 * @example
 * ```ts
 * import { chunks } from "@gyre/node";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(chunks([1, 2, 3], 2), [[1, 2], [3]]);
 * ```
 *
 * @typeParam T What it is a list of.
 * @param list The list.
 * @param max How long a piece is at the most.
 */
export function chunks<T>(list: readonly T[], max: number): T[][] {
  return Array.from(
    { length: Math.ceil(list.length / max) },
    (_, i) => list.slice(i * max, (i + 1) * max),
  );
}

/** A message of the gossip's own. */
interface GossipBody<D> {
  /** Which life of its sender this comes from. */
  epoch: number;
  /** The number of what is told, to be acknowledged. */
  batch?: number;
  /** What is told; none in a first message that only says who is there. */
  delta?: D | undefined;
  /** Something waits for it to be acknowledged: that is to be done at once. */
  urgent?: boolean;
  /** The receiver need not be told anything: it is no neighbour of the sender's. */
  far?: boolean;
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
 * forgotten: what is kept follows what is on its way. A neighbour that does
 * not answer is told one piece, again and again; what else there is for it
 * waits, up to a limit, from where on nothing is kept: it will be told all,
 * piece by piece.
 *
 * Who has not answered for four times `retryMs` is away. The topology is asked
 * who the neighbours are without it, so that another node may stand in for it;
 * when it answers, all is as it was.
 *
 * A node that restarts has another epoch, by which its neighbours see that it
 * has lost its memory, and tell it all.
 *
 * @example A set that all nodes know
 * ```ts
 * import { chunks, Gossip } from "@gyre/node";
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
 *     split: chunks,
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
  readonly #maxParts: number;
  readonly #epoch: number;
  readonly #links: Map<string, Link<D>> = new Map();
  #delayMs = 1;
  #roundBegun = false;

  /**
   * Sets the handler of the gossip's messages.
   *
   * @param node The node, in its set-up.
   * @param options What is gossiped; to whom, and when.
   * @throws {RangeError} A duration, or `maxParts`, is out of range.
   * @throws {Error} That type of message has a handler already.
   */
  constructor(node: AnyNode, options: GossipOptions<D>) {
    const { topology = star(), type = "gossip", ackMs = 500, retryMs = 800 } =
      options;
    const { maxParts = MAX_PARTS } = options;
    if (!Number.isSafeInteger(maxParts) || maxParts < 1) {
      throw new RangeError(
        `'maxParts' must be a whole number from 1: current value is ${maxParts}`,
      );
    }
    checkDuration(ackMs, "ackMs");
    checkDuration(retryMs / 2, "retryMs / 2");
    this.#node = node;
    this.#options = options;
    this.#topology = topology;
    this.#type = type;
    this.#ackMs = ackMs;
    this.#retryMs = retryMs;
    this.#maxParts = maxParts;
    this.#epoch = node.random();
    node.on<GossipBody<D>>(type, (message) => this.#receive(message));
    node.every(retryMs / 2, () => {
      const mayHello = this.#othersAreThere;
      for (const link of this.#neighbours()) link.tick(mayHello);
      this.#look();
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

  /**
   * Whether the others may be expected to be there: there was more than `init`, or
   * long enough nothing. Before that some may not be set up yet, and Maelstrom
   * hears no more of who sends something to such a node.
   */
  get #othersAreThere(): boolean {
    const { received, uptime_ms } = this.#node.stats();
    return received > 1 || uptime_ms >= SET_UP_MS;
  }

  #receive({ src, body }: Message<GossipBody<D>>): void {
    const { epoch, batch, delta, urgent, far = false, acks = [], of } = body;
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
    link.heard(epoch, far);
    if (of === this.#epoch) link.acknowledged(acks);
    if (batch !== undefined) {
      if (delta !== undefined) this.#takeIn(delta, link);
      link.acknowledge(batch, urgent ? 1 : this.#ackMs);
    }
    if (link.mayTell) this.#beginRound();
  }

  #takeIn(delta: D, from: Link<D> | undefined): void {
    const neighbours = this.#neighbours(); // who is new among them is told all that was before
    const news = this.#options.merge(delta);
    if (news === undefined) return;
    for (const link of neighbours) {
      if (link === from) continue;
      link.queue(news);
      if (link.mayTell) this.#beginRound();
    }
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
    if (this.#links.size === 0) this.#look();
    return this.#links.values();
  }

  /**
   * Sees who the neighbours are. Those that are away stay some, but where they
   * are not counted others may be, too.
   */
  #look(): void {
    const { nodeId, nodeIds } = this.#node;
    const there = nodeIds.filter((id) => !this.#links.get(id)?.isAway);
    const { peers, delayMs } = this.#topology(nodeId, there);
    checkDuration(delayMs, "delayMs");
    this.#delayMs = delayMs;
    const near = new Set([...this.#topology(nodeId, nodeIds).peers, ...peers]);
    for (const peer of near) this.#link(peer);
    for (const [peer, link] of this.#links) {
      link.isNear = near.has(peer);
      if (link.mayTell) this.#beginRound();
    }
  }

  /** The link to a node. */
  #link(peer: string): Link<D> {
    let link = this.#links.get(peer);
    if (link === undefined) {
      link = new Link(this.#node, this.#options, {
        epoch: this.#epoch,
        retryMs: this.#retryMs,
        maxParts: this.#maxParts,
        send: (body) => this.#node.send(peer, { type: this.#type, ...body }),
      });
      this.#links.set(peer, link);
    }
    return link;
  }
}

/** How a link sends, and when it sends again. */
interface LinkOptions<D> {
  epoch: number;
  retryMs: number;
  maxParts: number;
  send(body: GossipBody<D>): void;
}

/** What one node tells another, and what it owes it. */
class Link<D> {
  readonly #node: AnyNode;
  readonly #state: GossipOptions<D>;
  readonly #options: LinkOptions<D>;
  /** Whether the peer is a neighbour. */
  isNear = false;
  /** Whether this node is one of the peer's, as it last said. */
  #isNearToPeer = false;
  /** Which life of the peer was heard last. */
  #epoch: number | undefined;
  /** Whether the peer is to be told all, whatever it knows. */
  #isBehind: boolean;
  /** What is left of that, piece by piece. */
  #rest: D[] = [];
  /** News that waits to be sent. */
  #news: D[] = [];
  /** What was sent and not acknowledged, by its number, the oldest first. */
  readonly #inFlight: Map<number, { delta: D | undefined; at: number }> =
    new Map();
  /** Whether the next piece waits until all that is in flight is acknowledged. */
  #waits = false;
  #acks: number[] = [];
  #nextBatch = 0;
  #ackAt = Infinity;
  #cancelAck = () => {};

  constructor(node: AnyNode, state: GossipOptions<D>, options: LinkOptions<D>) {
    this.#node = node;
    this.#state = state;
    this.#options = options;
    this.#isBehind = state.full() !== undefined;
  }

  /** Whether the peer has not answered for so long that others should not count on it. */
  get isAway(): boolean {
    return this.#silentMs >= AWAY_RETRIES * this.#options.retryMs;
  }

  /** Whether there is something to tell, and it need not wait for what was told before. */
  get mayTell(): boolean {
    return this.#isActive && !this.#waits && this.#hasMore;
  }

  get unacknowledged(): number {
    return this.#inFlight.size + this.#news.length + this.#rest.length;
  }

  /** Whether one of the two is a neighbour of the other. */
  get #isActive(): boolean {
    return this.isNear || this.#isNearToPeer;
  }

  get #isHeard(): boolean {
    return this.#epoch !== undefined;
  }

  get #hasMore(): boolean {
    return this.#isBehind || this.#rest.length + this.#news.length > 0;
  }

  /** For how long the oldest that was sent has not been acknowledged, in ms. */
  get #silentMs(): number {
    const [oldest] = this.#inFlight.values();
    return oldest === undefined ? 0 : this.#node.now() - oldest.at;
  }

  /** Keeps news until it is sent: up to a limit, and for neighbours only. */
  queue(news: D): void {
    if (!this.#isActive) return this.#fallBehind();
    if (this.#isBehind) return; // it will be told all
    const last = this.#news.pop();
    const joined = last === undefined ? news : this.#state.join(last, news);
    this.#news.push(...this.#split(joined));
    if (this.#news.length > MAX_GATHERED) this.#fallBehind();
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
    if (this.#waits && this.#inFlight.size === 0) this.#goOn();
  }

  /** The peer is there; if that is another life of it, it has lost its memory. */
  heard(epoch: number, far: boolean): void {
    this.#isNearToPeer = !far;
    if (this.#isHeard && this.#epoch !== epoch) {
      this.#inFlight.clear();
      this.#acks = [];
      this.#fallBehind();
      this.#isBehind = this.#state.full() !== undefined;
      this.#goOn();
    }
    this.#epoch = epoch;
  }

  /** Sends again what was not acknowledged in time; says hello, if it may, to who was never heard. */
  tick(mayHello: boolean): void {
    if (this.#inFlight.size === 0) {
      if (!this.#isActive && this.#hasMore) this.#fallBehind();
      if (mayHello && !this.#isHeard && this.isNear) this.send(true);
      return;
    }
    if (this.#silentMs < this.#options.retryMs) return;
    this.#gather();
    this.#waits = true;
    for (const [batch, { delta }] of this.#inFlight) {
      this.#transmit({ batch, delta, urgent: true });
    }
  }

  /**
   * Leaves one piece in flight, under one number, so that an answer counts
   * however late; nothing but a greeting where no one is a neighbour any more.
   */
  #gather(): void {
    if (this.#rest.length > 0) this.#fallBehind();
    const sent = [...this.#inFlight.values()];
    const { at, delta: first } = sent[0]!;
    const isOne = sent.length === 1;
    if (isOne && (this.#isActive || first === undefined)) return;
    const waiting = this.#news;
    this.#inFlight.clear();
    this.#news = [];
    for (const { delta } of sent) if (delta !== undefined) this.queue(delta);
    const delta = this.#news.shift();
    for (const news of waiting) this.queue(news);
    this.#inFlight.set(this.#nextBatch++, { delta, at });
  }

  /** Forgets what the peer is to be told: it will be told all. */
  #fallBehind(): void {
    this.#rest = [];
    this.#news = [];
    this.#isBehind = true;
  }

  /** Sends the next pieces, and acknowledgements that there are; with `hello`, even if there are none. */
  send(hello = false): void {
    if (!this.mayTell && !hello) return this.#transmit({});
    do {
      const batch = this.#nextBatch++;
      const delta = this.#next();
      this.#inFlight.set(batch, { delta, at: this.#node.now() });
      this.#waits = this.#hasMore;
      this.#transmit({ batch, delta, ...this.#waits && { urgent: true } });
    } while (this.#waits && this.#isHeard && this.#inFlight.size < MAX_AHEAD);
  }

  #next(): D | undefined {
    if (this.#isBehind && this.#rest.length === 0) {
      const all = this.#state.full();
      const pieces = all === undefined ? [] : this.#split(all);
      // Who was never heard may not be there: it is greeted before it is told so much.
      if (pieces.length > 1 && !this.#isHeard) return undefined;
      this.#rest = pieces;
      this.#news = [];
      this.#isBehind = false;
    }
    return this.#rest.shift() ?? this.#news.shift();
  }

  #goOn(): void {
    this.#waits = false;
    this.send();
  }

  #split(delta: D): D[] {
    return this.#state.split?.(delta, this.#options.maxParts) ?? [delta];
  }

  /** Sends a message, with all acknowledgements that are due. */
  #transmit(
    what: { batch?: number; delta?: D | undefined; urgent?: boolean },
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
      ...(!this.isNear && { far: true }),
      ...(acks.length > 0 && { acks, of: this.#epoch! }),
    });
  }
}
