import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LinKv, TestNode, VirtualClock } from "../lib/testing.ts";

Deno.test("TestNode: services answer what an async handler asks them", async () => {
  const test = new TestNode((node) => {
    node.on("count", async () => {
      const { ts } = await node.rpc<{ ts: number }>("lin-tso", { type: "ts" });
      await node.rpc("lin-kv", { type: "write", key: "k", value: ts });
      return await node.rpc("lin-kv", { type: "read", key: "k" });
    });
  });
  for (const value of [0, 1]) {
    await test.deliver({ src: "c1", body: { type: "count", msg_id: 1 } });
    const sent = test.sent();
    assertEquals(sent.map(({ dest }) => dest), [
      "lin-tso",
      "lin-kv",
      "lin-kv",
      "c1",
    ]);
    assertEquals(sent.at(-1)!.body.value, value);
  }
  assertEquals([test.node.pendingCount, test.clock.timers], [0, 0]);
});

Deno.test("TestNode: promises settle between two timers, at their times", async () => {
  const times: number[] = [];
  const test = new TestNode((node) => {
    node.on("retry", async () => {
      for (let i = 0; i < 3; i++) {
        await node.rpc("n2", { type: "x" }).catch(() =>
          times.push(test.clock.now())
        );
      }
    });
  }, { rpcTimeoutMs: 100 });
  test.deliver({ src: "c1", body: { type: "retry" } });
  await test.advance(1000);
  assertEquals(times, [100, 200, 300]);
  assertEquals(test.clock.now(), 1000);
});

Deno.test("TestNode: without init, with another id, with a line that is no message", async () => {
  const blank = new TestNode(() => {}, { init: false });
  await blank.deliver({ src: "c1", body: { type: "x", msg_id: 1 } });
  assertEquals(blank.sent()[0]!.body.code, 11);
  const test = new TestNode((node) => {
    node.on("init", () => void node.send("n3", { type: "hello" }));
  }, { nodeId: "n2", nodeIds: ["n2"], services: { n3: new LinKv() } });
  assertEquals(test.node.nodeIds, ["n2"]);
  assertEquals(test.messages[0]!.body.type, "hello");
  await test.deliver("nope");
  assertEquals(test.node.stats().invalid_lines, 1);
  assertEquals(test.logged.filter(([level]) => level === "warn").length, 1);
});

Deno.test("TestNode: a reply to a service is no request to it", async () => {
  const test = new TestNode((node) => node.on("x", () => ({})));
  await test.deliver({ src: "lin-kv", body: { type: "x", msg_id: 3 } });
  assertEquals(test.sent().map(({ body }) => body.type), ["x_ok"]);
});

Deno.test("VirtualClock refuses what a real timer would not take", () => {
  const clock = new VirtualClock();
  for (const delayMs of [-1, 0.5, NaN, 2 ** 31]) {
    assertThrows(
      () => clock.setTimer(() => {}, delayMs),
      RangeError,
      `current value is ${delayMs}`,
    );
  }
});

Deno.test("TestNode: an async init is waited for, and its init_ok is none of what was sent", async () => {
  const test = new TestNode((node) => {
    let ts: unknown;
    node.on("init", async () => {
      ({ ts } = await node.rpc("lin-tso", { type: "ts" }));
    });
    node.on("when", () => ({ ts }));
  });
  await test.deliver({ src: "c1", body: { type: "when", msg_id: 1 } });
  assertEquals(
    test.sent().map(({ dest, body }) => `${dest} ${body.type} ${body.ts}`),
    ["lin-tso ts undefined", "c1 when_ok 0"],
  );
});

Deno.test("TestNode: set-up is handed what a simulation hands it", async () => {
  const rolls = async (seed?: number) => {
    const test = new TestNode((node, { random, wallNow }) => {
      node.on("roll", () => ({ roll: random.int(1_000_000), at: wallNow() }));
    }, seed === undefined ? {} : { seed });
    await test.advance(5);
    await test.deliver({ src: "c1", body: { type: "roll", msg_id: 1 } });
    const { roll, at } = test.sent()[0]!.body;
    assertEquals(at, 5);
    return roll;
  };
  assertEquals(await rolls(), await rolls(0));
  assert(await rolls(1) !== await rolls(2));
});

Deno.test("TestNode: a service of one's own is beside the others, and null takes one away", async () => {
  const test = new TestNode((node) => {
    node.on("ask", () => {
      for (const id of ["lin-kv", "lin-tso", "mine"]) {
        node.rpc(id, { type: "ts" }, () => {});
      }
    });
  }, { services: { mine: new LinKv(), "lin-kv": null } });
  await test.deliver({ src: "c1", body: { type: "ask" } });
  assertEquals(test.node.pendingCount, 1);
});

// deno-lint-ignore no-explicit-any -- what a program in JavaScript may hand in
type Any = any;

Deno.test("TestNode and VirtualClock refuse what is no time, by name, and time stands still", async () => {
  const test = new TestNode((node) => node.every(10, () => {}));
  const { clock } = test;
  for (const ms of [NaN, -1, Infinity, "5", undefined] as Any[]) {
    const text = `'ms' must be a finite number from 0: current value is ${
      ms === "5" ? '"5"' : ms
    }`;
    await assertRejects(() => test.advance(ms), RangeError, text);
    assertThrows(() => clock.advance(ms), RangeError, text);
    assertThrows(() => clock.busy(ms), RangeError, text);
  }
  assertEquals(clock.now(), 0);
  await test.advance(0.5);
  assertEquals(clock.now(), 0.5);
});

Deno.test("TestNode refuses what is no set-up, no node id and no node ids", () => {
  for (
    const [args, text] of [
      [[], "'setUp' must be a function"],
      [[{}], "'setUp' must be a function"],
      [[() => {}, { nodeId: "" }], `'nodeId' must be a non-empty string`],
      [[() => {}, { nodeId: 5 }], `'nodeId' must be a non-empty string`],
      [[() => {}, { nodeIds: "n1" }], `'nodeIds' must be an array of strings`],
      [[() => {}, { nodeIds: [1] }], `current value is [1]`],
    ] as Any[]
  ) assertThrows(() => new (TestNode as Any)(...args), TypeError, text);
});

Deno.test("TestNode: what is delivered as a message and is none is refused, and says what it lacks", () => {
  const test = new TestNode((node) => node.on("x", () => ({})));
  for (
    const [message, problem] of [
      [undefined, "Cannot deliver undefined as 'src' is not"],
      [{ body: { type: "x" } }, "'src' is not a non-empty string"],
      [{ src: "c1" }, `Cannot deliver {"src":"c1"} as 'body' is not an object`],
      [{ src: "c1", body: {} }, "'body.type' is not a string"],
      [{ src: "c1", body: { type: "x", msg_id: "1" } }, "'body.msg_id' is not"],
    ] as Any[]
  ) assertThrows(() => test.deliver(message), TypeError, problem);
  assertEquals([test.node.stats().received, test.messages.length], [1, 1]);
});
