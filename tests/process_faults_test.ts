/** What the world around the node, and the code it runs, can do to it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ErrorCode, Node, RpcError, systemClock } from "../lib/mod.ts";
import { command, type Json, linesOf, NodeProcess, root } from "./process.ts";
import { nextMacrotask } from "../lib/sim/macrotask.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";

const FAULTY = "tests/faulty_node.ts";
const posix = Deno.build.os !== "windows";

Deno.test("while stdout is blocked RPCs expire all the same; what was sent comes once it is read", async () => {
  const node = new NodeProcess("--rpc-timeout", "50");
  await node.init("n1", "n2");
  const rpc = {
    type: "send_fire_forget",
    msg_id: 0,
    target: "n2",
    payload: { type: "x" },
  };
  const text = "x".repeat(100_000);
  const writing = Promise.all([
    node.request(rpc),
    ...Array.from(
      { length: 20 },
      (_, i) => node.request({ type: "echo", msg_id: i + 1, echo: text }),
    ),
    node.request({ type: "stats", msg_id: 21 }),
  ]);
  await node.logged("reaped 1 expired callback");
  const messages = await node.until("c1", 21);
  assertEquals(
    messages.slice(1).map(({ body }) => body.in_reply_to), // after the RPC
    Array.from({ length: 22 }, (_, i) => i),
  );
  assertEquals(messages.at(-1).body.reaped, 1);
  await writing;
  assertEquals((await node.end()).code, 0);
});

Deno.test("a stdout closed within a message: one line on stderr, exit code 1", async () => {
  const node = new NodeProcess("--log-level", "error");
  await node.init("n1");
  // Many times what the pipe and the harness's buffers hold.
  const long = "x".repeat(8 * 1024 * 1024);
  await node.request({ type: "echo", msg_id: 2, echo: long });
  await node.closeStdout();
  const { code, stderr } = await node.finished();
  const lines = linesOf(stderr);
  assertEquals([code, lines.length], [1, 1]);
  assertStringIncludes(lines[0]!, "stdout can't be written to");
});

Deno.test({
  name:
    "SIGSTOP past the deadlines, SIGCONT: what has been answered counts as answered, what was due is reaped at once, in order",
  ignore: !posix,
  fn: async () => {
    const node = new NodeProcess(FAULTY);
    await node.init("n1", "n2");
    const timeouts = [3000, 2000, 2500, 2000, 60_000];
    await node.request({ type: "rpcs", msg_id: 2, timeouts });
    const rpcs = (await node.until("c1", 2)).slice(0, -1);
    node.child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 3100));
    await node.request({
      type: "x_ok",
      in_reply_to: rpcs[2].body.msg_id,
    }, "n2");
    node.child.kill("SIGCONT");
    const settled = [];
    for (let i = 0; i < 4; i++) {
      const { body: { index, code, early } } = await node.next();
      settled.push([index, code, early]);
    }
    assertEquals(settled, [
      [2, undefined, false], // its reply lay in the pipe meanwhile
      [1, 0, false],
      [3, 0, false],
      [0, 0, false],
    ]);
    const { stderr } = await node.end();
    assertStringIncludes(stderr, "reaped 3 expired callbacks, the oldest ");
    assertStringIncludes(stderr, "5 RPCs: 1 answered, 3 reaped, 1 cancelled");
  },
});

Deno.test({
  name: "a handler that never finishes holds up nothing but the end, by 1 s",
  ignore: !posix,
  fn: async () => {
    const node = new NodeProcess(FAULTY);
    await node.init("n1", "n2");
    await node.request({ type: "hang", msg_id: 2 });
    await node.request({ type: "rpcs", msg_id: 3, timeouts: [20] });
    await node.until("c1", 3);
    assertEquals((await node.next()).body.type, "settled");
    node.child.kill("SIGTERM");
    const { code, stderr } = await node.finished();
    assertEquals(code, 0);
    const lines = linesOf(stderr).slice(-2);
    assertStringIncludes(
      lines[0]!,
      "warn: 1 handler was still running after 1000 ms",
    );
    assertStringIncludes(lines[1]!, "stopped at SIGTERM");
  },
});

Deno.test({
  name: "a second signal ends the process at once",
  ignore: !posix,
  fn: async () => {
    const node = new NodeProcess(FAULTY);
    await node.init("n1", "n2");
    await node.request({ type: "hang", msg_id: 2 });
    await node.request({ type: "rpcs", msg_id: 3, timeouts: [60_000] });
    await node.until("c1", 3);
    node.child.kill("SIGTERM");
    // It waits for the handler now, for 1 s.
    assertEquals((await node.next()).body.code, ErrorCode.crash);
    node.child.kill("SIGTERM");
    assertEquals((await node.child.status).signal, "SIGTERM");
    await node.finished();
  },
});

Deno.test({
  name: "a reply behind 100,000 requests that can all be read is no timeout",
  ignore: !posix,
  fn: async () => {
    const message = (body: Json, src = "c1") =>
      JSON.stringify({ src, dest: "n1", body }) + "\n";
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(
      file,
      [
        message({ type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] }),
        message({
          type: "send_fire_forget",
          msg_id: 2,
          target: "n2",
          payload: { type: "x" },
        }),
        message({ type: "echo", msg_id: 3 }).repeat(100_000),
        message({ type: "x_ok", in_reply_to: 1 }, "n2"),
      ].join(""),
    );
    try {
      // Which thread runs when is the system's to say: on an overloaded machine
      // one that reads may still come too late, now and then.
      for (let attempt = 1;; attempt++) {
        const { stderr } = await new Deno.Command("sh", {
          args: [
            "-c",
            'input=$1; shift; exec "$@" <"$input"',
            "sh",
            file,
            ...command("--rpc-timeout", "20"),
          ],
          cwd: root,
        }).output();
        const said = new TextDecoder().decode(stderr);
        if (said.includes("1 RPC: 1 answered, 0 reaped")) break;
        assert(attempt < 3, said);
      }
    } finally {
      await Deno.remove(file);
    }
  },
});

/** A node under a virtual clock that is n1 of n1 and n2. */
function setUp(log: (text: string) => void = () => {}) {
  const clock = new VirtualClock();
  const node = new Node({ clock, log: (_, text) => log(text) });
  const sent: string[] = [];
  node.connect({ send: (line) => sent.push(line) });
  const receive = (body: Json) =>
    node.receive(JSON.stringify({ src: "c1", dest: "n1", body }));
  receive({ type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1", "n2"] });
  return { clock, node, sent, receive };
}

Deno.test("callbacks that throw, register 1,000 more and cancel their neighbours: each runs exactly once, in order", async () => {
  const logged: string[] = [];
  const { clock, node } = setUp((text) => logged.push(text));
  const runs: [index: number, code: number | undefined][] = [];
  const abort = new AbortController();
  const { signal } = abort;
  const withSignal = (i: number) => i < 100 ? i % 10 === 5 : i === 1500;
  const rpc = (index: number, timeoutMs: number, then = () => {}) =>
    node.rpc("n2", { type: "x" }, (error) => {
      runs.push([index, error?.code]);
      then();
    }, { timeoutMs, ...(withSignal(index) ? { signal } : {}) });
  for (let i = 0; i < 100; i++) {
    rpc(i, 100, () => {
      if (i === 10) throw new Error("callback 10");
      if (i === 20) {
        for (let more = 0; more < 1000; more++) rpc(1000 + more, 50);
      }
      if (i === 30) abort.abort();
    });
  }
  clock.advance(100);
  await nextMacrotask();
  const aborted = (i: number) => withSignal(i) && i > 30;
  const all = Array.from({ length: 2000 }, (_, i) => i)
    .filter((i) => i < 100 || i >= 1000);
  const expected = [
    ...all.filter((i) => i <= 30),
    ...all.filter(aborted), // by callback 30: its neighbours and one of the new ones
    ...all.filter((i) => i > 30 && i < 100 && !aborted(i)),
  ];
  assertEquals(runs, expected.map((i) => [i, aborted(i) ? 13 : 0]));
  clock.advance(50);
  await nextMacrotask();
  const later = all.filter((i) => i >= 1000 && !aborted(i));
  assertEquals(runs.slice(expected.length), later.map((i) => [i, 0]));
  assertEquals(logged.filter((text) => text.includes("failed")), [
    "an RPC callback failed: Error: callback 10",
  ]);
  assertEquals(node.pendingCount, 0);
});

Deno.test("1,000,000 callbacks due in the same millisecond: in order, and requests are answered in between", async () => {
  const { clock, node, sent, receive } = setUp();
  const count = 1_000_000;
  let ran = 0;
  let ordered = true;
  for (let i = 0; i < count; i++) {
    node.rpc("n2", { type: "x" }, (error) => {
      if (i !== ran || error?.code !== 0) ordered = false;
      ran++;
      clock.busy(0.001); // 1 µs each
    }, { timeoutMs: 10 });
    sent.length = 0;
  }
  // A request each ms, from the deadline on.
  let last = 10;
  let longestWaitMs = 0;
  let answered = 0;
  const request = () => {
    sent.length = 0;
    receive({ type: "pending_count", msg_id: answered });
    answered += sent.length;
    longestWaitMs = Math.max(longestWaitMs, clock.now() - last);
    last = clock.now();
    if (ran < count) clock.setTimer(request, 1);
  };
  clock.setTimer(request, 10);
  do await nextMacrotask(); while (clock.fireNext(2000));
  assertEquals([ran, ordered, node.pendingCount], [count, true, 0]);
  assert(answered > 200, `${answered} answers`);
  assert(longestWaitMs < 6, `a request waited ${longestWaitMs} ms`);
});

Deno.test("a wall clock that is set back, or ahead, by a year changes nothing", async () => {
  const { now } = Date;
  const yearMs = 365 * 24 * 60 * 60 * 1000;
  const node = new Node({ clock: systemClock });
  node.connect({ send: () => {} });
  node.receive(
    '{"src":"c0","dest":"n1","body":{"type":"init","node_id":"n1","node_ids":["n1"]}}',
  );
  try {
    for (const shiftMs of [-yearMs, yearMs]) {
      const startedAt = performance.now();
      const outcome = node.rpc("n2", { type: "x" }, { timeoutMs: 30 });
      Date.now = () => now() + shiftMs;
      const error = await outcome.catch((error) => error);
      const afterMs = performance.now() - startedAt;
      assert(error instanceof RpcError && error.code === 0);
      assert(afterMs >= 30, `${afterMs} ms`);
    }
  } finally {
    Date.now = now;
  }
});
