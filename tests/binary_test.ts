/** End to end: the node as a process. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { SUBCOMMANDS } from "../lib/subcommands.ts";
import { TestNode } from "../lib/testing.ts";
import {
  command,
  type Json,
  linesOf,
  nodeJs,
  NodeProcess,
  root,
} from "./process.ts";

const posix = Deno.build.os !== "windows";

/** Feeds a sample case and compares all output, in order, as JSON values. */
async function sample(input: string, expected: string): Promise<void> {
  const node = new NodeProcess();
  await node.write(input);
  const { code, rest } = await node.end();
  assertEquals(
    rest,
    expected.trim().split("\n").map((line) => JSON.parse(line)),
  );
  assertEquals(code, 0);
}

Deno.test("sample: pending count starts at zero", () =>
  sample(
    `{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"pending_count","msg_id":2}}
`,
    `{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "c1", "body": {"type": "pending_count_ok", "count": 0, "in_reply_to": 2, "msg_id": 1}}`,
  ));

Deno.test("sample: fire-and-forget increases pending count", () =>
  sample(
    `{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1","n2"]}}
{"src":"c1","dest":"n1","body":{"type":"send_fire_forget","msg_id":2,"target":"n2","payload":{"type":"echo","echo":"lost"}}}
`,
    `{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "n2", "body": {"type": "echo", "echo": "lost", "msg_id": 1}}
{"src": "n1", "dest": "c1", "body": {"type": "send_fire_forget_ok", "pending": 1, "in_reply_to": 2, "msg_id": 2}}`,
  ));

for (
  const [name, args] of [
    ["at its deadline", ["--rpc-timeout", "50"]],
    ["by the scan", ["--rpc-timeout", "50", "--reap-interval", "20"]],
  ] as const
) {
  Deno.test(`a lost RPC is reaped ${name}, and reported`, async () => {
    const node = new NodeProcess(...args);
    await node.init("n1", "n2");
    await node.request({
      type: "send_fire_forget",
      msg_id: 2,
      target: "n2",
      payload: { type: "echo" },
    });
    await node.next();
    assertEquals((await node.next()).body.pending, 1);
    let stats: Json;
    do {
      await node.request({ type: "stats", msg_id: 3 });
      stats = (await node.next()).body;
    } while (stats.pending > 0);
    assertEquals([stats.registered, stats.reaped, stats.replied], [1, 1, 0]);
    const { code, stderr } = await node.end();
    assertEquals(code, 0);
    assertStringIncludes(stderr, "reaped 1 expired callback, the oldest ");
  });
}

Deno.test("100,000 requests in one go are all answered, in order", async () => {
  const node = new NodeProcess();
  await node.init("n1");
  const lines = Array.from(
    { length: 100_000 },
    (_, i) =>
      `{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":${i},"echo":${i}}}\n`,
  );
  const written = node.write(lines.join(""));
  for (let i = 0; i < lines.length; i++) {
    const { body } = await node.next();
    assertEquals([body.in_reply_to, body.echo], [i, i]);
  }
  await written;
  assertEquals((await node.end()).code, 0);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test({
    name: `${signal}: pending RPCs are settled, exit code 0`,
    ignore: !posix,
    fn: async () => {
      const node = new NodeProcess();
      await node.init("n1", "n2");
      await node.request({
        type: "send_fire_forget",
        msg_id: 2,
        target: "n2",
        payload: { type: "echo" },
      });
      await node.next();
      await node.next();
      node.child.kill(signal);
      const { code, stderr } = await node.finished();
      assertEquals(code, 0);
      assertStringIncludes(
        stderr,
        `stopped at ${signal}: 1 RPC: 0 answered, 0 reaped, 1 cancelled`,
      );
    },
  });
}

/** The one line that a node says at the level of errors before it exits with this code. */
async function lastWords(node: NodeProcess, code: number): Promise<string> {
  const { code: actual, stderr } = await node.finished();
  const lines = linesOf(stderr);
  assertEquals([actual, lines.length], [code, 1], stderr);
  return lines[0]!;
}

Deno.test("a closed stdout: one line on stderr, exit code 1", async () => {
  const node = new NodeProcess("--log-level", "error");
  await node.init("n1");
  await node.closeStdout();
  let running = true;
  node.child.status.finally(() => running = false);
  while (running) { // the first answers may still go into the pipe as it closes
    await node.request({ type: "echo", msg_id: 2, echo: 1 }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertStringIncludes(
    await lastWords(node, 1),
    "stdout can't be written to",
  );
});

Deno.test("end of the input: pending RPCs are settled, what was asked is answered", async () => {
  const node = new NodeProcess();
  await node.init("n1", "n2");
  await node.request({
    type: "send_fire_forget",
    msg_id: 2,
    target: "n2",
    payload: { type: "echo" },
  });
  await node.request({ type: "echo", msg_id: 3, echo: "last" });
  const { code, rest, stderr } = await node.end();
  assertEquals([code, rest.map(({ body }) => body.type)], [0, [
    "echo",
    "send_fire_forget_ok",
    "echo_ok",
  ]]);
  assertStringIncludes(
    linesOf(stderr).at(-1)!,
    "stopped at the end of the input: 1 RPC: 0 answered, 0 reaped, 1 cancelled; 0 invalid lines",
  );
});

Deno.test("input that ends within a line: a whole message is answered, a part of one is counted", async () => {
  const last = '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":2}}';
  for (
    const [line, answers, invalid] of [
      [last, 1, "0 invalid lines"],
      [last.slice(0, -1), 0, "1 invalid line"],
    ] as const
  ) {
    const node = new NodeProcess();
    await node.init("n1");
    await node.write(line);
    const { code, rest, stderr } = await node.end();
    assertEquals([code, rest.length], [0, answers]);
    assert(linesOf(stderr).at(-1)!.endsWith(`; ${invalid}`), stderr);
  }
});

Deno.test("a slow reader gets everything, in order", async () => {
  const node = new NodeProcess();
  await node.init("n1");
  const text = "x".repeat(50_000);
  let written = Promise.resolve();
  for (let i = 0; i < 100; i++) {
    written = node.request({ type: "echo", msg_id: i, echo: text });
  }
  for (let i = 0; i < 100; i++) {
    if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const { body } = await node.next();
    assertEquals([body.in_reply_to, body.echo.length], [i, text.length]);
  }
  await written;
  assertEquals((await node.end()).code, 0);
});

const TEXT = "x".repeat(100_000);

/** Sends so many long echo requests; counts those that were taken before that stalled. */
function stalled(node: NodeProcess, count: number) {
  let taken = 0;
  const writing = (async () => {
    for (let i = 0; i < count; i++) {
      await node.request({ type: "echo", msg_id: i, echo: TEXT });
      taken++;
    }
  })().catch(() => {}); // the node is gone
  // Back-pressure shows as a writer that gets no further for a while.
  const stall = (async () => {
    for (let before = -1; before < taken && taken < count;) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return taken;
  })();
  return { writing, taken: stall };
}

Deno.test("while stdout is blocked beyond its bound no input is read; then all is answered, in order", async () => {
  const node = new NodeProcess();
  await node.init("n1");
  const { writing, taken } = stalled(node, 200);
  const bytes = await taken * TEXT.length;
  assert(bytes < 4 * 1024 * 1024, `${bytes} bytes were read`);
  for (let i = 0; i < 200; i++) {
    assertEquals((await node.next()).body.in_reply_to, i);
  }
  await writing;
  assertEquals((await node.end()).code, 0);
});

/** A node that reads no more input as no one reads what it has answered. */
async function blocked(): Promise<NodeProcess> {
  const node = new NodeProcess();
  await node.init("n1");
  await stalled(node, 100).taken;
  return node;
}

Deno.test({
  name:
    "SIGTERM while stdout is blocked: what was answered is written once it is read",
  ignore: !posix,
  fn: async () => {
    const node = await blocked();
    node.child.kill("SIGTERM");
    const { code, rest, stderr } = await node.finished();
    assertEquals(code, 0);
    assertEquals(
      rest.map(({ body }) => body.in_reply_to),
      rest.map((_, i) => i),
    );
    assertStringIncludes(linesOf(stderr).at(-1)!, "stopped at SIGTERM");
  },
});

Deno.test({
  name:
    "SIGINT while stdout is blocked for good: given up after 5 s, what is lost is said, exit code 1",
  ignore: !posix,
  fn: async () => {
    const node = await blocked();
    node.child.kill("SIGINT");
    const { code } = await node.child.status;
    const [last] = linesOf(await node.stderr).slice(-1);
    assertEquals(code, 1);
    assert(
      /error: stdout can't be written to: nothing was taken for 5000 ms, \d+ bytes are lost$/
        .test(last!),
      last,
    );
    await node.closeStdout();
    await node.finished();
  },
});

Deno.test({
  name: "a stdin that is a directory: one line on stderr, exit code 1",
  ignore: !posix,
  fn: async () => {
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", 'exec "$0" "$@" </', ...command("--log-level", "error")],
      cwd: root,
    }).output();
    const lines = linesOf(new TextDecoder().decode(stderr));
    assertEquals([code, stdout.length, lines.length], [1, 0, 1]);
    assertStringIncludes(
      lines[0]!,
      `stdin can't be read: ${nodeJs ? "EISDIR" : "Is a directory"}`,
    );
  },
});

Deno.test({
  name:
    "a full disk behind stdout: one line on stderr, exit code 1, for --help and --version too",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    for (const option of ["--help", "--version", "--log-level=error"]) {
      const { code, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          `echo '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":1}}' |
          "$0" "$@" >/dev/full`,
          ...command(option),
        ],
        cwd: root,
      }).output();
      const lines = linesOf(new TextDecoder().decode(stderr));
      assertEquals([code, lines.length], [1, 1]);
      assertStringIncludes(
        lines[0]!,
        `stdout can't be written to: ${
          nodeJs ? "ENOSPC" : "No space left on device"
        }`,
      );
    }
  },
});

/** What the binary says on stdout, and nothing on stderr. */
async function say(...args: string[]): Promise<string> {
  const [program, ...all] = command(...args);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: all,
    cwd: root,
    stdin: "null",
  }).output();
  assertEquals([code, stderr.length], [0, 0]);
  return new TextDecoder().decode(stdout);
}

Deno.test("--help, -h and --version go to stdout, whatever else is asked for", async () => {
  assertEquals(await say("--version"), `gyre ${config.version}\n`);
  const help = await say("--help", "--max-pending", "7");
  assertEquals(await say("-h"), help);
  for (const option of OPTIONS) {
    assert(
      new RegExp(`^  (-h, )?${option}( [A-Z]+)?  +[a-z]`, "m").test(help),
      option,
    );
  }
});

Deno.test("--help lists the workloads, and that of one its own options", async () => {
  const help = await say("--help");
  for (const [name, { does }] of Object.entries(SUBCOMMANDS)) {
    assert(new RegExp(`^  ${name}  +${does}$`, "m").test(help), name);
  }
  assert(!help.includes("--aim"));
  const broadcast = await say("broadcast", "-h");
  assertStringIncludes(broadcast, "gyre broadcast: what one node is told");
  assertStringIncludes(broadcast, "\n  --aim speed|thrift    what to save");
  assertStringIncludes(broadcast, "\n  --rpc-timeout MS ");
  assert(!(await say("echo", "--help")).includes("--aim"));
  assertEquals(await say("echo", "--version"), `gyre ${config.version}\n`);
});

/** A request of each workload, and what the reply says of it. */
const ASKED: Record<string, [request: Json, reply: Json]> = {
  callbacks: [{ type: "pending_count" }, { count: 0 }],
  echo: [{ type: "echo", echo: [1] }, { echo: [1] }],
  "unique-ids": [{ type: "generate" }, {}],
  broadcast: [{ type: "broadcast", message: 1 }, {}],
  "g-set": [{ type: "read" }, { value: [] }],
  "g-counter": [{ type: "read" }, { value: 0 }],
  "pn-counter": [{ type: "add", delta: -1 }, {}],
  kafka: [{ type: "send", key: "k", msg: 1 }, { offset: 0 }],
  "txn-rw-register": [
    { type: "txn", txn: [["w", 1, 2], ["r", 1, null]] },
    { txn: [["w", 1, 2], ["r", 1, 2]] },
  ],
};

for (const name of Object.keys(SUBCOMMANDS)) {
  Deno.test(`gyre ${name} does that workload`, async () => {
    const [request, expected] = ASKED[name]!;
    const node = new NodeProcess(name, "--first-msg-id", "41");
    await node.init("n1");
    await node.request({ ...request, msg_id: 2 });
    const { body: { id, ...body } } = await node.next();
    assertEquals(body, {
      ...expected,
      type: `${request.type}_ok`,
      in_reply_to: 2,
      msg_id: 42,
    });
    assertEquals(typeof id, name === "unique-ids" ? "string" : "undefined");
    await node.request({ type: "of no workload", msg_id: 3 });
    assertEquals((await node.next()).body.code, 10);
    assertEquals((await node.end()).code, 0);
  });
}

Deno.test("broadcast --aim decides whether news is told after 200 ms", async () => {
  for (const [aim, inTime] of [["speed", true], ["thrift", false]] as const) {
    const test = new TestNode(await SUBCOMMANDS.broadcast!.load({ aim }));
    const body = { type: "broadcast", message: 1, msg_id: 1 };
    await test.deliver({ src: "c1", body });
    test.sent();
    await test.advance(200);
    const told = test.sent().some(({ body: { delta } }) => delta !== undefined);
    assertEquals(told, inTime, aim);
  }
});

Deno.test("msg_ids start at 0 where the exercise is run, at random for a workload", async () => {
  const first = async (...args: string[]) => {
    const node = new NodeProcess(...args);
    const init = { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] };
    await node.request(init, "c0");
    const { body } = await node.next();
    await node.end();
    return body.msg_id;
  };
  assertEquals(await first(), 0);
  assertEquals(await first("callbacks"), 0);
  assertEquals(await first("--first-msg-id", "7"), 7);
  const random = await Promise.all([
    first("echo"),
    first("echo"),
    first("--first-msg-id", "random"),
  ]);
  assertEquals(new Set([...random, 0]).size, 4);
  assert(random.every((id) => Number.isSafeInteger(id) && id < 2 ** 52));
});

const OPTIONS = [
  "--rpc-timeout",
  "--reap-interval",
  "--max-pending",
  "--max-running",
  "--max-line-bytes",
  "--first-msg-id",
  "--log-level",
  "--help",
  "--version",
];

/** Values that an option of numbers refuses, and what it says of each. */
function wrongNumbers(
  kind: string,
  [name, range, ...values]: string[],
): [string[], string[]][] {
  return [...values, "", " ", "1s", "NaN", "Infinity"].map((value) => [
    [`${name}=${value}`],
    [`${name} must be ${kind} ${range}, not '${value}'`],
  ]);
}

for (
  const [args, texts] of [
    [["--nope"], ["'--nope' (", ...OPTIONS]],
    [["-n"], ["'-n'", ...OPTIONS]],
    [["extra"], [
      "'extra'",
      ...OPTIONS,
      `workloads: ${Object.keys(SUBCOMMANDS).join(", ")}`,
    ]],
    [["toString"], ["no workload 'toString'"]],
    [["--max-pending=1", "echo"], ["'echo'", "gyre [WORKLOAD] [options]"]],
    [["echo", "--aim=speed"], ["'--aim'", ...OPTIONS]],
    [["broadcast", "--nope"], ["'--nope'", "--aim", ...OPTIONS]],
    [["broadcast", "--aim=x"], ["--aim must be one of speed, thrift, not 'x'"]],
    [["--help=yes"], ["'-h, --help'", ...OPTIONS]],
    [["--rpc-timeout"], ["'--rpc-timeout <value>'", ...OPTIONS]],
    [["--log-level=loud"], [
      "--log-level must be one of error, warn, info, debug, not 'loud'",
    ]],
    ...[
      ["--rpc-timeout", "1 to 2073600000", "0", "0.9", "-1", "2073600001"],
      ["--reap-interval", "1 to 2073600000", "0", "-0", "2073600000.5"],
    ].flatMap((line) => wrongNumbers("a number from", line)),
    ...[
      ["--max-pending", "0 to 1000000000", "-1", "1.5", "1000000001"],
      ["--max-running", "1 to 1000000000", "0", "1.5", "1000000001"],
      ["--max-line-bytes", "1 to 536870912", "0", "1.5", "536870913"],
    ].flatMap((line) => wrongNumbers("a whole number from", line)),
    ...wrongNumbers("random, or a whole number from", [
      "--first-msg-id",
      "0 to 4503599627370496",
      "1.5",
      "4503599627370497",
    ]),
    [["--rpc-timeout", "-5"], [
      "--rpc-timeout must be a number from 1 to 2073600000, not '-5'",
    ]],
    [["--rpc-timeout", "--log-level"], [
      "if it is '--log-level', write --rpc-timeout=--log-level",
    ]],
  ] as const
) {
  Deno.test(`exit code 2 and one line that names it: ${args}`, async () => {
    const [program, ...all] = command(...args);
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: all,
      cwd: root,
      stdin: "null",
    }).output();
    const lines = linesOf(new TextDecoder().decode(stderr));
    assertEquals([code, stdout.length, lines.length], [2, 0, 1]);
    for (const text of texts) assertStringIncludes(lines[0]!, text);
  });
}

Deno.test("--max-pending: one RPC more is refused, and not sent", async () => {
  for (const limit of [0, 2]) {
    const node = new NodeProcess("--max-pending", String(limit));
    await node.init("n1", "n2");
    for (let i = 0; i <= limit; i++) {
      await node.request({
        type: "send_fire_forget",
        msg_id: i,
        target: "n2",
        payload: { type: "echo" },
      });
    }
    const { rest, code } = await node.end();
    assertEquals([code, rest.length], [0, 2 * limit + 1]);
    assertEquals(rest.at(-1).body, {
      type: "error",
      code: 11,
      text: `${limit} RPCs are pending: the limit 'maxPending' is reached`,
      in_reply_to: limit,
      msg_id: 2 * limit + 1,
    });
  }
});

for (
  const [level, levels] of [
    ["error", []],
    ["warn", ["warn"]],
    ["info", ["info", "info", "warn", "info"]],
    ["debug", [
      ...["info", "debug", "info", "debug"], // version, init in, initialized, init_ok out
      ...["debug", "warn", "debug", "debug", "info"], // nonsense in, a reply in, none of an RPC
    ]],
  ] as const
) {
  Deno.test(`--log-level ${level}`, async () => {
    const node = new NodeProcess("--log-level", level);
    await node.init("n1");
    await node.write("nonsense\n");
    await node.request({ type: "echo_ok", in_reply_to: 7 });
    const { stderr } = await node.end();
    assertEquals(linesOf(stderr).map((line) => line.split(/[ :]+/)[2]!), [
      ...levels,
    ]);
  });
}

/** One line of input, and what must come of it. */
interface Case {
  /** Without the newline. */
  line: string | Uint8Array<ArrayBuffer>;
  /** The bodies of the answers, in part. */
  answers?: Json[];
  /** What is on stderr, if anything: the reason. */
  log?: string;
  /** What changes in the counters, besides `received`, or not even that. */
  counts?: Record<string, number>;
}

/**
 * Feeds each line to the node, then a probe; compares all that it answers, counts
 * and logs. The probe, `stats`, is answered only by a process that lives.
 */
async function play(cases: Case[], ...args: string[]): Promise<void> {
  const node = new NodeProcess("--log-level", "warn", ...args);
  await node.init("n1", "n2");
  for (const { line, answers = [], counts = { received: 1 } } of cases) {
    const before = await node.stats();
    await node.write(line);
    await node.write("\n");
    await node.request({ type: "stats", msg_id: 0 }, "stats");
    const messages = await node.until("stats", 0);
    const after = messages.pop().body;
    const told = `${line}`.slice(0, 200);
    assertEquals(messages.length, answers.length, told);
    for (const [i, answer] of answers.entries()) {
      for (const [key, value] of Object.entries(answer)) {
        if (value instanceof RegExp) {
          assert(value.test(messages[i].body[key]), told);
        } else assertEquals(messages[i].body[key], value, told);
      }
    }
    for (const key of ["received", "invalid_lines", "failures", "registered"]) {
      const probe = key === "received" ? 1 : 0;
      assertEquals(
        after[key] - before[key] - probe,
        counts[key] ?? 0,
        `${key} at ${told}`,
      );
    }
  }
  await node.request({ type: "echo", msg_id: 1, echo: "probe" });
  assertEquals((await node.next()).body.echo, "probe");
  const { code, rest, stderr } = await node.end();
  assertEquals([code, rest], [0, []]);
  const expected = cases.flatMap(({ log }) => log ?? []);
  const lines = linesOf(stderr);
  assertEquals(lines.length, expected.length, stderr);
  for (const [i, text] of expected.entries()) {
    assertStringIncludes(lines[i]!, text);
  }
}

/** A line that is no message, for this reason; the log has its start. */
function invalid(line: string, reason: string, ...answers: Json[]): Case {
  return {
    line,
    log: `warn: invalid line: ${reason}: ${
      answers.length > 0 || reason.includes("'")
        ? JSON.stringify(line.slice(0, 100))
        : ""
    }`,
    counts: { invalid_lines: 1 },
    answers,
  };
}
const error = (code: number, text: string | RegExp, inReplyTo = 5) => ({
  type: "error",
  code,
  text,
  in_reply_to: inReplyTo,
});
const message = (body: Json, src: unknown = "c1") =>
  JSON.stringify({ src, dest: "n1", body });
const request = (body: Json) => message({ msg_id: 5, ...body });
/** What is no id, and how an error text shows it. */
const NO_IDS = [
  ...[1.5, -1, "5", true, 2 ** 53].map((id) => [id, JSON.stringify(id)]),
  [{}, "an object"],
  [[5], "an array"],
];
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

Deno.test("bad input: what is no message is counted and logged", () =>
  play([
    ...["x", "{", '{"src":"c1",', "'a'", "NaN", "\u0000", "{}x"].map((
      line,
    ) => ({
      line,
      log: "warn: invalid line: not JSON: ",
      counts: { invalid_lines: 1 },
    })),
    ...["[]", "null", "42", '"text"', "true"].map((line) =>
      invalid(line, "the message is not an object")
    ),
    ...[undefined, null, "", 7, {}, ["c1"]].map((src) =>
      invalid(
        JSON.stringify({ src, dest: "n1", body: { type: "echo", msg_id: 5 } }),
        "'src' is not a non-empty string",
      )
    ),
    ...[undefined, null, [], "body", 7].map((body) =>
      invalid(message(body), "'body' is not an object")
    ),
    ...NO_IDS.map(([id, shown]) =>
      invalid(
        message({ type: "echo", msg_id: id }),
        `'body.msg_id' is not a non-negative integer below 2^53: ${shown}`,
      )
    ),
    invalid(
      '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":1e999}}',
      "'body.msg_id' is not a non-negative integer below 2^53: Infinity",
    ),
  ]));

Deno.test("bad input: its sender gets error 12 where that can be told", () =>
  play([
    ...[undefined, null, "", 7, {}].map((dest) => {
      const reason = "'dest' is not a non-empty string";
      return invalid(
        JSON.stringify({ src: "c1", dest, body: { type: "echo", msg_id: 5 } }),
        reason,
        error(12, reason),
      );
    }),
    ...[undefined, null, 7, {}, ["echo"]].map((type) => {
      const reason = "'body.type' is not a string";
      return invalid(message({ type, msg_id: 5 }), reason, error(12, reason));
    }),
    ...NO_IDS.map(([id, shown]) => {
      const reason =
        `'body.in_reply_to' is not a non-negative integer below 2^53: ${shown}`;
      return invalid(
        request({ type: "echo_ok", in_reply_to: id }),
        reason,
        error(12, reason),
      );
    }),
  ]));

Deno.test("bad input: an unknown type gets error 10", () =>
  play(
    [
      "nope",
      "",
      "constructor",
      "__proto__",
      "toString",
      "hasOwnProperty",
      "echo_ok",
    ]
      .map((type) => ({
        line: request({ type }),
        answers: [
          error(10, `message type ${JSON.stringify(type)} is not supported`),
        ],
      })),
  ));

Deno.test("bad input: a request before init gets error 11, from the node it was sent to", async () => {
  const node = new NodeProcess("--log-level", "warn");
  for (const type of ["echo", "stats", "nope"]) {
    await node.request({ type, msg_id: 5 });
    assertEquals(await node.next(), {
      src: "n1",
      dest: "c1",
      body: {
        ...error(11, "n1 has not been initialized yet"),
        msg_id: ["echo", "stats", "nope"].indexOf(type),
      },
    });
  }
  await node.init("n1");
  assertEquals((await node.stats()).received, 5);
  assertEquals((await node.end()).stderr, "");
});

Deno.test("bad input: init without a usable identity gets error 12, and is no init", async () => {
  const node = new NodeProcess("--log-level", "warn");
  for (
    const [fields, name] of [
      ...[undefined, null, "", 7, ["n1"]].map((id) =>
        [{ node_id: id, node_ids: ["n1"] }, "node_id"] as const
      ),
      ...[undefined, null, "n1", {}, [1], ["n1", null]].map((ids) =>
        [{ node_id: "n1", node_ids: ids }, "node_ids"] as const
      ),
    ]
  ) {
    await node.request({ type: "init", msg_id: 5, ...fields });
    const { src, body } = await node.next();
    assertEquals([src, body.code, body.in_reply_to], ["n1", 12, 5]);
    assertStringIncludes(body.text, `init: '${name}' is not`);
  }
  await node.init("n1");
  assertEquals((await node.stats()).received, 13);
  assertEquals((await node.end()).stderr, "");
});

Deno.test("bad input: init again: the same identity is confirmed, another one refused", () =>
  play([
    {
      line: request({ type: "init", node_id: "n1", node_ids: ["n1", "n2"] }),
      answers: [{ type: "init_ok", in_reply_to: 5 }],
    },
    {
      line: request({ type: "init", node_id: "n2", node_ids: ["n1", "n2"] }),
      answers: [
        error(
          12,
          `init: 'node_id' is "n2", but this node has already been initialized as "n1"`,
        ),
      ],
    },
    ...[["n2", "n1"], ["n1"]].map((node_ids) => ({
      line: request({ type: "init", node_id: "n1", node_ids }),
      answers: [
        error(
          12,
          `init: 'node_ids' differs: this node has already been initialized as one of ["n1","n2"]`,
        ),
      ],
    })),
    { line: request({ type: "echo" }), answers: [{ type: "echo_ok" }] },
  ]));

Deno.test("bad input: a malformed send_fire_forget gets error 12 that names the field; nothing is sent or registered", () =>
  play([
    ...[undefined, null, "", 7, ["n2"]].map((target) => ({
      line: request({
        type: "send_fire_forget",
        target,
        payload: { type: "x" },
      }),
      answers: [
        error(12, "send_fire_forget: 'target' is not a non-empty string"),
      ],
    })),
    ...[undefined, null, "x", 7, [{ type: "x" }]].map((payload) => ({
      line: request({ type: "send_fire_forget", target: "n2", payload }),
      answers: [error(12, "send_fire_forget: 'payload' is not an object")],
    })),
    ...[undefined, null, 7, {}].map((type) => ({
      line: request({
        type: "send_fire_forget",
        target: "n2",
        payload: { type },
      }),
      answers: [error(12, "send_fire_forget: 'payload.type' is not a string")],
    })),
  ]));

Deno.test("bad input: a request without msg_id is handled, not answered", () =>
  play([
    { line: message({ type: "echo" }) },
    { line: message({ type: "nope" }) },
    {
      line: message({
        type: "send_fire_forget",
        target: "n2",
        payload: { type: "x" },
      }),
      answers: [{ type: "x" }],
      counts: { received: 1, registered: 1 },
    },
  ]));

Deno.test("null ids are as good as absent", () =>
  play([
    {
      line: request({ type: "echo", echo: 1, in_reply_to: null }),
      answers: [{ type: "echo_ok", echo: 1, in_reply_to: 5 }],
      counts: { received: 1 },
    },
    {
      line: message({ type: "echo", msg_id: null }),
      answers: [],
      counts: { received: 1 },
    },
  ]));

Deno.test("bad input: a message nested too deeply gets error 12; nothing is sent or registered", async () => {
  const node = new NodeProcess("--log-level", "warn");
  await node.init("n1", "n2");
  for (const depth of [200, 200_000]) {
    const value = nested(depth);
    const written = node.write(
      request({ type: "echo" }).replace("}}", `,"echo":${value}}}\n`) +
        request({ type: "send_fire_forget", target: "n2" })
          .replace("}}", `,"payload":{"type":"x","x":${value}}}}\n`),
    );
    for (const type of ["echo_ok", "send_fire_forget_ok"]) {
      let { body } = await node.next();
      if (depth > 10_000) {
        const text = "the message is nested deeper than 10000 levels";
        assertEquals([body.code, body.text], [12, text]);
        continue;
      }
      if (body.type === "x") body = (await node.next()).body;
      assertEquals(body.type, type);
    }
    await written;
  }
  const { failures, invalid_lines, received, registered } = await node.stats();
  assertEquals([failures, invalid_lines, received, registered], [0, 2, 4, 1]);
  assertEquals(linesOf((await node.end()).stderr).length, 2);
});

Deno.test("bad input: a line over the limit is skipped", () =>
  play(
    [1001, 5000, 1_000_000].map((length) => ({
      line: request({ type: "echo" }).padEnd(length),
      log: `warn: invalid line: longer than 1000 bytes: ${
        JSON.stringify(request({ type: "echo" })).slice(0, -1)
      }`,
      counts: { invalid_lines: 1 },
    })).concat({
      line: request({ type: "echo" }).padEnd(1000),
      answers: [{ type: "echo_ok" }],
      counts: { received: 1 },
    } as Json),
    "--max-line-bytes",
    "1000",
  ));

Deno.test("bad input: empty lines, CRLF, cut characters, a BOM, what is no UTF-8", async () => {
  const bytes = new TextEncoder();
  const bad = bytes.encode(request({ type: "echo", echo: "?" }));
  bad[bad.lastIndexOf(63)] = 0xff;
  await play([
    { line: "", counts: {} },
    { line: "\r", counts: {} },
    { line: "\n\r\n\n", counts: {} },
    {
      line: request({ type: "echo", echo: "crlf" }) + "\r",
      answers: [{ echo: "crlf" }],
    },
    {
      line: bad,
      log: "warn: invalid line: not UTF-8: ",
      counts: { invalid_lines: 1 },
    },
    {
      line: new Uint8Array([0xff, 0xfe, 0x00]),
      log: "warn: invalid line: not UTF-8: ",
      counts: { invalid_lines: 1 },
    },
  ]);
  const node = new NodeProcess();
  await node.write("\ufeff");
  await node.init("n1");
  const split = bytes.encode(request({ type: "echo", echo: "å∂🦕" }) + "\n");
  for (const byte of split) await node.write(new Uint8Array([byte]));
  assertEquals((await node.next()).body.echo, "å∂🦕");
  assertEquals((await node.stats()).invalid_lines, 0);
  assertEquals((await node.end()).code, 0);
});

Deno.test("bad input: a key __proto__ is carried through as plain data", async () => {
  const payload = '{"type":"x","__proto__":{"toString":1},"constructor":2}';
  const node = new NodeProcess();
  await node.init("n1", "n2");
  await node.write(
    request({ type: "echo" }).replace("}}", `,"echo":${payload}}}\n`) +
      request({ type: "send_fire_forget", target: "n2" })
        .replace("}}", `,"payload":${payload}}}\n`),
  );
  assertEquals(JSON.stringify((await node.next()).body.echo), payload);
  const { msg_id: _, ...sent } = (await node.next()).body;
  assertEquals(JSON.stringify(sent), payload);
  assertEquals((await node.next()).body.type, "send_fire_forget_ok");
  assertEquals((await node.end()).code, 0);
});
