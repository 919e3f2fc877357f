/** Every invariant's check is seen to fail, by a node that is broken for it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { callbacks, Node } from "../lib/mod.ts";
import type { Clock } from "../lib/clock.ts";
import type {
  NodeOptions,
  RpcOptions,
  SendBody,
  Transport,
} from "../lib/node.ts";
import type { RpcCallback } from "../lib/pending_rpcs.ts";
import type { ReapReport } from "../lib/reaper.ts";
import {
  callbacksWorkload,
  echoWorkload,
  type FaultKind,
  type Invariant,
  Simulation,
  type SimulationOptions,
  type Violation,
} from "../lib/sim/mod.ts";

async function firstViolation(
  options: Partial<SimulationOptions>,
): Promise<Violation | undefined> {
  const { violations } = await new Simulation({
    seed: 1,
    setUp: callbacks,
    workload: callbacksWorkload,
    ...options,
  }).run();
  return violations[0];
}

/** A node whose callback API is changed. */
function withRpc(
  change: (
    callback: RpcCallback,
    options: RpcOptions,
  ) => [RpcCallback, RpcOptions],
): new (options?: NodeOptions) => Node {
  class Broken extends Node {
    // deno-lint-ignore no-explicit-any
    override rpc(dest: string, body: SendBody, ...rest: any[]): any {
      const [callback, options] = change(rest[0], rest[1] ?? {});
      return super.rpc(dest, body, callback, options);
    }
  }
  return Broken;
}

/** A node whose clock is changed. */
function withClock(
  change: (clock: NonNullable<NodeOptions["clock"]>) => void,
): typeof Node {
  return class extends Node {
    constructor(options: NodeOptions) {
      const clock = { ...options.clock! };
      change(clock);
      super({ ...options, clock });
    }
  } as typeof Node;
}

Deno.test("a node as it should be breaks nothing, under every fault", async () => {
  const faults: FaultKind[] = ["loss", "crash", "pause", "busy", "throw"];
  assertEquals(await firstViolation({ faults }), undefined);
});

async function assertBreaks(
  invariant: Invariant,
  text: string,
  options: Partial<SimulationOptions>,
): Promise<void> {
  const violation = await firstViolation(options);
  assert(violation, `${invariant} was not seen to break`);
  assertEquals(violation.check, invariant, violation.text);
  assertStringIncludes(violation.text, text);
  assert(violation.event > 0);
}

Deno.test("exactly-once: a callback invoked twice", () =>
  assertBreaks("exactly-once", "a second time", {
    nodeClass: withRpc((callback, options) => [(error, reply) => {
      callback(error, reply);
      callback(error, reply);
    }, options]),
  }));

Deno.test("exactly-once: a callback not invoked with its reply", () =>
  assertBreaks("exactly-once", "its callback not invoked", {
    nodeClass: withRpc((callback, options) => [(error, reply) => {
      if (error) callback(error, reply);
    }, options]),
  }));

Deno.test("exactly-once: a callback invoked with another reply", () =>
  assertBreaks("exactly-once", "not invoked with the reply", {
    nodeClass: withRpc((callback, options) => [(error, reply) => {
      callback(error, reply && { ...reply, type: "other" });
    }, options]),
  }));

Deno.test("exactly-once: a timer that is never armed", () =>
  assertBreaks("exactly-once", "no timer is armed", {
    nodeClass: withClock((clock) => clock.setTimer = () => () => {}),
  }));

Deno.test("exactly-once: a timeout that comes late", () =>
  assertBreaks("exactly-once", "ms late, with nothing in its way", {
    nodeClass: withRpc((callback, options) => [callback, {
      ...options,
      timeoutMs: 2500,
    }]),
  }));

Deno.test("nothing-leaks: a callback that stays counted", () =>
  assertBreaks("nothing-leaks", "callbacks are pending that should be", {
    nodeClass: class extends Node {
      override get pendingCount(): number {
        return Math.max(super.pendingCount, this.stats().registered);
      }
    },
  }));

Deno.test("never-early: a timeout that comes early", () =>
  assertBreaks("never-early", "before its deadline", {
    nodeClass: withRpc((callback, options) => [callback, {
      ...options,
      timeoutMs: 1500,
    }]),
  }));

Deno.test("never-early: a timeout while the reply can be read", async () => {
  const options: Partial<SimulationOptions> = {
    nodes: 2,
    setUp(node) {
      callbacks(node);
      node.every(7, () => {
        node.rpc("n1", { type: "echo" }, () => {});
      });
    },
    workload: echoWorkload,
    nodeOptions: { rpcTimeoutMs: 100 },
    faults: Array.from({ length: 40 }, (_, i) => ({
      kind: "pause" as const,
      at: 200 * i + 100,
      until: 200 * i + 250,
      node: "n0",
    })),
  };
  assertEquals(await firstViolation(options), undefined);
  await assertBreaks("never-early", "while its reply could be read", {
    ...options,
    nodeClass: class extends Node {
      override connect({ send }: { send(line: string): void }): void {
        super.connect({ send }); // nothing says that there is input
      }
    },
  });
});

Deno.test("in-order: timeouts in another order than registered", () => {
  let held: (() => void) | undefined;
  return assertBreaks("in-order", "timed out after RPC", {
    nodes: 1,
    operations: 0,
    setUp(node) {
      node.on("init", () => {
        for (let i = 0; i < 2; i++) {
          node.rpc("nobody", { type: "x" }, () => {});
        }
      });
    },
    nodeClass: withRpc((callback, options) => [(error, reply) => {
      if (held === undefined) {
        held = () => callback(error, reply);
        return;
      }
      callback(error, reply);
      held();
    }, options]),
  });
});

Deno.test("in-proportion: a timer while nothing is pending", () =>
  assertBreaks("in-proportion", "timers are armed", {
    nodeClass: withClock(({ setTimer }) => {
      const poll = () => void setTimer(poll, 500);
      poll();
    }),
  }));

Deno.test("in-proportion: waking up again and again for nothing", () =>
  assertBreaks("in-proportion", "timers fired for nothing", {
    operations: 10,
    nodeClass: withClock((clock) => {
      const { now, setTimer } = clock;
      clock.setTimer = (fn, delayMs) => {
        const end = now() + delayMs;
        let cancel = () => {};
        const poll = () => {
          if (now() >= end) fn();
          else cancel = setTimer(poll, Math.min(10, Math.ceil(end - now())));
        };
        poll();
        return () => cancel();
      };
    }),
  }));

/** A hundred RPCs that expire at once, with callbacks of 1 ms each. */
const manySlowCallbacks: Partial<SimulationOptions> = {
  nodes: 1,
  operations: 0,
  recoveryMs: 0,
  setUp(node) {
    node.on("init", () => {
      for (let i = 0; i < 100; i++) {
        node.rpc("nobody", { type: "x" }, () => {});
      }
    });
  },
  faults: [{
    kind: "busy",
    at: 1000,
    until: 9000,
    node: "n0",
    messageMs: 0,
    callbackMs: 1,
  }],
};

Deno.test("no-long-stalls: a reap that does not look at the clock", () => {
  const frozen = class extends Node {
    static times = new WeakMap<Node, { now: number; read(): number }>();
    constructor(options: NodeOptions) {
      const clock = options.clock!;
      const time = { now: clock.now(), read: () => clock.now() };
      super({
        ...options,
        clock: {
          now: () => time.now,
          setTimer: (fn, delayMs) =>
            clock.setTimer(() => {
              time.now = clock.now();
              fn();
            }, delayMs),
        },
      });
      frozen.times.set(this, time);
    }
    override receive(line: string): void {
      const time = frozen.times.get(this)!;
      time.now = time.read();
      super.receive(line);
    }
  } as typeof Node & { times: WeakMap<Node, { now: number; read(): number }> };
  return assertBreaks("no-long-stalls", "callbacks expired in one turn", {
    ...manySlowCallbacks,
    nodeClass: frozen,
  });
});

Deno.test("no-long-stalls: a reap as it should be has slices", async () => {
  const violation = await firstViolation(manySlowCallbacks);
  assertEquals(violation, undefined);
});

/** n0 asks n1, which lets n2 answer. */
function forwarding(node: Node): void {
  node.on("init", () => {
    if (node.nodeId !== "n0") return;
    node.every(500, () => {
      node.rpc("n1", { type: "ask" }, () => {});
    });
  });
  node.on("ask", ({ body }) => {
    node.send("n2", { type: "forward", to: body.msg_id });
  });
  node.on("forward", ({ body }) => {
    node.send("n0", { type: "ask_ok", in_reply_to: body.to });
  });
}

Deno.test("replies-checked: a reply from another node than was asked", async () => {
  const options = { setUp: forwarding, operations: 0, recoveryMs: 0 };
  assertEquals(await firstViolation(options), undefined);
  await assertBreaks("replies-checked", "by a message that is no reply to it", {
    ...options,
    nodeClass: class extends Node {
      override receive(line: string): void {
        super.receive(
          line.includes("ask_ok") ? line.replace('"n2"', '"n1"') : line,
        );
      }
    },
  });
});

/** Of each node: whom each of its RPCs went to. */
const asked = new WeakMap<Node, Map<number, string>>();

Deno.test("replies-checked: whoever sends the reply", () =>
  assertBreaks("replies-checked", "by a message that is no reply to it", {
    network: { latency: { distribution: "uniform", meanMs: 20 } },
    faults: [{ kind: "stray", at: 0, until: 10_000, probability: 0.9 }],
    nodeClass: class extends Node {
      // deno-lint-ignore no-explicit-any
      override rpc(dest: string, body: SendBody, ...rest: any[]): any {
        const id = super.rpc(dest, body, rest[0], rest[1]);
        if (!asked.has(this)) asked.set(this, new Map());
        asked.get(this)!.set(id, dest);
        return id;
      }
      override receive(line: string): void {
        const message = JSON.parse(line);
        const dest = asked.get(this)?.get(message.body.in_reply_to);
        super.receive(JSON.stringify({ ...message, src: dest ?? message.src }));
      }
    },
  }));

Deno.test("replies-checked: a callback that fails for no reason", () =>
  assertBreaks("replies-checked", "which nobody sent", {
    nodeClass: withRpc((callback, options) => {
      const controller = new AbortController();
      queueMicrotask(() => controller.abort());
      return [callback, { ...options, signal: controller.signal }];
    }),
  }));

Deno.test("bounded: more pending than the limit allows", () =>
  assertBreaks("bounded", "the limit being 2", {
    nodeOptions: { maxPending: 2 },
    nodeClass: class extends Node {
      constructor(options: NodeOptions) {
        super({ ...options, maxPending: 1000 });
      }
    } as typeof Node,
  }));

Deno.test("bounded: an RPC refused below the limit; at it, it is as it should be", async () => {
  const nodeOptions = { maxPending: 2 };
  assertEquals(await firstViolation({ nodeOptions }), undefined);
  await assertBreaks("bounded", "an RPC was refused with 1 pending", {
    nodeOptions,
    nodeClass: class extends Node {
      constructor(options: NodeOptions) {
        super({ ...options, maxPending: 1 });
      }
    } as typeof Node,
  });
});

Deno.test("bounded: input is waited for longer than the grace", () =>
  assertBreaks("bounded", "ms ago waits for input, the limit being 2000 ms", {
    nodeClass: class extends Node {
      readonly #clock: Clock;
      #received = () => {};
      constructor(options: NodeOptions) {
        super({ ...options, inputGraceMs: 10_000 });
        this.#clock = options.clock!;
      }
      override connect({ send, caughtUp }: Transport): void {
        super.connect({
          send,
          caughtUp: (lateMs) => {
            caughtUp!(lateMs);
            const since = this.#clock.now();
            return new Promise((resolve) => {
              this.#received = () => {
                if (this.#clock.now() < since + 2500) return;
                caughtUp!(lateMs);
                resolve();
              };
            });
          },
        });
      }
      override receive(line: string): void {
        this.#received();
        super.receive(line);
      }
    } as typeof Node,
  }));

Deno.test("nothing-leaks: a listener that stays with its signal", async () => {
  const setUp = (node: Node) => {
    callbacks(node);
    const { signal } = new AbortController();
    node.every(1000, () => void node.rpc("n2", { type: "echo" }, { signal }));
  };
  assertEquals(await firstViolation({ setUp }), undefined);
  await assertBreaks("nothing-leaks", "a signal has 1 listeners although", {
    setUp,
    nodeClass: class extends Node {
      // deno-lint-ignore no-explicit-any
      override rpc(dest: string, body: SendBody, ...rest: any[]): any {
        rest[0].signal?.addEventListener("abort", () => {});
        return super.rpc(dest, body, rest[0], rest[1]);
      }
    },
  });
});

Deno.test("reported: a reap that is reported wrongly, or never", async () => {
  const reporting = (change: (report: ReapReport) => ReapReport | undefined) =>
    class extends Node {
      constructor(options: NodeOptions) {
        super({
          ...options,
          onReap(report) {
            const other = change(report);
            if (other) options.onReap!(other);
          },
        });
      }
    } as typeof Node;
  for (
    const [text, change] of [
      ["was reported where", (report: ReapReport) => ({
        ...report,
        count: report.count + 1,
      })],
      ["was reported where", (report: ReapReport) => ({
        ...report,
        oldestAgeMs: report.oldestAgeMs - 1,
      })],
      ["were never reported", () => undefined],
    ] as const
  ) {
    await assertBreaks("reported", text, { nodeClass: reporting(change) });
  }
});

Deno.test("bad-input: a node that throws at it", () =>
  assertBreaks("bad-input", "the node threw SyntaxError", {
    faults: ["corruption"],
    nodeClass: class extends Node {
      override receive(line: string): void {
        JSON.parse(line);
        super.receive(line);
      }
    },
  }));

Deno.test("bad-input: a node that sends what is no message, or not its own", async () => {
  for (const spoil of [JSON.stringify, (line: string) => line + "}"]) {
    await assertBreaks("bad-input", "this is no message of the node's", {
      nodeClass: class extends Node {
        override connect({ send }: { send(line: string): void }): void {
          super.connect({ send: (line) => send(spoil(line)) });
        }
      },
    });
  }
});

Deno.test("failures-contained: failures that are not counted", () =>
  assertBreaks("failures-contained", "callbacks threw, but only 0", {
    faults: [{ kind: "throw", at: 0, until: 10_000, probability: 0.5 }],
    nodeClass: class extends Node {
      override stats() {
        return { ...super.stats(), failures: 0 };
      }
    },
  }));

Deno.test("failures-contained: a callback's error that comes out, of a reply or a timeout", async () => {
  const raw = (deliver: (fn: () => void) => void) =>
    class extends Node {
      // deno-lint-ignore no-explicit-any
      override rpc(dest: string, body: SendBody, ...rest: any[]): any {
        const callback: RpcCallback = (error, reply) => {
          deliver(() => rest[0](error, reply));
        };
        return super.rpc(dest, body, callback, rest[1]);
      }
    };
  let thrown: unknown;
  const keep = (fn: () => void) => {
    try {
      fn();
    } catch (error) {
      thrown = error;
    }
  };
  await assertBreaks("failures-contained", "the node threw PlannedError", {
    faults: [{ kind: "throw", at: 0, until: 10_000, probability: 1 }],
    nodeClass: class extends raw(keep) {
      override receive(line: string): void {
        super.receive(line);
        if (thrown) throw thrown;
      }
    },
  });
  await assertBreaks("failures-contained", "a timer of the node's threw", {
    nodeClass: withClock((clock) => {
      const { setTimer } = clock;
      clock.setTimer = (fn, delayMs) =>
        setTimer(() => {
          fn();
          throw new Error("x");
        }, delayMs);
    }),
  });
});

Deno.test("a check of one's own, after each thing that a node did", async () => {
  const violation = await firstViolation({
    checks: [{
      name: "few",
      check: (nodes, nowMs) =>
        [...nodes.values()].some(({ pendingCount }) => pendingCount > 1)
          ? `too many at ${nowMs}`
          : undefined,
    }],
  });
  assertEquals(violation!.check, "few");
  assertStringIncludes(violation!.text, "too many at ");
});

Deno.test("counts that don't add up are seen at the end", async () => {
  for (
    const [check, wrong] of [["exactly-once", "reaped"], [
      "replies-checked",
      "stray",
    ]] as const
  ) {
    const violation = await firstViolation({
      nodeClass: class extends Node {
        override stats() {
          return { ...super.stats(), [wrong]: 1000 };
        }
      },
    });
    assertEquals(violation!.check, check);
    assertStringIncludes(violation!.text, `1000 as ${wrong}`);
  }
});

Deno.test("a node may forget what it settled many messages ago", async () => {
  const violation = await firstViolation({
    nodes: 2,
    clients: 50,
    operations: 25_000,
    faults: ["duplication"],
    network: { latency: { distribution: "exponential", meanMs: 2000 } },
  });
  assertEquals(violation, undefined);
});
