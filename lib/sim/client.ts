/** A simulated client: asks one thing after the other. */
import { isDefinite } from "../errors.ts";
import type { Body, Message } from "../message.ts";
import type { HistoryEntry, Operation } from "./history.ts";
import type { Workload } from "./workload.ts";

/** What a client has of the world around it. */
export interface ClientWorld {
  /** The time in whole µs since the simulation began. */
  nowUs(): number;
  /** Calls `fn` at a time in whole µs; returns how to cancel that. */
  schedule(us: number, fn: () => void): () => void;
  /** Sends a request. */
  request(message: Message): void;
  /** An operation was invoked, or has ended: its entry is new or changed. */
  recorded(entry: HistoryEntry): void;
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
  #cancelTimeout: () => void = () => {};
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

  /**
   * Asks for an operation once all before it have ended.
   *
   * @param planned The operation.
   */
  ask(planned: PlannedOperation): void {
    this.#waiting.push(planned);
    if (this.#current === undefined) this.#next();
  }

  /**
   * Takes in a message.
   *
   * @param message Most likely the answer; anything else is passed over.
   */
  receive(message: Message): void {
    const entry = this.#current;
    const { body } = message;
    if (
      entry === undefined || body.in_reply_to !== this.#msgId ||
      message.src !== entry.node
    ) return;
    if (body.type === "error") this.#failed(entry, body);
    else {
      entry.result = this.#workload.result
        ? this.#workload.result(entry, body)
        : body.value;
      this.#end(entry, "ok");
    }
  }

  #next(): void {
    const planned = this.#waiting.shift();
    if (planned === undefined) return;
    const { index, operation, node, final } = planned;
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
    };
    this.#current = entry;
    this.#msgId++;
    this.#world.recorded(entry);
    this.#cancelTimeout = this.#world.schedule(now + this.#timeoutUs, () => {
      entry.error = "no answer";
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
    this.#end(entry, isDefinite(Number(code)) ? "fail" : "info");
  }

  #end(entry: HistoryEntry, status: HistoryEntry["status"]): void {
    this.#cancelTimeout();
    this.#current = undefined;
    entry.status = status;
    if (status === "info") this.#process++;
    else entry.completedAt = this.#world.nowUs() / 1000;
    this.#world.recorded(entry);
    this.#next();
  }
}
