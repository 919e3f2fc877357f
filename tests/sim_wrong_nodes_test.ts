/** Nodes that are wrong, each as it would pass if nobody looked: the simulator must not be fooled. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ErrorCode, type Node, RpcError } from "../lib/mod.ts";
import {
  type Outcome,
  Simulation,
  type SimulationOptions,
} from "../lib/sim/mod.ts";
import { SCENARIOS } from "../scripts/sim/nodes.ts";

/** Runs a node under a workload, without faults. */
function run(
  workload: keyof typeof SCENARIOS,
  setUp: SimulationOptions["setUp"],
  more: Partial<SimulationOptions> = {},
) {
  const { workload: asked } = SCENARIOS[workload]!;
  const options = { seed: 1, nodes: 3, workload: asked, setUp };
  return new Simulation({ ...options, ...more }).run();
}

/** Checks that a node is found out, and what is said first of it. */
async function assertFound(
  workload: string,
  setUp: SimulationOptions["setUp"],
  reason: string,
  more: Partial<SimulationOptions> & { outcome?: Outcome } = {},
): Promise<void> {
  const { outcome = "fail", ...options } = more;
  const result = await run(workload, setUp, options);
  assertEquals(result.outcome, outcome, result.reasons.join("\n"));
  assert(
    result.reasons.some((text) => text.includes(reason)),
    `"${reason}" is not among\n${result.reasons.join("\n")}`,
  );
}

/** A node that keeps registers by itself: right as long as it is alone. */
function registers(
  node: Node,
  { lies = () => false }: { lies?: (type: string, key: number) => boolean } =
    {},
): void {
  const values = new Map<unknown, unknown>();
  const refuse = (code: number, text: string) => {
    throw new RpcError(code, text);
  };
  node.on<{ key: number }>("read", ({ body: { key } }) => {
    if (!values.has(key) || lies("read", key)) {
      refuse(ErrorCode.keyDoesNotExist, "no such key");
    }
    return { value: values.get(key) };
  });
  node.on<{ key: number; value: unknown }>("write", ({ body }) => {
    if (lies("write", body.key)) refuse(ErrorCode.preconditionFailed, "no");
    values.set(body.key, body.value);
    return {};
  });
  node.on<{ key: number; from: unknown; to: unknown }>("cas", ({ body }) => {
    const { key, from, to } = body;
    if (!values.has(key)) refuse(ErrorCode.keyDoesNotExist, "no such key");
    if (values.get(key) !== from || lies("cas", key)) {
      refuse(ErrorCode.preconditionFailed, "not that value");
    }
    values.set(key, to);
    return {};
  });
}

/** A set that is told to all nodes at once. */
function set(
  node: Node,
  read: (elements: number[]) => unknown = (elements) => elements,
  add: (element: number) => boolean = () => true,
): void {
  const elements = new Set<number>();
  node.on<{ element: number }>("add", ({ body: { element } }) => {
    if (add(element)) elements.add(element);
    for (const peer of node.nodeIds) {
      if (peer !== node.nodeId) node.send(peer, { type: "know", element });
    }
    return {};
  });
  node.on<{ element: number }>("know", ({ body }) => {
    elements.add(body.element);
  });
  node.on("read", () => ({ value: read([...elements]) }));
}

/** A counter that is told to all nodes at once. */
function counter(
  node: Node,
  read: (value: number) => unknown = (value) => value,
): void {
  let value = 0;
  node.on<{ delta: number }>("add", ({ body: { delta } }) => {
    value += delta;
    for (const peer of node.nodeIds) {
      if (peer !== node.nodeId) node.send(peer, { type: "know", delta });
    }
    return {};
  });
  node.on<{ delta: number }>("know", ({ body }) => {
    value += body.delta;
  });
  node.on("read", () => ({ value: read(value) }));
}

Deno.test("right nodes, made as the wrong ones are, pass", async () => {
  for (
    const [workload, setUp, more] of [
      ["lin-kv", (node: Node) => registers(node), { nodes: 1 }],
      ["g-set", (node: Node) => set(node), {}],
      ["pn-counter", (node: Node) => counter(node), {}],
    ] as const
  ) {
    const { outcome, reasons } = await run(workload, setUp, more);
    assertEquals([outcome, reasons], ["pass", []], workload);
  }
});

for (const name of Object.keys(SCENARIOS)) {
  Deno.test(`a node without a single handler, asked for ${name}`, async () => {
    const { outcome, reasons } = await run(name, () => {});
    assertEquals(outcome, "fail");
    assertStringIncludes(reasons[0]!, "10: message type ");
  });

  Deno.test(`a node that answers nothing, asked for ${name}`, () =>
    assertFound(name, (node) => {
      for (
        const type of [
          ...["echo", "pending_count", "send_fire_forget", "generate", "read"],
          ...["write", "cas", "add", "broadcast", "topology", "txn"],
          ...["send", "poll", "commit_offsets", "list_committed_offsets"],
        ]
      ) node.on(type, () => {});
    }, name === "broadcast" ? 'not answered "topology"' : "makes no progress"));
}

Deno.test("without probes, a kind of operation that never succeeds is not decided", () => {
  const { probe: _, ...workload } = SCENARIOS.echo!.workload;
  return assertFound("echo", () => {}, 'none of 100 "echo" succeeded: 10:', {
    workload,
    outcome: "undecided",
  });
});

Deno.test("a run in which nothing is asked is not decided", () =>
  assertFound("echo", SCENARIOS.echo!.setUp, "nothing was asked", {
    operations: 0,
    recoveryMs: 0,
    outcome: "undecided",
  }));

Deno.test("a read that says 20 for half of the keys", () =>
  assertFound(
    "lin-kv",
    (node) => registers(node, { lies: (f, key) => f === "read" && key === 1 }),
    "refused with 20",
    { nodes: 1 },
  ));

Deno.test("a cas that refuses half of what matches", () => {
  let matched = 0;
  const lies = (f: string) => f === "cas" && ++matched % 2 === 0;
  return assertFound(
    "lin-kv",
    (node) => registers(node, { lies }),
    "refused with 22",
    { nodes: 1 },
  );
});

Deno.test("a write that is refused as if it were a cas", () =>
  assertFound(
    "lin-kv",
    (node) => registers(node, { lies: (f, key) => f === "write" && key === 1 }),
    "refused with 22",
    { nodes: 1 },
  ));

Deno.test("registers that each node has for itself", () =>
  assertFound("lin-kv", (node) => registers(node), "no order explains"));

Deno.test("a counter that says 999999 in the middle of a run", () => {
  let reads = 0;
  return assertFound(
    "pn-counter",
    (node) => counter(node, (value) => ++reads === 5 ? 999_999 : value),
    "says 999999, which was not possible by then",
  );
});

Deno.test("a counter that forgets what it confirmed, until the end", () => {
  let reads = 0;
  return assertFound(
    "pn-counter",
    (node) => counter(node, (value) => ++reads < 15 ? 0 : value),
    "says 0, which was not possible by then",
    {
      workload: {
        ...SCENARIOS["pn-counter"]!.workload,
        generate: (random) =>
          random.chance(0.5) ? { f: "add", value: 1 } : { f: "read" },
      },
    },
  );
});

Deno.test("a counter that says what is no number", () =>
  assertFound(
    "pn-counter",
    (node) => counter(node, String),
    "which is no whole number",
  ));

Deno.test("a counter that loses what it confirmed", () =>
  assertFound(
    "pn-counter",
    (node) => counter(node, (value) => value - 1),
    "final read says",
  ));

Deno.test("a set that says nothing in the middle of a run", () => {
  let reads = 0;
  return assertFound(
    "g-set",
    (node) => set(node, (elements) => ++reads < 10 ? [] : elements),
    "had confirmed in operation",
  );
});

Deno.test("a set with duplicates", () =>
  assertFound(
    "g-set",
    (node) => set(node, (elements) => [...elements, ...elements]),
    "more than once",
  ));

Deno.test("a set that knows elements before anyone adds them", () => {
  let reads = 0;
  return assertFound(
    "g-set",
    (node) =>
      set(node, (elements) => ++reads === 1 ? [...elements, 51] : elements),
    "has 51, which nobody added before",
    {
      workload: {
        ...SCENARIOS["g-set"]!.workload,
        generate: (_, index) =>
          index % 2 ? { f: "read" } : { f: "add", value: 99 - index },
      },
    },
  );
});

Deno.test("a set that is no list", () =>
  assertFound(
    "g-set",
    (node) => set(node, (elements) => elements.length),
    "which is no list",
  ));

Deno.test("a set that keeps only every other element", () =>
  assertFound(
    "g-set",
    (node) => set(node, undefined, (element) => element % 2 === 0),
    "final read lacks",
  ));

Deno.test("two different replies to one request", () =>
  assertFound("echo", (node) => {
    node.on("echo", (request) => {
      node.reply(request, { echo: request.body.echo });
      return { echo: "something else" };
    });
  }, "answered-once: n"));

Deno.test("an answer to what arrived twice may come twice", async () => {
  const { outcome, reasons, counts } = await run(
    "echo",
    SCENARIOS.echo!.setUp,
    { faults: ["duplication"], operations: 300 },
  );
  assertEquals([outcome, reasons], ["pass", []]);
  assert(counts.duplicated > 10);
});

Deno.test("ids that are not unique, or none", async () => {
  await assertFound("unique-ids", (node) => {
    let next = 0;
    node.on("generate", () => ({ id: next++ }));
  }, "both got 0");
  await assertFound(
    "unique-ids",
    (node) => node.on("generate", () => ({})),
    "got no id",
  );
});

Deno.test("a broadcast that refuses its topology", () =>
  assertFound("broadcast", (node) => {
    node.on("broadcast", () => ({}));
    node.on("read", () => ({ messages: [] }));
  }, 'answered "topology" with error 10'));

Deno.test("a cluster that needs all nodes makes no progress with a majority", async () => {
  const setUp = (node: Node) => {
    node.on("echo", async ({ body: { echo } }) => {
      const others = node.nodeIds.filter((id) => id !== node.nodeId);
      await Promise.all(others.map((id) => node.rpc(id, { type: "ping" })));
      return { echo };
    });
    node.on("ping", () => ({}));
  };
  const options = { nodes: 5, faults: ["crash"] } as const;
  await assertFound("echo", setUp, "makes no progress", options);
  const { outcome } = await run("echo", setUp, { ...options, needs: 5 });
  assertEquals(outcome, "pass");
});
