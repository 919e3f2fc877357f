/** `deno task new`: the projects that it makes, and why it makes none. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { cpSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { root } from "./process.ts";
import { Project } from "./project.ts";

const MESSAGES = `
{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":2,"echo":"hi"}}
`;

Deno.test("new: a project whose tests pass and whose node runs, as it is", async () => {
  await using project = new Project();
  // A name that a shell would take apart.
  const name = `it's $HOME & all`;
  const { code, stdout, stderr } = await project.script("new.ts", name);
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "deno task test");
  const files = readdirSync(new URL("scripts/new/", root));
  assertEquals(
    readdirSync(`${project.dir}/${name}`).sort(),
    files.filter((file) => file !== "vendor" && file !== "dist").sort(),
  );

  /** Runs one of its tasks. */
  const task = (args: string[], input = "") =>
    project.deno(["task", ...args], { below: name, input });
  const ok = await task(["ok"]);
  assertStringIncludes(ok.stdout, "3 passed | 0 failed", ok.stderr);
  assertEquals(ok.code, 0, ok.stderr);
  const sim = await task(["sim", "--seed", "1"]);
  assertStringIncludes(sim.stdout, "Seed 1: workload echo, ", sim.stderr);
  assertStringIncludes(sim.stdout, "\npass; ");
  assertEquals(sim.code, 0);
  const start = await task(["start", "--log-level", "debug"], MESSAGES);
  assertEquals(start.code, 0, start.stderr);
  assertStringIncludes(start.stdout, '"type":"echo_ok"');
  assertStringIncludes(start.stderr, "n1 debug: received ");
  for (const option of ["-h", "--help"]) {
    const { code, stdout } = await task(["start", option]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "\n  --rpc-timeout MS ");
  }
  const wrong = await task(["start", "--debug"]);
  assertEquals([wrong.code, wrong.stdout], [2, ""]);
  assertStringIncludes(
    wrong.stderr,
    "maelstrom-node: Unknown option '--debug' (",
  );
});

/** The code block of one of the docs that begins with a line. */
function documented(path: string, start: string): string {
  const text = Deno.readTextFileSync(new URL(path, root));
  const blocks = text.matchAll(/^```ts(?: ignore)?\n(.*?)^```$/gms);
  const block = Array.from(blocks, ([, code]) => code!)
    .find((code) => code.startsWith(start));
  assert(block !== undefined, `${path} has no ${start}`);
  return block;
}

Deno.test("new: a second node, as the README there has it: the counter of the docs", async () => {
  await using project = new Project();
  await project.script("new.ts", "mine");
  project.write(
    "mine/counter.ts",
    documented("docs/library.md", "// counter.ts\n"),
  );
  project.write(
    "mine/main.ts",
    documented("scripts/new/README.md", 'import { run } from "@gyre'),
  );
  const task = (...args: string[]) =>
    project.deno(["task", ...args], { below: "mine" });
  for (
    const args of [
      ["--seed", "22"], // by chance the largest run there is, all at once
      ["--seeds", "3", "--ops", "3000", "--faults", "loss,crash,pause,slow"],
    ]
  ) {
    const sim = await task("sim", "--node", "./counter.ts", ...args);
    assertEquals(sim.code, 0, sim.stdout + sim.stderr);
    assertStringIncludes(sim.stdout, "pn-counter");
  }
  const help = await task("start", "counter", "--help");
  assertStringIncludes(
    help.stdout,
    "maelstrom-node counter: counts up and down\n",
  );
  for (const args of [["check"], ["lint"], ["fmt", "--check"]]) {
    const { code, stderr } = await project.deno(args, { below: "mine" });
    assertEquals(code, 0, stderr);
  }
});

Deno.test("new: the code of the docs runs there as it is", async () => {
  await using project = new Project();
  await project.script("new.ts", "mine");
  for (const name of ["library.md", "simulation.md", "testing.md"]) {
    cpSync(new URL(`docs/${name}`, root), `${project.dir}/mine/${name}`);
  }
  await project.deno(["task", "setup"], { below: "mine" });
  const { code, stdout, stderr } = await project.deno(
    ["test", "--doc", "library.md", "simulation.md", "testing.md"],
    { below: "mine" },
  );
  assertEquals(code, 0, stdout + stderr);
});

Deno.test("new: the checkout may have any name", async () => {
  await using project = new Project();
  const checkout = `${project.dir}/it's $HOME & all`;
  for (const dir of ["lib", "scripts"]) {
    cpSync(new URL(dir, root), `${checkout}/${dir}`, { recursive: true });
  }
  cpSync(new URL("deno.json", root), `${checkout}/deno.json`);
  const script = `${checkout}/scripts/new.ts`;
  const run = ["run", "--no-config", "--quiet", "-A", script, "node"];
  assertEquals((await project.deno(run)).code, 0);
  const setup = await project.deno(["task", "setup"], { below: "node" });
  assertStringIncludes(setup.stderr, "using the stand-ins");
  assertEquals(setup.code, 0);
  const { links } = JSON.parse(project.read("node/deno.json"));
  assertEquals(links, [`../it's $HOME & all`]);
});

Deno.test("new: why no project is made, and what was there is left alone", async () => {
  await using project = new Project();
  project.write("file", "mine");
  Deno.mkdirSync(`${project.dir}/full`);
  project.write("full/file", "mine");
  const gyre = fileURLToPath(root);
  const cases: [number, string, ...string[]][] = [
    [2, "DIR is missing"],
    [2, "DIR is missing", ""],
    [2, "one DIR at a time, not 'a' 'b'", "a", "b"],
    [2, "new: Unknown option '--force' (see --help)", "--force"],
    [1, "full is not empty", "full"],
    [1, "file is no directory", "file"],
    [1, "below", "file/below"],
    [1, "can't be made: ", "x".repeat(300)],
    [1, "is in Gyre's own directory", gyre],
    [1, "is in Gyre's own directory", `${gyre}/lib/new`],
  ];
  await Promise.all(cases.map(async ([code, reason, ...args]) => {
    const said = await project.script("new.ts", ...args);
    assertEquals([said.code, said.stdout], [code, ""], `${args}`);
    assert(/^new: [^\n]*\n$/.test(said.stderr), said.stderr);
    assertStringIncludes(said.stderr, reason);
  }));
  const help = await project.script("new.ts", "-h");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(help.stdout, "deno task new DIR");
  assertEquals(readdirSync(project.dir).sort(), ["file", "full"]);
  assertEquals(project.read("full/file"), "mine");
});
