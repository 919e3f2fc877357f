/** Messages as bytes: the real inbox and outbox in virtual time. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { callbacks, Node } from "../lib/mod.ts";
import {
  type BytesOptions,
  echoWorkload,
  Simulation,
  type SimulationOptions,
} from "../lib/sim/mod.ts";
import { SCENARIOS } from "../scripts/sim/nodes.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const lines = () => new TextLineStream();

/** Runs a simulation of nodes on pipes; its result, and its trace. */
async function simulate(
  options: Partial<SimulationOptions> = {},
  bytes: Partial<BytesOptions> = {},
) {
  const trace: Json[] = [];
  const result = await new Simulation({
    seed: 1,
    setUp: callbacks,
    workload: echoWorkload,
    bytes: { lines, ...bytes },
    onTrace: (line) => trace.push(JSON.parse(line)),
    ...options,
  }).run();
  const of = (event: string) => trace.filter(({ e }) => e === event);
  return { ...result, of };
}

Deno.test("bytes: every scenario and fault, twice: the same hashes, and no violation", async () => {
  for (const scenario of Object.values(SCENARIOS)) {
    for (let seed = 0; seed < 3; seed++) {
      const run = () => simulate({ seed, operations: 30, ...scenario });
      const [one, another] = [await run(), await run()];
      assertEquals(one.violations, []);
      assertEquals(one.hash, another.hash);
    }
  }
});

Deno.test("bytes: lines come in pieces, and go out as the reader likes", async () => {
  const { of } = await simulate({ nodes: 6, operations: 300 });
  const reads = of("read").map(({ bytes }) => bytes);
  assert(reads.length > 350, "some lines are cut");
  assert(new Set(reads).size > 50);
  const sizes = (node: string) =>
    of("write").filter((one) => one.node === node).map(({ bytes }) => bytes);
  const least = ["n0", "n1", "n2", "n3", "n4", "n5"]
    .map((node) => Math.min(...sizes(node)));
  assert(least.some((size) => size < 10), "a reader takes it piece by piece");
  assert(least.some((size) => size > 50), "a reader takes whole lines");
});

Deno.test("bytes: every process ends as it is asked to, and says so", async () => {
  const codes = new Map<string, number>();
  for (let seed = 0; seed < 20; seed++) {
    const { of, violations, counts } = await simulate({
      seed,
      nodes: 2,
      faults: [{ kind: "crash", at: 3000, until: 7000, node: "n0" }],
    });
    assertEquals(violations, []);
    assert(counts.ok > 30);
    const during = of("exit").filter(({ t }) => t < 7000);
    const how = during.map(({ node, code }) => `${node} ${code}`).join();
    codes.set(how, (codes.get(how) ?? 0) + 1);
    assertEquals(of("exit").filter(({ t }) => t > 19_000).length, 2);
  }
  assertEquals([...codes.keys()].sort(), ["", "n0 0", "n0 1"]);
});

async function firstViolation(
  options: Partial<SimulationOptions>,
  bytes: Partial<BytesOptions> = {},
) {
  return (await simulate(options, bytes)).violations[0];
}

/** A splitter that does something to its lines. */
function spoiled(spoil: (line: string) => string[]): () => TransformStream {
  return () => {
    const { writable, readable } = new TextLineStream();
    const spoiler = new TransformStream<string, string>({
      transform(line, controller) {
        for (const other of spoil(line)) controller.enqueue(other);
      },
    });
    return { writable, readable: readable.pipeThrough(spoiler) };
  };
}

Deno.test("every-line: a line that is lost, comes twice, or is cut", async () => {
  let count = 0;
  for (
    const spoil of [
      (line: string) => ++count % 10 === 0 ? [] : [line],
      (line: string) => ++count % 10 === 0 ? [line, line] : [line],
      (line: string) => [line.slice(0, 100)],
    ]
  ) {
    const violation = await firstViolation({}, { lines: spoiled(spoil) });
    assertEquals(violation?.check, "every-line");
    assertStringIncludes(violation!.text, "stdin was given ");
  }
});

Deno.test("every-line: a process that ends for no reason", async () => {
  const failing = () => {
    const { writable, readable } = new TextLineStream();
    let count = 0;
    const failure = new TransformStream<string, string>({
      transform(line, controller) {
        if (++count > 9) throw new Error("x");
        controller.enqueue(line);
      },
    });
    return { writable, readable: readable.pipeThrough(failure) };
  };
  const violation = await firstViolation({}, { lines: failing });
  assertEquals(violation?.check, "every-line");
  assertStringIncludes(
    violation!.text,
    "the process ended with 1 at no reason",
  );
});

Deno.test("every-line: a process that does not end", async () => {
  const violation = await firstViolation({
    nodeClass: class extends Node {
      override close(): Promise<void> {
        return new Promise(() => {});
      }
    },
  });
  assertEquals(violation?.check, "every-line");
  assertStringIncludes(violation!.text, "the process did not end at ");
});

Deno.test("bad-input: what is skipped is counted, be it garbled or just too long", async () => {
  const faults = [{ kind: "corruption", at: 0, until: 1e4, probability: 0.5 }];
  const options = { faults } as Partial<SimulationOptions>;
  const { violations, counts } = await simulate(options, {
    maxLineBytes: 300,
  });
  assertEquals(violations, []);
  assert(counts.garbled > 3);
  const violation = await firstViolation({
    ...options,
    nodeClass: class extends Node {
      override stats() {
        const stats = super.stats();
        return { ...stats, invalid_lines: stats.invalid_lines - 1 };
      }
    },
  });
  assertEquals(violation?.check, "bad-input");
});
