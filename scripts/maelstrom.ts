/** Runs the table of workloads with a real Maelstrom on the compiled binary: see docs/workloads.md. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  commandLine,
  figures,
  type Run,
  RUNS,
  title,
} from "./maelstrom/runs.ts";
import { Task } from "./options.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const names = [...new Set(RUNS.map(({ workload }) => workload))];

const HELP = `Runs the workloads with a real Maelstrom on the compiled binary.

Usage: MAELSTROM=/path/to/maelstrom deno task maelstrom [workload…] [options]

Workloads: ${names.join(", ")} (default: all)

  --bin FILE     the binary (default: dist/gyre, which deno task compile builds)
  --seconds N    for how long clients ask, 1 to 3600 (default: 20)
  --store DIR    where Maelstrom keeps what it says and finds
                 (default: dist/maelstrom)
  --list         show the command lines, and run nothing
  -h, --help     show this

Exit code: 0 when Maelstrom found every run valid, 1 when not, 2 for a wrong option.
`;

const HOW_TO_GET = `MAELSTROM must be the path of Maelstrom's program, as in
  MAELSTROM=../maelstrom/maelstrom deno task maelstrom
It is in maelstrom.tar.bz2 of https://github.com/jepsen-io/maelstrom/releases
and needs Java 11 or newer; graphviz and gnuplot are for its pictures only.`;

const task: Task = new Task("maelstrom", HELP);
const { values, positionals } = task.both({
  bin: { type: "string", default: join(root, "dist/gyre") },
  seconds: { type: "string", default: "20" },
  store: { type: "string", default: join(root, "dist/maelstrom") },
  list: { type: "boolean", default: false },
});
for (const name of positionals) {
  if (!names.includes(name)) {
    task.usageError(`there is no workload '${name}': ${names.join(", ")}`);
  }
}
const seconds = task.number("seconds", values.seconds, { min: 1, max: 3600 })!;
const bin = resolve(values.bin);
const store = resolve(values.store);
const chosen = RUNS.filter(({ workload }) =>
  positionals.length === 0 || positionals.includes(workload)
);

function fail(text: string): never {
  console.error(`maelstrom: ${text}`);
  Deno.exit(2);
}

/** Maelstrom's verdict on a run, by its exit code. */
const VERDICTS: Readonly<Record<number, string>> = { 0: "valid", 1: "INVALID" };

/** Runs one; whether it is valid. */
async function check(maelstrom: string, run: Run): Promise<boolean> {
  const { code, stdout, stderr } = await new Deno.Command(maelstrom, {
    args: commandLine(run, bin, seconds),
    cwd: store,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout) +
    new TextDecoder().decode(stderr);
  const verdict = VERDICTS[code] ?? "no verdict";
  const found = verdict === "no verdict"
    ? said.trim().split("\n").at(-1)
    : figures(
      ...["results", "history"].map((name) =>
        Deno.readTextFileSync(join(store, `store/latest/${name}.edn`))
      ) as [string, string],
    );
  console.log(`${verdict}: ${title(run)}: ${found}`);
  return code === 0;
}

const maelstrom = Deno.env.get("MAELSTROM");
if (values.list) {
  for (const run of chosen) {
    const shown = commandLine(run, "dist/gyre", seconds).join(" ");
    console.log(`maelstrom ${shown}`);
  }
  Deno.exit(0);
}
if (!maelstrom) fail(HOW_TO_GET);
if (!existsSync(maelstrom)) fail(`there is no ${maelstrom}\n${HOW_TO_GET}`);
if (!existsSync(bin)) {
  fail(`there is no ${bin}: deno task compile builds it (--bin names another)`);
}
Deno.mkdirSync(store, { recursive: true });
let valid = 0;
for (const run of chosen) {
  if (await check(resolve(maelstrom), run)) valid++;
}
console.log(`${valid} of ${chosen.length} runs valid; details: ${store}/store`);
Deno.exit(valid === chosen.length ? 0 : 1);
