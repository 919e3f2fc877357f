import { setImmediate } from "node:timers";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { callbacks, type Node } from "../lib/mod.ts";
import {
  broadcastWorkload,
  callbacksWorkload,
  echoWorkload,
  type Fault,
  FAULT_KINDS,
  linKvWorkload,
  partitionDrops,
  Random,
  SeqKv,
  shrink,
  Simulation,
  type SimulationOptions,
  topology,
  TOPOLOGY_SHAPES,
} from "../lib/sim/mod.ts";
import { drawLatencyUs } from "../lib/sim/world/latency.ts";
import { SCENARIOS } from "../scripts/sim/nodes.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

/** Runs a simulation; its result, and its trace. */
async function simulate(options: Partial<SimulationOptions>) {
  const trace: Json[] = [];
  const result = await new Simulation({
    seed: 1,
    setUp: callbacks,
    onTrace: (line) => trace.push(JSON.parse(line)),
    ...options,
  }).run();
  const of = (event: string) => trace.filter(({ e }) => e === event);
  return { ...result, trace, of };
}

Deno.test("100 seeds of every scenario and fault, twice: the same hashes, and no violation", async () => {
  const names = Object.keys(SCENARIOS);
  const hashes = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const run = () =>
      new Simulation({
        seed,
        nodes: 1 + seed % 5,
        operations: 30,
        ...SCENARIOS[names[seed % names.length]!]!,
      }).run();
    const [one, another] = [await run(), await run()];
    assertEquals(one.hash, another.hash, `seed ${seed}`);
    assertEquals(one.violations, [], `seed ${seed}`);
    hashes.add(one.hash);
  }
  assertEquals(hashes.size, 100);
});

Deno.test("handlers that sleep, delayed work and nodes' random numbers are simulated, under every fault", async () => {
  const hashes: string[] = [];
  for (const seed of [1, 1, 2, 3, 4, 5]) {
    const { hash, violations, counts, of } = await simulate({
      seed,
      nodes: 3,
      needs: 3,
      faults: FAULT_KINDS,
      workload: echoWorkload,
      setUp(node) {
        node.on("echo", async ({ body }) => {
          const cancel = node.after(20, () => node.send("n0", { type: "x" }));
          node.after(30, () => node.rpc("n1", { type: "hear" }, () => {}));
          await node.sleep(1 + node.random() * 40);
          cancel();
          const deadline = node.now() + 30;
          await node.rpc("n2", { type: "hear" }, { deadline });
          return { echo: body.echo };
        });
        node.on("hear", () => ({}));
      },
    });
    assertEquals(violations, [], `seed ${seed}`);
    assert(counts.ok > 20 && of("lost").length > 0);
    hashes.push(hash);
  }
  assertEquals(hashes[0], hashes[1]);
  assertEquals(new Set(hashes).size, 5);
});

Deno.test("a promise chain of any length ends at the moment at which it began", async () => {
  const { of } = await simulate({
    operations: 3,
    workload: echoWorkload,
    setUp(node) {
      node.on("echo", async ({ body }) => {
        for (let i = 0; i < 1000; i++) await null;
        return { echo: body.echo };
      });
    },
  });
  assertEquals(
    of("complete").map(({ t }) => t),
    of("invoke").map(({ t }) => t),
  );
});

Deno.test("what is sent from a promise that nothing announces is sent at once, too", async () => {
  const { of } = await simulate({
    operations: 3,
    workload: echoWorkload,
    setUp(node) {
      node.on("echo", (request) => {
        Promise.resolve().then(async () => {
          node.send("n0", { type: "first" });
          for (let i = 0; i < 1000; i++) await null;
          node.reply(request, { echo: request.body.echo });
        });
      });
    },
  });
  assertEquals(
    of("complete").map(({ t }) => t),
    of("invoke").map(({ t }) => t),
  );
});

Deno.test("a crash loses memory; the node starts anew and is sent init again", async () => {
  const { of, violations } = await simulate({
    nodes: 2,
    durationMs: 4000,
    faults: [{ kind: "crash", at: 1000, until: 3000, node: "n0" }],
    setUp(node) {
      let ticks = 0;
      node.every(400, () => void node.send("n1", { type: "x", tick: ++ticks }));
    },
    quietMs: 0,
  });
  assertEquals(violations, []);
  const ticks = of("send").filter(({ src, body }) =>
    src === "n0" && body.type === "x"
  );
  assertEquals(ticks.map(({ body }) => body.tick), [1, 2, 1, 2]);
  assert(ticks[2].t > 3400);
  assertEquals(
    of("send").filter(({ dest, body }) => dest === "n0" && body.type === "init")
      .length,
    2,
  );
});

/** A node that asks as soon as it can, and crashes while two replies are on their way to it. */
const ASKS_AND_CRASHES: Partial<SimulationOptions> = {
  nodes: 2,
  seed: 3,
  network: { latency: { distribution: "constant", meanMs: 100 } },
  faults: [{ kind: "crash", at: 150, until: 160, node: "n0" }],
  setUp(node) {
    callbacks(node);
    node.on("init", () => {
      if (node.nodeId !== "n0") return;
      for (const dest of ["n1", "lin-kv"]) {
        node.rpc(dest, { type: "echo", key: "x" }, () => {});
      }
    });
  },
};

Deno.test("replies to what a node asked before it crashed reach it, and settle nothing", async () => {
  const { of, counts, violations } = await simulate(ASKS_AND_CRASHES);
  assertEquals(violations, []);
  const replies = of("recv").filter(({ m }) => {
    const { dest, body } = of("send").find((message) => message.m === m);
    return dest === "n0" && body.in_reply_to !== undefined;
  });
  assertEquals(replies.length, 4);
  assertEquals([counts.rpcs, counts.replied], [4, 2]);
});

Deno.test("a node that restarts and counts from 0 again takes them for replies to its own RPCs", async () => {
  const { violations } = await simulate({
    ...ASKS_AND_CRASHES,
    nodeOptions: { firstMsgId: 0 },
  });
  assertEquals(violations[0]?.check, "replies-checked");
  assertStringIncludes(
    violations[0]!.text,
    "to n1 is settled by a reply to another one, sent before it: 'firstMsgId'",
  );
});

Deno.test("processes start to count at random places where nodes restart, else at 0, or where they are told to", async () => {
  const firsts = async (options: Partial<SimulationOptions>) => {
    const { of } = await simulate({ nodes: 2, ...options });
    return of("send").filter(({ body }) => body.type === "init_ok")
      .map(({ body }) => body.msg_id);
  };
  const crash: Fault = { kind: "crash", at: 100, until: 200, node: "n1" };
  const places = await firsts({ faults: [crash] });
  assertEquals(new Set(places).size, 3);
  assert(places.every((id) => id > 2 ** 32 && id < 2 ** 52), `${places}`);
  assertEquals(await firsts({ faults: [crash] }), places);
  assertEquals(await firsts({}), [0, 0]);
  const nodeOptions = { firstMsgId: 7 };
  assertEquals(await firsts({ faults: [crash], nodeOptions }), [7, 7, 7]);
});

Deno.test("a refusal: what is no reply can't be sent, which is error 11; replies can", async () => {
  const { history, violations } = await simulate({
    workload: callbacksWorkload,
    faults: [{ kind: "refusal", at: 0, until: 10_000, probability: 1 }],
  });
  assertEquals(violations, []);
  const during = history.filter(({ final, probe }) => !final && !probe);
  for (const { f, status, error } of during) {
    if (f !== "fire") assertEquals(status, "ok");
    else assertEquals(error, "11: the output is full, as planned");
  }
  assert(during.some(({ f }) => f === "fire"));
});

Deno.test("a paused node does nothing, and goes on afterwards", async () => {
  const { history, violations } = await simulate({
    nodes: 1,
    workload: echoWorkload,
    faults: [{ kind: "pause", at: 1000, until: 3000, node: "n0" }],
  });
  assertEquals(violations, []);
  const during = history.filter(({ completedAt }) =>
    completedAt > 1000 && completedAt < 3000
  );
  assertEquals(during.length, 0);
  assert(history.some(({ completedAt }) => completedAt === 3000));
});

Deno.test("clocks drift apart; a wall clock jumps, and nothing else takes notice", async () => {
  const walls: number[] = [];
  const { of, violations } = await simulate({
    nodes: 2,
    durationMs: 10_000,
    quietMs: 0,
    faults: [
      { kind: "drift", at: 0, until: 10_000, node: "n1", rate: 2 },
      { kind: "wall-clock", at: 5000, until: 6000, node: "n0", byMs: -1e6 },
    ],
    setUp(node: Node, process: { wallNow(): number }) {
      node.every(1000, () => {
        if (node.nodeId === "n0") walls.push(process.wallNow());
        node.send("n2", { type: "x" });
      });
    },
  });
  assertEquals(violations, []);
  const ticks = (id: string) =>
    of("send").filter(({ src, dest }) => src === id && dest === "n2").length;
  assertEquals([ticks("n0"), ticks("n1")], [9, 19]);
  assertEquals(walls.filter((wall) => wall < 0).length, 1);
});

Deno.test("loss, duplication, corruption, slow links and reordering happen as often as they should", async () => {
  const load = (fault: Fault | undefined, nodes = 2) =>
    simulate({
      nodes,
      quietMs: 0,
      network: { latency: { distribution: "constant", meanMs: 1 } },
      faults: fault ? [fault] : [],
      setUp: (node) => {
        node.every(10, () => void node.send("n1", { type: "x" }));
      },
    });
  const always = { at: 0, until: 10_000 };
  const plain = await load(undefined);
  assertEquals([plain.counts.duplicated, plain.counts.garbled], [0, 0]);
  for (
    const [kind, count] of [
      ["loss", "lost"],
      ["duplication", "duplicated"],
      ["corruption", "garbled"],
    ] as const
  ) {
    const { counts } = await load({ kind, ...always, probability: 0.2 });
    const usual = plain.counts[count];
    const part = (counts[count] - usual) / counts.messages;
    assert(part > 0.15 && part < 0.25, `${kind}: ${part}`);
  }
  const took = ({ trace }: { trace: Json[] }, src: string) => {
    const sent = new Map(
      trace.filter(({ e }) => e === "send").map((
        event,
      ) => [event.m, event]),
    );
    // Faults begin once all nodes have answered their init.
    return trace.filter(({ e, m }) =>
      e === "recv" && sent.get(m).src === src && sent.get(m).dest === "n1" &&
      sent.get(m).t > 100
    ).map(({ t, m }) => Math.round(t - sent.get(m).t));
  };
  const slow = await load({
    kind: "slow",
    ...always,
    src: "n0",
    dest: "n1",
    factor: 7,
  });
  assertEquals(new Set(took(slow, "n0")), new Set([7]));
  assertEquals(new Set(took(slow, "n1")), new Set([1]));
  const reordered = await load({
    kind: "reordering",
    ...always,
    probability: 0.5,
  });
  assert(new Set(took(reordered, "n0")).size > 10);
});

Deno.test("stray replies arrive, and settle nothing", async () => {
  const strays: number[] = [];
  const { violations } = await simulate({
    workload: callbacksWorkload,
    network: { latency: { distribution: "uniform", meanMs: 20 } },
    faults: [{ kind: "stray", at: 0, until: 10_000, probability: 0.5 }],
    checks: [{
      name: "strays",
      check(nodes) {
        strays.push(...[...nodes.values()].map((node) => node.stats().stray));
        return undefined;
      },
    }],
  });
  assertEquals(violations, []);
  assert(Math.max(...strays) > 0);
});

Deno.test("partitions: every shape cuts as it says", () => {
  const nodes = ["n0", "n1", "n2", "n3", "n4"];
  assertEquals(partitionDrops("halves", nodes), {
    n0: ["n2", "n3", "n4"],
    n1: ["n2", "n3", "n4"],
    n2: ["n0", "n1"],
    n3: ["n0", "n1"],
    n4: ["n0", "n1"],
  });
  assertEquals(partitionDrops("one-way", nodes), {
    n0: ["n2", "n3", "n4"],
    n1: ["n2", "n3", "n4"],
  });
  for (const count of [3, 4, 5, 6, 7]) {
    const ids = Array.from({ length: count }, (_, i) => `n${i}`);
    const drops = partitionDrops("majorities-ring", ids);
    const heard = ids.map((id) =>
      ids.filter((other) => !drops[id]?.includes(other)).join()
    );
    const majority = Math.floor(count / 2) + 1;
    for (const hears of heard) assertEquals(hears.split(",").length, majority);
    assertEquals(new Set(heard).size, count);
  }
});

Deno.test("a partition keeps messages from arriving; clients and services are reached", async () => {
  const { of, counts } = await simulate({
    nodes: 2,
    workload: callbacksWorkload,
    faults: [{
      kind: "partition",
      shape: "halves",
      at: 0,
      until: 10_000,
      drops: partitionDrops("halves", ["n0", "n1"]),
    }],
  });
  assert(of("lost").some(({ why }) => why === "partition"));
  assertEquals(counts.ok, 108);
  assert(counts.reaped > 0);
});

Deno.test("latencies have the means that they should have", () => {
  const random = new Random(1, "latency");
  for (const distribution of ["constant", "uniform", "exponential"] as const) {
    let sum = 0;
    let most = 0;
    for (let i = 0; i < 20_000; i++) {
      const us = drawLatencyUs({ distribution, meanMs: 10 }, random);
      sum += us;
      most = Math.max(most, us);
    }
    assert(Math.abs(sum / 20_000 - 10_000) < 300, `${distribution}: ${sum}`);
    assertEquals(most > 20_000, distribution === "exponential");
  }
});

Deno.test("random numbers: by seed and stream, and evenly", () => {
  const draw = (seed: number, stream: string) => {
    const random = new Random(seed, stream);
    return [1, 2, 3, 4].map(() => random.int(1000)).join();
  };
  assertEquals(draw(1, "a"), draw(1, "a"));
  assertEquals(
    new Set([draw(1, "a"), draw(2, "a"), draw(1, "b"), draw(2 ** 52, "a")])
      .size,
    4,
  );
  const random = new Random(5, "x");
  const counts = [0, 0, 0];
  for (let i = 0; i < 3000; i++) counts[random.int(3)]!++;
  assert(Math.min(...counts) > 850);
  assertEquals([random.chance(0), random.chance(1), random.int(1)], [
    false,
    true,
    0,
  ]);
  assertEquals(random.shuffle([1, 2, 3, 4]).sort(), [1, 2, 3, 4]);
});

Deno.test("a stale store is found out, and the scenario shrunk to what matters", async () => {
  const options: SimulationOptions = {
    ...SCENARIOS["lin-kv"]!,
    seed: 6,
    nodes: 4,
    faults: FAULT_KINDS.filter((kind) => kind !== "duplication"),
    services: (random) => ({ "lin-kv": new SeqKv(random) }),
    recoveryMs: 0,
  };
  const whole = await new Simulation(options).run();
  assertEquals(whole.violations[0]?.check, "linearizable");
  const { options: small, result, runs } = await shrink(options);
  assertEquals(result.violations[0]?.check, "linearizable");
  assertEquals(small.onlyFaults, []);
  assert(small.onlyOperations!.length <= 4, `${small.onlyOperations}`);
  assert(small.nodes! <= 2 && runs > 10, `${small.nodes} nodes, ${runs} runs`);
  assertEquals((await new Simulation(small).run()).hash, result.hash);
  await assertRejects(
    () => shrink({ ...options, services: () => ({}), onlyOperations: [] }),
    Error,
    "Cannot shrink as seed 6 has no violation",
  );
});

Deno.test("shrink: ends at a limit, and says so; tells of each run", async () => {
  const options: SimulationOptions = {
    ...SCENARIOS["pn-counter"]!,
    seed: 1,
    faults: ["duplication"], // what a node is asked twice it adds twice
  };
  const told: number[] = [];
  const few = await shrink(options, {
    maxRuns: 5,
    onRun: ({ runs }) => told.push(runs),
  });
  assertEquals([few.runs, few.cutShort], [5, "5 runs"]);
  assertEquals(told, [2, 3, 4, 5]);
  const quick = await shrink(options, { maxMs: 0 });
  assertEquals([quick.runs, quick.cutShort], [1, "0 s"]);
  const whole = await shrink(options);
  assertEquals(whole.cutShort, undefined);
  assert(whole.runs > 5);
  for (const limits of [{ maxRuns: 0 }, { maxMs: NaN }]) {
    await assertRejects(() => shrink(options, limits), RangeError, "'max");
  }
});

Deno.test("shrink: never to fewer nodes than are needed", async () => {
  const { options } = await shrink({
    ...SCENARIOS["pn-counter"]!,
    seed: 1,
    nodes: 3,
    needs: 2,
    faults: ["duplication"],
  });
  assertEquals(options.nodes, 2);
});

Deno.test("without a workload, and checks, the invariants are all that was looked at: undecided", async () => {
  const { outcome, reasons } = await simulate({});
  assertEquals(outcome, "undecided");
  assertStringIncludes(
    reasons.join(),
    "nothing was asked, as there is no 'workload'",
  );
  const checks = [{ name: "mine", check: () => undefined }];
  assertEquals((await simulate({ checks })).outcome, "pass");
});

Deno.test("a handler that returns nothing is named where there is no answer, one that replied by itself is not", async () => {
  const reasonsOf = async (setUp: SimulationOptions["setUp"]) =>
    (await simulate({ workload: echoWorkload, setUp, operations: 3 }))
      .reasons.join("\n");
  const silence = 'no answer: its handler of "echo" returned nothing';
  const forgot = await reasonsOf((node) => node.on("echo", () => {}));
  assertStringIncludes(forgot, silence);
  const forgotLater = await reasonsOf((node) =>
    node.on("echo", async () => {
      await node.sleep(1);
    })
  );
  assertStringIncludes(forgotLater, silence);
  const lost = await simulate({
    workload: echoWorkload,
    operations: 3,
    faults: [{ kind: "loss", at: 0, until: 10_000, probability: 1 }],
    setUp(node) {
      node.on("echo", (request) => node.reply(request, { echo: 1 }));
    },
  });
  assertEquals(lost.history[0]?.error, "no answer");
  const setUpSilent = await simulate({
    workload: broadcastWorkload,
    setUp: (node) => node.on("topology", () => {}),
  });
  assertStringIncludes(
    setUpSilent.reasons.join("\n"),
    'n0 has not answered "topology": its handler of "topology" returned nothing',
  );
});

Deno.test("a handler that never ends comes first, before what follows from it, and is kept by shrink", async () => {
  const options: SimulationOptions = {
    seed: 1,
    workload: echoWorkload,
    setUp: (node) => node.on("echo", () => new Promise<void>(() => {})),
  };
  const { violations } = await new Simulation(options).run();
  assertEquals(violations[0]?.check, "unfinished");
  assert(violations.some(({ check }) => check === "progress"));
  const { result } = await shrink(options);
  assertEquals(result.violations[0]?.check, "unfinished");
});

Deno.test("onLog: what each node logs, and when; a log of the nodes' own gets it, too", async () => {
  const entries: string[] = [];
  const own: string[] = [];
  await simulate({
    nodes: 1,
    workload: echoWorkload,
    operations: 1,
    nodeOptions: { log: (_, text) => own.push(text) },
    onLog: ({ node, level, text, atMs }) =>
      entries.push(`${node} ${level} ${atMs >= 0} ${text}`),
    setUp(node) {
      node.on("echo", () => {
        throw new Error("oops");
      });
    },
  });
  assertEquals(entries[0], "n0 info true initialized as n0 of n0");
  assertEquals(
    entries[1],
    'n0 error true the handler of "echo" failed: Error: oops',
  );
  assertEquals(own.length, entries.length);
});

Deno.test("a table that is merged while reaping is counted, one that is merged by replies is not", async () => {
  const merged = async (dest: string) => {
    const { sometimes, violations } = await simulate({
      nodes: 1,
      setUp(node) {
        node.on("ask", () => ({}));
        node.on("init", () => {
          for (let i = 0; i < 2048; i++) {
            const last = i % 4 === 0; // of two segments half of one is left
            node.rpc(
              last ? "nobody" : dest,
              { type: "ask" },
              () => {},
              { timeoutMs: last ? 5000 : 1000 },
            );
          }
        });
      },
    });
    assertEquals(violations, []);
    return sometimes["table merged while reaping"];
  };
  assertEquals([await merged("nobody"), await merged("n0")], [1, 0]);
});

Deno.test("a node may stop its periodic work, cancel its RPCs, be refused some, and close", async () => {
  const ends: string[] = [];
  const { violations, counts, of } = await simulate({
    nodes: 1,
    durationMs: 5000,
    nodeOptions: { maxPending: 2 },
    setUp(node) {
      const failed = ({ message }: Error) => void ends.push(message);
      node.on("init", () => {
        const controller = new AbortController();
        const { signal } = controller;
        node.rpc("nobody", { type: "x" }, { signal }).catch(failed);
        node.rpc("nobody", { type: "x" }, { timeoutMs: 9000 }).catch(failed);
        node.rpc("nobody", { type: "x" }).catch(failed);
        let ticks = 0;
        const stop = node.every(100, async () => {
          await null;
          if (++ticks === 3) {
            stop();
            stop();
            controller.abort();
          }
        });
        node.every(1000, () => void node.close());
      });
    },
  });
  assertEquals(violations, []);
  assertEquals(ends, [
    "2 RPCs are pending: the limit 'maxPending' is reached",
    "RPC cancelled: aborted",
    "RPC cancelled: the node is shutting down",
  ]);
  assertEquals([counts.rpcs, counts.cancelled], [2, 2]);
  assert(Math.abs(of("end")[0].t - of("rpc")[0].t - 300) < 1);
});

Deno.test("the end waits for clients that have fallen behind", async () => {
  const { violations, history } = await simulate({
    operations: 500,
    clients: 1,
    durationMs: 1000,
    quietMs: 1000,
    workload: echoWorkload,
    recoveryMs: 0,
    network: { clientLatency: { distribution: "constant", meanMs: 10 } },
  });
  assertEquals(violations, []);
  assertEquals(history.length, 500);
  assert(history.every(({ status }) => status === "ok"));
});

Deno.test("operations may come in bursts", async () => {
  const { of } = await simulate({
    operations: 100,
    burst: 25,
    clients: 100,
    recoveryMs: 0,
    workload: echoWorkload,
  });
  const times = of("invoke").map(({ t }) => Math.floor(t / 500) * 500);
  assertEquals([...new Set(times)], [0, 2500, 5000, 7500]);
});

Deno.test("operations without number come as evenly as few", async () => {
  for (const burst of [1, 700]) {
    const { of } = await simulate({
      operations: 5000,
      burst,
      recoveryMs: 0,
      clients: 5000,
      clientTimeoutMs: 1, // of those that ask before the nodes are there
      workload: echoWorkload,
    });
    const invoked = of("invoke").map(({ t, op }) => ({
      t: t as number,
      base: 2 * (Number(op) - Number(op) % burst),
    }));
    assertEquals(invoked.length, 5000);
    assertEquals(
      // Nobody asks before all nodes have answered their init.
      invoked.filter(({ t, base }) => t < base || t >= Math.max(base, 100) + 3),
      [],
    );
  }
});

Deno.test("an RPC longer than the quiet time is waited for at the end", async () => {
  const { violations, counts, simulatedMs } = await simulate({
    nodes: 1,
    setUp(node) {
      node.on("init", () => {
        node.rpc("nobody", { type: "x" }, () => {}, { timeoutMs: 60_000 });
      });
    },
  });
  assertEquals([violations, counts.reaped], [[], 1]);
  assert(simulatedMs > 60_000);
});

Deno.test("a callback that waits for ever is seen when all is quiet", async () => {
  const { violations } = await simulate({
    nodes: 1,
    setUp(node) {
      const again = () => {
        node.rpc("nobody", { type: "x" }, again);
      };
      node.on("init", again);
    },
  });
  assertEquals(violations[0]?.check, "exactly-once");
});

Deno.test("options out of range are named; a simulation runs once", async () => {
  for (
    const [options, text] of [
      [{ seed: -1 }, "'seed' must be a whole number from 0"],
      [
        { nodes: 0 },
        "'nodes' must be a whole number from 1: current value is 0",
      ],
      [{ operations: 1.5 }, "'operations' must be"],
      [{ durationMs: -1 }, "'durationMs' must be from 0"],
      [{ quietMs: NaN }, "'quietMs' must be from 0"],
    ] as const
  ) {
    assertThrows(
      () =>
        new Simulation(Object.assign({ seed: 1, setUp: callbacks }, options)),
      RangeError,
      text,
    );
  }
  const simulation = new Simulation({ seed: 1, setUp: callbacks });
  await simulation.run();
  await assertRejects(() => simulation.run(), Error, "twice");
});

Deno.test("simulation options that are unknown, of another type or not in the plan are refused", () => {
  const cases: [object, string][] = [
    [
      { fault: ["loss"] },
      "a simulation has no option 'fault': there are seed",
    ],
    [{ setUp: undefined }, "'setUp' must be a function"],
    [{ faults: ["los"] }, "'faults' must be of loss, duplication"],
    [{ faults: ["los"] }, 'current value is "los"'],
    [{ faults: "loss" }, "'faults' must be a list"],
    [{ faults: ["loss", { kind: "loss" }] }, "either kinds or faults"],
    [{ faults: [{ kind: "los" }] }, "'faults[0].kind' must be of loss"],
    [
      { faults: [{ kind: "crash", at: 0, until: 5 }] },
      "'faults[0]', a fault of kind 'crash', must have a 'node'",
    ],
    [
      { faults: [{ kind: "pause", at: 9, until: 5, node: "n0" }] },
      "'until' not before it, in ms: current values are 9 and 5",
    ],
    [
      { faults: [{ kind: "pause", at: 0, until: 5, node: "n0", rate: 2 }] },
      "'faults[0]', a fault of kind 'pause' has no option 'rate'",
    ],
    [
      { faults: [{ kind: "partition", at: 0, until: 5, shape: "x" }] },
      "'faults[0].shape' must be of halves",
    ],
    [
      { nodeOptions: { rpcTimeout: 5 } },
      "'nodeOptions' has no option 'rpcTi",
    ],
    [{ nodeOptions: { clock: {} } }, "'nodeOptions' can't have a 'clock'"],
    [{ network: { latencies: {} } }, "'network' has no option 'latencies'"],
    [
      { network: { latency: { distribution: "x", meanMs: 1 } } },
      "'latency.distribution' must be of constant",
    ],
    [
      {
        network: { clientLatency: { distribution: "constant", meanMs: -1 } },
      },
      "'clientLatency.meanMs' must be from 0: current value is -1",
    ],
    [{ bytes: {} }, "'bytes.lines' must be a function"],
    [{ workload: { check() {} } }, "'workload.generate' must be a function"],
    [{ checks: [{ name: "x" }] }, "'checks[0].check' must be a function"],
    [{ services: {} }, "'services' must be a function"],
    [{ topology: "ring" }, "'topology' must be of grid, line, total, tree4"],
    [{ nodes: 3, needs: 9 }, "'needs' must be at most 'nodes', 3"],
    [{ maxEvents: 0 }, "'maxEvents' must be a whole number from 1"],
    [
      { faults: ["loss"], onlyFaults: [9999] },
      "'onlyFaults' has 9999, but there are faults 0 to",
    ],
    [{ onlyFaults: [0] }, "'onlyFaults' has 0, but there are no faults"],
    [
      { operations: 5, onlyOperations: [1, 5] },
      "'onlyOperations' has 5, but there are operations 0 to 4",
    ],
  ];
  for (const [options, text] of cases) {
    assertThrows(
      () =>
        new Simulation(Object.assign({ seed: 1, setUp: callbacks }, options)),
      Error,
      text,
    );
  }
});

Deno.test("a simulation that does not end is cut off, which is a violation", async () => {
  const { violations } = await simulate({
    workload: linKvWorkload,
    maxEvents: 50,
  });
  assertEquals(violations[0]?.check, "limit");
});

Deno.test("handlers of one's own randomness: the same for the same seed", async () => {
  const run = (seed: number) =>
    simulate({
      seed,
      workload: echoWorkload,
      setUp: (node, { random }) =>
        node.on("echo", ({ body }) => ({ echo: body.echo, r: random.int(99) })),
    });
  assertEquals((await run(1)).hash, (await run(1)).hash);
  assert((await run(1)).hash !== (await run(2)).hash);
});

Deno.test(
  "a handler that waits for something real is found, and the run says which request it was",
  {
    sanitizeOps: false, // what it waits for comes after the test
  },
  async () => {
    for (
      const [name, wait] of [
        ["timer", () => new Promise((resolve) => setTimeout(resolve, 1))],
        ["immediate", () => new Promise((resolve) => setImmediate(resolve))],
        ["nothing", () => new Promise(() => {})],
      ] as const
    ) {
      const { violations, history } = await simulate({
        nodes: 1,
        operations: 10,
        workload: echoWorkload,
        setUp(node) {
          node.on("echo", async ({ body }) => {
            if (body.echo === "please echo 7") await wait();
            return { echo: body.echo };
          });
        },
      });
      const [violation] = violations.filter(({ check }) =>
        check === "unfinished"
      );
      const { index, invokedAt } = history.find(({ status }) =>
        status === "info"
      )!;
      assertEquals(index, 7, name);
      assertStringIncludes(
        violation!.text,
        `the handler of "echo", asked by c1 in its message 8 at ${invokedAt} ms, has not ended`,
      );
    }
  },
);

Deno.test("messages for each operation, latencies, and the time until all know", async () => {
  const { metrics, outcome } = await simulate({
    nodes: 4,
    operations: 50,
    network: { latency: { distribution: "constant", meanMs: 10 } },
    workload: {
      ...broadcastWorkload,
      generate: (_, index) =>
        index % 2 ? { f: "read" } : { f: "add", value: index },
    },
    setUp(node) {
      const messages = new Set<unknown>();
      node.on("topology", () => ({}));
      node.on("broadcast", async ({ body: { message } }) => {
        messages.add(message);
        for (const peer of node.nodeIds) {
          if (peer === node.nodeId) continue;
          await node.rpc(peer, { type: "know", message });
        }
        await node.rpc("lin-tso", { type: "ts" });
        return {};
      });
      node.on("know", ({ body }) => {
        messages.add(body.message);
        return {};
      });
      node.on("read", () => ({ messages: [...messages] }));
    },
  });
  assertEquals(outcome, "pass");
  const { "until all know": known, ...latencies } = metrics.latencies;
  assertEquals({ ...metrics, latencies }, {
    operations: 50,
    // An add takes three RPCs to nodes and one to a service; a read none.
    messagesPerOperation: { all: 6, betweenNodes: 3, withServices: 1 },
    latencies: {
      add: { count: 25, medianMs: 80, p99Ms: 80, maxMs: 80 },
      read: { count: 25, medianMs: 0, p99Ms: 0, maxMs: 0 },
    },
  });
  assertEquals(known!.count, 25);
  assert(known!.maxMs < 80);
});

Deno.test("clusters are set up as Maelstrom's: every init, then every topology, then clients and faults", async () => {
  const { of, outcome } = await simulate({
    nodes: 5,
    ...SCENARIOS.broadcast!,
    faults: [{ kind: "loss", at: 0, until: 10_000, probability: 0.9 }],
    topology: "line",
  });
  assertEquals(outcome, "pass");
  const sent = of("send").filter(({ src, dest }) =>
    src === "c0" || dest === "c0"
  );
  assertEquals(
    sent.map(({ body }) => body.type.replace("_ok", "")),
    [...Array(10).fill("init"), ...Array(10).fill("topology")],
  );
  assertEquals(sent[0].body.node_ids, ["n0", "n1", "n2", "n3", "n4"]);
  assertEquals(sent.at(-6)!.body.topology.n1, ["n0", "n2"]);
  const ready = of("recv").find(({ m }) => m === sent.at(-1)!.m).t;
  for (const one of [...of("invoke"), ...of("fault")]) assert(one.t >= ready);
});

Deno.test("a node that starts anew gets its init before anything that clients ask", async () => {
  const { of, violations } = await simulate({
    nodes: 2,
    operations: 2000,
    workload: echoWorkload,
    clientTimeoutMs: 50,
    faults: [{ kind: "crash", at: 2000, until: 2500, node: "n1" }],
    setUp(node) {
      node.on("init", async () => {
        await node.rpc("lin-tso", { type: "ts" });
      });
      node.on("echo", ({ body }) => ({ echo: body.echo }));
    },
  });
  assertEquals(violations, []);
  assert(of("lost").some(({ why }) => why === "starting"));
  assertEquals(
    of("send").filter(({ body }) => body.type === "error"),
    [],
  );
});

Deno.test("topologies are Maelstrom's", () => {
  const nodes = ["n0", "n1", "n2", "n3", "n4", "n5", "n6"];
  assertEquals(topology("grid", nodes), { // three a row
    n0: ["n3", "n1"],
    n1: ["n4", "n2", "n0"],
    n2: ["n5", "n1"],
    n3: ["n6", "n0", "n4"],
    n4: ["n1", "n5", "n3"],
    n5: ["n2", "n4"],
    n6: ["n3"],
  });
  assertEquals(topology("tree4", nodes), {
    n0: ["n1", "n2", "n3", "n4"],
    n1: ["n0", "n5", "n6"],
    n2: ["n0"],
    n3: ["n0"],
    n4: ["n0"],
    n5: ["n1"],
    n6: ["n1"],
  });
  assertEquals(topology("total", nodes).n1!.length, 6);
  for (const shape of TOPOLOGY_SHAPES) { // whose neighbour one is, is one's own
    const all = topology(shape, nodes);
    for (const node of nodes) {
      for (const other of all[node]!) assert(all[other]!.includes(node), shape);
    }
  }
});

Deno.test("a partition's drops follow from its shape", async () => {
  const { faults, of } = await simulate({
    workload: callbacksWorkload,
    faults: [{ kind: "partition", at: 0, until: 10_000, shape: "single" }],
  });
  const drops = partitionDrops("single", ["n0", "n1", "n2"]);
  assertEquals(faults.map((fault) => "drops" in fault && fault.drops), [drops]);
  assert(of("lost").some(({ why }) => why === "partition"));
});

Deno.test("services are added to Maelstrom's; null takes one away", async () => {
  const replies: string[] = [];
  const { violations } = await simulate({
    nodes: 1,
    services: () => ({
      mine: { handle: () => ({ type: "hello" }) },
      "lin-tso": null,
    }),
    setUp(node) {
      node.on("init", () => {
        for (const id of ["mine", "lin-kv", "lin-tso"]) {
          node.rpc(id, { type: "read", key: 1 }, (error, reply) => {
            replies.push(`${id} ${error?.code ?? reply!.type}`);
          });
        }
      });
    },
  });
  assertEquals(violations, []);
  assertEquals(replies.sort(), ["lin-kv 20", "lin-tso 0", "mine hello"]);
});

Deno.test("after the faults a majority is well, and asked; the others are not yet", async () => {
  const { faults, history, of } = await simulate({
    nodes: 5,
    seed: 2,
    workload: echoWorkload,
    faults: ["crash"],
  });
  const later = faults.filter(({ at }) => at === 10_000);
  assertEquals(later.map(({ kind, until }) => `${kind} ${until}`), [
    "crash 20000",
    "crash 20000",
  ]);
  const down = later.map((fault) => "node" in fault && fault.node);
  const probed = new Set(
    history.filter(({ probe }) => probe).map(({ node }) => node),
  );
  assertEquals([...down, ...probed].sort(), ["n0", "n1", "n2", "n3", "n4"]);
  assertEquals(of("start").length > 5, true);
});

Deno.test("an operation says which of a node's incarnations it concerns, where it is one", async () => {
  const { history } = await simulate({
    nodes: 1,
    operations: 50,
    workload: echoWorkload,
    clients: 50,
    network: { clientLatency: { distribution: "constant", meanMs: 500 } },
    faults: [{ kind: "crash", at: 5000, until: 5010, node: "n0" }],
    setUp: callbacks,
  });
  const across = history.filter(({ invokedAt, completedAt }) =>
    invokedAt < 5000 && completedAt > 5010
  );
  assert(across.some(({ status }) => status === "ok"));
  for (const entry of history) {
    const { invokedAt } = entry;
    assertEquals(
      entry.incarnation,
      across.includes(entry) ? undefined : invokedAt < 5000 ? 1 : 2,
    );
  }
});
