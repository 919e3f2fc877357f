/** Copies of the project in which faults can be planted, and the tests that are run there. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
// deno-lint-ignore no-import-prefix -- not in deno.json, so that only this task downloads it
import ts from "npm:typescript@5.9.3";

/** A test run that takes so many times as long as without a fault hangs, and is killed. */
const PATIENCE = 5;
const PATIENCE_MS = 10_000;

/** Where the project is. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The files that a file imports, itself and those of its imports included. */
function importsOf(file: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = Deno.readTextFileSync(join(root, file));
  for (const { fileName } of ts.preProcessFile(text).importedFiles) {
    if (fileName.startsWith(".") && fileName.endsWith(".ts")) {
      importsOf(join(dirname(file), fileName), seen);
    }
  }
  return seen;
}

/** The tests that concern a file, in the order in which they are run. */
export function stagesOf(file: string): string[][] {
  const own = file.replace("lib/", "tests/").replace(".ts", "_test.ts");
  const tests = [...Deno.readDirSync(join(root, "tests"))]
    .map(({ name }) => `tests/${name}`)
    .filter((name) => name.endsWith("_test.ts")).sort();
  const inside: string[] = [];
  const processes: string[] = [];
  for (const test of tests) {
    const imports = importsOf(test);
    if (imports.has("scripts/fuzz.ts")) continue; // has fresh seeds each time
    if (imports.has("tests/process.ts")) processes.push(test);
    else if (imports.has(file) && test !== own) inside.push(test);
  }
  const stages = [tests.includes(own) ? [own] : [], inside];
  if (file.startsWith("lib/stdio/")) stages.push(processes);
  return stages.filter((stage) => stage.length > 0);
}

/** Copies what git knows of the project, and the vendored packages, to a place where faults can be planted. */
export async function copyOfProject(): Promise<string> {
  const to = await Deno.makeTempDir({ prefix: "gyre-mutants-" });
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-co", "--exclude-standard", "-z"],
    cwd: root,
  }).output();
  const files = new TextDecoder().decode(stdout).split("\0").filter(Boolean);
  const vendored = (dir: string): string[] =>
    [...Deno.readDirSync(join(root, dir))].flatMap(({ name, isDirectory }) =>
      isDirectory ? vendored(`${dir}/${name}`) : `${dir}/${name}`
    );
  for (const file of [...files, ...vendored("vendor")]) {
    await Deno.mkdir(dirname(join(to, file)), { recursive: true });
    await Deno.copyFile(join(root, file), join(to, file));
  }
  return to;
}

/** What came of a run of tests. */
export type Verdict = "passed" | "failed" | "hung";

/** Runs tests in a copy of the project; kills them when that takes too long. */
export async function runTests(
  tests: string[],
  cwd: string,
  limitMs: number,
): Promise<Verdict> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--quiet", "--no-check", "--fail-fast", "-A", ...tests],
    cwd,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL"); // the tests listen to milder signals
  }, limitMs);
  const { success } = await child.status;
  clearTimeout(timer);
  return hung ? "hung" : success ? "passed" : "failed";
}

/**
 * Runs tests without a fault, to know how long they may take with one.
 *
 * @param stages The tests, stage by stage.
 * @param copy Where to run them.
 * @returns Of each stage, how long it may take in ms.
 * @throws {Error} Some fail without any fault.
 */
export async function limitsOf(
  stages: readonly string[][],
  copy: string,
): Promise<Map<string, number>> {
  const limits = new Map<string, number>();
  for (const stage of stages) {
    if (limits.has(stage.join())) continue;
    const startedAt = performance.now();
    if (await runTests(stage, copy, 600_000) !== "passed") {
      throw new Error(`${stage.join(" ")} fail without any fault`);
    }
    limits.set(
      stage.join(),
      PATIENCE_MS + PATIENCE * (performance.now() - startedAt),
    );
  }
  return limits;
}

/**
 * Runs the tests that concern a file, stage by stage, until some fail.
 *
 * @param stages The tests.
 * @param copy Where to run them.
 * @param limits Of each stage, how long it may take in ms.
 */
export async function runStages(
  stages: readonly string[][],
  copy: string,
  limits: ReadonlyMap<string, number>,
): Promise<Verdict> {
  for (const stage of stages) {
    const verdict = await runTests(stage, copy, limits.get(stage.join())!);
    if (verdict !== "passed") return verdict;
  }
  return "passed";
}
