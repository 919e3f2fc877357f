/** A user's module in place of a workload's own node. */
import type { SimulationOptions } from "../../lib/sim/mod.ts";

/** What a module says of a node. */
export interface NodeModule {
  setUp: SimulationOptions["setUp"];
  /** What to ask for, unless that was said. */
  workload: string | undefined;
}

/**
 * Loads a module that sets a node up: by its export `setUp`, or else its default
 * export.
 *
 * @param node The module's path or URL.
 * @throws {Error} It has no such function, or can't be loaded.
 */
export async function load(node: string): Promise<NodeModule> {
  const module = await import(new URL(node, `file://${Deno.cwd()}/`).href);
  const setUp = module.setUp ?? module.default;
  if (typeof setUp === "function") return { setUp, workload: module.workload };
  throw new Error(
    "it must export a function 'setUp', or one by default: (node) => { node.on(…) }",
  );
}

/**
 * Keeps what is simulated from being a process: from ending this one, and from
 * reading its stdin, as a module does that serves its node as soon as it is loaded.
 *
 * @param refused Told what was tried, and the way out; ends this process, or at least what is running.
 */
export function forbidProcess(refused: (why: string) => never): void {
  const refuse = (tried: string) =>
    refused(
      `${tried}, which a simulated node can't: put what serves it under 'if (import.meta.main) { … }'`,
    );
  const reads = () => refuse("reads stdin");
  Object.assign(Deno, {
    exit: (code = 0) => refuse(`calls Deno.exit(${code})`),
  });
  Object.defineProperties(Deno.stdin, {
    read: { value: reads },
    readable: { get: reads },
  });
}

/** An error as its reader needs it: with the places in modules of the user's own, without those in Gyre's. */
export function errorText(error: unknown): string {
  const { stack } = error as { stack?: unknown };
  if (typeof stack !== "string") return String(error);
  const text = stack.split("\n").filter((line) => !FRAME.test(line));
  return [...text, ...framesOf(stack)].join("\n").replace(/^Error: /, "");
}

/** The places that a stack names in modules of the user's own. */
export function framesOf(stack: string): string[] {
  return stack.split("\n").filter((line) =>
    FRAME.test(line) && !NOT_THEIRS.some((place) => line.includes(place))
  );
}

const FRAME = /^\s+at /;
const gyre = new URL("../../", import.meta.url).href;
/** What the modules of others are named with. */
const NOT_THEIRS = ["ext:", "node:", `${gyre}lib/`, `${gyre}scripts/sim`];
