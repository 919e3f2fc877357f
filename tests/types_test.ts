/** What must compile, checked by `deno check`; and what must not, by `@ts-expect-error`. */
import {
  type AnyNode,
  type Body,
  type BroadcastProtocol,
  callbacks,
  type CounterProtocol,
  type EchoProtocol,
  type GSetProtocol,
  type Handler,
  type KafkaProtocol,
  type KvProtocol,
  type ListAppendOperation,
  type Message,
  Node,
  type NodeOptions,
  rpcAll,
  RpcError,
  rpcHedged,
  rpcQuorum,
  type TsoProtocol,
  type TxnListAppendProtocol,
  type TxnRwRegisterProtocol,
  type UniqueIdsProtocol,
} from "../lib/mod.ts";
import { Simulation } from "../lib/sim/mod.ts";
import { serve } from "../lib/stdio/mod.ts";
import { TestNode, type TestNodeOptions } from "../lib/testing.ts";

interface Read {
  type: "read";
  key: string;
}

interface ReadOk {
  value: number;
}

interface NotLeader {
  leader: string;
}

Deno.test("types: bodies declared as interfaces can be sent, asked with and returned", () => {
  void ((node: Node) => {
    const body: Read = { type: "read", key: "x" };
    const answer: ReadOk = { value: 1 };
    node.send("n2", body);
    node.rpc("n2", body).catch(() => {});
    node.rpc<ReadOk>("n2", body).then(({ value }) => value + 1, () => {});
    node.rpc<ReadOk>("n2", body, (_, reply) => reply && reply.value + 1);
    node.on<Read>(
      "read",
      ({ body: { key } }) => key === "" ? answer : undefined,
    );
    node.on("later", async () => await Promise.resolve(answer));
    node.on("init", ({ body }) => void body.node_ids);
    const handler: Handler<Read> = ({ body: { key } }) => ({ key });
    node.on("handed in", handler);
    node.on("annotated", ({ body }: Message<Read & Body>) => ({ ...body }));
    node.on("reply", (request: Message) => node.reply(request, answer));
    const details: NotLeader = { leader: "n2" };
    node.on("refuse", () => new RpcError(11, "not the leader", { details }));
    // @ts-expect-error a message has a type
    const untyped = () => node.send("n2", answer);
    // @ts-expect-error a type is a string
    const odd = () => node.rpc("n2", { type: 5 });
    // @ts-expect-error a number is no body
    node.on("number", () => 5);
    void [untyped, odd];
  });
});

Deno.test("types: an option may be undefined, which is as good as absent", () => {
  const signal = undefined as AbortSignal | undefined;
  const timeoutMs = undefined as number | undefined;
  const options: { [K in keyof NodeOptions]-?: undefined } = {
    clock: undefined,
    rpcTimeoutMs: undefined,
    reapIntervalMs: undefined,
    inputGraceMs: undefined,
    maxPending: undefined,
    maxRunning: undefined,
    firstMsgId: undefined,
    random: undefined,
    log: undefined,
    onReap: undefined,
  };
  const node = new Node(options);
  const testOptions: TestNodeOptions = {
    ...options,
    nodeId: undefined,
    nodeIds: undefined,
    init: undefined,
    services: undefined,
  };
  new TestNode(() => {}, testOptions);
  node.rpc("n2", { type: "x" }, { signal, timeoutMs }).catch(() => {});
  node.rpc("n2", { type: "x" }, undefined).catch(() => {});
  new RpcError(11, "busy", { details: undefined });
});

/** What a node handles, and what it asks others besides. */
interface Sums {
  sum: { request: { of: number[]; scale?: number }; reply: { sum: number } };
  ping: { request: Record<never, never>; reply: void };
}
type Asked = Sums & KvProtocol;

Deno.test("types: a node's protocol says what handlers are given and return, and what RPCs hold and resolve with", () => {
  void ((node: Node<Sums, Asked>) => {
    node.on("sum", ({ src, body }) => {
      const { of, scale = 1, msg_id } = body;
      void [src.length, msg_id?.toFixed()];
      return { sum: of.reduce((a, b) => a + b, 0) * scale };
    });
    node.on("sum", async ({ body: { of } }) => {
      const { sum } = await node.rpc("n2", { type: "sum", of, scale: 2 });
      const { value } = await node.rpc("lin-kv", { type: "read", key: of });
      return { type: "sum_of_others", sum: sum + Number(value) };
    });
    node.on("ping", () => {});
    node.on("sum", (request) => {
      node.reply(request, { sum: 0 });
      throw new RpcError(11, "answered already");
    });
    node.send("n2", { type: "ping" });
    node.rpc("n2", { type: "sum", of: [] }, (error, reply) => {
      if (!error) reply!.sum.toFixed();
    }, { timeoutMs: 5 });
    node.rpc("lin-kv", { type: "cas", key: 1, from: 2, to: 3 });

    // @ts-expect-error no such field in the request
    node.on("sum", ({ body: { off } }) => ({ sum: off }));
    // @ts-expect-error a field of the reply is missing
    node.on("sum", () => ({}));
    // @ts-expect-error a field of the reply is misspelt
    node.on("sum", () => ({ summ: 1 }));
    // @ts-expect-error a field of the reply is of another type
    node.on("sum", () => ({ sum: "1" }));
    // @ts-expect-error nothing is replied
    node.on("sum", () => {});
    // @ts-expect-error nothing is replied, later
    node.on("sum", async () => await Promise.resolve());
    // @ts-expect-error there is no such type
    node.on("summ", () => ({ sum: 1 }));
    // @ts-expect-error that is asked of others
    node.on("cas", () => ({}));
    // @ts-expect-error there is no such type
    node.rpc("n2", { type: "summ", of: [] });
    // @ts-expect-error there is no such type
    node.send("n2", { type: "pong" });
    // @ts-expect-error a field is missing
    node.rpc("n2", { type: "sum" });
    // @ts-expect-error a field is misspelt
    node.rpc("n2", { type: "sum", of: [], scael: 2 });
    // @ts-expect-error the reply has no such field
    node.rpc("n2", { type: "sum", of: [] }).then(({ summ }) => summ);
    // @ts-expect-error the reply has no such field
    node.rpc("n2", { type: "sum", of: [] }, (_, reply) => reply?.summ);
  });
});

/** Replies of several kinds, or none. */
interface Various {
  either: {
    request: { id: number };
    reply: { a: 1 } | { b: [kind: "x" | "y", n: number][] } | void;
  };
  optional: { request: Record<never, never>; reply: { c?: number } };
  nothing: { request: Record<never, never>; reply: Record<never, never> };
}

Deno.test("types: a reply has no field that the protocol's does not have, and literals are what it says", () => {
  void ((node: Node<Various & Sums>, odd: boolean, any: Body) => {
    node.on("either", () => ({ a: 1 }));
    node.on("either", ({ body: { id } }) => ({ b: [["x", id]] }));
    node.on("either", async () => {
      await Promise.resolve();
      if (odd) return { b: [["y", 2]] };
    });
    node.on("either", async () => {});
    node.on("optional", () => odd ? { c: 1 } : {});
    node.on("optional", ({ body }) => body); // with its type and ids
    node.on("optional", () => ({ ...any })); // may have any
    node.on("nothing", () => new RpcError(11, "busy"));
    node.on("nothing", async () => await Promise.resolve({ type: "done" }));
    const ready = async () => await Promise.resolve({ sum: 1 });
    node.on("sum", ready);

    // @ts-expect-error a field that the reply does not have
    node.on("sum", () => ({ sum: 1, scale: 2 }));
    // @ts-expect-error the same, later
    node.on("sum", async () => await Promise.resolve({ sum: 1, scale: 2 }));
    // @ts-expect-error the same, in one of two
    node.on("sum", () => odd ? { sum: 1 } : { sum: 1, scale: 2 });
    // @ts-expect-error the same, in one of two, later
    node.on("sum", async () => {
      await ready();
      if (odd) return { sum: 1, scale: 2 };
      return { sum: 1 };
    });
    // @ts-expect-error a misspelt field, beside none that is there
    node.on("optional", () => ({ cc: 1 }));
    // @ts-expect-error a field where none is
    node.on("nothing", () => ({ c: 1 }));
    // @ts-expect-error a field where none is, later
    node.on("nothing", async () => await Promise.resolve({ c: 1 }));
    // @ts-expect-error a field that neither has
    node.on("either", () => ({ a: 1, c: 1 }));
    // @ts-expect-error another literal
    node.on("either", () => ({ a: 2 }));
  });
});

Deno.test("types: init is handled by nodes of any protocol, as theirs says if that does", () => {
  void ((
    node: Node<Sums, Asked>,
    own: Node<{ init: { request: { own: number }; reply: { ok: true } } }>,
  ) => {
    node.on("init", ({ body: { node_id, node_ids } }) => {
      void [node_id.length, node_ids.map((id) => id.length)];
    });
    node.on("init", async () => {
      await node.rpc("lin-kv", { type: "write", key: 1, value: 2 });
    });
    node.on("init", () => ({}));
    own.on("init", ({ body }) => {
      body.own.toFixed();
      return { ok: true };
    });
    // @ts-expect-error init has no such field
    node.on("init", ({ body }) => void body.nodes);
    // @ts-expect-error here it replies with one
    own.on("init", () => ({}));
  });
});

Deno.test("types: asking several is typed as asking one is", () => {
  void (async (node: Node<Sums, Asked>, any: AnyNode, untyped: Node) => {
    const [all] = await rpcAll(node, ["n2"], { type: "sum", of: [] });
    all!.reply.sum.toFixed();
    const [some] = await rpcQuorum(node, ["n2"], { type: "sum", of: [1] }, 1, {
      isGood: ({ reply }) => reply.sum > 1,
    });
    some!.reply.sum.toFixed();
    const { from, reply } = await rpcHedged(
      node,
      ["lin-kv"],
      { type: "read", key: 1 },
      { hedgeMs: 5, isGood: ({ reply }) => reply.value !== null },
    );
    void [from.length, reply.value, reply.type.length];
    await rpcQuorum(any, ["n2"], { type: "x" }, 1, {
      isGood: ({ reply }) => reply.value === 1,
    });
    for (const whichever of [any, untyped]) {
      const [of] = await rpcAll<ReadOk>(whichever, ["n2"], { type: "x", y: 1 });
      of!.reply.value.toFixed();
      await rpcQuorum<ReadOk>(whichever, ["n2"], { type: "x" }, 1, {
        isGood: ({ reply }) => reply.value > 1,
      });
      await rpcHedged(whichever, ["n2"], { type: "x" }, {
        isGood: ({ reply }) => reply.type === "x_ok",
      });
    }

    // @ts-expect-error there is no such type
    rpcAll(node, [], { type: "summ", of: [] });
    // @ts-expect-error a field is missing
    rpcQuorum(node, ["n2"], { type: "sum" }, 1);
    // @ts-expect-error a field is misspelt
    rpcHedged(node, ["n2"], { type: "sum", of: [], scael: 2 });
    // @ts-expect-error the reply has no such field
    rpcAll(node, [], { type: "sum", of: [] }).then(([one]) => one?.reply.summ);
    rpcQuorum(node, ["n2"], { type: "sum", of: [] }, 1, {
      // @ts-expect-error the reply has no such field
      isGood: ({ reply }) => reply.summ > 1,
    });
    // @ts-expect-error the protocol says what is replied
    rpcAll<ReadOk>(node, [], { type: "sum", of: [] });
  });
});

Deno.test("types: whatever takes a node takes one with a protocol", () => {
  const setUp = (node: Node<Sums, Asked>) => node.on("ping", () => {});
  const any = (node: AnyNode) => node.on("any", ({ body }) => ({ ...body }));
  void (() => {
    const node = new Node<Sums, Asked>();
    any(node);
    callbacks(node);
    serve(node, { lines: new TransformStream() });
    new TestNode(any);
    new TestNode(setUp).node.on("else", ({ body }) => ({ of: body.of }));
    new Simulation({ seed: 1, setUp });
  });
});

Deno.test("types: the protocols of Maelstrom's workloads and services", () => {
  void (async () => {
    new Node<EchoProtocol>().on("echo", ({ body: { echo } }) => ({ echo }));
    new Node<UniqueIdsProtocol>().on("generate", () => ({ id: "n1-1" }));
    const broadcast = new Node<BroadcastProtocol>();
    broadcast.on("topology", ({ body }) => {
      body.topology.n1?.length.toFixed();
      return {};
    });
    broadcast.on("read", () => ({ messages: [1] }));
    new Node<GSetProtocol>().on("read", () => ({ value: ["a"] }));
    new Node<CounterProtocol>().on("add", ({ body }) => {
      body.delta.toFixed();
      return {};
    });
    const kafka = new Node<KafkaProtocol, TsoProtocol>();
    kafka.on("poll", ({ body: { offsets } }) => {
      const messages: [number, unknown][] = [[offsets.k ?? 0, "message"]];
      return { msgs: { k: messages } };
    });
    const { ts } = await kafka.rpc("lin-tso", { type: "ts" });
    ts.toFixed();
    new Node<TxnListAppendProtocol>().on("txn", ({ body }) => ({
      txn: body.txn.map((one): ListAppendOperation =>
        one[0] === "r" ? ["r", one[1], []] : one
      ),
    }));
    new Node<TxnRwRegisterProtocol>().on("txn", ({ body }) => body);
  });
});
