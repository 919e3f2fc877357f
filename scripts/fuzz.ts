/**
 * Feeds the node with mutated conversations, through the whole input path, and
 * compares each message that it sends, and its counters, with what an
 * independent reading of the rules predicts.
 */
import { setImmediate } from "node:timers";
import { TextLineStream } from "@std/streams/text-line-stream";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { callbacks, type LogLevel, MAX_DEPTH, Node } from "../lib/mod.ts";
import { type Input, type Output, serve } from "../lib/stdio/mod.ts";
import { linesOf, NodeProcess } from "../tests/process.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";
import { Task } from "./options.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

/** The lines of one conversation; each starts with a new node. */
const CONVERSATION = 20_000;
/** One conversation of so many is held with a real process. */
const PROCESS_EVERY = 20;
const MAX_LINE_BYTES = 150_000;
/** How much the heap may have grown since the first conversations, in bytes. */
const HEAP_GROWTH = 32 * 1024 * 1024;
/** How much memory the process may ever have had, in bytes. */
const PROCESS_MEMORY = 512 * 1024 * 1024;

const encoder = new TextEncoder();

/** Random choices that a seed repeats. */
class Random {
  readonly #generator;

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(seed);
  }

  /** From 0 to `below` - 1. */
  int(below: number): number {
    return uniformInt(this.#generator, 0, below - 1);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.int(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!;
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: count }, () => this.int(256));
  }
}

const TYPES = [
  "init",
  "echo",
  "pending_count",
  "send_fire_forget",
  "stats",
  "echo_ok",
  "error",
  "nope",
  "constructor",
  "__proto__",
  "toString",
  "",
];

const VALUES = [
  ..."null true false 0 -0 1 -1 1.5 1e2 1e-400 1e400 -1e400 0.1e1".split(" "),
  ..."4294967296 9007199254740991 9007199254740992 18446744073709551616".split(
    " ",
  ),
  "1".repeat(400),
  ...['""', '"n1"', '"n2"', '"echo"', '"__proto__"', '"\\n\\u0000\\u001b[2J"'],
  ...['"\\ud800"', '"\\udfff\\ud83e"', '"å∂🦕\u2028"', '"\ufeff"', '"\ufffd"'],
  ...["[]", "{}", "[[],[[]]]", '{"type":"x"}', '{"a":{"b":[1,{"c":null}]}}'],
  ...['{"__proto__":1}', '{"__proto__":{"type":"echo"},"constructor":[]}'],
  ...['["n1"]', '["n1","n2"]', '["n1",2]', '{"toJSON":1}', '{"length":-1}'],
];

/** Makes lines, by and large valid ones, and breaks them. */
class Generator {
  readonly #random: Random;
  /** Asks which RPC ids the node has used last, so that replies can be made. */
  readonly #rpcs: () => readonly [id: number, dest: string][];
  #last = "";

  constructor(
    random: Random,
    rpcs: () => readonly [id: number, dest: string][],
  ) {
    this.#random = random;
    this.#rpcs = rpcs;
  }

  /** A line's bytes; it may hold newlines of its own. */
  line(): Uint8Array<ArrayBuffer> {
    const random = this.#random;
    const kind = random.int(100);
    if (kind < 3) return random.bytes(random.int(60));
    if (kind < 8) return encoder.encode(random.pick(["", "\r", " ", "\ufeff"]));
    if (random.once(5000)) {
      return encoder.encode(this.#message().padEnd(MAX_LINE_BYTES + 1));
    }
    const text = this.#message();
    // What becomes of a deep line depends on where it is broken.
    if (text.length > 2 * MAX_DEPTH) return encoder.encode(text);
    const last = this.#last;
    this.#last = text;
    if (kind < 70) return encoder.encode(text + (kind < 15 ? "\r" : ""));
    return this.#broken(text, last);
  }

  /** JSON text of any kind, now and then nested deeply. */
  #value(): string {
    const random = this.#random;
    if (random.once(3000)) return "[".repeat(60_000) + "]".repeat(60_000);
    if (random.once(10)) {
      const depth = random.int(200);
      return '{"a":['.repeat(depth) + this.#value() + "]}".repeat(depth);
    }
    return random.pick(VALUES);
  }

  #message(): string {
    const random = this.#random;
    const body: [string, string][] = [];
    const rpcs = this.#rpcs();
    let src = random.pick(["c1", "c2", "n2", "n3"]);
    if (rpcs.length > 0 && random.once(8)) {
      const [id, dest] = random.pick(rpcs);
      if (!random.once(10)) src = dest;
      const type = random.pick(["echo_ok", "error"]);
      body.push(["type", `"${type}"`], ["in_reply_to", String(id)]);
      if (type === "error") body.push(["code", "11"], ["text", '"no"']);
    } else {
      const type = random.pick(TYPES);
      body.push(["type", JSON.stringify(type)]);
      if (!random.once(20)) body.push(["msg_id", String(random.int(1e6))]);
      if (type === "init") {
        const id = random.pick(['"n1"', '"n1"', '"n1"', '"n9"', "1"]);
        body.push(["node_id", id], ["node_ids", '["n1","n2","n3"]']);
      } else if (type === "echo") body.push(["echo", this.#value()]);
      else if (type === "send_fire_forget") {
        body.push(
          ["target", random.pick(['"n2"', '"n3"'])],
          ["payload", `{"type":"echo","echo":${this.#value()}}`],
        );
      }
    }
    const parts: [string, string][] = [
      ["src", JSON.stringify(src)],
      ["dest", '"n1"'],
      ["body", ""],
    ];
    for (const fields of [parts, body]) {
      if (random.once(8)) { // any value in any place
        const field = random.pick(fields);
        const change = random.int(4);
        if (change === 0) fields.splice(fields.indexOf(field), 1);
        else if (change === 1) fields.push([field[0], this.#value()]);
        else field[1] = this.#value();
      }
      if (random.once(30)) fields.push(["__proto__", this.#value()]);
    }
    const object = (fields: [string, string][]) =>
      `{${fields.map(([key, value]) => `"${key}":${value}`).join(",")}}`;
    return object(parts.map(([key, value]) => [key, value || object(body)]));
  }

  #broken(text: string, other: string): Uint8Array<ArrayBuffer> {
    const random = this.#random;
    const at = random.int(text.length + 1);
    switch (random.int(6)) {
      case 0:
        return encoder.encode(text.slice(0, at));
      case 1:
        return encoder.encode(text.slice(at));
      case 2:
        return encoder.encode(
          text.slice(0, at) + other.slice(random.int(other.length + 1)),
        );
      case 3:
        return encoder.encode(
          text.slice(0, at) + random.pick(VALUES) + text.slice(at),
        );
      default: {
        const bytes = encoder.encode(text);
        for (let flips = random.int(4); flips >= 0; flips--) {
          bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
        }
        return bytes;
      }
    }
  }
}

/** A message that the node must send; where it can't be known, not all of its body. */
interface Expected {
  src: string;
  dest: string;
  body: Json;
  whole?: boolean;
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isId = (value: unknown) => typeof value === "string" && value !== "";
const isMsgId = (value: unknown) =>
  Number.isSafeInteger(value) && value as number >= 0;

/** What must come of each line, told from the rules alone. */
class Oracle {
  readonly counts = { lines: 0, empty: 0, invalid: 0, received: 0, replies: 0 };
  /** The last RPCs that the node has sent. */
  readonly rpcs: [id: number, dest: string][] = [];
  registered = 0;
  readonly #expected: Expected[] = [];
  #at = 0;
  #nodeId: string | undefined;
  #nodeIds = "";
  #nextMsgId = 0;
  #rest = new Uint8Array();

  /** Messages that are still to come. */
  get outstanding(): number {
    return this.#expected.length - this.#at;
  }

  /** Takes in what the node is fed. */
  feed(chunk: Uint8Array, end = false): void {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    let start = 0;
    for (;;) {
      const newline = bytes.indexOf(10, start);
      if (newline === -1) break;
      this.#line(bytes.subarray(start, newline), true);
      start = newline + 1;
    }
    this.#rest = bytes.slice(start);
    if (end && this.#rest.length > 0) this.#line(this.#rest, false);
  }

  /** Compares a line of output with what must come next. */
  check(line: string): void {
    const expected = this.#expected[this.#at++];
    if (!expected) throw new Error(`one message too many: ${line}`);
    if (this.#at === 10_000) this.#expected.splice(0, this.#at), this.#at = 0;
    const { src, dest, body } = JSON.parse(line);
    const keys = Object.keys(expected.body);
    if (
      src !== expected.src || dest !== expected.dest ||
      (expected.whole && keys.length !== Object.keys(body).length) ||
      keys.some((key) =>
        JSON.stringify(body[key]) !== JSON.stringify(expected.body[key])
      )
    ) {
      throw new Error(
        `sent ${line.slice(0, 300)}, not ${
          JSON.stringify(expected).slice(0, 300)
        }`,
      );
    }
  }

  #line(bytes: Uint8Array, ended: boolean): void {
    const { counts } = this;
    const first = counts.lines++ === 0;
    let text: string;
    try {
      if (bytes.length > MAX_LINE_BYTES) throw new Error("too long");
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: !first })
        .decode(bytes);
    } catch {
      counts.invalid++;
      return;
    }
    if (ended && text.endsWith("\r")) text = text.slice(0, -1);
    if (text === "") {
      counts.empty++;
      return;
    }
    let message: Json;
    try {
      message = JSON.parse(text);
    } catch { /* no object either */ }
    for (
      const key of isObject(message?.body) ? ["msg_id", "in_reply_to"] : []
    ) {
      if (message.body[key] === null) delete message.body[key];
    }
    if (this.#isMessage(message) && depthOf(text) <= MAX_DEPTH) {
      counts.received++;
      if (message.body.in_reply_to === undefined) this.#request(message);
      else counts.replies++;
    } else {
      counts.invalid++;
      const { src, dest, body } = message ?? {};
      if (!isId(src) || !isObject(body) || !isMsgId(body.msg_id)) return;
      if (
        body.in_reply_to !== undefined && isMsgId(body.in_reply_to)
      ) return; // a reply gets no reply
      const from = this.#nodeId ?? (isId(dest) ? dest : undefined);
      if (from !== undefined) this.#error(from, src, body.msg_id, 12);
    }
  }

  #isMessage(message: Json): boolean {
    return isObject(message) && isId(message.src) && isId(message.dest) &&
      isObject(message.body) && typeof message.body.type === "string" &&
      ["msg_id", "in_reply_to"].every((key) =>
        message.body[key] === undefined || isMsgId(message.body[key])
      );
  }

  #request({ src, dest, body }: Json): void {
    const { type, msg_id } = body;
    const from = this.#nodeId ?? dest;
    const error = (code: number) => this.#error(from, src, msg_id, code);
    const reply = (fields: Json, whole = true) => {
      if (msg_id === undefined) return;
      this.#expect(from, src, {
        type: `${type}_ok`,
        ...fields,
        in_reply_to: msg_id,
      }, whole);
    };
    if (type === "init") {
      const { node_id, node_ids } = body;
      const ids = JSON.stringify(node_ids);
      if (
        !isId(node_id) || !Array.isArray(node_ids) ||
        node_ids.some((id) => typeof id !== "string") ||
        this.#nodeId !== undefined &&
          (this.#nodeId !== node_id || this.#nodeIds !== ids)
      ) return error(12);
      this.#nodeId = node_id;
      this.#nodeIds = ids;
      if (msg_id === undefined) return;
      this.#expect(
        node_id,
        src,
        { type: "init_ok", in_reply_to: msg_id },
        true,
      );
    } else if (this.#nodeId === undefined) error(11);
    else if (type === "echo") {
      reply("echo" in body ? { echo: body.echo } : {});
    } else if (type === "pending_count" || type === "stats") reply({}, false);
    else if (type === "send_fire_forget") {
      const { target, payload } = body;
      if (
        !isId(target) || !isObject(payload) ||
        typeof payload.type !== "string" ||
        (payload.in_reply_to ?? undefined) !== undefined
      ) return error(12);
      delete payload.in_reply_to;
      const id = this.#expect(from, target, payload, true);
      this.rpcs.push([id, target]);
      this.registered++;
      if (this.rpcs.length > 200) this.rpcs.splice(0, 100);
      reply({}, false);
    } else error(10);
  }

  #error(src: string, dest: string, in_reply_to: unknown, code: number): void {
    if (in_reply_to === undefined) return;
    this.#expect(src, dest, { type: "error", code, in_reply_to }, false);
  }

  #expect(src: string, dest: string, body: Json, whole: boolean): number {
    const msg_id = this.#nextMsgId++;
    this.#expected.push({ src, dest, body: { ...body, msg_id }, whole });
    return msg_id;
  }
}

/** How many levels deep JSON is nested. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (
    const [bracket] of json.replace(/"(?:[^"\\]|\\.)*"/gs, "").matchAll(
      /[[\]{}]/g,
    )
  ) {
    depth += "[{".includes(bracket) ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** A conversation: chunks of input, and the oracle that has seen them. */
class Conversation {
  readonly oracle = new Oracle();
  readonly random: Random;
  readonly #generator: Generator;
  readonly #lines: number;
  readonly #open: boolean;
  #buffer = new Uint8Array();
  #ended = false;

  /** The last line of an `open` one may lack its newline. */
  constructor(seed: number, lines: number, open: boolean) {
    this.#open = open;
    this.random = new Random(seed);
    this.#generator = new Generator(this.random, () => this.oracle.rpcs);
    this.#lines = lines;
  }

  /** What is read next, up to so many bytes; `null` at the end. */
  next(room: number): Uint8Array<ArrayBuffer> | null {
    const { random, oracle } = this;
    const size = Math.min(
      room,
      1 + random.int(random.pick([1, 10, 1000, 100_000])),
    );
    const parts = [this.#buffer];
    let bytes = this.#buffer.length;
    while (bytes < size && !this.#ended) {
      const line = this.#generator.line();
      this.#ended = oracle.counts.lines >= this.#lines;
      const end = this.#ended && this.#open && random.once(2)
        ? new Uint8Array()
        : encoder.encode("\n");
      oracle.feed(line);
      oracle.feed(end, this.#ended);
      parts.push(line, end);
      bytes += line.length + end.length;
    }
    if (bytes === 0) return null;
    const all = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#buffer = all.slice(size);
    return all.slice(0, size);
  }

  /** Compares the node's counters with what must have come of the lines. */
  settle(stats: Json, more = 0): void {
    const { oracle } = this;
    const { lines, empty, invalid, received, replies } = oracle.counts;
    const checks: [what: string, actual: unknown, expected: unknown][] = [
      ["messages to come", oracle.outstanding, 0],
      ["received", stats.received - more, received],
      ["invalid_lines", stats.invalid_lines, invalid],
      [
        "received + invalid + empty",
        stats.received - more + stats.invalid_lines + empty,
        lines,
      ],
      ["registered", stats.registered, oracle.registered],
      [
        "replied + reaped + cancelled + pending",
        stats.replied + stats.reaped + stats.cancelled + stats.pending,
        stats.registered,
      ],
      [
        "replied + late + duplicate + stray + unknown",
        stats.replied + stats.late + stats.duplicate + stats.stray +
        stats.unknown,
        replies,
      ],
    ];
    for (const [what, actual, expected] of checks) {
      if (actual !== expected) {
        throw new Error(`${what}: ${actual}, not ${expected}`);
      }
    }
  }
}

/** What a conversation came to. */
export interface Outcome {
  /** How many lines there were, by what they were taken for. */
  counts: Oracle["counts"];
  /** The node's counters. */
  stats: Json;
}

/** Holds a conversation with a node in this process, under a virtual clock. */
export async function converse(seed: number, lines: number): Promise<Outcome> {
  const conversation = new Conversation(seed, lines, true);
  const { oracle, random } = conversation;
  const clock = new VirtualClock();
  const log = (_: LogLevel, text: string) => {
    if (/stopped|failed/.test(text)) problems.push(text);
  };
  const problems: string[] = [];
  const node = new Node({ clock, rpcTimeoutMs: 50, log });
  callbacks(node);
  let rest = "";
  let broken: unknown;
  const input: Input = {
    async read(buffer) {
      await new Promise<void>((resolve) =>
        random.once(20) ? setImmediate(resolve) : resolve()
      );
      if (broken) throw broken;
      clock.advance(random.int(3));
      const chunk = conversation.next(buffer.length);
      if (chunk) buffer.set(chunk);
      return chunk && chunk.length;
    },
  };
  const decoder = new TextDecoder();
  const output: Output = {
    write(bytes) {
      const count = random.once(5)
        ? 1 + random.int(bytes.length)
        : bytes.length;
      rest += decoder.decode(bytes.subarray(0, count), { stream: true });
      const end = rest.lastIndexOf("\n") + 1;
      try {
        for (const line of rest.slice(0, end).split("\n").slice(0, -1)) {
          oracle.check(line);
        }
      } catch (error) {
        broken ??= error;
      }
      rest = rest.slice(end);
      return Promise.resolve(count);
    },
  };
  const code = await serve(node, {
    lines: new TextLineStream(),
    input,
    output,
    maxLineBytes: MAX_LINE_BYTES,
    log,
  });
  if (broken) throw broken;
  if (code !== 0) throw new Error(`exit code ${code}: ${problems.at(-1)}`);
  if (rest !== "") throw new Error(`half a message: ${rest}`);
  const stats = node.stats();
  conversation.settle(stats);
  return { counts: oracle.counts, stats };
}

/** Holds a conversation with a real process. */
export async function converseWithProcess(
  seed: number,
  lines: number,
): Promise<Outcome> {
  const conversation = new Conversation(seed, lines, false);
  const { oracle } = conversation;
  const node = new NodeProcess(
    "--rpc-timeout",
    "50",
    "--max-line-bytes",
    String(MAX_LINE_BYTES),
    "--log-level",
    "warn",
  );
  const writing = (async () => {
    for (;;) {
      const chunk = conversation.next(65_536);
      if (chunk === null) break;
      await node.write(chunk);
    }
    await node.write(
      `{"src":"fuzz","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1","n2","n3"]}}\n`,
    );
    await node.request({ type: "stats", msg_id: 2 }, "fuzz");
  })();
  for (;;) {
    const line = await node.nextLine();
    if (line.includes('"dest":"fuzz"')) {
      await writing;
      const { body } = JSON.parse(line);
      if (body.in_reply_to === 1) continue; // init_ok, or that it was another one
      const memory = memoryMax(node.child.pid);
      const { code, rest, stderr } = await node.end();
      linesOf(stderr);
      if (code !== 0 || rest.length > 0) throw new Error(`exit code ${code}`);
      if (memory > PROCESS_MEMORY) throw new Error(`${memory} bytes of memory`);
      conversation.settle(body, 2);
      return { counts: oracle.counts, stats: body };
    }
    oracle.check(line);
  }
}

/** Collects all garbage, where the task has asked for that to be possible. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** The most memory that a process ever had, in bytes, where Linux tells. */
function memoryMax(pid: number): number {
  if (Deno.build.os !== "linux") return 0;
  // `cat` may read it without Deno being given all permissions.
  const { stdout } = new Deno.Command("cat", { args: [`/proc/${pid}/status`] })
    .outputSync();
  const status = new TextDecoder().decode(stdout);
  return Number(status.match(/^VmHWM:\s+(\d+)/m)![1]) * 1024;
}

const HELP =
  `Feeds the node with mutated conversations and checks all that it says.

Usage: deno task fuzz [options]

  --lines N    how many lines (default 1000000)
  --seed N     the first conversation's seed; the following ones count on
               (default: a random one, printed)
  --process    hold every conversation with a real process, not one in ${PROCESS_EVERY};
               the binary that GYRE_BIN names, or deno run
  -h, --help   show this`;

const task: Task = new Task("fuzz", HELP);
async function main(): Promise<void> {
  const values = task.options({
    lines: { type: "string" },
    seed: { type: "string" },
    process: { type: "boolean" },
  });
  const lines = task.number("lines", values.lines, { min: 1 }) ?? 1_000_000;
  const seed = task.number("seed", values.seed, { min: 0 }) ??
    Math.floor(Math.random() * 1e9);
  console.log(`seed ${seed}`);
  const total: Record<string, number> = {};
  let heap = Infinity;
  for (let k = 0; k * CONVERSATION < lines; k++) {
    const count = Math.min(CONVERSATION, lines - k * CONVERSATION);
    const real = values.process || k % PROCESS_EVERY === PROCESS_EVERY - 1;
    try {
      const { counts, stats } = await (real ? converseWithProcess : converse)(
        seed + k,
        count,
      );
      for (const [key, value] of Object.entries({ ...stats, ...counts })) {
        total[key] = (total[key] ?? 0) + (value as number);
      }
      collectGarbage();
      const { heapUsed } = Deno.memoryUsage();
      if (k < 5) heap = heapUsed;
      if (heapUsed > heap + HEAP_GROWTH) {
        throw new Error(`the heap grew from ${heap} to ${heapUsed} bytes`);
      }
    } catch (error) {
      console.error(
        `fuzz: seed ${seed + k}: ${(error as Error).message}
replay: deno task fuzz --seed ${seed + k} --lines ${count}${
          real ? " --process" : ""
        }`,
      );
      Deno.exit(1);
    }
  }
  const said =
    "lines received invalid empty sent registered replied reaped cancelled late duplicate stray unknown failures"
      .split(" ").map((key) => `${key} ${total[key] ?? 0}`).join(", ");
  console.log(`${said}: all accounted for`);
}

if (import.meta.main) await main();
