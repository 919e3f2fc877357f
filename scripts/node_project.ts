/** Makes dist/node: the programs of the end-to-end tests for Node.js, which use the npm package that `deno task npm` made. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
// deno-lint-ignore no-import-prefix -- not in deno.json, so that only this script downloads it
import ts from "npm:typescript@5.9.3";
import config from "../deno.json" with { type: "json" };

const root = fileURLToPath(new URL("../", import.meta.url));
const dir = join(root, "dist/node");
const PROGRAMS = [
  "main.ts",
  "lib/subcommands.ts",
  "tests/faulty_node.ts",
  "tests/talkative_node.ts",
];
/** What the programs have of Deno, in Node.js. */
const PRELUDE = `import process from "node:process";
const Deno = { args: process.argv.slice(2), exit: process.exit };
`;

/** A program for Node.js: it imports the package, whose own way to cut lines it uses. */
function translate(code: string): string {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
    },
  });
  return PRELUDE + outputText
    .replace(/^import .* from "@std\/streams.*\n/m, "")
    .replaceAll("new TextLineStream()", "undefined")
    .replace(
      /^import config .*$/m,
      `const config = { version: "${config.version}" };`,
    )
    .replace(/"\.\.?\/lib\/(mod|node)\.ts"/, '"@gyre/node"')
    .replace(/"\.\.?\/lib\/stdio\/mod\.ts"/, '"@gyre/node/stdio"')
    .replace(/"\.\/lib\/subcommands\.ts"/, '"./subcommands.mjs"')
    .replaceAll(/"\.\/workloads\/\w+\.ts"/g, '"@gyre/node"');
}

Deno.mkdirSync(dir, { recursive: true });
Deno.writeTextFileSync(
  join(dir, "package.json"),
  JSON.stringify({ private: true, type: "module" }),
);
const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
const { success, stderr } = await new Deno.Command(npm, {
  args: [
    "install",
    "--silent",
    "--no-audit",
    "--no-fund",
    "--force",
    join(root, `dist/gyre-node-${config.version}.tgz`),
  ],
  cwd: dir,
  stdin: "null",
  stdout: "null",
  stderr: "piped",
}).output();
if (!success) {
  console.error(`node_project: ${new TextDecoder().decode(stderr).trim()}`);
  Deno.exit(1);
}
for (const program of PROGRAMS) {
  const name = basename(program).replace(/ts$/, "mjs");
  const code = Deno.readTextFileSync(join(root, program));
  Deno.writeTextFileSync(join(dir, name), translate(code));
}
