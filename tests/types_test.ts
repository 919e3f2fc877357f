/** What must compile, checked by `deno check`; and what must not, by `@ts-expect-error`. */
import { type Message, Node, type NodeOptions, RpcError } from "../lib/mod.ts";
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
