/** What becomes of a message between its sender and its receiver. */
import type { Fault, MessageFault } from "./fault.ts";
import { drawLatencyUs, type Latency } from "./latency.ts";
import type { Random } from "../random.ts";

/** Options of a simulated network. */
export interface NetworkOptions {
  /**
   * How long messages between nodes, and between nodes and services, take.
   *
   * @default {exponential, 5 ms}
   */
  latency?: Latency;
  /**
   * How long messages to and from clients take. As in Maelstrom no time at
   * all, as waiting there hides what goes wrong between the nodes.
   *
   * @default {constant, 0 ms}
   */
  clientLatency?: Latency;
}

/** Reordering holds messages back for up to this many times the mean latency, and 1 ms at the least. */
const REORDERING_FACTOR = 20;

/** Decides how long messages take, and which are lost, doubled, garbled. Holds no messages. */
export class Network {
  readonly #random: Random;
  readonly #latency: Latency;
  readonly #clientLatency: Latency;
  /** The faults that act now. */
  readonly #faults: Set<Fault> = new Set();

  /**
   * A network in which nothing goes wrong.
   *
   * @param random Where its choices come from.
   * @param options Its latencies.
   */
  constructor(random: Random, options: NetworkOptions = {}) {
    this.#random = random;
    this.#latency = options.latency ??
      { distribution: "exponential", meanMs: 5 };
    this.#clientLatency = options.clientLatency ??
      { distribution: "constant", meanMs: 0 };
  }

  /**
   * Begins a fault.
   *
   * @param fault Of a kind that concerns messages; others do nothing here.
   */
  begin(fault: Fault): void {
    this.#faults.add(fault);
  }

  /**
   * Ends a fault.
   *
   * @param fault One that has begun.
   */
  end(fault: Fault): void {
    this.#faults.delete(fault);
  }

  /** Whether a message that is being sent gets lost on its way. */
  loses(): boolean {
    return this.#happens("loss");
  }

  /** Whether a message arrives twice. */
  doubles(): boolean {
    return this.#happens("duplication");
  }

  /** Whether a reply arrives from another sender, too. */
  strays(): boolean {
    return this.#happens("stray");
  }

  /** Whether a node's message that is no reply can't be sent. */
  refuses(): boolean {
    return this.#happens("refusal");
  }

  /** Whether a message arrives garbled. */
  garbles(): boolean {
    return this.#happens("corruption");
  }

  /**
   * Whether a partition keeps a message from arriving now.
   *
   * @param src Where it comes from.
   * @param dest Where it goes.
   */
  separates(src: string, dest: string): boolean {
    for (const fault of this.#faults) {
      if (fault.kind === "partition" && fault.drops?.[dest]?.includes(src)) {
        return true;
      }
    }
    return false;
  }

  /**
   * How long a message takes, in µs.
   *
   * @param src Where it comes from.
   * @param dest Where it goes.
   * @param client Whether one of the two is a client.
   */
  latencyUs(src: string, dest: string, client: boolean): number {
    const latency = client ? this.#clientLatency : this.#latency;
    let us = drawLatencyUs(latency, this.#random);
    if (this.#faults.size === 0) return us;
    for (const fault of this.#faults) {
      if (fault.kind === "slow" && fault.src === src && fault.dest === dest) {
        us *= fault.factor;
      }
    }
    if (!client && this.#happens("reordering")) {
      const meanUs = Math.max(1000, this.#latency.meanMs * 1000);
      us += this.#random.int(Math.round(meanUs) * REORDERING_FACTOR);
    }
    return us;
  }

  /**
   * Garbles a line, so that it is no message any more: cut off, with
   * something before it, or its type no string.
   *
   * @param line A message's JSON.
   */
  garble(line: string): string {
    switch (this.#random.int(3)) {
      case 0:
        return "\u0000\ufffd" + line;
      case 1: {
        const untyped = line.replace(
          /"body":\{"type":"[^"]*"/,
          '"body":{"type":7',
        );
        if (untyped !== line) return untyped;
      }
    }
    return line.slice(0, this.#random.int(line.length));
  }

  #happens(kind: MessageFault["kind"]): boolean {
    for (const fault of this.#faults) {
      if (fault.kind === kind && this.#random.chance(fault.probability)) {
        return true;
      }
    }
    return false;
  }
}
