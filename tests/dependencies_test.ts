/** What `lib/` imports is what the README says that it does. */
import { assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import config from "../deno.json" with { type: "json" };
import { root } from "./process.ts";

const IMPORTS =
  /^(?:import|export)\b[^;"]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** A file without its comments. */
function code(url: URL): string {
  return Deno.readTextFileSync(url)
    .replace(/\/\*.*?\*\/|^\s*\/\/.*?$/gms, "");
}

/** The packages, and modules of the runtime, that a file of `lib/` imports, itself or through others. */
function imports(url: URL, seen = new Set<string>()): Set<string> {
  const found = new Set<string>();
  if (seen.has(url.href)) return found;
  seen.add(url.href);
  for (const [, ...names] of code(url).matchAll(IMPORTS)) {
    const specifier = names.find((name) => name !== undefined);
    if (specifier!.startsWith(".")) {
      for (const name of imports(new URL(specifier!, url), seen)) {
        found.add(name);
      }
    } else found.add(/^(@[^/]+\/)?[^/]+/.exec(specifier!)![0]);
  }
  return found;
}

/** What the README's table says that an entry imports. */
function documented(entry: string): string[] {
  const readme = Deno.readTextFileSync(new URL("README.md", root));
  const row = readme.match(RegExp(`^\\| \`${entry}\` +\\|([^|]*)\\|$`, "m"));
  return Array.from(row![1]!.matchAll(/`([^`]+)`/g), ([, name]) => name!);
}

for (const [entry, path] of Object.entries(config.exports)) {
  const name = "@gyre/node" + entry.slice(1);
  Deno.test(`${name} imports what the README says`, () => {
    const found = [...imports(new URL(path, root))];
    assertEquals(found.sort(), documented(name).sort());
  });
}

Deno.test("only lib/stdio/deno.ts touches Deno", () => {
  const lib = new URL("lib/", root);
  const files = readdirSync(lib, { recursive: true }).map(String)
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts"))
    .filter((file) => /\bDeno\b/.test(code(new URL(file, lib))));
  assertEquals(files, ["stdio/deno.ts"]);
});
