/** What works everywhere: a node, the test kit, the simulator, a diagram. */
import { Node, RpcError } from "@gyre/node";
import {
  diagram,
  FAULT_KINDS,
  linKvWorkload,
  Simulation,
} from "@gyre/node/sim";
import { TestNode } from "@gyre/node/testing";

/** @param {import("@gyre/node").AnyNode} node A store that keeps its keys in lin-kv. */
function setUp(node) {
  for (const type of ["read", "write", "cas"]) {
    node.on(type, async ({ body: { msg_id: _, ...request } }) => {
      const { type: __, in_reply_to: ___, msg_id: ____, ...reply } = await node
        .rpc("lin-kv", /** @type {any} */ (request), { timeoutMs: 500 });
      return reply;
    });
  }
}

/** What comes of it, which must be the same in every runtime. */
export async function everywhere() {
  /** @type {string[]} */
  const sent = [];
  const node = new Node({ rpcTimeoutMs: 1 });
  node.connect({ send: (line) => sent.push(line) });
  const init = { type: "init", msg_id: 0, node_id: "n1", node_ids: ["n1"] };
  node.receive(JSON.stringify({ src: "c0", dest: "n1", body: init }));
  node.on("back", ({ body }) => body); // each field, in engines old and new
  node.receive(
    '{"src":"c1","dest":"n1","body":{"type":"back","msg_id":1,"__proto__":{"a":1}}}',
  );
  /** @type {unknown} */
  const error = await node.rpc("n2", { type: "lost" }).catch((error) => error);
  await node.close();

  const kit = new TestNode(setUp);
  const write = { type: "write", key: "x", value: 1, msg_id: 1 };
  await kit.deliver({ src: "c1", body: write });

  /** @type {string[]} */
  const trace = [];
  const { hash, violations, counts } = await new Simulation({
    seed: 1,
    setUp,
    workload: linKvWorkload,
    faults: FAULT_KINDS,
    onTrace: (line) => trace.push(line),
  }).run();
  return {
    sent,
    code: error instanceof RpcError ? error.code : `${error}`,
    kit: kit.sent().map(({ body: { type } }) => type),
    hash,
    violations,
    ok: counts.ok > 10,
    svg: diagram(trace).length,
  };
}
