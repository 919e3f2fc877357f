/**
 * Makes `@std/streams` and `@std/assert` available: from JSR where it can be
 * reached, else from the stand-ins in `scripts/standins/`, laid out in
 * `vendor/` as Deno itself would lay out the real ones. Says on stderr which,
 * when it has done something. After that it only asks whether JSR can be reached.
 * That is the `vendor/` of the directory given as an argument, by default
 * Gyre's own: in a project that links to Gyre, Deno looks in the project's.
 *
 * Imports nothing from JSR itself, so that it runs on every machine.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import config from "../deno.json" with { type: "json" };

const PROBE_TIMEOUT_MS = 4000;
const [dir] = Deno.args;
const root = dir === undefined
  ? new URL("../", import.meta.url)
  : pathToFileURL(resolve(dir) + "/");
const vendor = new URL("vendor/", root);
/** Says what `vendor/` holds; written last, so that a half-filled one is never trusted. */
const marker = new URL("INSTALLED", vendor);
/** The registry that Deno asks, too. */
const jsr = new URL(
  (Deno.env.get("JSR_URL") || "https://jsr.io").replace(/\/*$/, "/"),
);

/** What Gyre uses of each package: its exports, each with the file in `scripts/standins/`. */
const STANDINS = {
  "@std/streams": { "./text-line-stream": "text_line_stream.ts" },
  "@std/assert": { ".": "assert.ts" },
};
type Name = keyof typeof STANDINS;
const names = Object.keys(STANDINS) as Name[];

function versionOf(name: Name): string {
  return config.imports[name].split("@").at(-1)!;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Throws unless JSR answers and has the version that `deno.json` pins. */
async function probe(name: Name): Promise<void> {
  const response = await fetch(new URL(`${name}/meta.json`, jsr), {
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const meta = await response.json(); // throws at a captive portal's HTML
  if (!meta.versions?.[versionOf(name)]) {
    throw new Error(`it has no ${name}@${versionOf(name)}`);
  }
}

/** Lets Deno fetch the real packages into `vendor/`. */
async function install(): Promise<void> {
  // By their full names: the command line knows nothing of the import map.
  const specifiers = names.flatMap((name) =>
    Object.keys(STANDINS[name]).map((path) =>
      config.imports[name] + path.slice(1)
    )
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", ...specifiers],
    cwd: fileURLToPath(root),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0]);
  }
}

/** Lays out one stand-in in `vendor/` as JSR would: metadata, then sources. */
function layOut(name: Name): void {
  const version = versionOf(name);
  // Deno's own name for the registry's folder: `jsr.io/`, `http_127.0.0.1_80/`.
  const scheme = jsr.protocol === "https:" ? "" : "http_";
  const host = scheme + jsr.host.replace(":", "_") + jsr.pathname;
  const dir = new URL(`${host}${name}/`, vendor);
  Deno.mkdirSync(new URL(`${version}/`, dir), { recursive: true });
  const manifest: Record<string, { size: number; checksum: string }> = {};
  const exports: Record<string, string> = {};
  for (const [path, file] of Object.entries(STANDINS[name])) {
    const bytes = Deno.readFileSync(
      new URL(`standins/${file}`, import.meta.url),
    );
    const checksum = `sha256-${sha256(bytes)}`;
    manifest[`/${file}`] = { size: bytes.length, checksum };
    exports[path] = `./${file}`;
    Deno.writeFileSync(new URL(`${version}/${file}`, dir), bytes);
  }
  const [scope, short] = name.slice(1).split("/");
  const versions = { [version]: {} };
  const writeJson = (file: string, value: unknown) =>
    Deno.writeTextFileSync(new URL(file, dir), JSON.stringify(value));
  writeJson("meta.json", { scope, name: short, latest: version, versions });
  writeJson(`${version}_meta.json`, { manifest, exports });
}

/** Empties `vendor/`, fills it and marks it. */
async function refill(
  mark: string,
  fill: () => Promise<void> | void,
): Promise<void> {
  try {
    // What an earlier run left there would be taken for the new content.
    Deno.removeSync(vendor, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await fill();
  Deno.mkdirSync(vendor, { recursive: true }); // a file: registry needs none
  Deno.writeTextFileSync(marker, mark);
}

/** What was the matter, in short: the innermost of the causes that Deno strings together. */
function reason(error: Error): string {
  const { message } = (error.cause ?? error) as Error;
  return message.split(": ").at(-1)!;
}

/** What the marker says, if there is one. */
function installed(): string | undefined {
  try {
    return Deno.readTextFileSync(marker);
  } catch {
    return undefined;
  }
}

const fromJsr = `JSR ${jsr} ${names.map((name) => config.imports[name])}`;
const standins = `stand-ins ${jsr} ${
  names.flatMap((name) => [
    config.imports[name],
    ...Object.values(STANDINS[name]).map((file) =>
      sha256(Deno.readFileSync(new URL(`standins/${file}`, import.meta.url)))
    ),
  ])
}`;
if (installed() !== fromJsr) {
  try {
    await Promise.all(names.map(probe));
    await refill(fromJsr, install);
    console.error(`setup: ${names.join(" and ")} from ${jsr}`);
  } catch (error) {
    if (installed() !== standins) {
      await refill(standins, () => names.forEach(layOut));
      console.error(
        `setup: ${names.join(" and ")} can't be had from ${jsr} (${
          reason(error as Error)
        }): using the stand-ins in scripts/standins/`,
      );
    }
  }
}
