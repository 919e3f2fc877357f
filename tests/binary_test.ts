/** End to end: the node as a process. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Json, NodeProcess } from "./process.ts";

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
    ignore: Deno.build.os === "windows",
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
        `stopped at ${signal}: 1 RPCs: 0 answered, 0 reaped, 1 cancelled`,
      );
    },
  });
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
  const { code, stderr } = await node.finished();
  assertEquals(code, 1);
  assertEquals(stderr.trim().split("\n").length, 1);
  assertStringIncludes(stderr, "stdout can't be written to");
});

Deno.test("a wrong option: exit code 2 and one line that names it", async () => {
  for (
    const [args, text] of [
      [["--nope"], "--nope"],
      [
        ["--rpc-timeout", "0"],
        "--rpc-timeout must be a number from 1 to 2073600000, not '0'",
      ],
      [["--max-pending", "1.5"], "not '1.5'"],
      [["--log-level", "loud"], "not 'loud'"],
    ] as const
  ) {
    const { code, rest, stderr } = await new NodeProcess(...args).finished();
    assertEquals([code, rest], [2, []]);
    assertEquals(stderr.trim().split("\n").length, 1);
    assertStringIncludes(stderr, text);
  }
});

Deno.test("bad input never ends the process", async () => {
  const node = new NodeProcess("--max-line-bytes", "1000");
  await node.init("n1");
  const bad = [
    "not json",
    "[]",
    "null",
    '{"src":"c1"}',
    '{"src":"c1","dest":"n1","body":[]}',
    '{"src":"c1","dest":"n1","body":{}}',
    "x".repeat(5000),
    "",
  ];
  await node.write(bad.join("\r\n") + "\n");
  await node.write(new Uint8Array([0xff, 0xfe, 10]));
  await node.request({ type: "stats", msg_id: 9 });
  const { body } = await node.next();
  assertEquals([body.in_reply_to, body.invalid_lines], [9, 8]);
  const { code, rest } = await node.end();
  assert(code === 0 && rest.length === 0);
});
