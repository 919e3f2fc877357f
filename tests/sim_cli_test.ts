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

const lib = new URL("../lib/", import.meta.url).href;
const ECHO = ["--seed", "1", "--workload", "echo", "--faults", "none"];

/** Simulates a module's node, asked to echo. */
function simFile(name: string, text: string, ...options: string[]) {
  const file = `${directory}/${name}.ts`;
  Deno.writeTextFileSync(file, text);
  return sim("--node", file, ...ECHO, ...options);
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
  assert(
    /^repeatable: run twice, the traces differ from event \d+ on:\n +first +\{.*"x":0.*\n +second \{.*"x":0/m
      .test(stdout),
    stdout,
  );
});

Deno.test("sim: what fails only the first time is not shrunk, and says so", async () => {
  const { code, stdout, stderr } = await simFile(
    "first time",
    `let nodes = 0;
    export default (node: any) => {
      const wrong = nodes++ < 2;
      node.on("echo", ({ body }: any) => ({ echo: wrong ? 0 : body.echo }));
    };`,
    ...["--nodes", "2"],
  );
  assertEquals(code, 1, stderr);
  assertStringIncludes(
    stdout,
    "Cannot shrink as seed 1 has no violation with these options: it is not the same twice, see --twice",
  );
});

Deno.test("sim: a node that serves itself, or ends the process, is refused, however it does", async () => {
  const files = {
    serves: `import { Node } from "${lib}mod.ts";
      import { serve } from "${lib}stdio/mod.ts";
      export const setUp = () => {};
      Deno.exit(await serve(new Node()));`,
    "serves meanwhile": `import { Node } from "${lib}mod.ts";
      import { serve } from "${lib}stdio/mod.ts";
      export const setUp = () => {};
      serve(new Node());`,
    ends: "export const setUp = () => {}; Deno.exit(0);",
    "ends as Node.js does":
      `import process from "node:process"; export const setUp = () => {}; process.exit(0);`,
    "reads lines":
      "export const setUp = () => {}; for await (const _ of Deno.stdin.readable);",
  };
  await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const { code, stdout, stderr } = await simFile(name, text);
      assertEquals([code, stdout], [2, ""], name);
      assert(
        /^sim: --node: .* (reads stdin|calls Deno.exit\(0\)), which a simulated node can't: put what serves it under 'if \(import.meta.main\) { … }'\n$/
          .test(stderr),
        stderr,
      );
    }),
  );
  const late =
    "export const setUp = (node: any) => node.on('echo', Deno.exit);";
  const { code, stderr } = await simFile("late", late, "--seeds", "2");
  assertEquals(code, 1);
  assert(/^sim: seed \d: the node calls Deno.exit\(/.test(stderr), stderr);
});

Deno.test("sim: what fails in a node of one's own is shown with its file and line", async () => {
  const throwing =
    `export default (node: any) => node.on("echo", () => {\n  throw new Error("oops");\n});`;
  const [loading, parsing, settingUp, handling, many] = await Promise.all([
    simFile("loading", "const x: any = undefined;\nx.y;"),
    simFile("parsing", "const\n  = 5;"),
    simFile(
      "setting up",
      "export default function f() {\n  (null as any).x;\n}",
    ),
    simFile("handling", throwing),
    simFile("handling many", throwing, "--seeds", "2"),
  ]);
  assertEquals([loading.code, parsing.code], [2, 2]);
  const missing = await sim("--node", "x.ts");
  assertEquals(missing.code, 2);
  assertStringIncludes(missing.stderr, "sim: --node: x.ts: TypeError: Module ");
  assert(
    /\/loading.ts: TypeError: .*\n +at .*\/loading.ts:2:3\n$/.test(
      loading.stderr,
    ),
    loading.stderr,
  );
  assertStringIncludes(parsing.stderr, "/parsing.ts:2:3");
  assert(
    /^sim: TypeError: .*\n +at f .*\/setting up.ts:2:/.test(settingUp.stderr),
    settingUp.stderr,
  );
  assertEquals([settingUp.code, handling.code], [1, 1]);
  assert(
    /^n\d at .* ms: the handler of "echo" failed: Error: oops\n +at .*\/handling.ts:2:9$/m
      .test(handling.stdout),
    handling.stdout,
  );
  assertEquals(
    many.stdout.match(
      /^ {2}n0 at .* ms: the handler of "echo" failed: Error: oops\n +at .*:2:9$/mg,
    )
      ?.length,
    2,
    many.stdout,
  );
});

Deno.test("sim: the nodes' log, down to a level", async () => {
  const log = async (level: string) =>
    (await sim(...ECHO, "--nodes", "1", "--log-level", level)).stderr;
  const [error, info] = await Promise.all([log("error"), log("info")]);
  assertEquals(error, "");
  assert(/^[\d.]+ ms n0 info: initialized as n0 of n0$/m.test(info), info);
});

Deno.test("sim: shrinking shows how far it is, ends in time, and can be left out", async () => {
  const options = ["--seed", "1", "--workload", "pn-counter"];
  const wrong = [...options, "--faults", "duplication"];
  const [one, none, short] = await Promise.all([
    sim(...wrong),
    sim(...wrong, "--shrink-seconds", "0"),
    sim(...wrong, "--shrink-seconds", "0.001"),
  ]);
  assert(
    /^Shrinking for at most 30 s what fails at counter: \d+ s, \d+ runs, \d+ nodes?, /m
      .test(one.stderr),
    one.stderr,
  );
  assertStringIncludes(one.stdout, "\nShrunk in ");
  assertEquals(none.code, 1);
  assert(!none.stdout.includes("Shrunk"), none.stdout);
  assertEquals(none.stderr, "");
  assert(
    /^Shrunk in 1 run to .*, but cut short, at 0.001 s: there may be less \(see --shrink-seconds\):$/m
      .test(short.stdout),
    short.stdout,
  );
});

Deno.test("sim: of two --node the last one counts, as a project's task gives the first", async () => {
  const file = `${directory}/second.ts`;
  const text = `export { echo as setUp } from "${lib}mod.ts";`;
  Deno.writeTextFileSync(file, text);
  const options = ["--node", "missing.ts", "--node", file, ...ECHO];
  const { code, stdout } = await sim(...options, "--ops", "2e1");
  assertEquals(code, 0, stdout);
  assertStringIncludes(stdout, "workload echo, ");
  assertStringIncludes(stdout, ", 20 operations");
});

Deno.test("sim: where more nodes are needed than the seed chooses, there are as many", async () => {
  const { stdout } = await sim(...ECHO, "--needs", "7");
  assertStringIncludes(stdout, "workload echo, 7 nodes");
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
    [["--from", "5"], "--from needs --diagram FILE"],
    [["--only-nodes", "n0"], "--only-nodes needs --diagram FILE"],
    [
      ["--seed", "-1"],
      "--seed must be a whole number from 0 to 4503599627370496, not '-1'",
    ],
    [["--seed", "1", "--seed", "2"], "Option '--seed' is given twice"],
    [["--seeds", "5", "--minutes", "1"], "--minutes is instead of --seeds"],
    [
      ["--needs", "9", "--nodes", "3"],
      "--needs must be at most --nodes: 9 of 3",
    ],
    [
      ["--from", "100", "--to", "50", "--diagram", "x", "--seed", "1"],
      "--from must be no later than --to: 100 is after 50",
    ],
    [
      ["--only-faults", "9999", "--seed", "1"],
      "--only-faults has 9999, but there are faults 0 to",
    ],
    [
      ["--only-ops", "20", "--ops", "2e1", "--seed", "1"],
      "--only-ops has 20, but there are operations 0 to 19",
    ],
    [["--only-ops", "7-4", "--seed", "1"], "does not understand '7-4'"],
    [["--only-faults", "1"], "--only-faults needs one seed: add --seed N"],
    [
      [...["--only-nodes", "n99", "--diagram", `${directory}/x.svg`], ...ECHO],
      `--only-nodes has "n99", but in the trace are c1, `,
    ],
    [["--shrink-seconds", "x"], "--shrink-seconds must be a number from 0"],
    [["--log-level", "all"], "--log-level must be one of error, warn, info"],
    [["--log-level", "info"], "--log-level needs one seed"],
    [["--ops", "1e9"], "--ops must be a whole number from 0 to 1000000, not"],
  ];
  await Promise.all(cases.map(async ([args, text]) => {
    const { code, stdout, stderr } = await sim(...args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, text);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
    assert(stderr.endsWith(" (see --help)\n"), stderr);
  }));
});

Deno.test("sim: help", async () => {
  const { code, stdout } = await sim("--help");
  assertEquals(code, 0);
  assertStringIncludes(stdout, "Usage: deno task sim [options]");
});
