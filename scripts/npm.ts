/** Makes the npm package: what is published on JSR, but compiled, and with no need for JSR. */
import { Buffer } from "node:buffer";
import { cpSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { Task } from "./options.ts";

const HELP = `Makes the npm package.

Usage: deno task npm [options]

  --output FILE   the package (default: dist/gyre-node-${config.version}.tgz)
  -h, --help      show this`;

const root = fileURLToPath(new URL("../", import.meta.url));
/** What of the JSR package is in it: all but programs of Deno's. */
const PARTS = config.publish.include.filter((name) =>
  !name.startsWith("scripts/")
);
/** Cuts text into lines there: that of @std/streams would have to come from JSR. */
const LINES = "lib/stdio/text_line_stream.ts";
const STD_LINES = /^(import [^"]* from )"@std\/streams\/text-line-stream";$/gm;
const INLINE_MAP =
  /\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/;

const task: Task = new Task("npm", HELP);
const options = task.options({
  output: {
    type: "string",
    default: join(root, `dist/gyre-node-${config.version}.tgz`),
  },
});
if (options.output === "") task.usageError("--output must name a file");
const output = resolve(options.output);

/** All files below a folder. */
function filesOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function run(program: string, args: string[], cwd: string) {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  console.error(`npm: ${new TextDecoder().decode(stderr).trim()}`);
  Deno.exit(1);
}

/** Lays out what is to be compiled. */
function layOut(dir: string): void {
  for (const name of PARTS) {
    cpSync(join(root, name), join(dir, name), { recursive: true });
  }
  cpSync(join(root, "scripts/standins/text_line_stream.ts"), join(dir, LINES));
  for (const file of filesOf(join(dir, "lib"))) {
    const path = relative(dirname(file), join(dir, LINES)).replaceAll(
      "\\",
      "/",
    );
    const code = Deno.readTextFileSync(file);
    Deno.writeTextFileSync(file, code.replace(STD_LINES, `$1"./${path}";`));
  }
  const { name, version, license, compilerOptions, imports } = config;
  const { "pure-rand": pureRand } = imports;
  const { "./sim/cli": _, ...exports } = config.exports;
  Deno.writeTextFileSync(
    join(dir, "deno.json"),
    JSON.stringify({
      name,
      version,
      license,
      exports,
      compilerOptions,
      imports: { "pure-rand": pureRand },
    }),
  );
}

/** Moves the source map of a compiled file into a file of its own, which names no place on this machine. */
function moveMap(file: string): void {
  const code = Deno.readTextFileSync(file);
  const map = JSON.parse(
    Buffer.from(INLINE_MAP.exec(code)![1]!, "base64").toString(),
  );
  const name = basename(file);
  map.sources = [name.replace(/js$/, "ts")];
  Deno.writeTextFileSync(`${file}.map`, JSON.stringify(map));
  Deno.writeTextFileSync(
    file,
    code.replace(INLINE_MAP, `//# sourceMappingURL=${name}.map\n`),
  );
}

const stage = Deno.makeTempDirSync({ prefix: "gyre-npm-" });
try {
  layOut(stage);
  const args = ["pack", "--quiet", "--allow-dirty", "--output", "packed.tgz"];
  await run(Deno.execPath(), args, stage);
  await run("tar", ["-xzf", "packed.tgz"], stage);
  for (const file of filesOf(join(stage, "package/lib"))) {
    if (file.endsWith(".js")) moveMap(file);
  }
  const manifest = join(stage, "package/package.json");
  Deno.writeTextFileSync(
    manifest,
    JSON.stringify(
      {
        ...JSON.parse(Deno.readTextFileSync(manifest)),
        description: "Maelstrom nodes whose RPC callbacks never leak",
        engines: { node: ">=20" },
        sideEffects: false,
      },
      null,
      2,
    ),
  );
  Deno.mkdirSync(dirname(output), { recursive: true });
  await run("tar", ["-czf", output, "package"], stage);
  console.log(`npm: ${output}`);
} finally {
  Deno.removeSync(stage, { recursive: true });
}
