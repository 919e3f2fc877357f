/** Maelstrom's services, with the anomalies that they are meant to have. */
import { ErrorCode } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { SendBody } from "../../node.ts";

/** Where a service's choices come from. */
export interface Chooser {
  /**
   * Chooses a whole number from 0 to below `n`.
   *
   * @param n How many there are to choose from.
   */
  int(n: number): number;
}

/** A service: answers one request at a time. */
export interface Service {
  /**
   * Handles a request.
   *
   * @param request The request.
   * @returns The reply's body, without its ids.
   */
  handle(request: Message): SendBody;
}

/**
 * A value as a text that is the same for equal values, whatever the order of
 * an object's keys.
 *
 * @param value Any JSON value.
 */
export function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, part) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(
          Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1),
        )
        : part,
  ) ?? "null";
}

/** What a key-value store does with a key whose value is `current`: the reply, and the new value if it changes. */
interface Outcome {
  reply: SendBody;
  write?: unknown;
}

const MISSING = error(ErrorCode.keyDoesNotExist, "key does not exist");

function error(code: number, text: string): SendBody {
  return { type: "error", code, text };
}

/** One operation of a key-value store; `current` is `undefined` where there is no such key. */
function operate({ body }: Message, current: unknown): Outcome {
  switch (body.type) {
    case "read":
      return {
        reply: current === undefined
          ? MISSING
          : { type: "read_ok", value: current },
      };
    case "write":
      return { reply: { type: "write_ok" }, write: body["value"] ?? null };
    case "cas":
      if (current === undefined && !body["create_if_not_exists"]) {
        return { reply: MISSING };
      }
      if (
        current !== undefined && canonical(current) !== canonical(body["from"])
      ) {
        return {
          reply: error(
            ErrorCode.preconditionFailed,
            `current value ${canonical(current)} is not ${
              canonical(body["from"])
            }`,
          ),
        };
      }
      return { reply: { type: "cas_ok" }, write: body["to"] ?? null };
    default:
      return { reply: notSupported(body.type) };
  }
}

function notSupported(type: string): SendBody {
  return error(
    ErrorCode.notSupported,
    `message type ${JSON.stringify(type)} is not supported`,
  );
}

/**
 * `lin-kv`: a linearizable key-value store with `read`, `write` and `cas`,
 * which may say `create_if_not_exists`.
 *
 * @example
 * ```ts
 * import { LinKv } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const kv = new LinKv();
 * const ask = (body: { type: string; [key: string]: unknown }) =>
 *   kv.handle({ src: "n1", dest: "lin-kv", body });
 * assertEquals(ask({ type: "read", key: "x" }).code, 20);
 * ask({ type: "write", key: "x", value: 1 });
 * assertEquals(ask({ type: "cas", key: "x", from: 2, to: 3 }).code, 22);
 * assertEquals(ask({ type: "read", key: "x" }), { type: "read_ok", value: 1 });
 * ```
 */
export class LinKv implements Service {
  readonly #values: Map<string, unknown> = new Map();

  /**
   * Handles a request.
   *
   * @param request A `read`, `write` or `cas`.
   */
  handle(request: Message): SendBody {
    const key = canonical(request.body["key"]);
    const { reply, write } = operate(request, this.#values.get(key));
    if (write !== undefined) this.#values.set(key, write);
    return reply;
  }
}

/** How many past states `seq-kv` remembers; as many as Maelstrom's. */
const PAST_STATES = 32;

/**
 * `seq-kv`: a sequentially consistent key-value store. An operation that
 * changes nothing may take place in any of the last 32 states that its client
 * has not seen the end of yet; one that changes something takes place in the
 * newest. Each client so goes forward only, but not all are at the same time.
 */
export class SeqKv implements Service {
  readonly #random: Chooser;
  /** Of each key: its values, each with the number of the state that it came with. */
  readonly #values: Map<string, { state: number; value: unknown }[]> =
    new Map();
  /** The number of the last state that each client saw. */
  readonly #seen: Map<string, number> = new Map();
  #newest = 0;

  /**
   * An empty store.
   *
   * @param random Picks the state.
   */
  constructor(random: Chooser) {
    this.#random = random;
  }

  /**
   * Handles a request.
   *
   * @param request A `read`, `write` or `cas`.
   */
  handle(request: Message): SendBody {
    const key = canonical(request.body["key"]);
    const oldest = Math.max(
      this.#seen.get(request.src) ?? 0,
      this.#newest - PAST_STATES + 1,
    );
    const state = oldest + this.#random.int(this.#newest - oldest + 1);
    const past = this.#at(key, state);
    const { reply, write } = operate(request, past);
    if (write === undefined || canonical(write) === canonical(past)) {
      this.#seen.set(request.src, state);
      return reply;
    }
    return this.#update(request, key);
  }

  #update(request: Message, key: string): SendBody {
    const { reply, write } = operate(request, this.#at(key, this.#newest));
    this.#newest++;
    this.#seen.set(request.src, this.#newest);
    if (write !== undefined) {
      const values = this.#values.get(key) ?? [];
      values.push({ state: this.#newest, value: write });
      while (
        values.length > 1 && values[1]!.state <= this.#newest - PAST_STATES
      ) values.shift();
      this.#values.set(key, values);
    }
    return reply;
  }

  #at(key: string, state: number): unknown {
    return this.#values.get(key)?.findLast((value) => value.state <= state)
      ?.value;
  }
}

/** One of the replicas of `lww-kv`. */
interface Replica {
  clock: number;
  values: Map<string, { time: number; value: unknown }>;
}

/**
 * `lww-kv`: an eventually consistent key-value store, pathological on purpose.
 * Each request goes to a replica at random; now and then one is merged into
 * another, and of two values the one with the later Lamport time stays, at
 * equal times the greater one: writes get lost, reads go back in time, but once
 * nothing is written any more all replicas come to agree. A `cas`
 * creates no key.
 */
export class LwwKv implements Service {
  readonly #random: Chooser;
  readonly #replicas: Replica[];

  /**
   * An empty store.
   *
   * @param random Picks the replicas.
   * @param replicas How many there are.
   */
  constructor(random: Chooser, replicas = 5) {
    this.#random = random;
    this.#replicas = Array.from(
      { length: replicas },
      () => ({ clock: 0, values: new Map() }),
    );
  }

  /**
   * Handles a request.
   *
   * @param request A `read`, `write` or `cas`.
   */
  handle(request: Message): SendBody {
    this.#merge(this.#pick(), this.#pick());
    const replica = this.#pick();
    const key = canonical(request.body["key"]);
    const { create_if_not_exists: _, ...body } = request.body; // as in Maelstrom, it can't
    const { reply, write } = operate(
      { ...request, body },
      replica.values.get(key)?.value,
    );
    if (write !== undefined) {
      replica.values.set(key, { time: replica.clock++, value: write });
    }
    return reply;
  }

  #pick(): Replica {
    return this.#replicas[this.#random.int(this.#replicas.length)]!;
  }

  #merge(from: Replica, to: Replica): void {
    to.clock = Math.max(to.clock, from.clock);
    for (const [key, theirs] of from.values) {
      const ours = to.values.get(key);
      if (
        ours === undefined || theirs.time > ours.time ||
        (theirs.time === ours.time && isGreater(theirs.value, ours.value))
      ) {
        to.values.set(key, theirs);
      }
    }
  }
}

/**
 * The order in which `lww-kv` breaks ties: of numbers the greater one, as in
 * Maelstrom; of other values, on which Maelstrom fails, the one whose text is.
 */
function isGreater(a: unknown, b: unknown): boolean {
  return typeof a === "number" && typeof b === "number"
    ? a > b
    : canonical(a) > canonical(b);
}

/** `lin-tso`: hands out timestamps, 0 first, each greater than all before. */
export class LinTso implements Service {
  #next = 0;

  /**
   * Handles a request.
   *
   * @param request A `ts`.
   */
  handle(request: Message): SendBody {
    const { type } = request.body;
    return type === "ts"
      ? { type: "ts_ok", ts: this.#next++ }
      : notSupported(type);
  }
}

/**
 * Maelstrom's four services, empty, by the ids under which nodes reach them.
 *
 * @param random Where their anomalies come from.
 */
export function maelstromServices(random: Chooser): Record<string, Service> {
  return {
    "lin-kv": new LinKv(),
    "seq-kv": new SeqKv(random),
    "lww-kv": new LwwKv(random),
    "lin-tso": new LinTso(),
  };
}
