/** `deno task sim` as a process: options, exit codes, files. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { diagram } from "../lib/sim/mod.ts";

const script = new URL("../scripts/sim.ts", import.meta.url).href;
const directory = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => {
  Deno.removeSync(directory, { recursive: true });
});

async function sim(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-env",
      "--allow-read",
      `--allow-write=${directory}`,
      script,
      ...args,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("sim: one seed, with its trace and its diagram, twice the same", async () => {
  const run = async (name: string) => {
    const trace = `${directory}/${name}.jsonl`;
    const picture = `${directory}/${name}.svg`;
    const options = ["--seed", "7", "--workload", "callbacks", "--ops", "20"];
    const result = await sim(
      ...options,
      "--trace",
      trace,
      "--diagram",
      picture,
    );
    assertEquals([result.code, result.stderr], [0, ""]);
    return [
      result.stdout,
      Deno.readTextFileSync(trace),
      Deno.readTextFileSync(picture),
    ] as const;
  };
  const [one, another] = await Promise.all([run("a"), run("b")]);
  assertEquals(one, another);
  const [stdout, trace, picture] = one;
  const lines = trace.trimEnd().split("\n");
  assertStringIncludes(stdout, "Seed 7: workload callbacks");
  assertStringIncludes(stdout, `${lines.length} events, hash `);
  assertEquals(picture, diagram(lines));
});

Deno.test("sim: many seeds, in workers, summed up", async () => {
  const { code, stdout } = await sim("--seeds", "6", "--faults", "loss,pause");
  assertEquals(code, 0, stdout);
  assert(/^Seeds from \d+: deno task sim --seed \d+/.test(stdout), stdout);
  assert(/^loss +6 +\d+/m.test(stdout), stdout);
  assert(/^all +6 +\d+/m.test(stdout), stdout);
  assertStringIncludes(stdout, "6 seeds in ");
  assertStringIncludes(stdout, "0 failed, 0 undecided");
  assert(/^messages per operation +operations +all/m.test(stdout), stdout);
  assert(/^latency in ms +count +median +p99 +max/m.test(stdout), stdout);
  assert(/^late reply +\d+$/m.test(stdout), stdout);
});

Deno.test("sim: one seed's counts have one row, with messages and latencies", async () => {
  const { code, stdout } = await sim(
    ...["--seed", "1", "--workload", "broadcast", "--nodes", "1"],
    ...["--faults", "none", "--ops", "40"],
  );
  assertEquals(code, 0, stdout);
  assertStringIncludes(
    stdout,
    "Seed 1: workload broadcast, 1 node, 40 operations\n",
  );
  assertStringIncludes(stdout, "broadcast until all know");
  assert(!/^all/m.test(stdout), stdout);
  assert(/^pass; \d+ events, hash [0-9a-f]{16}$/m.test(stdout), stdout);
});

Deno.test("sim: what never happened is named, and exits with 1 where that was asked for", async () => {
  const options = ["--seed", "1", "--workload", "echo", "--faults", "none"];
  assertEquals((await sim(...options)).code, 0);
  const { code, stdout } = await sim(...options, "--sometimes");
  assertEquals(code, 1);
  assertStringIncludes(stdout, "Never happened in 1 seed: reply on the");
});

Deno.test("sim: a node of one's own, by its export setUp or by default", async () => {
  const file = `${directory}/node.ts`;
  const counter = (start: string, echo: string) =>
    `${start} (node: any) { node.on("echo", ({ body }: any) => ({ echo: ${echo} })); }`;
  const options = ["--node", file, "--workload", "echo", "--seed", "1"];
  for (const start of ["export default function", "export function setUp"]) {
    Deno.writeTextFileSync(file, counter(start, "body.echo"));
    const { code, stdout } = await sim(...options, "--seeds", "2");
    assertEquals(code, 0, stdout);
  }
  Deno.writeTextFileSync(file, counter("export default function", "1"));
  const { code, stdout } = await sim(...options);
  assertEquals(code, 1);
  assertStringIncludes(stdout, "came back as 1");
  assertStringIncludes(stdout, `--node ${file}`);
  Deno.writeTextFileSync(file, "export const x = 1;");
  const wrong = await sim(...options);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "must export a function 'setUp'");
});

Deno.test("sim: what to ask a node of one's own for, its module says or an option", async () => {
  const file = `${directory}/workload.ts`;
  const write = (more: string) =>
    Deno.writeTextFileSync(
      file,
      `import { echo } from "${new URL(
        "../lib/mod.ts",
        import.meta.url,
      )}"; export default echo; ${more}`,
    );
  const options = ["--node", file, "--seed", "1", "--ops", "40"];
  write('export const workload = "echo";');
  const { code, stdout } = await sim(...options);
  assertStringIncludes(stdout, "Seed 1: workload echo, ");
  assertEquals(code, 0, stdout);
  const other = await sim(...options, "--workload", "unique-ids");
  assertStringIncludes(other.stdout, "Seed 1: workload unique-ids, ");
  for (
    const [more, reason] of [
      ["", "what to ask for is not known: add --workload NAME, or to "],
      ['export const workload = "toString";', "no workload 'toString': add"],
    ] as const
  ) {
    write(more);
    const wrong = await sim(...options);
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, reason);
    assertStringIncludes(wrong.stderr, "with one of callbacks, echo, ");
  }
});

Deno.test("sim: a seed that is not the same twice is found with --twice", async () => {
  const file = `${directory}/dice.ts`;
  Deno.writeTextFileSync(
    file,
    `export default (node: any) => node.on("echo", ({ body }: any) => ({ echo: body.echo, x: Math.random() }));`,
  );
  const options = ["--node", file, "--workload", "echo", "--seed", "1"];
  assertEquals((await sim(...options)).code, 0);
  const { code, stdout } = await sim(...options, "--twice");
  assertEquals(code, 1);
  assertStringIncludes(stdout, "repeatable: run twice, the hashes are ");
});

Deno.test("sim: a violation is shrunk, can be run again, and exits with 1", async () => {
  // A counter under duplication: what a node is asked twice it adds twice.
  const { code, stdout } = await sim(
    ...["--seed", "1", "--workload", "pn-counter", "--faults", "duplication"],
  );
  assertEquals(code, 1, stdout);
  assertStringIncludes(stdout, "counter: n");
  const again = /^Run it: deno task sim (.* --only-ops .*)$/m.exec(stdout)!;
  const shrunk = await sim(...again[1]!.split(" "));
  assertEquals(shrunk.code, 1);
  const left = /, (\d+) operations?:$/m.exec(stdout)!;
  assert(Number(left[1]) <= 10, stdout);
});

Deno.test("sim: a wrong option is named on one line, and exits with 2", async () => {
  const cases: [string[], string][] = [
    [["--sed", "1"], "'--sed'"],
    [["--nodes", "0"], "--nodes must be a whole number from 1 to 100, not '0'"],
    [["--ops", "x"], "--ops must be"],
    [["--faults", "loss,fire"], "--faults knows no 'fire': loss, duplication"],
    [["--workload", "x"], "--workload must be one of callbacks, echo"],
    [["--bytes", "maybe"], "--bytes must be yes or no, not 'maybe'"],
    [["--only-ops", "1,-2"], "--only-ops must be like 1,4-7"],
    [["--minutes", "0"], "--minutes must be a number from 0.01"],
    [["--trace", "x"], "--trace needs one seed: add --seed N"],
    [["--topology", "x"], "--topology must be one of grid, line, total, tree4"],
    [["--node", "x.ts"], "--node: Module not found "],
    [
      ["--seed", "-1"],
      "--seed must be a whole number from 0 to 4503599627370496, not '-1'",
    ],
    [["--from", "5"], "--from needs --diagram FILE"],
    [["--only-nodes", "n0"], "--only-nodes needs --diagram FILE"],
  ];
  await Promise.all(cases.map(async ([args, text]) => {
    const { code, stdout, stderr } = await sim(...args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, text);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }));
});

Deno.test("sim: help", async () => {
  const { code, stdout } = await sim("--help");
  assertEquals(code, 0);
  assertStringIncludes(stdout, "Usage: deno task sim [options]");
});
