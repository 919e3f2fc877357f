/** Projects that link to Gyre type check, however loose or strict they are. */
import { assertEquals } from "@std/assert";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { exportAll, LOOSEST, STRICTEST } from "./consumer.ts";
import { root } from "./process.ts";
import { Project } from "./project.ts";

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
    project.write("all.ts", exportAll(Object.keys(config.exports)));
    await project.script("setup.ts", ".");
    const { code, stderr } = await project.deno(["check", "all.ts"]);
    assertEquals(code, 0, stderr);
  });
}
