/** Runs the tests, reports how much of `lib/` they ran, and exits with 1 when it is too little. */
import { readdirSync } from "node:fs";
import { Task } from "./options.ts";

const HELP =
  `Reports how much of lib/ the tests run; exits with 1 when it is too little.

Usage: deno task coverage [options]

  --lines N      the least part of the lines, in per cent (default 95)
  --branches N   the least part of the branches, in per cent (default 90)
  -h, --help     show this`;

const task: Task = new Task("coverage", HELP);
const values = task.options({
  lines: { type: "string" },
  branches: { type: "string" },
});
const percent = { min: 0, max: 100, whole: false };
const bounds = {
  lines: task.number("lines", values.lines, percent) ?? 95,
  branches: task.number("branches", values.branches, percent) ?? 90,
};

/** Runs in Node.js only, where the end-to-end tests run it. */
const ELSEWHERE = "lib/stdio/node.ts";
const TEST = "test --doc --allow-run --allow-read --allow-write --allow-env" +
  " --allow-net=127.0.0.1 --clean --coverage=coverage --coverage-raw-data-only";
const REPORT = "coverage coverage --include=/lib/ --lcov";

/** Runs Deno in the project's directory; ends this process where that fails. */
async function deno(command: string, stdout: "inherit" | "piped") {
  const output = await new Deno.Command(Deno.execPath(), {
    args: command.split(" "),
    cwd: new URL("../", import.meta.url),
    stdin: "null",
    stdout,
    stderr: "inherit",
  }).output();
  if (!output.success) Deno.exit(1);
  return output;
}

await deno(TEST, "inherit");
const { stdout } = await deno(REPORT, "piped");

/** How much of something there is, and how much of it was run. */
class Count {
  found = 0;
  hit = 0;

  get percent(): number {
    return this.found === 0 ? 100 : 100 * this.hit / this.found;
  }

  add(other: Count): void {
    this.found += other.found;
    this.hit += other.hit;
  }

  toString(): string {
    return `${this.percent.toFixed(1).padStart(6)} %`;
  }
}

const total = { lines: new Count(), branches: new Count() };
const seen = new Set<string>();
const report = (name: string, { lines, branches }: typeof total) =>
  console.log(`${lines}  ${branches}  ${name}`);

console.log("   lines  branches");
for (const record of new TextDecoder().decode(stdout).split("end_of_record")) {
  const fields = new Map(
    [...record.matchAll(/^(SF|LF|LH|BRF|BRH):(.*)$/gm)]
      .map(([, key, value]) => [key, value!.trim()]),
  );
  const name = fields.get("SF")?.replaceAll("\\", "/").match(/.*\/(lib\/.*)/)
    ?.[1];
  if (name === undefined) continue;
  const count = (found: string, hit: string) =>
    Object.assign(new Count(), {
      found: Number(fields.get(found) ?? 0),
      hit: Number(fields.get(hit) ?? 0),
    });
  const file = { lines: count("LF", "LH"), branches: count("BRF", "BRH") };
  total.lines.add(file.lines);
  total.branches.add(file.branches);
  seen.add(name);
  report(name, file);
}
report("all of lib/", total);

let enough = true;
const lib = new URL("../lib/", import.meta.url);
for (const path of readdirSync(lib, { recursive: true }).map(String)) {
  const name = `lib/${path.replaceAll("\\", "/")}`;
  if (!name.endsWith(".ts") || seen.has(name)) continue;
  if (name === ELSEWHERE) continue;
  // A file of types alone leaves nothing to be run.
  const text = Deno.readTextFileSync(new URL(path, lib));
  if (!/^(export )?(async )?(const|let|function|class)\b/m.test(text)) continue;
  console.error(`coverage: no test loads ${name}`); // nor counts its lines
  enough = false;
}
for (const kind of ["lines", "branches"] as const) {
  const bound = bounds[kind];
  if (total[kind].percent >= bound) continue;
  console.error(
    `coverage: ${
      total[kind].percent.toFixed(1)
    } % of the ${kind} of lib/ were run, fewer than ${bound} %`,
  );
  enough = false;
}
Deno.exit(enough ? 0 : 1);
