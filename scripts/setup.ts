/**
 * Makes `@std/streams` and `@std/assert` available: from JSR where it can be
 * reached, else from the stand-ins in `scripts/standins/`, laid out in
 * `vendor/` as Deno itself would lay out the real ones. Says on stderr which.
 *
 * Imports nothing from JSR itself, so that it runs on every machine.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };

const JSR_URL = new URL(Deno.env.get("JSR_URL") ?? "https://jsr.io/");
const PROBE_TIMEOUT_MS = 4000;
const root = new URL("../", import.meta.url);
const vendor = new URL("vendor/", root);
const marker = new URL("STAND-INS", vendor);

/** The stand-in of each package: its exports, each a file of `scripts/standins/`. */
const STANDINS: Record<string, Record<string, string>> = {
  "@std/streams": { "./text-line-stream": "text_line_stream.ts" },
  "@std/assert": { ".": "assert.ts" },
};

/** What `vendor/` was filled for: the packages and, for stand-ins, their text. */
function fingerprint(): string {
  const hash = createHash("sha256");
  for (const [name, exports] of Object.entries(STANDINS)) {
    hash.update(config.imports[name as keyof typeof config.imports]);
    for (const file of Object.values(exports)) {
      hash.update(
        Deno.readTextFileSync(new URL(`standins/${file}`, import.meta.url)),
      );
    }
  }
  return hash.digest("hex");
}

function versionOf(name: string): string {
  return config.imports[name as keyof typeof config.imports].split("@").at(-1)!;
}

/** Whether JSR answers, and has every package in the version that `deno.json` pins. */
async function jsrIsReachable(): Promise<boolean> {
  if (JSR_URL.protocol === "file:") return true; // a local mirror: Deno reads it by itself
  try {
    for (const name of Object.keys(STANDINS)) {
      const response = await fetch(new URL(`${name}/meta.json`, JSR_URL), {
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      const meta = await response.json();
      if (!(versionOf(name) in meta.versions)) return false;
    }
    return true;
  } catch {
    return false; // no network, a proxy's refusal, a captive portal's HTML
  }
}

/** Lets Deno fetch the real packages into `vendor/`. */
async function install(): Promise<boolean> {
  const specifiers = Object.entries(STANDINS).flatMap(([name, exports]) =>
    Object.keys(exports).map((path) => name + path.slice(1))
  );
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", ...specifiers],
    cwd: fileURLToPath(root),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

function remove(path: URL): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Lays out one stand-in in `vendor/` as JSR would: metadata, then sources. */
function layOut(name: string): void {
  const version = versionOf(name);
  const dir = new URL(`jsr.io/${name}/`, vendor);
  const manifest: Record<string, { size: number; checksum: string }> = {};
  const exports: Record<string, string> = {};
  Deno.mkdirSync(new URL(`${version}/`, dir), { recursive: true });
  for (const [path, file] of Object.entries(STANDINS[name]!)) {
    const bytes = Deno.readFileSync(
      new URL(`standins/${file}`, import.meta.url),
    );
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    manifest[`/${file}`] = {
      size: bytes.length,
      checksum: `sha256-${sha256}`,
    };
    exports[path] = `./${file}`;
    Deno.writeFileSync(new URL(`${version}/${file}`, dir), bytes);
  }
  const [scope, short] = name.slice(1).split("/");
  const meta = {
    scope,
    name: short,
    latest: version,
    versions: { [version]: {} },
  };
  Deno.writeTextFileSync(new URL("meta.json", dir), JSON.stringify(meta));
  Deno.writeTextFileSync(
    new URL(`${version}_meta.json`, dir),
    JSON.stringify({ manifest, exports }),
  );
}

function readMarker(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}

const installed = new URL("FROM-JSR", vendor);
const wanted = fingerprint();
if (readMarker(installed) !== wanted) {
  if (await jsrIsReachable()) {
    remove(vendor); // stand-ins of an earlier run would be taken for the real ones
    if (await install()) {
      Deno.mkdirSync(vendor, { recursive: true });
      Deno.writeTextFileSync(installed, wanted);
      console.error(`setup: @std/streams and @std/assert from ${JSR_URL}`);
      Deno.exit(0);
    }
  }
  if (readMarker(marker) !== wanted) {
    remove(vendor);
    for (const name of Object.keys(STANDINS)) layOut(name);
    Deno.writeTextFileSync(marker, wanted);
  }
  console.error(
    `setup: ${JSR_URL} can't be reached: using the stand-ins for @std/streams and @std/assert in scripts/standins/`,
  );
}
