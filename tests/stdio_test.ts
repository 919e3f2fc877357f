import { Inbox } from "../lib/stdio/inbox.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { setImmediate } from "node:timers";
import { TextLineStream } from "@std/streams/text-line-stream";
import {
  LOG_LEVELS,
  type LogLevel,
  Node,
  type NodeOptions,
  type RpcError,
} from "../lib/mod.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";
import {
  type Output,
  serve,
  type ServeOptions,
  stderrLog,
} from "../lib/stdio/mod.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const encoder = new TextEncoder();
const INIT =
  `{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}\n`;
const echo = (id: number, text: unknown) =>
  JSON.stringify({
    src: "c1",
    dest: "n1",
    body: { type: "echo", msg_id: id, echo: text },
  });

/** As much as one read takes. */
const FULL_READ = " ".repeat(65_536) + "\n";

/** Lets the event loop turn once. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Holds the event loop up. */
function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Input that a test feeds, chunk by chunk. */
class Feed {
  readonly #chunks: (Uint8Array | null)[] = [];
  #arrived = Promise.withResolvers<void>();
  reads = 0;
  prompt = false;

  /** Makes one read's worth of input readable; `null` is its end. */
  add(...chunks: (string | Uint8Array | null)[]): this {
    for (const chunk of chunks) {
      this.#chunks.push(
        typeof chunk === "string" ? encoder.encode(chunk) : chunk,
      );
    }
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
    return this;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.reads++;
    while (this.#chunks.length === 0) await this.#arrived.promise;
    const chunk = this.#chunks.shift()!;
    if (chunk === null) return null;
    const now = chunk.subarray(0, buffer.length);
    if (now.length < chunk.length) {
      this.#chunks.unshift(chunk.subarray(now.length));
    }
    buffer.set(now);
    return now.length;
  }
}

/** Output that remembers what was written, and how. */
class Sink implements Output {
  readonly writes: string[] = [];
  /** Called before each write; may hold it up, fail it, or shorten it. */
  gate: (bytes: Uint8Array) => Promise<number> | number = (bytes) =>
    bytes.length;

  async write(bytes: Uint8Array): Promise<number> {
    const count = await this.gate(bytes);
    this.writes.push(new TextDecoder().decode(bytes.subarray(0, count)));
    return count;
  }

  get messages(): Json[] {
    return this.writes.join("").trim().split("\n").map((line) =>
      JSON.parse(line)
    );
  }
}

/** Keeps an output from taking anything until it is opened. */
function block(output: Sink) {
  const open = Promise.withResolvers<void>();
  const blocked = Promise.withResolvers<void>();
  output.gate = async (bytes) => {
    blocked.resolve();
    await open.promise;
    return bytes.length;
  };
  return { blocked: blocked.promise, open: open.resolve };
}

/** Serves an echo node on a feed and a sink. */
function setUp(
  options: Partial<ServeOptions> = {},
  nodeOptions: NodeOptions = {},
) {
  const logged: [LogLevel, string][] = [];
  const log = (level: LogLevel, text: string) =>
    void logged.push([level, text]);
  const node = new Node({ log, ...nodeOptions });
  node.on("echo", ({ body }) => ({ echo: body.echo }));
  const input = new Feed();
  const output = new Sink();
  const run = () =>
    serve(node, {
      lines: new TextLineStream(),
      input,
      output,
      log,
      ...options,
    });
  return { node, input, output, logged, run };
}

Deno.test("what the node logs goes where serve's lines go, unless it has a log of its own", async () => {
  const own: string[] = [];
  for (
    const nodeLog of [
      undefined,
      (_: LogLevel, text: string) => void own.push(text),
    ]
  ) {
    const { node, input, logged, run } = setUp({}, { log: nodeLog });
    node.on("throw", () => {
      throw new Error("oh no");
    });
    input.add(INIT + echo(2, "a").replace('"echo"', '"throw"') + "\n", null);
    assertEquals(await run(), 0);
    const failed = 'the handler of "throw" failed: Error: oh no';
    const texts = nodeLog ? own : logged.map(([, text]) => text);
    assertEquals(texts.filter((text) => text === failed).length, 1);
    assertEquals(logged.length, nodeLog ? 1 : 3); // with the node's: initialized, failed; stopped
  }
});

Deno.test("logLevel: what is less important is left out; debug shows every message, in and out", async () => {
  const levels: Record<string, string[]> = {};
  for (const logLevel of LOG_LEVELS) {
    const { input, output, logged, run } = setUp({ logLevel }, {
      log: undefined,
    });
    input.add(INIT + "nonsense\n" + echo(2, "a") + "\n", null);
    await run();
    levels[logLevel] = logged.map(([level]) => level);
    if (logLevel !== "debug") continue;
    const texts = logged.map(([, text]) => text);
    for (const line of [INIT.trim(), "nonsense", echo(2, "a")]) {
      assert(texts.includes(`received ${line}`), line);
    }
    for (const message of output.messages) {
      assert(texts.includes(`sent ${JSON.stringify(message)}`));
    }
  }
  assertEquals(levels, {
    error: [],
    warn: ["warn"],
    info: ["info", "warn", "info"],
    debug: [
      "debug",
      "info",
      "debug",
      "debug",
      "warn",
      "debug",
      "debug",
      "info",
    ],
  });
  const { input, output, run } = setUp({
    logLevel: "debug",
    log() {
      throw new Error("a log that can't be written");
    },
  });
  input.add(INIT + echo(2, "a") + "\n", null);
  assertEquals(await run(), 0);
  assertEquals(output.messages.length, 2);
  for (const log of [undefined, () => {}]) {
    await assertRejects(
      () => setUp({ log, logLevel: "loud" as LogLevel }).run(),
      RangeError,
      "must be one of error, warn, info, debug: current value is loud",
    );
  }
});

Deno.test("messages in, messages out; 0 at the end of the input", async () => {
  const { input, output, logged, run } = setUp();
  input.add(INIT + echo(2, "a") + "\n", null);
  assertEquals(await run(), 0);
  assertEquals(output.messages.map(({ body }) => body.type), [
    "init_ok",
    "echo_ok",
  ]);
  assertStringIncludes(
    logged.at(-1)![1],
    "stopped at the end of the input: 0 RPCs",
  );
});

Deno.test("replies of one turn are written at once", async () => {
  const { input, output, run } = setUp();
  input.add(
    INIT + Array.from({ length: 50 }, (_, i) => echo(i, i) + "\n").join(""),
    null,
  );
  await run();
  assertEquals([output.writes.length, output.messages.length], [1, 51]);
});

Deno.test("chunks may be cut anywhere, within characters too", async () => {
  const text = INIT +
    ["å∂ß", "🦕", "plain"].map((s, i) => echo(i, s) + "\r\n").join("") + "\n\n";
  for (let size = 1; size < 40; size += 3) {
    const { input, output, run, logged } = setUp();
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length; at += size) {
      input.add(bytes.slice(at, at + size));
    }
    input.add(null);
    assertEquals(await run(), 0);
    assertEquals(output.messages.slice(1).map(({ body }) => body.echo), [
      "å∂ß",
      "🦕",
      "plain",
    ]);
    assertEquals(logged.filter(([level]) => level === "warn"), []);
  }
});

Deno.test("a BOM, a last line without newline and a line longer than a read work", async () => {
  const { input, output, run } = setUp();
  const long = "x".repeat(300_000);
  input.add("\ufeff" + INIT + echo(1, long) + "\n" + echo(2, "last"), null);
  await run();
  assertEquals(output.messages.map(({ body }) => body.echo), [
    undefined,
    long,
    "last",
  ]);
});

Deno.test("a BOM within the input is no part of JSON, wherever the reads are cut", async () => {
  for (const chunks of [[INIT + "\ufeff\n"], [INIT, "\ufeff\n"]]) {
    const { node, input, run } = setUp();
    input.add(...chunks, null);
    await run();
    assertEquals(node.stats().invalid_lines, 1);
  }
  const bom = encoder.encode("\ufeff\n");
  for (
    const chunks of [
      ["x".repeat(200) + "\n", bom],
      [Uint8Array.of(0xff, 10, ...bom)], // no UTF-8, and so decoded line by line
    ]
  ) {
    const { node, input, run } = setUp({ maxLineBytes: 80 });
    input.add(...chunks, null);
    await run();
    assertEquals(node.stats().invalid_lines, 2);
  }
});

Deno.test("the room for a long line is given back after it", async () => {
  const { input, output, run } = setUp();
  const { read } = input;
  const sizes: number[] = [];
  input.read = (buffer) => {
    sizes.push(buffer.buffer.byteLength);
    return read.call(input, buffer);
  };
  input.add(
    INIT,
    echo(1, "x".repeat(400_000)) + "\n",
    echo(2, "b") + "\n",
    null,
  );
  await run();
  assertEquals(output.messages.length, 3);
  assert(Math.max(...sizes) >= 400_000);
  assertEquals(sizes.at(-1), sizes[0]);
});

Deno.test("lines that are no UTF-8 and their neighbours may come in one read", async () => {
  const { node, input, output, run } = setUp();
  const bad = new Uint8Array([0xff, 10]);
  const parts = [
    encoder.encode(INIT),
    bad,
    encoder.encode(echo(1, "a") + "\n" + echo(2, "\ufffd") + "\n"),
    bad,
    encoder.encode("\n" + echo(3, "c") + "\n"),
    bad.subarray(0, 1), // a last line without a newline
  ];
  input.add(new Uint8Array(parts.flatMap((part) => [...part])), null);
  await run();
  assertEquals(output.messages.map(({ body }) => body.echo), [
    undefined,
    "a",
    "\ufffd",
    "c",
  ]);
  assertEquals(node.stats().invalid_lines, 3);
});

Deno.test("a line that is no UTF-8 is counted and logged; its neighbours work", async () => {
  const { node, input, output, run, logged } = setUp();
  const bad = encoder.encode(echo(1, "?"));
  bad[bad.indexOf(63)] = 0xff;
  input.add(
    encoder.encode(INIT + echo(0, "a") + "\n"),
    bad,
    "\n" + echo(2, "b"),
    null,
  );
  await run();
  assertEquals(output.messages.map(({ body }) => body.echo), [
    undefined,
    "a",
    "b",
  ]);
  assertEquals(node.stats().invalid_lines, 1);
  assertStringIncludes(
    logged.find(([level]) => level === "warn")![1],
    "not UTF-8",
  );
});

Deno.test("a line over the limit is skipped to its end, counted and logged once", async () => {
  for (const size of [10, 1000, 100_000]) { // in many chunks, in few, in one
    const { node, input, output, run, logged } = setUp({ maxLineBytes: 200 });
    const bytes = encoder.encode(
      INIT + echo(0, "a") + "\n" + echo(1, "x".repeat(5000)) + "\n" +
        echo(2, "b") + "\n" +
        "y".repeat(201) + "\n" + "z".repeat(300),
    );
    for (let at = 0; at < bytes.length; at += size) {
      input.add(bytes.slice(at, at + size));
    }
    input.add(null);
    await run();
    assertEquals(output.messages.map(({ body }) => body.echo), [
      undefined,
      "a",
      "b",
    ]);
    assertEquals(node.stats().invalid_lines, 3);
    const warnings = logged.filter(([level]) => level === "warn").map((
      [, text],
    ) => text);
    assertEquals(warnings.length, 3);
    assertStringIncludes(warnings[0]!, "longer than 200 bytes");
    assertStringIncludes(warnings[0]!, '"{\\"src\\":\\"c1\\"');
  }
});

Deno.test("the limit is 16 MiB by default", async () => {
  const { node, input, output, run } = setUp();
  const limit = 16 * 1024 * 1024;
  input.add(INIT, echo(1, "a").padEnd(limit) + "\n");
  input.add(echo(2, "b").padEnd(limit + 1) + "\n", null);
  await run();
  assertEquals(output.messages.length, 2);
  assertEquals(node.stats().invalid_lines, 1);
});

Deno.test("a line of just the limit is no longer than it", async () => {
  for (const size of [7, 1000]) {
    const { input, output, run, node } = setUp({
      maxLineBytes: INIT.length - 1,
    });
    const text = INIT + echo(1, "x").padEnd(INIT.length - 1) + "\n" +
      echo(2, "y").padEnd(INIT.length - 1);
    for (let at = 0; at < text.length; at += size) {
      input.add(text.slice(at, at + size));
    }
    input.add(null);
    await run();
    assertEquals([output.messages.length, node.stats().invalid_lines], [3, 0]);
  }
});

Deno.test("partial writes are continued", async () => {
  const { input, output, run } = setUp();
  output.gate = (bytes) => Math.min(7, bytes.length);
  input.add(INIT + echo(1, "é".repeat(50)) + "\n", null);
  assertEquals(await run(), 0);
  assertEquals(output.messages.length, 2);
});

Deno.test("stdin is read in pieces of one byte more than a pipe holds, and stdout written in ones of 256 KiB", async () => {
  const { input, output, run } = setUp();
  const rooms: number[] = [];
  const { read } = input;
  input.read = (buffer) => {
    rooms.push(buffer.length);
    return read.call(input, buffer);
  };
  const pieces: number[] = [];
  output.gate = (bytes) => {
    pieces.push(bytes.length);
    return bytes.length;
  };
  input.add(INIT + echo(1, "x".repeat(600_000)) + "\n", null);
  await run();
  assertEquals([Math.max(...rooms), Math.max(...pieces)], [65_537, 262_144]);
});

Deno.test("while too much waits for stdout, no input is read", async () => {
  const { input, output, run } = setUp({ maxOutputBytes: 4000 });
  const { blocked, open } = block(output);
  const text = "x".repeat(400);
  input.add(
    INIT,
    ...Array.from({ length: 20 }, (_, i) => echo(i, text) + "\n"),
    null,
  );
  const running = run();
  await blocked;
  for (let i = 0; i < 20; i++) {
    await turn();
  }
  assert(input.reads < 10, `${input.reads} reads`);
  open();
  assertEquals(await running, 0);
  assertEquals(output.messages.length, 21);
});

Deno.test("input waits while more than 256 KiB wait for stdout, by default", async () => {
  for (const [bytes, reads] of [[262_144, 3], [262_145, 2]] as const) {
    const { node, input, output, run } = setUp();
    node.on("flood", () => {
      const room = bytes - JSON.stringify({
        src: "n1",
        dest: "n2",
        body: { type: "", msg_id: 1 },
      }).length - 1;
      node.send("n2", { type: "x".repeat(room) });
    });
    input.add(INIT);
    const running = run();
    while (input.reads < 2 || output.writes.length < 1) await turn();
    const { blocked, open } = block(output);
    input.add(`{"src":"c1","dest":"n1","body":{"type":"flood"}}\n`);
    await blocked;
    for (let i = 0; i < 20; i++) await turn();
    assertEquals(input.reads, reads, `${bytes} bytes wait`);
    open();
    input.add(null);
    assertEquals(await running, 0);
  }
});

Deno.test("beyond four times that, sending fails with error 11 and is logged", async () => {
  const { node, input, output, run, logged } = setUp({ maxOutputBytes: 400 });
  node.on("flood", () => {
    for (let i = 0; i < 10; i++) node.send("n2", { type: "x".repeat(60) });
  });
  const flooded = Promise.withResolvers<void>();
  output.gate = (bytes) => bytes.length;
  input.add(
    INIT,
    `{"src":"c1","dest":"n1","body":{"type":"flood","msg_id":9}}\n`,
    null,
  );
  flooded.resolve();
  assertEquals(await run(), 0);
  assert(output.messages.length < 6);
  assert(
    logged.some(([level, text]) =>
      level === "error" && text.includes("exceed the limit of 400")
    ),
  );
});

Deno.test("a closed stdout ends the node with exit code 1 and one error line", async () => {
  const { input, output, run, logged, node } = setUp();
  output.gate = () => Promise.reject(new Deno.errors.BrokenPipe("Broken pipe"));
  input.add(INIT);
  assertEquals(await run(), 1);
  assertEquals(logged.filter(([level]) => level === "error"), [
    ["error", "stdout can't be written to: Broken pipe"],
  ]);
  assertEquals(node.pendingCount, 0);
});

Deno.test(
  "a stdout that fails only after the end of the input is no success either",
  {
    sanitizeOps: true, // nothing keeps the process from ending then
  },
  async () => {
    const { input, output, run, logged } = setUp();
    const ended = Promise.withResolvers<never>();
    output.gate = () => ended.promise;
    input.add(INIT, null);
    const running = run();
    while (input.reads < 2) await turn();
    await turn();
    ended.reject(new Error("No space left"));
    assertEquals(await running, 1);
    assertEquals(logged.at(-1), [
      "error",
      "stdout can't be written to: No space left",
    ]);
  },
);

Deno.test("a stdin that can't be read ends the node with exit code 1", async () => {
  const input = {
    read: () => Promise.reject(new Error("Is a directory (os error 21)")),
  };
  const { run, logged } = setUp({ input });
  assertEquals(await run(), 1);
  assertEquals(logged.at(-1), [
    "error",
    "stdin can't be read: Is a directory (os error 21)",
  ]);
});

Deno.test("what waits for stdout is counted to the byte", async () => {
  const limit = 10_000;
  const { node, input, run } = setUp({ maxOutputBytes: limit });
  let waiting = 0;
  let next = 0;
  node.on("flood", () => {
    for (;;) {
      const body = { type: "x", msg_id: node.stats().sent };
      next = JSON.stringify({ src: "n1", dest: "n2", body }).length + 1;
      node.send("n2", { type: "x" });
      waiting += next;
    }
  });
  input.add(INIT);
  const running = run();
  while (node.nodeId === "") await turn();
  await turn(); // init_ok is written
  input.add(
    `{"src":"c1","dest":"n1","body":{"type":"flood","msg_id":9}}\n`,
    null,
  );
  await running;
  assert(waiting <= limit && waiting + next > limit, `${waiting}, ${next}`);
});

Deno.test("128 MiB may wait for stdout by default", async () => {
  const { node, input, output, run } = setUp();
  const type = "x".repeat(1024 * 1024);
  let sent = 0;
  node.on("flood", () => {
    for (; sent < 1000; sent++) node.send("n2", { type });
  });
  output.gate = () => Promise.reject(new Error("gone")); // or else it would all be written
  input.add(
    INIT + `{"src":"c1","dest":"n1","body":{"type":"flood","msg_id":9}}\n`,
  );
  assertEquals([await run(), sent], [1, 127]);
});

Deno.test("replies that are already readable are handled before anything is reaped", async () => {
  const { node, input, run } = setUp();
  input.add(INIT);
  const running = run();
  while (node.nodeId === "") {
    await turn();
  }
  const errors: unknown[] = [];
  node.rpc(
    "n2",
    { type: "x" },
    (error) => errors.push(error),
    { timeoutMs: 5 },
  );
  busy(20); // the deadline passes meanwhile
  input.add(
    `{"src":"n2","dest":"n1","body":{"type":"x_ok","in_reply_to":1}}\n`,
    null,
  );
  assertEquals(await running, 0);
  assertEquals([errors, node.stats().reaped], [[undefined], 0]);
});

Deno.test("once stdout is closed no further request is handled", async () => {
  const { node, input, output, run } = setUp();
  const slow = Promise.withResolvers<void>();
  node.on("slow", () => slow.promise); // keeps the node from being done at once
  output.gate = () => Promise.reject(new Error("gone"));
  input.add(
    INIT + `{"src":"c1","dest":"n1","body":{"type":"slow","msg_id":9}}\n`,
  );
  const running = run();
  while (input.reads < 2) await turn();
  await turn();
  const { received } = node.stats();
  input.add(echo(1, "late") + "\n");
  await turn();
  slow.resolve();
  assertEquals(await running, 1);
  assertEquals([received, node.stats().received], [2, 2]);
});

/** How long an RPC to nowhere took to fail, in ms, with this input after `init`. */
async function timeToFail(
  read: (buffer: Uint8Array) => Promise<number>,
  inputGraceMs: number,
): Promise<number> {
  const first = new Feed().add(INIT);
  let ended = false;
  const { node, run } = setUp({
    input: {
      read: (buffer) =>
        ended
          ? Promise.resolve(null)
          : first.reads === 0
          ? first.read(buffer)
          : read(buffer),
    },
  }, { inputGraceMs });
  const running = run();
  while (node.nodeId === "") await turn();
  const startedAt = performance.now();
  const failed = Promise.withResolvers<number>();
  node.rpc("n2", { type: "x" }, (error) => {
    assertEquals(error!.code, 0);
    failed.resolve(performance.now() - startedAt);
  }, { timeoutMs: 5 });
  const ms = await failed.promise;
  ended = true;
  wakeUp();
  assertEquals(await running, 0);
  return ms;
}
let wakeUp = () => {};

Deno.test("with no input to wait for, a deadline is kept", async () => {
  const ms = await timeToFail(
    () => new Promise((resolve) => wakeUp = () => resolve(0)),
    10_000,
  );
  assert(ms >= 5 && ms < 10_000, `${ms} ms`);
});

Deno.test("input that keeps coming but leaves the pipe empty holds nothing up", async () => {
  const ms = await timeToFail((buffer) => {
    buffer[0] = 10;
    return new Promise((resolve) => setImmediate(() => resolve(1)));
  }, 10_000);
  assert(ms >= 5 && ms < 10_000, `${ms} ms`);
});

for (
  const [what, before] of [
    ["a full read: there may be more", FULL_READ],
    ["a short read, begun before", "\n"],
  ] as const
) {
  Deno.test(`a reply that another thread takes its time to read is waited for, after ${what}`, async () => {
    const { node, input, run } = setUp();
    const { read } = input;
    // As Deno.stdin has been seen to behave: readable, but not at once.
    input.read = async (buffer) => {
      const count = await read.call(input, buffer);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return count;
    };
    input.add(INIT);
    const running = run();
    while (node.nodeId === "") await turn();
    const outcome = new Promise((resolve) =>
      node.rpc("n2", { type: "x" }, resolve, { timeoutMs: 1 })
    );
    input.add(
      before,
      `{"src":"n2","dest":"n1","body":{"type":"x_ok","in_reply_to":1}}\n`,
    );
    busy(20); // the timer is late
    assertEquals(await outcome, undefined);
    input.add(null);
    assertEquals(await running, 0);
  });
}

/** The timers that are set, in ms, from an RPC's deadline until it expires, after a read; none of the node's, whose clock is a virtual one. */
async function looks(
  before: string,
  { prompt = false, lateMs = 0 },
): Promise<number[]> {
  const delays: number[] = [];
  const { setTimeout } = globalThis;
  const clock = new VirtualClock();
  const { node, input, run } = setUp({}, { clock });
  input.prompt = prompt;
  input.add(INIT, before);
  const running = run();
  while (input.reads < 3) await turn();
  const expired = new Promise((resolve) =>
    node.rpc("n2", { type: "x" }, resolve, { timeoutMs: 1 })
  );
  globalThis.setTimeout = ((fn: () => void, delayMs: number) => {
    delays.push(delayMs);
    return setTimeout(fn, delayMs);
  }) as typeof setTimeout;
  try {
    clock.busy(lateMs);
    clock.advance(1);
    await expired;
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  input.add(null);
  assertEquals(await running, 0);
  return delays;
}

Deno.test("one look at a read that waits shows that the pipe is empty, or several where another thread makes the reads and may be late", async () => {
  const empties = ["\n", " ".repeat(65_535) + "\n"]; // all that a pipe holds
  for (const before of empties) {
    assertEquals(await looks(before, { lateMs: 4 }), [4]);
    assertEquals(await looks(before, { lateMs: 5 }), Array(8).fill(4));
  }
  assertEquals(await looks(FULL_READ, {}), Array(50).fill(4));
  for (const before of [...empties, FULL_READ]) {
    assertEquals(await looks(before, { prompt: true, lateMs: 20 }), [0]);
  }
});

Deno.test("a read that is over when the look is says nothing about the pipe: the next one is waited for", async () => {
  const reads: ((bytes: string) => Promise<void>)[] = [];
  const timers: (() => void)[] = [];
  const nextTurn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  const inbox = new Inbox({
    input: {
      read: (buffer) =>
        new Promise((resolve) =>
          reads.push((text) => {
            resolve(new TextEncoder().encodeInto(text, buffer).written);
            return nextTurn();
          })
        ) as Promise<number>,
    },
    loop: {
      settled: (fn) => fn(),
      soon: (fn) => fn(),
      setTimer: (fn) => {
        timers.push(fn);
        return () => {};
      },
    },
    maxLineBytes: 100_000,
    skipped: () => {},
  });
  const texts: string[] = [];
  (async () => {
    for (;;) texts.push((await inbox.read())!);
  })();
  await nextTurn();
  let known = false;
  inbox.caughtUp(0).then(() => known = true);
  await nextTurn();
  await reads[0]!("x".repeat(65_536) + "\n"); // all that there is room for
  timers[0]!();
  await nextTurn();
  assertEquals([known, reads.length, texts.length], [false, 2, 1]);
  await reads[1]!("reply\n");
  timers[1]!();
  await nextTurn();
  assertEquals([known, texts[1]], [true, "reply\n"]);
});

Deno.test("the end comes only when a look that has begun is over", async () => {
  const clock = new VirtualClock();
  const { node, input, run } = setUp({}, { clock });
  input.add(INIT);
  let ended = false;
  const running = run().finally(() => ended = true);
  while (input.reads < 2) await turn();
  node.rpc("n2", { type: "x" }, () => {}, { timeoutMs: 1 });
  const { setTimeout } = globalThis;
  const looking = Promise.withResolvers<() => void>();
  globalThis.setTimeout = ((fn: () => void) => {
    looking.resolve(fn);
  }) as typeof setTimeout;
  clock.advance(1);
  const over = await looking.promise;
  globalThis.setTimeout = setTimeout;
  input.add(null);
  for (let i = 0; i < 20; i++) await turn();
  assertEquals(ended, false);
  over();
  assertEquals(await running, 0);
});

for (const answered of [true, false]) {
  Deno.test(`while stdout keeps input from being read nothing expires; ${answered ? "the reply is handled then" : "without a reply it does then"}`, async () => {
    const { node, input, output, run } = setUp({ maxOutputBytes: 4000 }, {
      inputGraceMs: 1_000_000,
    });
    const { blocked, open } = block(output);
    input.add(INIT, echo(1, "x".repeat(3000)) + "\n");
    const running = run();
    await blocked;
    const outcome = new Promise<RpcError | undefined>((resolve) =>
      node.rpc("n2", { type: "x" }, resolve, { timeoutMs: 5 })
    );
    busy(20);
    for (let i = 0; i < 20; i++) { // the deadline passes, and it looks
      await turn();
    }
    assertEquals(node.pendingCount, 1);
    if (answered) {
      input.add(
        `{"src":"n2","dest":"n1","body":{"type":"x_ok","in_reply_to":2}}\n`,
      );
    }
    open();
    assertEquals((await outcome)?.code, answered ? undefined : 0);
    input.add(null);
    assertEquals(await running, 0);
  });
}

Deno.test("input that never lets up holds a timeout up for the grace, no longer", async () => {
  const ms = await timeToFail((buffer) => {
    buffer.fill(10);
    return new Promise((resolve) => setImmediate(() => resolve(buffer.length)));
  }, 60);
  assert(ms >= 65, `${ms} ms`);
});

Deno.test("stderrLog: neither text nor name can start a line or steer a terminal", async () => {
  const output = new Sink();
  const { log, flush } = stderrLog("info", () => "gyre n\n1", output);
  log("info", "a\x1b[2J\tb\u2028c\x9b");
  await flush();
  assertEquals(output.writes, [
    "gyre n\\u000a1 info: a\\u001b[2J\\u0009b\\u2028c\\u009b\n",
  ]);
});

Deno.test("stderrLog: levels, one line an entry, drops counted when nothing is taken", async () => {
  const output = new Sink();
  const { log, flush } = stderrLog("info", () => "gyre n1", output);
  log("debug", "hidden");
  log("info", "two\n  lines");
  await flush();
  assertEquals(output.writes, ["gyre n1 info: two | lines\n"]);
  /** Logs so many long lines while nothing is taken; how many are written, and what comes after them. */
  async function flood(count: number): Promise<[number, string[]]> {
    output.writes.length = 0;
    const { open } = block(output);
    for (let i = 0; i < count; i++) log("warn", "x".repeat(100_000));
    open();
    await flush();
    log("info", "after");
    await flush();
    const lines = output.writes.join("").trimEnd().split("\n");
    const written = lines.findIndex((line) => !line.endsWith("x"));
    return [written, lines.slice(written)];
  }
  const [written, after] = await flood(20);
  assert(written < 19);
  assertEquals(after, [
    `gyre n1 warn: ${20 - written} log lines were dropped`,
    "gyre n1 info: after",
  ]);
  assertEquals(await flood(written), [written, ["gyre n1 info: after"]]);
  assertEquals(await flood(written + 1), [written, [
    "gyre n1 warn: 1 log line was dropped",
    "gyre n1 info: after",
  ]]);
});
