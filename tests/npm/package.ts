/**
 * The npm package, made, installed and used in a project of its own: in Node.js
 * and, bundled, in Chromium. `deno task test:npm` runs it.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
// deno-lint-ignore no-import-prefix -- not in deno.json, so that only this task downloads it
import { chromium } from "npm:playwright-core@1.65.1";
import config from "../../deno.json" with { type: "json" };
import { outcome } from "../command.ts";
import { exportAll, LOOSEST, STRICTEST } from "../consumer.ts";
import { everywhere } from "./everywhere.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** With GYRE_NODE another Node.js than the first in PATH; with CHROMIUM another browser. */
const node = Deno.env.get("GYRE_NODE") ?? "node";
const browser = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";
const npx = Deno.build.os === "windows" ? "npx.cmd" : "npx";
const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
const TYPESCRIPT = "typescript@5.9.3";

/** Runs a program in a directory; throws unless it succeeds. */
async function run(
  command: [string, ...string[]],
  cwd: string,
  input = "",
): Promise<string> {
  const { code, stdout, stderr } = await outcome(command, { cwd, input });
  assertEquals(code, 0, `${command}: ${stdout}${stderr}`);
  return stdout;
}

const project = Deno.makeTempDirSync({ prefix: "gyre-npm-" });
addEventListener("unload", () => Deno.removeSync(project, { recursive: true }));
const file = `${project}/package.tgz`;
function write(name: string, text: string): void {
  Deno.writeTextFileSync(`${project}/${name}`, text);
}

await run([
  Deno.execPath(),
  "run",
  "-A",
  "scripts/npm.ts",
  "--output",
  file,
], root);
write("package.json", JSON.stringify({ private: true, type: "module" }));
await run([
  npm,
  "install",
  "--no-audit",
  "--no-fund",
  file,
  TYPESCRIPT,
  "@types/node@20",
], project);
Deno.copyFileSync(
  new URL("everywhere.js", import.meta.url),
  `${project}/everywhere.js`,
);

const manifest = JSON.parse(
  Deno.readTextFileSync(`${project}/node_modules/@gyre/node/package.json`),
);
const entries = Object.keys(manifest.exports);

Deno.test("it depends on pure-rand, and needs nothing from JSR", () => {
  assertEquals(Object.keys(manifest.dependencies), ["pure-rand"]);
  assertEquals(manifest.version, config.version);
});

Deno.test("it has every entry but the command line of the simulator, which is Deno's", () => {
  assertEquals(
    [...entries, "./sim/cli"].sort(),
    Object.keys(config.exports).sort(),
  );
});

Deno.test("publint finds nothing", async () => {
  const said = await run(
    [npx, "-y", "publint@0.3.25", "run", file, "--strict"],
    project,
  );
  assertStringIncludes(said, "All good!");
});

Deno.test("arethetypeswrong finds nothing", async () => {
  const attw = "@arethetypeswrong/cli@0.18.5";
  await run([npx, "-y", attw, file, "--profile", "esm-only"], project);
});

for (
  const [name, options] of Object.entries({
    "the loosest options": LOOSEST,
    "the strictest options": STRICTEST,
    "the types of browsers": {
      strict: true,
      types: [],
      lib: ["ES2022", "DOM"],
    },
  })
) {
  Deno.test(`every declaration type checks with ${name}`, async () => {
    write("all.ts", exportAll(entries));
    write(
      "tsconfig.json",
      JSON.stringify({
        files: ["all.ts"],
        compilerOptions: {
          noEmit: true,
          module: "nodenext",
          target: "ES2022",
          lib: ["ES2022"],
          types: ["node"],
          skipLibCheck: false,
          ...options,
        },
      }),
    );
    await run([npx, "tsc", "--project", "."], project);
  });
}

Deno.test("Node.js: what comes of a node, a test, a simulation is what comes of them in Deno", async () => {
  write(
    "use.js",
    `import { everywhere } from "./everywhere.js";
console.log(JSON.stringify(await everywhere()));`,
  );
  assertEquals(
    JSON.parse(await run([node, "use.js"], project)),
    await everywhere(),
  );
});

Deno.test("Node.js: a node as a process", async () => {
  write(
    "echo.js",
    `import { Node } from "@gyre/node";
import { serve } from "@gyre/node/stdio";
const node = new Node();
node.on("echo", ({ body }) => ({ echo: body.echo }));
process.exit(await serve(node));`,
  );
  const lines = await run(
    [node, "echo.js"],
    project,
    `{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":2,"echo":"hi"}}
`,
  );
  assertEquals(
    lines.trim().split("\n").map((line) => JSON.parse(line).body.type),
    ["init_ok", "echo_ok"],
  );
});

Deno.test("Node.js: errors are traced to TypeScript", async () => {
  write(
    "throw.js",
    `import { Node } from "@gyre/node";\nnew Node({ maxPending: -1 });`,
  );
  const { stderr } = await new Deno.Command(node, {
    args: ["--enable-source-maps", "throw.js"],
    cwd: project,
  }).output();
  assertStringIncludes(new TextDecoder().decode(stderr), "node.ts:");
});

let hasBrowser = true;
try {
  Deno.statSync(browser);
} catch {
  hasBrowser = false;
  console.error(
    `NOT TESTED in Chromium: there is no ${browser}. apt-get install chromium, or set CHROMIUM to its path`,
  );
}

Deno.test({
  name: "Chromium: what comes of them there is what comes of them in Deno",
  ignore: !hasBrowser,
  fn: async () => {
    write(
      "page.js",
      `import { everywhere } from "./everywhere.js";
globalThis.result = everywhere();`,
    );
    await run([
      Deno.execPath(),
      "bundle",
      "--quiet",
      "--platform=browser",
      "--output=bundle.js",
      "page.js",
    ], project);
    const running = await chromium.launch({
      executablePath: browser,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    try {
      const page = await running.newPage();
      await page.addScriptTag({ path: `${project}/bundle.js`, type: "module" });
      assertEquals(await page.evaluate("result"), await everywhere());
    } finally {
      await running.close();
    }
  },
});
