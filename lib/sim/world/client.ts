/** A simulated client: asks one thing after the other. */
import { isDefinite } from "../../errors.ts";
import type { Body, Message } from "../../message.ts";
import type { HistoryEntry, Operation } from "../judges/history.ts";
import type { Workload } from "../judges/workload.ts";
import { type HandledRequest, silenceOf } from "./observed_node.ts";

/** What a client has of the world around it. */
export interface ClientWorld {
  /** The time in whole µs since the simulation began. */
  nowUs(): number;
  /** Calls `fn` at a time in whole µs; returns how to cancel that. */
  schedule(us: number, fn: () => void): () => void;
  /** Sends a request. */
  request(message: Message): void;
  /** How often a node has been started. */
  incarnation(node: string): number;
  /** An operation was invoked, or has ended: its entry is new or changed. */
  recorded(entry: HistoryEntry): void;
  /** A node has done what no node may do. */
  violated(check: string, text: string, node: string): void;
}

/** An operation to come. */
export interface PlannedOperation {
  /** Its number. */
  index: number;
  /** What is asked for. */
  operation: Operation;
  /** The node that is asked. */
  node: string;
  /** Whether it is one of those at the end. */
  final: boolean;
  /** Whether it is one of those after the faults. */
  probe?: boolean;
}

/** A request that was answered, or that may arrive twice. */
interface Asked {
  node: string;
  index: number;
  /** The answer's `msg_id`; `undefined` while there is none, or where more than one may come. */
  answer: number | undefined;
  twice: boolean;
}

/**
 * A client that waits for each answer before it asks the next thing. Where no
 * answer comes in time nobody knows whether it happened, and the client goes
 * on under another process name, as Jepsen's do.
 */
export class Client {
  /** The client's id, such as "c1". */
  readonly id: string;
  readonly #world: ClientWorld;
  readonly #workload: Workload;
  readonly #timeoutUs: number;
  readonly #waiting: PlannedOperation[] = [];
  #current: HistoryEntry | undefined;
  /** Why what it asks now may never be answered, where it is known; "" where the node has replied. */
  #silence: string | undefined;
  /** By `msg_id`: what was asked. */
  readonly #asked: Map<number, Asked> = new Map();
  #cancelTimeout: () => void = () => {};
  #started = false;
  #msgId = 0;
  #process = 0;

  /**
   * A client with nothing to do yet.
   *
   * @param id Its id.
   * @param world What is around it.
   * @param workload What it asks.
   * @param timeoutMs How long it waits for an answer.
   */
  constructor(
    id: string,
    world: ClientWorld,
    workload: Workload,
    timeoutMs: number,
  ) {
    this.id = id;
    this.#world = world;
    this.#workload = workload;
    this.#timeoutUs = Math.round(timeoutMs * 1000);
  }

  /** Whether it waits for an answer. */
  get busy(): boolean {
    return this.#current !== undefined;
  }

  /** Begins to ask. */
  start(): void {
    this.#started = true;
    this.#next();
  }

  /**
   * Asks for an operation once it has been started, and all before it have ended.
   *
   * @param planned The operation.
   */
  ask(planned: PlannedOperation): void {
    this.#waiting.push(planned);
    if (this.#started && this.#current === undefined) this.#next();
  }

  /**
   * A request of its arrives twice: its node may answer twice.
   *
   * @param msgId The request's `msg_id`.
   */
  doubled(msgId: number): void {
    this.#asked.get(msgId)!.twice = true;
  }

  /**
   * A handler of a request of its has returned nothing, or the node has replied by itself.
   *
   * @param request The request.
   * @param replies Whether the node has replied.
   */
  handled(request: HandledRequest, replies: boolean): void {
    if (request.msgId !== this.#msgId) return;
    if (replies) this.#silence = "";
    else this.#silence ??= silenceOf(request);
  }

  /**
   * Takes in a message.
   *
   * @param message Most likely the answer; anything else is passed over.
   */
  receive(message: Message): void {
    const entry = this.#current;
    const { body } = message;
    this.#checkOnce(message);
    if (
      entry === undefined || body.in_reply_to !== this.#msgId ||
      message.src !== entry.node
    ) return;
    if (body.type === "error") this.#failed(entry, body);
    else {
      entry.result = this.#workload.result
        ? this.#workload.result(entry, body)
        : body["value"];
      this.#end(entry, "ok");
    }
  }

  /** The network may deliver an answer twice, but no node may give two. */
  #checkOnce({ src, body }: Message): void {
    const asked = this.#asked.get(body.in_reply_to!);
    if (asked === undefined || asked.node !== src || asked.twice) return;
    asked.answer ??= body.msg_id;
    if (asked.answer === body.msg_id) return;
    const { index, node } = asked;
    const text = `${node} answered operation ${index} more than once`;
    this.#world.violated("answered-once", text, node);
  }

  #next(): void {
    const planned = this.#waiting.shift();
    if (planned === undefined) return;
    const { index, operation, node, final, probe } = planned;
    const now = this.#world.nowUs();
    const entry: HistoryEntry = {
      ...operation,
      index,
      process: `${this.id}.${this.#process}`,
      node,
      invokedAt: now / 1000,
      completedAt: Infinity,
      status: "info",
      final,
      ...probe ? { probe } : {},
      incarnation: this.#world.incarnation(node),
    };
    this.#current = entry;
    this.#silence = undefined;
    const msgId = ++this.#msgId;
    this.#asked.set(msgId, { node, index, answer: undefined, twice: false });
    this.#world.recorded(entry);
    this.#cancelTimeout = this.#world.schedule(now + this.#timeoutUs, () => {
      entry.error = `no answer${this.#silence ? `: ${this.#silence}` : ""}`;
      this.#end(entry, "info");
    });
    const request = this.#workload.request(operation);
    this.#world.request({
      src: this.id,
      dest: node,
      body: { ...request, msg_id: this.#msgId },
    });
  }

  #failed(entry: HistoryEntry, { code, text }: Body): void {
    entry.error = `${code}: ${text}`;
    if (typeof code === "number") entry.code = code;
    this.#end(entry, isDefinite(Number(code)) ? "fail" : "info");
  }

  #end(entry: HistoryEntry, status: HistoryEntry["status"]): void {
    this.#cancelTimeout();
    this.#current = undefined;
    entry.status = status;
    if (this.#world.incarnation(entry.node) !== entry.incarnation) {
      entry.incarnation = undefined;
    }
    if (status === "info") this.#process++;
    else entry.completedAt = this.#world.nowUs() / 1000;
    this.#world.recorded(entry);
    this.#next();
  }
}
