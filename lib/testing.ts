/**
 * Tests of your own nodes, without a network and without waiting: a node with
 * a virtual clock and a captured transport.
 *
 * @example A node that asks another one, and gives up on it
 * ```ts
 * import { TestNode } from "@gyre/node/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const test = new TestNode((node) => {
 *   node.on("ask", async () => ({ answer: (await node.rpc("n2", { type: "get" })).value }));
 * });
 * await test.deliver({ src: "c1", body: { type: "ask", msg_id: 1 } });
 * assertEquals(test.sent()[0]?.dest, "n2");
 * await test.advance(2000);
 * assertEquals(test.sent()[0]?.body.code, 0); // timeout
 * ```
 *
 * @module
 */
import { type Body, decode, type Message, problemOf, show } from "./message.ts";
import { type AnyNode, type LogLevel, Node, type NodeOptions } from "./node.ts";
import { nextMacrotask } from "./sim/macrotask.ts";
import type { SimulatedProcess } from "./sim/options.ts";
import { Random } from "./sim/random.ts";
import {
  type Chooser,
  maelstromServices,
  type Service,
} from "./sim/world/services.ts";
import { checkElapsed, VirtualClock } from "./virtual_clock.ts";

export type {
  Body,
  Chooser,
  LogLevel,
  Message,
  NodeOptions,
  Service,
  SimulatedProcess,
};
export { LinKv, LinTso, LwwKv, SeqKv } from "./sim/world/services.ts";
export { VirtualClock };

/** Options of a {@linkcode TestNode}: a node's own, and who it is. */
export interface TestNodeOptions extends Omit<NodeOptions, "clock"> {
  /**
   * The id that the node is given.
   *
   * @default {"n1"}
   */
  nodeId?: string | undefined;
  /**
   * The ids of the cluster's nodes.
   *
   * @default {["n1", "n2", "n3"]}
   */
  nodeIds?: string[] | undefined;
  /**
   * Whether the node is sent its `init` at once; its `init_ok` is not among
   * what {@linkcode TestNode.sent} returns.
   *
   * @default {true}
   */
  init?: boolean | undefined;
  /**
   * Services beside Maelstrom's four, which are there without anomalies, or in
   * place of one of the same id; `null` takes one away.
   */
  services?: Record<string, Service | null> | undefined;
  /**
   * The seed of the random numbers that the node's set-up is handed.
   *
   * @default {0}
   */
  seed?: number | undefined;
}

/** A message to deliver; without `dest` it goes to the node under test. */
export type Delivery = { src: string; dest?: string | undefined; body: Body };

/** Always the newest state, the same replica: services without anomalies. */
const newest: Chooser = { int: (n) => n - 1 };

/**
 * A node under test. Nothing happens but what a test delivers, and no time
 * passes but what it advances.
 */
export class TestNode {
  /** The node. */
  readonly node: Node;
  /** Its clock: moved by {@linkcode TestNode.advance}. */
  readonly clock: VirtualClock = new VirtualClock();
  /** What the node logged. */
  readonly logged: [level: LogLevel, text: string][] = [];
  readonly #services: Map<string, Service> = new Map();
  /** Resolves once the node has answered its `init`, if it does without a test's help. */
  readonly #initialized: Promise<void> | undefined;
  #initOk: Message | undefined;
  /** Requests that a service has yet to answer. */
  #requests: Message[] = [];
  readonly #messages: Message[] = [];
  /** How many of the messages {@linkcode TestNode.sent} has returned. */
  #taken = 0;

  /**
   * A node that has had its `init`. Where the handler of that is async,
   * {@linkcode TestNode.deliver} and {@linkcode TestNode.advance} wait for it.
   *
   * @param setUp Sets the node's handlers, as in your `main.ts`; handed what a simulation hands it, too.
   * @param options The node's options, its id, services.
   * @throws {RangeError} One of the node's options is out of range.
   * @throws {TypeError} `setUp` is no function, `nodeId` no non-empty string, or `nodeIds` no array of strings.
   */
  constructor(
    setUp: (node: AnyNode, process: SimulatedProcess) => void,
    options: TestNodeOptions = {},
  ) {
    if (typeof setUp !== "function") {
      throw new TypeError(
        `'setUp' must be a function that sets the node's handlers, such as (node) => node.on("ping", () => ({})): current value is ${
          show(setUp)
        }`,
      );
    }
    const {
      nodeId = "n1",
      nodeIds = ["n1", "n2", "n3"],
      init = true,
      services,
      seed = 0,
      log = (level, text) => this.logged.push([level, text]),
      ...nodeOptions
    } = options;
    if (typeof nodeId !== "string" || nodeId === "") {
      throw new TypeError(
        `'nodeId' must be a non-empty string: current value is ${show(nodeId)}`,
      );
    }
    if (
      !Array.isArray(nodeIds) || nodeIds.some((id) => typeof id !== "string")
    ) {
      throw new TypeError(
        `'nodeIds' must be an array of strings: current value is ${
          JSON.stringify(nodeIds)
        }`,
      );
    }
    const all = { ...maelstromServices(newest), ...services };
    for (const [id, service] of Object.entries(all)) {
      if (service !== null) this.#services.set(id, service);
    }
    const random = new Random(seed, `numbers ${nodeId}`);
    this.node = new Node({
      random: () => random.fraction(),
      ...nodeOptions,
      log,
      clock: this.clock,
    });
    this.node.connect({ send: (line) => this.#capture(line) });
    setUp(this.node, {
      random: new Random(seed, `node ${nodeId}`),
      wallNow: () => this.clock.now(),
    });
    if (!init) return;
    const body = {
      type: "init",
      msg_id: 1,
      node_id: nodeId,
      node_ids: nodeIds,
    };
    this.node.receive(JSON.stringify({ src: "c0", dest: nodeId, body }));
    if (this.#initOk === undefined) this.#initialized = this.#settle();
  }

  /** All that the node has sent, its `init_ok` included. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /**
   * Delivers a message. A handler that is not async has run when this
   * returns; wait for the promise if there are async ones.
   *
   * @param message The message, or a line of input, be it one or not.
   * @throws {TypeError} What was handed in as a message is none: it has no `src`, say.
   */
  deliver(message: Delivery | string): Promise<void> {
    const line = typeof message === "string" ? message : this.#toLine(message);
    const receive = () => {
      this.node.receive(line);
      return this.#settle();
    };
    const waits = this.#initialized && this.#initOk === undefined;
    return waits ? this.#initialized.then(receive) : receive();
  }

  /**
   * What the node has sent since this was last called, but for its `init_ok`.
   */
  sent(): Message[] {
    const sent = this.#messages.slice(this.#taken);
    this.#taken = this.#messages.length;
    return sent.filter((message) => message !== this.#initOk);
  }

  /**
   * Lets time pass: fires the node's timers, each at its time.
   *
   * @param ms For how long: a finite number from 0.
   * @throws {RangeError} `ms` is none.
   */
  async advance(ms: number): Promise<void> {
    checkElapsed(ms);
    await this.#initialized;
    const end = this.clock.now() + ms;
    await this.#settle(); // what goes on now may set timers
    while (this.clock.fireNext(end)) await this.#settle();
    const left = end - this.clock.now(); // none where handlers were busy for longer
    if (left > 0) this.clock.advance(left);
  }

  #toLine(delivery: Delivery): string {
    const message = {
      ...delivery,
      dest: delivery?.dest ?? (this.node.nodeId || "n1"),
    };
    const problem = problemOf(message);
    if (problem !== undefined) {
      throw new TypeError(
        `Cannot deliver ${
          JSON.stringify(delivery)
        } as ${problem}: a message is such as { src: "c1", body: { type: "ping", msg_id: 1 } }; what is none is delivered as a line of text`,
      );
    }
    return JSON.stringify(message);
  }

  #capture(line: string): void {
    const message = decode(line);
    this.#messages.push(message);
    const { dest, body } = message;
    if (dest === "c0" && body.type === "init_ok") this.#initOk ??= message;
    if (body.in_reply_to === undefined && this.#services.has(dest)) {
      this.#requests.push(message);
    }
  }

  /** Lets services answer, and promises settle. */
  async #settle(): Promise<void> {
    for (;;) {
      await nextMacrotask();
      const requests = this.#requests;
      if (requests.length === 0) return;
      this.#requests = [];
      for (const request of requests) this.#answer(request);
    }
  }

  #answer({ src, dest, body }: Message): void {
    const reply = this.#services.get(dest)!.handle({ src, dest, body });
    this.node.receive(JSON.stringify({
      src: dest,
      dest: src,
      body: { ...reply, in_reply_to: body.msg_id },
    }));
  }
}
