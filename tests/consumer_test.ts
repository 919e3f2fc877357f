/** Projects that link to Gyre type check, however loose or strict they are. */
import { assertEquals } from "@std/assert";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { root } from "./process.ts";
import { Project } from "./project.ts";

const LOOSEST = { strict: false, noImplicitOverride: false };
/** All that make the compiler stricter, and that a program may set. */
const STRICTEST = {
  strict: true,
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  erasableSyntaxOnly: true,
  exactOptionalPropertyTypes: true,
  noFallthroughCasesInSwitch: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
};

for (
  const [name, compilerOptions] of Object.entries({
    "the loosest options": LOOSEST,
    "TypeScript's default strictness": { strict: true },
    "the strictest options": STRICTEST,
  })
) {
  Deno.test(`every export of every entry type checks with ${name}`, async () => {
    await using project = new Project();
    project.write(
      "deno.json",
      JSON.stringify({
        imports: { "@gyre/node": `jsr:@gyre/node@${config.version}` },
        links: [relative(project.dir, fileURLToPath(root))],
        vendor: true,
        lock: false,
        nodeModulesDir: "none",
        compilerOptions,
      }),
    );
    const lines = Object.keys(config.exports).map((entry, i) =>
      `export * as entry${i} from "@gyre/node${entry.slice(1)}";\n`
    );
    project.write("all.ts", lines.join(""));
    await project.script("setup.ts", ".");
    const { code, stderr } = await project.deno(["check", "all.ts"]);
    assertEquals(code, 0, stderr);
  });
}
