/** What `lib/` imports is what the README says that it does. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import config from "../deno.json" with { type: "json" };
import { root } from "./process.ts";

const STATIC_IMPORTS =
  /^(?:import|export)\b[^;"]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"/gm;
const IMPORTS = RegExp(
  `${STATIC_IMPORTS.source}|\\bimport\\("([^"]+)"\\)`,
  "gm",
);

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

/** The files that a file loads with itself, those of its dynamic imports left out. */
function loaded(url: URL, seen = new Set<string>()): Set<string> {
  if (seen.has(url.href)) return seen;
  seen.add(url.href);
  for (const [, ...names] of code(url).matchAll(STATIC_IMPORTS)) {
    const specifier = names.find((name) => name !== undefined)!;
    if (specifier.startsWith(".") && specifier.endsWith(".ts")) {
      loaded(new URL(specifier, url), seen);
    }
  }
  return seen;
}

/** The workloads among them. */
function workloads(path: string): string[] {
  return [...loaded(new URL(path, root))].map((href) =>
    /lib\/workloads\/(.*)/.exec(href)?.[1]
  ).filter((file) => file !== undefined).sort();
}

Deno.test("the binary loads a workload when it is asked for it, and no other", () => {
  assertEquals(workloads("main.ts"), []);
  assert(
    !loaded(new URL("main.ts", root)).has(new URL("lib/mod.ts", root).href),
  );
  const uses: Record<string, string[]> = {
    "broadcast.ts": ["g_set.ts"],
    "g_counter.ts": ["pn_counter.ts"],
  };
  for (const { name } of Deno.readDirSync(new URL("lib/workloads/", root))) {
    const expected = [name, ...uses[name] ?? []].sort();
    assertEquals(workloads(`lib/workloads/${name}`), expected);
  }
});

Deno.test("only lib/stdio/deno.ts touches Deno, and only node.ts beside it Node.js", () => {
  const lib = new URL("lib/", root);
  const touching = (globals: RegExp) =>
    readdirSync(lib, { recursive: true }).map(String)
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".ts"))
      .filter((file) => globals.test(code(new URL(file, lib))));
  assertEquals(touching(/\bDeno\./), ["stdio/deno.ts"]);
  assertEquals(touching(/\bfrom "node:(fs|tty)"|\bBun\b/), [
    "stdio/node.ts",
  ]);
});
