import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ErrorCode, RpcError } from "../lib/errors.ts";
import { MAX_DEPTH } from "../lib/message.ts";
import { Node } from "../lib/node.ts";
import type { ReapReport } from "../lib/reaper.ts";
import { TestNode, type TestNodeOptions } from "../lib/testing.ts";
import { VirtualClock } from "../lib/virtual_clock.ts";
import { callbacks } from "../lib/workloads/callbacks.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

/** A node under test, what it sent since init, and short ways to speak with it. */
function setUp(options: TestNodeOptions = {}) {
  const test = new TestNode(() => {}, {
    nodeIds: ["n1", "n2"],
    services: {},
    ...options,
  });
  const { clock, node, logged } = test;
  const sent = test.messages as Json[];
  sent.length = 0;
  const receive = (body: Json, src = "c1") => {
    test.deliver(JSON.stringify({ src, dest: "n1", body })); // be it a message or not
  };
  /** Delivers a request; what the node sent meanwhile. */
  function request(body: Json, src?: string): Json[] {
    const before = sent.length;
    receive(body, src);
    return sent.slice(before);
  }
  return { clock, node, sent, logged, request, receive };
}

/** The code and text of the one error that was sent. */
function errorOf(messages: Json[]): [number, string] {
  assertEquals(messages.length, 1);
  assertEquals(messages[0].body.type, "error");
  return [messages[0].body.code, messages[0].body.text];
}

/** Lets promises that can settle do so. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("init gives the node its identity; msg_ids count from 0", () => {
  const { node, request } = setUp({ init: false });
  assertEquals([node.nodeId, node.nodeIds], ["", []]);
  const init = {
    type: "init",
    msg_id: 1,
    node_id: "n1",
    node_ids: ["n1", "n2"],
  };
  assertEquals(request(init, "c0"), [
    {
      src: "n1",
      dest: "c0",
      body: { type: "init_ok", in_reply_to: 1, msg_id: 0 },
    },
  ]);
  assertEquals([node.nodeId, node.nodeIds], ["n1", ["n1", "n2"]]);
  assertEquals(node.send("n2", { type: "gossip" }), 1);
});

Deno.test("init again: the same identity is confirmed, another one refused", () => {
  const { node, request } = setUp();
  const init = {
    type: "init",
    msg_id: 2,
    node_id: "n1",
    node_ids: ["n1", "n2"],
  };
  assertEquals(request(init)[0].body.type, "init_ok");
  for (
    const [other, problem] of [
      [
        { node_id: "n2" },
        `'node_id' is "n2", but this node has already been initialized as "n1"`,
      ],
      [
        { node_ids: ["n1"] },
        `'node_ids' differs: this node has already been initialized as one of ["n1","n2"]`,
      ],
    ] as const
  ) {
    const [code, text] = errorOf(request({ ...init, ...other }));
    assertEquals([code, text], [12, `init: ${problem}`]);
  }
  assertEquals([node.nodeId, node.nodeIds], ["n1", ["n1", "n2"]]);
});

Deno.test("init without a usable node_id or node_ids is malformed", () => {
  const { node, request } = setUp({ init: false });
  for (
    const [field, value] of [
      ["node_id", undefined],
      ["node_id", 1],
      ["node_id", ""],
      ["node_ids", undefined],
      ["node_ids", "n1"],
      ["node_ids", ["n1", 2]],
    ] as const
  ) {
    const init = {
      type: "init",
      msg_id: 1,
      node_id: "n1",
      node_ids: ["n1"],
      [field]: value,
    };
    const [code, text] = errorOf(request(init));
    assertEquals(code, ErrorCode.malformedRequest);
    assertStringIncludes(text, `'${field}' is not`);
  }
  assertEquals(node.nodeId, "");
});

Deno.test("a handler for init runs once the identity is known, before init_ok", async () => {
  const { node, request, sent } = setUp({ init: false });
  const seen: string[] = [];
  node.on("init", async () => {
    seen.push(node.nodeId);
    await Promise.resolve();
    node.send("n2", { type: "hello" });
  });
  request({ type: "init", msg_id: 1, node_id: "n1", node_ids: [] });
  await microtasks();
  assertEquals(seen, ["n1"]);
  assertEquals(sent.map(({ body }) => body.type), ["hello", "init_ok"]);
});

Deno.test("a request before init gets error 11, from the node it was sent to", () => {
  const { request } = setUp({ init: false });
  const messages = request({ type: "echo", msg_id: 3 });
  assertEquals(errorOf(messages), [11, "n1 has not been initialized yet"]);
  assertEquals([messages[0].src, messages[0].dest], ["n1", "c1"]);
});

Deno.test("an unknown type gets error 10, whatever its name", () => {
  const { request } = setUp();
  for (const type of ["nope", "constructor", "__proto__", "toString", ""]) {
    const [code, text] = errorOf(request({ type, msg_id: 1 }));
    assertEquals(code, ErrorCode.notSupported);
    assertStringIncludes(text, JSON.stringify(type));
  }
});

Deno.test("what a handler returns is the reply; its type is <type>_ok unless it says otherwise", async () => {
  const { node, request, sent } = setUp();
  node.on("plain", () => ({ value: 1 }));
  node.on("typed", () => ({ type: "other" }));
  node.on("async", async () => await Promise.resolve({ value: 2 }));
  node.on("nothing", () => {});
  node.on("later", (message) => {
    node.reply(message, { value: 3 });
  });
  const bodies = (type: string) =>
    request({ type, msg_id: 7 }).map(({ body }) => body);
  assertEquals(bodies("plain"), [{
    type: "plain_ok",
    value: 1,
    in_reply_to: 7,
    msg_id: 1,
  }]);
  assertEquals(bodies("typed"), [{ type: "other", in_reply_to: 7, msg_id: 2 }]);
  assertEquals(bodies("nothing"), []);
  assertEquals(bodies("later"), [{
    type: "later_ok",
    value: 3,
    in_reply_to: 7,
    msg_id: 3,
  }]);
  assertEquals(bodies("async"), []);
  await microtasks();
  assertEquals(sent.at(-1).body, {
    type: "async_ok",
    value: 2,
    in_reply_to: 7,
    msg_id: 4,
  });
});

Deno.test("a request without msg_id is handled, not answered", () => {
  const { node, request } = setUp();
  let handled = 0;
  node.on("touch", () => ({ handled: ++handled }));
  node.on("fail", () => {
    throw new RpcError(ErrorCode.abort, "no");
  });
  assertEquals(request({ type: "touch" }), []);
  assertEquals(request({ type: "fail" }), []);
  assertEquals(request({ type: "nope" }), []);
  assertEquals(handled, 1);
});

Deno.test("an RpcError thrown by a handler becomes the reply, anything else error 13", async () => {
  const { node, request, logged, sent } = setUp();
  node.on("rpc", () => {
    throw new RpcError(1001, "mine");
  });
  node.on("sync", () => {
    throw new TypeError("oops\nsecond line");
  });
  node.on("async", async () => {
    await Promise.resolve();
    throw Object.create(null);
  });
  assertEquals(errorOf(request({ type: "rpc", msg_id: 1 })), [1001, "mine"]);
  assertEquals(errorOf(request({ type: "sync", msg_id: 1 })), [
    13,
    "TypeError: oops\nsecond line",
  ]);
  request({ type: "async", msg_id: 1 });
  await microtasks();
  assertEquals(errorOf(sent.slice(-1)), [13, "an error that can't be shown"]);
  assertEquals(logged.filter(([level]) => level === "error").length, 2);
  assertEquals(node.stats().failures, 2);
});

Deno.test("a reply that can't be written becomes error 13", () => {
  const { node, request } = setUp();
  const cycle: Json = {};
  cycle.cycle = cycle;
  node.on("cycle", () => cycle);
  node.on("bigint", () => ({ value: 1n }));
  assertEquals(errorOf(request({ type: "cycle", msg_id: 1 }))[0], 13);
  assertEquals(errorOf(request({ type: "bigint", msg_id: 1 }))[0], 13);
  // No id was used up by what was not sent.
  assertEquals(node.send("n2", { type: "next" }), 3);
});

Deno.test("a body nested too deeply is not sent: error 13 for a reply, a RangeError for whoever sends", () => {
  const { node, request, sent } = setUp();
  let deep: Json = 0;
  for (let i = 0; i < MAX_DEPTH; i++) deep = [deep];
  node.on("deep", () => ({ deep }));
  const text = `the message is nested deeper than ${MAX_DEPTH} levels`;
  assertEquals(errorOf(request({ type: "deep", msg_id: 1 })), [
    13,
    `RangeError: Cannot send as ${text}`,
  ]);
  sent.length = 0;
  for (
    const send of [
      () => node.send("n2", { type: "x", deep }),
      () => node.rpc("n2", { type: "x", deep }, () => {}),
    ]
  ) assertThrows(send, RangeError, text);
  assertEquals([sent, node.pendingCount], [[], 0]);
});

Deno.test("a line nested too deeply gets error 12, and may be 10 MB of brackets", () => {
  const { node, sent } = setUp();
  callbacks(node);
  const deep = "[".repeat(5_000_000) + "]".repeat(5_000_000);
  const line = (ids: string) =>
    `{"src":"c1","dest":"n1","body":{"type":"echo","echo":${ids}}}`;
  node.receive(line(`${deep},"msg_id":7`));
  assertEquals(errorOf(sent), [
    12,
    "the message is nested deeper than 10000 levels",
  ]);
  node.receive(line(`1,"msg_id":${deep}`)); // whom to answer to what?
  assertEquals([sent.length, node.stats().invalid_lines], [1, 2]);
});

Deno.test("what is as deep as a message may be is echoed", () => {
  const { node, request } = setUp();
  callbacks(node);
  const levels = MAX_DEPTH - 2;
  const deep = "[".repeat(levels) + "]".repeat(levels);
  const echo = JSON.parse(deep);
  const [reply] = request({ type: "echo", msg_id: 1, echo });
  assertEquals(JSON.stringify(reply.body.echo), deep);
});

Deno.test("ids that are null are as good as absent, in and out", async () => {
  const { node, request, receive, sent } = setUp();
  let handled = 0;
  node.on(
    "ask",
    () => ({ handled: ++handled, in_reply_to: null, msg_id: null }),
  );
  const ask = { type: "ask", in_reply_to: null };
  assertEquals(request({ ...ask, msg_id: 3 })[0].body, {
    type: "ask_ok",
    handled: 1,
    in_reply_to: 3,
    msg_id: 1,
  });
  assertEquals(request({ ...ask, msg_id: null }), []);
  assertEquals(handled, 2);

  const ids = { in_reply_to: null, msg_id: null };
  const body = { type: "x", ...ids };
  node.send("n2", body);
  assertEquals(sent.at(-1).body, { type: "x", msg_id: 2 });
  const reply = node.rpc("n2", body);
  assertEquals(sent.at(-1).body, { type: "x", msg_id: 3 });
  receive({ type: "x_ok", in_reply_to: 3, msg_id: null, value: 4 }, "n2");
  assertEquals(await reply, { type: "x_ok", in_reply_to: 3, value: 4 });
  assertEquals(body, { type: "x", ...ids });
  const request1 = { src: "c1", dest: "n1", body: { type: "ask", ...ids } };
  sent.length = 0;
  node.reply(request1 as Json, {});
  assertEquals(sent, []);
});

Deno.test("what is no message is not sent, and the error says why", async () => {
  const { node, sent, request } = setUp();
  const ways = (dest: Json, body: Json) => [
    () => node.send(dest, body),
    () => node.rpc(dest, body, () => {}),
  ];
  for (
    const [dest, body, text] of [
      ["", { type: "x" }, "'dest' is not a non-empty string"],
      [undefined, { type: "x" }, "'dest' is not a non-empty string"],
      ["n2", {}, "'body.type' is not a string"],
      ["n2", new Map(), "'body.type' is not a string"],
      ["n2", { type: "x", in_reply_to: -1 }, "in_reply_to'"],
    ] as const
  ) {
    for (const send of ways(dest, body)) assertThrows(send, TypeError, text);
  }
  const noReply = "an RPC with an 'in_reply_to', as it is no reply: current";
  const forged = { type: "x_ok", in_reply_to: 5 };
  assertThrows(() => node.rpc("n2", forged, () => {}), TypeError, noReply);
  await assertRejects(() => node.rpc("n2", forged), TypeError, noReply);
  assertEquals([sent, node.pendingCount], [[], 0]);
  node.on("ask", () => ({ type: 5 }) as Json);
  assertEquals(errorOf(request({ type: "ask", msg_id: 1 })), [
    13,
    "TypeError: Cannot send as 'body.type' is not a string",
  ]);
});

Deno.test("a reply that can't be sent is an indefinite error, as its handler has done its work", () => {
  const node = new Node();
  const sent: Json[] = [];
  let full = false;
  node.connect({
    send: (line) => {
      if (full) {
        full = false;
        throw new RpcError(ErrorCode.temporarilyUnavailable, "full");
      }
      sent.push(JSON.parse(line));
    },
  });
  const receive = (body: Json) =>
    node.receive(JSON.stringify({ src: "c1", dest: "n1", body }));
  receive({ type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] });
  node.on("add", () => {
    full = true;
    return {};
  });
  receive({ type: "add", msg_id: 2 });
  assertEquals(errorOf(sent.slice(1)), [13, "RpcError: full"]);
  assertEquals(node.stats().failures, 1);
});

Deno.test("an Error that is returned counts as thrown", async () => {
  const { node, request, sent } = setUp();
  const refusal = new RpcError(ErrorCode.preconditionFailed, "no");
  node.on("sync", () => refusal);
  node.on("async", () => Promise.resolve(refusal));
  node.on("other", () => new TypeError("oops"));
  assertEquals(errorOf(request({ type: "sync", msg_id: 1 })), [22, "no"]);
  request({ type: "async", msg_id: 2 });
  await microtasks();
  assertEquals(errorOf(sent.slice(-1)), [22, "no"]);
  const [code, text] = errorOf(request({ type: "other", msg_id: 3 }));
  assertEquals([code, text], [13, "TypeError: oops"]);
  assertEquals(node.stats().failures, 1);
});

Deno.test("a result that is no body is error 13 that says so, sync or async, even where no one waits for it", async () => {
  const { node, request, sent, logged } = setUp();
  let result: Json;
  node.on("sync", () => result);
  node.on("async", () => Promise.resolve(result));
  const wrong = [
    [[1], "[object Array]"],
    [new Map([["a", 1]]), "[object Map]"],
    [new Set([1]), "[object Set]"],
    [new Date(0), "[object Date]"],
    [null, "[object Null]"],
    [new Uint8Array(1), "[object Uint8Array]"],
    [Symbol("x"), "Symbol(x)"],
    [true, "true"],
    [false, "false"],
    [0, "0"],
    ["", '""'],
    ["x_ok", '"x_ok"'],
    [5n, "5"],
  ] as const;
  for (const [value, shown] of wrong) {
    result = value;
    const expected = [
      13,
      `TypeError: Cannot reply with ${shown}: a reply's body is an object with fields, such as { value: 1 }`,
    ];
    assertEquals(errorOf(request({ type: "sync", msg_id: 1 })), expected);
    request({ type: "async", msg_id: 1 });
    await microtasks();
    assertEquals(errorOf(sent.slice(-1)), expected);
    assertThrows(
      () =>
        node.reply(
          { src: "c1", dest: "n1", body: { type: "x", msg_id: 1 } },
          result,
        ),
      TypeError,
      "Cannot reply with",
    );
  }
  assertEquals(node.stats().failures, 2 * wrong.length);
  logged.length = 0;
  assertEquals(request({ type: "sync" }), []);
  assertStringIncludes(logged[0]![1], 'the reply to "sync" failed');
});

Deno.test("an object of any class is a body: its own fields are sent", () => {
  const { node, request } = setUp();
  class Answer {
    value = 1;
  }
  node.on("class", () => new Answer());
  node.on("bare", () => Object.assign(Object.create(null), { value: 2 }));
  const value = (type: string) => request({ type, msg_id: 1 })[0].body.value;
  assertEquals([value("class"), value("bare")], [1, 2]);
});

Deno.test("promises of other libraries are waited for", async () => {
  const { node, request, sent, logged } = setUp();
  const { promise, resolve } = Promise.withResolvers<Json>();
  /** As a library of its own would have it. */
  const thenable = (promise: Promise<Json>): Json => ({
    then: (...args: Json[]) => void promise.then(...args),
  });
  node.on("ask", () => thenable(promise));
  node.on("fail", () => thenable(Promise.reject(new RpcError(14, "no"))));
  node.on("broken", () => ({
    get then(): Json {
      throw new Error("no then");
    },
  }));
  node.every(1000, () => thenable(Promise.reject(new Error("tick"))));
  assertEquals(request({ type: "ask", msg_id: 1 }), []);
  assertEquals(node.stats().running, 1);
  resolve({ value: 5 });
  await microtasks();
  assertEquals(sent.at(-1).body.value, 5);
  assertEquals(node.stats().running, 0);
  request({ type: "fail", msg_id: 2 });
  await microtasks();
  assertEquals(errorOf(sent.slice(-1)), [14, "no"]);
  assertEquals(errorOf(request({ type: "broken", msg_id: 3 }))[0], 13);
  assertEquals(
    logged.at(-2)![1],
    'the handler of "broken" failed: Error: no then',
  );
});

Deno.test("whatever a handler makes of its request, the reply goes to whom it came from", async () => {
  const { node, request, sent } = setUp();
  const change = (message: Json) => {
    message.src = "c9";
    message.dest = "n9";
    message.body.type = "other";
    message.body.msg_id = 99;
    delete message.body;
  };
  node.on("sync", (message) => {
    change(message);
    return { value: 1 };
  });
  node.on("async", async (message) => {
    await null;
    change(message);
    return { value: 1 };
  });
  node.on("fail", (message) => {
    change(message);
    throw new Error("oops");
  });
  const reply = { src: "n1", dest: "c1" };
  const ids = (msg_id: number) => ({ in_reply_to: 5, msg_id });
  assertEquals(request({ type: "sync", msg_id: 5 }), [
    { ...reply, body: { type: "sync_ok", value: 1, ...ids(1) } },
  ]);
  request({ type: "async", msg_id: 5 });
  await microtasks();
  assertEquals(sent.slice(-1), [
    { ...reply, body: { type: "async_ok", value: 1, ...ids(2) } },
  ]);
  assertEquals(request({ type: "fail", msg_id: 5 }), [
    {
      ...reply,
      body: { type: "error", code: 13, text: "Error: oops", ...ids(3) },
    },
  ]);
});

Deno.test("an error's own fields travel with it, both ways", async () => {
  const { node, request, receive, sent } = setUp();
  const details = { leader: "n2", term: 3 };
  node.on("refuse", () => {
    throw new RpcError(11, "not the leader", {
      details: {
        ...details,
        type: "x",
        code: 5,
        text: "y",
        msg_id: 6,
        in_reply_to: 7,
      },
    });
  });
  node.on("forward", () => node.rpc("n2", { type: "refuse" }));
  const [refusal] = request({ type: "refuse", msg_id: 1 });
  const body = { type: "error", code: 11, text: "not the leader", ...details };
  assertEquals(refusal.body, { ...body, in_reply_to: 1, msg_id: 1 });

  const rpc = node.rpc("n2", { type: "refuse" });
  receive({ ...body, in_reply_to: 2, msg_id: 8 }, "n2");
  const error = await assertRejects(() => rpc, RpcError, "not the leader");
  assertEquals(error.details, details);

  request({ type: "forward", msg_id: 2 });
  receive({ ...body, in_reply_to: 3 }, "n2");
  await microtasks();
  assertEquals(sent.at(-1).body, { ...body, in_reply_to: 2, msg_id: 4 });
});

Deno.test("an error whose own fields can't be written is sent without them", () => {
  const { node, request, logged } = setUp();
  node.on("refuse", () => {
    throw new RpcError(11, "busy", { details: { load: 1n } });
  });
  assertEquals(errorOf(request({ type: "refuse", msg_id: 1 })), [11, "busy"]);
  assertStringIncludes(logged.at(-2)![1], "a reply failed: TypeError");
  assertEquals(node.stats().failures, 1);
});

Deno.test("while maxRunning async handlers run, a further request gets error 11", async () => {
  const { node, request, sent } = setUp({ maxRunning: 2 });
  const waiting: (() => void)[] = [];
  node.on("wait", async () => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return {};
  });
  node.on("now", () => ({}));
  request({ type: "wait", msg_id: 1 });
  request({ type: "wait", msg_id: 2 });
  assertEquals(node.stats().running, 2);
  for (const type of ["wait", "now"]) {
    assertEquals(errorOf(request({ type, msg_id: 3 })), [
      11,
      "2 handlers are running: the limit 'maxRunning' is reached",
    ]);
  }
  assertEquals(waiting.length, 2);
  waiting[0]!();
  await microtasks();
  assertEquals(sent.at(-1).body.in_reply_to, 1);
  assertEquals(request({ type: "now", msg_id: 4 })[0].body.type, "now_ok");
});

Deno.test("by default 100,000 handlers may run", () => {
  const { node, receive, sent } = setUp();
  node.connect({ send: (line) => sent.push(JSON.parse(line)) });
  node.on("wait", () => new Promise(() => {}));
  for (let i = 0; i < 100_000; i++) {
    node.receive('{"src":"c1","dest":"n1","body":{"type":"wait","msg_id":1}}');
  }
  assertEquals(sent, []);
  receive({ type: "wait", msg_id: 2 });
  assertEquals(errorOf(sent)[0], 11);
});

for (
  const [how, fail] of [
    ["throws", () => {
      throw new Error("full disk");
    }],
    ["rejects", () => Promise.reject(new Error("full disk"))],
    ["rejects, as a promise of another library", () => ({
      then: (_: unknown, reject: (error: Error) => void) =>
        reject(new Error("full disk")),
    })],
    ["throws an error that can't be read", () => {
      const error = new Error();
      for (const key of ["stack", "toString"]) {
        Object.defineProperty(error, key, {
          get() {
            throw new Error("unreadable");
          },
        });
      }
      throw error;
    }],
  ] as const
) {
  Deno.test(`a log and an onReap that fail harm nothing else, and are counted: each ${how}`, async () => {
    let reports = 0;
    const { node, clock, receive, request } = setUp({
      log: fail,
      onReap: () => {
        reports++;
        return fail();
      },
    });
    await microtasks();
    assertEquals(node.stats().failures, 1); // the line about init
    node.receive("no message");
    node.receive(
      '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":"1"}}',
    );
    receive({ type: "x_ok", in_reply_to: 99 }, "n2");
    node.on("fail", fail as Json);
    assertEquals(errorOf(request({ type: "nope", msg_id: 1 }))[0], 10);
    receive({ type: "fail", msg_id: 2 });
    await microtasks();
    const expired: number[] = [];
    for (const i of [1, 2, 3]) {
      node.rpc("n2", { type: "x" }, () => expired.push(i), {
        timeoutMs: 100 * i,
      });
    }
    clock.advance(300);
    await microtasks();
    assertEquals([expired, reports, node.pendingCount], [[1, 2, 3], 3, 0]);
    const { failures } = node.stats();
    assert(failures >= 1 + 3 + 2 + 3 * 2, String(failures));
  });
}

Deno.test("init whose handler throws is answered with the error; the next one runs it again", async () => {
  for (const fails of ["throws", "rejects", "returns an error"]) {
    const { node, request, sent } = setUp({ init: false });
    let runs = 0;
    node.on("init", (): Json => {
      const error = new RpcError(11, "no disk");
      if (++runs > 2) return { ignored: true };
      if (fails === "throws") throw error;
      return fails === "rejects" ? Promise.reject(error) : error;
    });
    node.on("early", () => ({}));
    const init = { type: "init", node_id: "n1", node_ids: ["n1"] };
    const answer = async (msg_id: number) => {
      request({ ...init, msg_id });
      await microtasks();
      return sent.at(-1).body;
    };
    for (const msg_id of [1, 2]) {
      const { type, code, text, in_reply_to } = await answer(msg_id);
      assertEquals([type, code, text, in_reply_to], [
        "error",
        11,
        "no disk",
        msg_id,
      ]);
    }
    assertEquals(
      request({ type: "early", msg_id: 9 })[0].body.type,
      "early_ok",
    );
    assertEquals(await answer(3), {
      type: "init_ok",
      in_reply_to: 3,
      msg_id: 3,
    });
    assertEquals((await answer(4)).type, "init_ok");
    assertEquals(runs, 3);
  }
});

Deno.test("an init that comes while the handler of another one runs shares its outcome; requests are handled meanwhile", async () => {
  const { node, request, sent } = setUp({ init: false });
  let runs: PromiseWithResolvers<void>[] = [];
  node.on("init", () => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  node.on("early", () => ({}));
  const init = { type: "init", node_id: "n1", node_ids: ["n1"] };
  const inits = () => [1, 2, 3].map((msg_id) => request({ ...init, msg_id }));
  assertEquals(inits(), [[], [], []]);
  assertEquals(runs.length, 1);
  assertEquals(request({ type: "early", msg_id: 9 })[0].body.type, "early_ok");
  const other = { ...init, node_id: "n2", msg_id: 4 };
  assertEquals(errorOf(request(other))[0], 12);
  sent.length = 0;
  runs[0]!.reject(new TypeError("oops"));
  await microtasks();
  assertEquals(
    sent.map(({ body }) => [body.code, body.text, body.in_reply_to]),
    [1, 2, 3].map((id) => [13, "TypeError: oops", id]),
  );
  assertEquals(node.stats().failures, 1); // it failed once
  runs = [];
  sent.length = 0;
  assertEquals(inits(), [[], [], []]);
  assertEquals(runs.length, 1);
  runs[0]!.resolve();
  await microtasks();
  assertEquals(
    sent.map(({ body }) => [body.type, body.in_reply_to]),
    [1, 2, 3].map((id) => ["init_ok", id]),
  );
  assertEquals(request({ ...init, msg_id: 5 })[0].body.type, "init_ok");
  assertEquals(runs.length, 1);
});

Deno.test("the ids that are sent are the node's, whatever the body says, and the body is left as it is", () => {
  const { node, request, sent } = setUp();
  const body = { type: "x", msg_id: 99, in_reply_to: 98 };
  node.on("ask", () => body);
  assertEquals(request({ type: "ask", msg_id: 5 })[0]!.body, {
    type: "x",
    in_reply_to: 5,
    msg_id: 1,
  });
  node.send("n2", body);
  assertEquals(sent.at(-1)!.body, { type: "x", in_reply_to: 98, msg_id: 2 });
  assertEquals(body, { type: "x", msg_id: 99, in_reply_to: 98 });
});

Deno.test("a reply and a message have all the fields that they are given, in old engines, too", async () => {
  const { groupBy } = Object;
  const odd = JSON.parse('{"__proto__":{"a":1},"constructor":2,"value":3}');
  try {
    for (const engine of ["new", "old"]) {
      if (engine === "old") delete (Object as Json).groupBy;
      const { Node } = await import(`../lib/node.ts?${engine}`);
      const sent: string[] = [];
      const node = new Node();
      node.connect({ send: (line: string) => sent.push(line) });
      node.on("init", () => {});
      node.on("odd", () => odd);
      node.on("plain", () => ({ value: 3 }));
      for (
        const body of [
          { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] },
          { type: "odd", msg_id: 2 },
          { type: "plain", msg_id: 3 },
        ]
      ) node.receive(JSON.stringify({ src: "c1", dest: "n1", body }));
      node.send("n2", { ...odd, type: "x" });
      assertEquals(
        sent.slice(1).map((line) => line.match(/"body":(.*)}$/)![1]),
        [
          `{"__proto__":{"a":1},"constructor":2,"value":3,"type":"odd_ok","in_reply_to":2,"msg_id":1}`,
          `{"value":3,"type":"plain_ok","in_reply_to":3,"msg_id":2}`,
          `{"__proto__":{"a":1},"constructor":2,"value":3,"type":"x","msg_id":3}`,
        ],
      );
    }
  } finally {
    Object.groupBy = groupBy;
  }
  assertEquals(Object.keys(odd).length, 3); // and what it was given is not changed
});

Deno.test("a handler that returns nothing is named, once per type: to its client's log at info, of nodes' messages at debug", async () => {
  const { node, logged, receive } = setUp();
  node.on("forgot", async () => await Promise.resolve());
  node.on("gossip", () => {});
  node.on("answers", (request) => node.reply(request, {}));
  node.on("fine", () => ({}));
  logged.length = 0;
  receive({ type: "forgot" }); // no one waits
  for (const type of ["forgot", "answers", "fine"]) {
    receive({ type, msg_id: 5 });
    receive({ type, msg_id: 6 });
  }
  for (const msg_id of [1, 2]) receive({ type: "gossip", msg_id }, "n2");
  await microtasks();
  const rest = (src: string, msgId: number) =>
    `returned nothing: ${src}'s request ${msgId} gets no reply unless node.reply gives one later; return {} to acknowledge (this is said once per type)`;
  assertEquals(logged, [
    ["debug", `the handler of "gossip" ${rest("n2", 1)}`],
    ["info", `the handler of "forgot" ${rest("c1", 5)}`],
  ]);
});

Deno.test("a handler that is no function, or has no type, is refused", () => {
  const { node } = setUp();
  for (const handler of [undefined, null, "x", {}]) {
    assertThrows(
      () => node.on("x", handler as Json),
      TypeError,
      "The handler for 'x' must be a function: current value is",
    );
  }
  assertThrows(
    () => node.on(undefined as Json, () => {}),
    TypeError,
    "A handler's 'type' must be a string: current value is undefined",
  );
  node.on("x", () => {}); // still free
});

Deno.test("a second handler for a type is refused", () => {
  const { node } = setUp();
  node.on("a", () => {});
  assertThrows(() => node.on("a", () => {}), Error, "a second handler for 'a'");
});

Deno.test("before init, what does not say who the node is gets no answer", () => {
  const { node, sent } = setUp({ init: false });
  node.receive('{"src":"c1","dest":5,"body":{"type":"echo","msg_id":1}}');
  const { invalid_lines, failures } = node.stats();
  assertEquals([sent, invalid_lines, failures], [[], 1, 0]);
});

Deno.test("what is no message is counted, logged with its start, and answered where it can be", () => {
  const { node, request, logged, sent } = setUp();
  const unanswerable = [
    "nope",
    "1",
    "null",
    "[]",
    '"text"',
    "{}",
    '{"src":1,"dest":"n1","body":{}}',
    '{"src":"c1","dest":"n1"}',
    '{"src":"c1","dest":"n1","body":[]}',
    '{"src":"","dest":"n1","body":{"type":"echo","msg_id":1}}',
    '{"src":"c1","dest":"n1","body":{"msg_id":"x"}}',
    '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":9007199254740992}}',
    '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":-1}}',
    '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":1.5}}',
    '{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":true}}',
    '{"src":"c1","dest":"n1","body":{"type":5,"msg_id":1,"in_reply_to":2}}',
  ];
  for (const line of unanswerable) node.receive(line);
  assertEquals(sent, []);
  assertEquals(node.stats().invalid_lines, unanswerable.length);
  assertEquals(
    logged.filter(([level]) => level === "warn").length,
    unanswerable.length,
  );
  assertStringIncludes(logged[1]![1], "invalid line: not JSON: ");
  assertStringIncludes(logged[1]![1], '"nope"');
  node.receive("{".padEnd(101, "x"));
  assert(logged.at(-1)![1].endsWith(`: "{${"x".repeat(99)}"`));
  for (
    const [body, text] of [
      [{ type: 5, msg_id: 1 }, "'body.type' is not a string"],
      [{ msg_id: 1 }, "'body.type' is not a string"],
      [
        { type: "a", msg_id: 1, in_reply_to: "x" },
        "'body.in_reply_to' is not a non-negative integer",
      ],
      [
        { type: 5, msg_id: 1, in_reply_to: "x" },
        "'body.type' is not a string",
      ],
    ] as const
  ) {
    const [code, said] = errorOf(request(body));
    assertEquals(code, 12);
    assertStringIncludes(said, text);
  }
  node.receive('{"src":"c1","body":{"type":"echo","msg_id":4}}');
  assertEquals(errorOf(sent.slice(-1)), [
    12,
    "'dest' is not a non-empty string",
  ]);
  assertEquals(sent.at(-1).body.in_reply_to, 4);
});

Deno.test("a bad message before init is answered from the node it was sent to, if it says so", () => {
  const { node, request, sent } = setUp({ init: false });
  assertEquals(request({ msg_id: 1 })[0].src, "n1");
  node.receive('{"src":"c1","body":{"type":"echo","msg_id":2}}');
  assertEquals([sent.length, node.stats().invalid_lines], [1, 2]);
});

Deno.test("an empty line is passed over", () => {
  const { node } = setUp();
  node.receive("");
  assertEquals(node.stats().invalid_lines, 0);
});

Deno.test("rpc resolves with the reply's body, typed", async () => {
  const { node, sent, receive } = setUp();
  const reply = node.rpc<{ value: number }>("n2", { type: "read", key: 1 });
  assertEquals(sent, [{
    src: "n1",
    dest: "n2",
    body: { type: "read", key: 1, msg_id: 1 },
  }]);
  assertEquals(node.pendingCount, 1);
  receive({ type: "read_ok", in_reply_to: 1, value: 42 }, "n2");
  const { value } = await reply;
  assertEquals(value, 42);
  assertEquals(node.pendingCount, 0);
});

Deno.test("rpc rejects with the reply's error, or a timeout after 2 s", async () => {
  const { node, clock, receive } = setUp();
  const refused = node.rpc("n2", { type: "cas" });
  receive(
    { type: "error", in_reply_to: 1, code: 22, text: "expected 4" },
    "n2",
  );
  const error = await assertRejects(() => refused, RpcError, "expected 4");
  assertEquals([error.code, error.definite], [22, true]);
  const lost = node.rpc("n2", { type: "cas" });
  clock.advance(1999);
  assertEquals(node.pendingCount, 1);
  clock.advance(1);
  const timeout = await assertRejects(
    () => lost,
    RpcError,
    "no reply from n2 within 2000 ms",
  );
  assertEquals([timeout.code, timeout.definite], [0, false]);
});

Deno.test("timeoutMs: 1 ms to 24 days, whole or not; anything else is a RangeError and sends nothing", async () => {
  const { node, clock, sent } = setUp();
  const day = 24 * 60 * 60 * 1000;
  for (const timeoutMs of [0, -1, 0.5, NaN, Infinity, 24 * day + 1]) {
    await assertRejects(
      () => node.rpc("n2", { type: "x" }, { timeoutMs }),
      RangeError,
      `current value is ${timeoutMs}`,
    );
  }
  assertEquals(sent, []);
  const called: number[] = [];
  for (const timeoutMs of [24 * day, 1.5, 1]) {
    node.rpc("n2", { type: "x" }, () => called.push(timeoutMs), {
      timeoutMs,
    });
  }
  clock.advance(1.9);
  assertEquals(called, [1]);
  clock.advance(24 * day);
  assertEquals(called, [1, 1.5, 24 * day]);
});

Deno.test("ids start where firstMsgId says", () => {
  const { node, sent } = setUp({ firstMsgId: 2 ** 52 });
  const first = node.rpc("n2", { type: "x" }, () => {});
  assertEquals(sent.at(-1).body.msg_id, first);
  assertEquals(node.rpc("n2", { type: "x" }, () => {}), first + 1);
  assert(first >= 2 ** 52 && first < 2 ** 52 + 3, `${first}`);
});

Deno.test("beyond maxPending an RPC fails with error 11 and nothing is sent", async () => {
  const { node, sent } = setUp({ maxPending: 1 });
  node.rpc("n2", { type: "x" }, () => {});
  const error = await assertRejects(
    () => node.rpc("n2", { type: "x" }),
    RpcError,
  );
  assertEquals([error.code, sent.length, node.stats().registered], [11, 1, 1]);
  assertThrows(
    () => node.rpc("n2", { type: "x" }, () => {}),
    RpcError,
    "maxPending",
  );
});

Deno.test("a signal cancels an RPC, and is let go of afterwards", async () => {
  const { node, sent, clock, receive } = setUp();
  const controller = new AbortController();
  const { signal } = controller;
  const added: unknown[] = [];
  const removed: unknown[] = [];
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    added.push(args[1]);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (
    ...args: Parameters<typeof removeEventListener>
  ) => {
    removed.push(args[1]);
    removeEventListener.apply(signal, args);
  };
  const answered = node.rpc("n2", { type: "x" }, { signal });
  receive({ type: "x_ok", in_reply_to: 1 }, "n2");
  await answered;
  assertEquals([added.length, removed], [1, added]);

  const cancelled = node.rpc("n2", { type: "x" }, { signal });
  controller.abort("enough");
  const error = await assertRejects(
    () => cancelled,
    RpcError,
    "RPC cancelled: aborted",
  );
  assertEquals([error.cause, error.definite], ["enough", false]);
  assertEquals([node.pendingCount, clock.timers], [0, 0]);
  assertEquals(node.stats().cancelled, 1);

  sent.length = 0;
  await assertRejects(
    () => node.rpc("n2", { type: "x" }, { signal }),
    RpcError,
    "aborted",
  );
  assertEquals(sent, []);
});

Deno.test("a failing callback harms only itself, be it sync or async", async () => {
  const { node, clock, logged } = setUp();
  const called: string[] = [];
  node.rpc("n2", { type: "x" }, () => {
    called.push("sync");
    throw new Error("bad callback");
  });
  node.rpc("n2", { type: "x" }, async () => {
    called.push("async");
    await Promise.reject(new Error("bad async callback"));
  });
  node.rpc("n2", { type: "x" }, () => called.push("good"));
  clock.advance(2000);
  await microtasks();
  assertEquals(called, ["sync", "async", "good"]);
  const errors = logged.filter(([level]) => level === "error").map(([, text]) =>
    text
  );
  assertEquals(errors, [
    "an RPC callback failed: Error: bad callback",
    "an RPC callback failed: Error: bad async callback",
  ]);
});

Deno.test("replies that settle nothing are counted by kind", () => {
  const { node, clock, receive } = setUp();
  node.rpc("n2", { type: "x" }, () => {});
  node.rpc("n2", { type: "x" }, () => {});
  receive({ type: "x_ok", in_reply_to: 1 }, "n3");
  receive({ type: "x_ok", in_reply_to: 1 }, "n2");
  receive({ type: "x_ok", in_reply_to: 1 }, "n2");
  clock.advance(2000);
  receive({ type: "x_ok", in_reply_to: 2 }, "n2");
  receive({ type: "x_ok", in_reply_to: 99 }, "n2");
  const { replied, reaped, stray, duplicate, late, unknown } = node.stats();
  assertEquals(
    { replied, reaped, stray, duplicate, late, unknown },
    { replied: 1, reaped: 1, stray: 1, duplicate: 1, late: 1, unknown: 1 },
  );
});

Deno.test("reaps are reported and logged", () => {
  const reports: ReapReport[] = [];
  const { node, clock, logged } = setUp({
    onReap: (report) => reports.push({ ...report }),
  });
  node.rpc("n2", { type: "x" }, () => {});
  node.rpc("n2", { type: "x" }, () => {}, { timeoutMs: 3000 });
  clock.advance(3000);
  assertEquals(reports, [
    { count: 1, oldestAgeMs: 2000, remaining: 1 },
    { count: 1, oldestAgeMs: 3000, remaining: 0 },
  ]);
  assertEquals(logged.at(-1), [
    "info",
    "reaped 1 expired callback, the oldest 3000 ms old; 0 pending",
  ]);
});

Deno.test("an onReap that throws, or a transport that refuses init_ok, harms nothing else", () => {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const node = new Node({
    clock,
    log: (level, text) => void (level === "error" && logged.push(text)),
    onReap: () => {
      throw new Error("bad report");
    },
  });
  let full = true;
  node.connect({
    send: () => {
      if (full) throw new RpcError(ErrorCode.temporarilyUnavailable, "full");
    },
  });
  const init = { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] };
  const line = JSON.stringify({ src: "c0", dest: "n1", body: init });
  node.receive(line);
  full = false;
  node.receive(line);
  node.rpc("n2", { type: "x" }, () => {});
  clock.advance(2000);
  assertEquals(node.stats().reaped, 1);
  assertEquals(logged, [
    'the reply to "init" failed: RpcError: full',
    "a reply failed: RpcError: full",
    "onReap failed: Error: bad report",
  ]);
});

Deno.test("every: from init until it is stopped or the node closes, whatever it throws", async () => {
  const { node, clock, receive, logged } = setUp({ init: false });
  let early = 0;
  let stopped = 0;
  node.every(100, () => {
    early++;
    throw new Error("tick");
  });
  clock.advance(1000);
  assertEquals(early, 0);
  receive({ type: "init", msg_id: 1, node_id: "n1", node_ids: [] });
  const stop = node.every(100, async () => {
    stopped++;
    await Promise.reject(new Error("tock"));
  });
  clock.advance(250);
  await microtasks();
  assertEquals([early, stopped], [2, 2]);
  assertEquals(logged.filter(([level]) => level === "error").length, 4);
  stop();
  clock.advance(100);
  assertEquals([early, stopped], [3, 2]);
  await node.close();
  clock.advance(1000);
  assertEquals([early, clock.timers], [3, 0]);
  node.every(100, () => early++);
  clock.advance(1000);
  assertEquals(early, 3);
  assertThrows(
    () => node.every(0, () => {}),
    RangeError,
    "'ms' must be from 1",
  );
});

Deno.test("a tick may stop itself", () => {
  const { node, clock } = setUp();
  let ticks = 0;
  const stop = node.every(10, () => {
    ticks++;
    stop();
  });
  clock.advance(100);
  assertEquals([ticks, clock.timers], [1, 0]);
});

Deno.test("after: once, unless it is cancelled or the node closes, whatever it throws", async () => {
  const { node, clock, logged } = setUp();
  const called: string[] = [];
  node.after(100, () => {
    called.push("throws");
    throw new Error("bang");
  });
  node.after(99.5, async () => {
    called.push("rejects");
    await Promise.reject(new Error("bong"));
  });
  const cancel = node.after(50, () => called.push("cancelled"));
  node.after(200, () => called.push("closed"));
  cancel();
  clock.advance(99);
  assertEquals(called, []);
  clock.advance(1);
  await microtasks();
  cancel();
  assertEquals(called, ["throws", "rejects"]);
  assertEquals(
    logged.filter(([level]) => level === "error").map(([, text]) => text),
    [
      "delayed work failed: Error: bang",
      "delayed work failed: Error: bong",
    ],
  );
  assertEquals(node.stats().failures, 2);
  await node.close();
  assertEquals(clock.timers, 0);
  node.after(10, () => called.push("late"));
  clock.advance(1000);
  assertEquals(called.length, 2);
  assertThrows(() => node.after(0, () => {}), RangeError, "'ms' must be from");
});

Deno.test("sleep: until then, an abort, or the end of the node; leaves nothing behind", async () => {
  const { node, clock } = setUp();
  const controller = new AbortController();
  const { signal } = controller;
  const ends: string[] = [];
  const sleep = (name: string, ms: number, signal?: AbortSignal) =>
    node.sleep(ms, { signal }).then(
      () => ends.push(`${name} woke at ${clock.now()}`),
      (reason) => ends.push(`${name}: ${reason}`),
    );
  sleep("a", 100);
  sleep("b", 200, signal);
  sleep("c", 300);
  sleep("d", 50, signal);
  clock.advance(100);
  await microtasks();
  controller.abort("enough");
  await microtasks();
  assertEquals(ends, ["d woke at 100", "a woke at 100", "b: enough"]);
  await node.close();
  await microtasks();
  assertEquals(
    ends.at(-1),
    "c: RpcError: sleep cancelled: the node is shutting down",
  );
  assertEquals(clock.timers, 0);
  await assertRejects(() => node.sleep(10), RpcError, "shutting down");
  assertEquals(
    await node.sleep(10, { signal }).catch((reason) => reason),
    "enough",
  );
  await assertRejects(() => node.sleep(0), RangeError, "'ms' must be from");
});

Deno.test("random numbers come from where the options say", () => {
  const draw = (test: TestNode) => [test.node.random(), test.node.random()];
  const [one, other] = draw(new TestNode(() => {}));
  assert(one !== other && one! >= 0 && one! < 1);
  assertEquals(draw(new TestNode(() => {})), [one, other]);
  assertEquals(draw(new TestNode(() => {}, { random: () => 0.25 })), [
    0.25,
    0.25,
  ]);
  assert(new Node().random() !== new Node().random());
});

Deno.test("close settles every RPC, then waits for running handlers", async () => {
  const { node, clock, request, sent, logged } = setUp();
  node.on("ask", async () => {
    await node.rpc("n2", { type: "x" });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  node.on("slow", () => promise);
  request({ type: "ask", msg_id: 1 });
  request({ type: "slow", msg_id: 2 });
  let closed = false;
  const closing = node.close().then(() => closed = true);
  await microtasks();
  assertEquals(errorOf(sent.slice(-1)), [
    13,
    "RPC cancelled: the node is shutting down",
  ]);
  assertEquals([closed, node.pendingCount], [false, 0]);
  resolve();
  await closing;
  assertEquals(clock.timers, 0);
  assertEquals(logged.filter(([level]) => level === "warn"), []);
  await assertRejects(
    () => node.rpc("n2", { type: "x" }),
    RpcError,
    "shutting down",
  );
});

Deno.test("close does not wait for ever for a handler", async () => {
  const { node, clock, request, logged } = setUp();
  node.on("stuck", () => new Promise(() => {}));
  request({ type: "stuck", msg_id: 1 });
  const closing = node.close();
  clock.advance(1000);
  await closing;
  assertEquals(logged.at(-1), [
    "warn",
    "1 handler was still running after 1000 ms",
  ]);
  await node.close(); // once more changes nothing
  assertEquals([clock.timers, logged.length], [0, 2]);
});

Deno.test("a reply leaves no timer, and no log line; one that settles nothing is logged", () => {
  const { node, clock, receive, logged } = setUp();
  const id = node.rpc("n2", { type: "x" }, () => {});
  assertEquals(clock.timers, 1);
  logged.length = 0;
  receive({ type: "x_ok", in_reply_to: id }, "n2");
  assertEquals([clock.timers, logged.length], [0, 0]);
  receive({ type: "x_ok", in_reply_to: id }, "n2");
  assertEquals(logged, [["debug", `duplicate reply to ${id} from n2`]]);
});

Deno.test("a failure is logged in a line, its stack only at the level of debugging", () => {
  const { node, request, logged } = setUp();
  const error = new Error("oops");
  node.on("fail", () => {
    throw error;
  });
  logged.length = 0;
  request({ type: "fail" });
  assertEquals(logged, [
    ["error", 'the handler of "fail" failed: Error: oops'],
    ["debug", error.stack!],
  ]);
});

Deno.test("uptime_ms counts from the node's creation, whatever the clock says then", () => {
  const clock = new VirtualClock();
  clock.advance(1000);
  const node = new Node({ clock });
  clock.advance(7);
  assertEquals(node.stats().uptime_ms, 7);
});

Deno.test("options out of range are named", () => {
  for (
    const [options, text] of [
      [{ rpcTimeoutMs: 0 }, "'rpcTimeoutMs' must be from 1"],
      [{ reapIntervalMs: NaN }, "'reapIntervalMs' must be from 1"],
      [{ inputGraceMs: -1 }, "'inputGraceMs' must be from 1"],
      [
        { maxPending: -1 },
        "'maxPending' must be an integer from 0 to 1000000000: current value is -1",
      ],
      [{ maxPending: 1.5 }, "current value is 1.5"],
      [
        { maxRunning: 0 },
        "'maxRunning' must be an integer from 1 to 1000000000: current value is 0",
      ],
      [
        { firstMsgId: -1 },
        "'firstMsgId' must be an integer from 0 to 4503599627370496: current value is -1",
      ],
      [{ firstMsgId: 2 ** 53 }, "current value is 9007199254740992"],
      [{ firstMsgId: NaN }, "current value is NaN"],
    ] as const
  ) assertThrows(() => new Node(options), RangeError, text);
});

Deno.test("sending without a transport says so", () => {
  assertThrows(
    () => new Node().send("n2", { type: "x" }),
    Error,
    "not connected",
  );
});

Deno.test("sending before init says so, and uses up no id", async () => {
  const { node, sent } = setUp({ init: false });
  const text = "the node has not been initialized";
  const send = () => node.send("n2", { type: "x" });
  assertThrows(send, Error, text);
  assertThrows(() => node.rpc("n2", { type: "x" }, () => {}), Error, text);
  await assertRejects(() => node.rpc("n2", { type: "x" }), Error, text);
  assertEquals([sent, node.pendingCount], [[], 0]);
});

Deno.test("interval mode reaps at the scan", () => {
  const { node, clock } = setUp({ reapIntervalMs: 500, rpcTimeoutMs: 100 });
  node.rpc("n2", { type: "x" }, () => {});
  clock.advance(499);
  assertEquals(node.stats().reaped, 0);
  clock.advance(1);
  assertEquals(node.stats().reaped, 1);
});

Deno.test("workload: send_fire_forget sends the RPC first and counts its callback", () => {
  const { node, request, clock } = setUp();
  callbacks(node);
  const fire = { type: "send_fire_forget", msg_id: 2, target: "n2" };
  const payload = JSON.parse('{"type":"echo","__proto__":{"x":1},"msg_id":77}');
  const messages = request({ ...fire, payload });
  assertEquals(messages.map(({ dest }) => dest), ["n2", "c1"]);
  assertEquals(
    JSON.stringify(messages[0].body),
    '{"type":"echo","__proto__":{"x":1},"msg_id":1}',
  );
  assertEquals(messages[1].body, {
    type: "send_fire_forget_ok",
    pending: 1,
    in_reply_to: 2,
    msg_id: 2,
  });
  clock.advance(2000);
  assertEquals(request({ type: "pending_count", msg_id: 3 })[0].body.count, 0);
});

Deno.test("workload: a malformed send_fire_forget names the field, sends and registers nothing", () => {
  const { node, request } = setUp();
  callbacks(node);
  const good = {
    type: "send_fire_forget",
    msg_id: 2,
    target: "n2",
    payload: { type: "x" },
  };
  for (
    const [field, value] of [
      ["target", undefined],
      ["target", ""],
      ["target", 5],
      ["payload", undefined],
      ["payload", null],
      ["payload", []],
      ["payload", "x"],
      ["payload", {}],
      ["payload", { type: 1 }],
      ["payload", { type: "x", in_reply_to: 5 }],
      ["payload", { type: "x", in_reply_to: "x" }],
    ] as const
  ) {
    const [code, text] = errorOf(request({ ...good, [field]: value }));
    assertEquals(code, 12);
    assertStringIncludes(text, `send_fire_forget: '${field}`);
  }
  assertEquals(node.stats().registered, 0);
});

Deno.test("workload: echo and stats", () => {
  const { node, request, clock } = setUp();
  callbacks(node);
  const echo = JSON.parse('{"__proto__":1,"deep":[1,{"two":"2"}]}');
  const [reply] = request({ type: "echo", msg_id: 1, echo });
  assertEquals(JSON.stringify(reply.body.echo), JSON.stringify(echo));
  clock.advance(1234);
  const [{ body }] = request({ type: "stats", msg_id: 2 }) as [Json];
  for (
    const key of [
      "pending",
      "pending_max",
      "registered",
      "replied",
      "reaped",
      "cancelled",
      "late",
      "duplicate",
      "stray",
      "unknown",
      "invalid_lines",
    ]
  ) assertEquals(body[key], 0, key);
  assertEquals([body.type, body.uptime_ms, body.received], [
    "stats_ok",
    1234,
    3,
  ]);
  assert(body.sent === 2);
});

Deno.test("by default 1,000,000 RPCs may be pending; with a limit of 0, none", () => {
  for (
    const [options, limit] of [[{}, 1_000_000], [{ maxPending: 0 }, 0]] as const
  ) {
    const { node } = setUp(options);
    node.connect({ send() {} });
    const send = () => node.rpc("n2", { type: "x" }, () => {});
    for (let i = 0; i < limit; i++) send();
    assertThrows(send, RpcError, `${limit} RPCs are pending`);
  }
});

Deno.test("by default, input that never ends holds timeouts up for 2 s", () => {
  const { node, clock } = setUp();
  node.connect({ send() {}, caughtUp: () => new Promise(() => {}) });
  let failedAt = 0;
  node.rpc("n2", { type: "x" }, () => failedAt = clock.now());
  clock.advance(100_000);
  assertEquals(failedAt, 2000 + 2000);
});
