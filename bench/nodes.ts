/** The processes that `bench:pipe` compares, and how to build them. */
import { fileURLToPath } from "node:url";
import { DENO_VERSION } from "../scripts/denort.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const built = `${root}dist/peers`;
/** How a Deno program is run: without permissions. */
export const run = [Deno.execPath(), "run", "--quiet", "--no-prompt"];

/** A process to measure. */
export interface NodeProgram {
  /** Program and arguments. */
  command: string[];
  /** Builds it, or finds it. */
  build?: () => Promise<void>;
  /** A ceiling answers echoes and nothing else. */
  ceiling?: boolean;
  /** The most messages it is sent where the work is given by their number: it would take minutes. */
  maxMessages?: number;
}

async function output(
  program: string,
  args: string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  let result;
  try {
    result = await new Deno.Command(program, {
      args,
      cwd,
      stdin: "null",
      env,
    }).output();
  } catch {
    throw new Error(`there is no ${program}`);
  }
  const text = new TextDecoder().decode(
    result.success ? result.stdout : result.stderr,
  ).trim();
  if (!result.success) {
    throw new Error(text.match(/.*error.*/i)?.[0] ?? text.split("\n").at(-1));
  }
  return text;
}

async function exists(path: string, hint: string): Promise<void> {
  await Deno.stat(root + path).catch(() => {
    throw new Error(`there is no ${path}: ${hint}`);
  });
}

/** All there is, in the order in which it is shown. */
export const nodes: Record<string, NodeProgram> = {
  "gyre": {
    command: [
      ...run,
      "--v8-flags=--max-semi-space-size=8,--expose-gc",
      "main.ts",
    ], // as `deno task start` does
  },
  "gyre compiled": {
    command: [`${root}dist/gyre`],
    build: () => exists("dist/gyre", "deno task compile"),
  },
  "gyre in Node.js": {
    command: ["node", `${root}dist/node/main.mjs`],
    build: () =>
      exists(
        "dist/node/main.mjs",
        "deno task npm && deno run -A scripts/node_project.ts",
      ),
  },
  "TextLineStream": {
    command: [...run, "bench/ceilings/text_line_stream.ts"],
    ceiling: true,
  },
  "chunks": { command: [...run, "bench/ceilings/chunks.ts"], ceiling: true },
  "chunks compiled": {
    command: [`${built}/chunks`],
    ceiling: true,
    build: async () => {
      // With the runtime that `deno task compile --runtime=npm` left, if it did.
      const denort = `dist/denort-${DENO_VERSION}`;
      const [deno, env] = await exists(denort, "").then(
        () => [["npx", "-y", `deno@${DENO_VERSION}`], { DENORT_BIN: denort }],
        () => [[Deno.execPath()], {}],
      ) as [string[], Record<string, string>];
      await output(deno[0]!, [
        ...deno.slice(1),
        "compile",
        "--quiet",
        "--no-check",
        "--output",
        `${built}/chunks`,
        "bench/ceilings/chunks.ts",
      ], { env });
    },
  },
  "cat": { command: ["cat"], ceiling: true },
  "plain Node.js": {
    command: ["node", "bench/peers/plain_node.mjs"],
    build: async () => void await output("node", ["--version"]),
  },
  "Go library": {
    command: [`${built}/go`],
    build: async () =>
      void await output(
        "go",
        ["build", "-o", `${built}/go`, "."],
        { cwd: `${root}bench/peers/go` },
      ),
    maxMessages: 200_000,
  },
  "Rust crate": {
    command: [`${built}/rust/release/gyre-bench-peer`],
    build: async () =>
      void await output("cargo", [
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--target-dir",
        `${built}/rust`,
      ], { cwd: `${root}bench/peers/rust` }),
    maxMessages: 200_000,
  },
};

/**
 * Builds the programs.
 *
 * @param names Which.
 * @returns Those that can be run.
 */
export async function build(names: readonly string[]): Promise<string[]> {
  const able = [];
  await Deno.mkdir(built, { recursive: true });
  for (const name of names) {
    try {
      await nodes[name]!.build?.();
      able.push(name);
    } catch (error) {
      console.error(`skipped: ${name}: ${(error as Error).message}`);
    }
  }
  return able;
}

/** The versions of the toolchains that are there. */
export async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const ask = async (name: string, args: string[], pattern: RegExp) => {
    const version = await output(name, args).catch(() => "");
    const match = version.match(pattern);
    if (match) found[name] = match[1]!;
  };
  await ask("node", ["--version"], /v(\S+)/);
  await ask("go", ["version"], /go(\d\S*)/);
  await ask("rustc", ["--version"], /rustc (\S+)/);
  return found;
}
