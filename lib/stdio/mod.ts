/**
 * A node on the process's stdin and stdout, in Deno, Node.js or Bun: lines in, batched lines out.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { type AnyNode, Node } from "../node.ts";
import { UsageError } from "./command_line.ts";
import { consoleToStderr } from "./console.ts";
import { currentProcess } from "./current_process.ts";
import { filteredLog, stderrLog } from "./log.ts";
import { Memory } from "./memory.ts";
import { Outbox, type Output } from "./outbox.ts";
import {
  type Asked,
  type ProgramOptions,
  readCommandLine,
  type SetUp,
  type Subcommand,
} from "./program.ts";
import { collect, plainEventLoop } from "./runtime.ts";
import { serveOn, type ServeOptions } from "./serve.ts";

export type { Input } from "./inbox.ts";
export { type StderrLog, stderrLog } from "./log.ts";
export type { Output };
export type {
  ProgramOptions,
  SetUp,
  Subcommand,
  SubcommandOption,
} from "./program.ts";
export type { ServeOptions };

/**
 * Runs a node on stdin and stdout until the end of the input, SIGTERM, SIGINT
 * or a closed stdout; then settles every pending RPC, lets running handlers
 * finish, for 1 s at most, and writes what is left to write. What there is to
 * log goes to stderr, unless the options, or the node's, say otherwise.
 * Meanwhile `console.log` and its like, which would write among the messages on
 * stdout, write to stderr.
 *
 * @example
 * ```ts ignore
 * import { Node } from "@gyre/node";
 * import { serve } from "@gyre/node/stdio";
 *
 * const node = new Node();
 * node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * Deno.exit(await serve(node));
 * ```
 *
 * @param node The node.
 * @param options Limits, log, what to read from and to write to.
 * @returns The exit code: 0, or 1 when stdout was closed.
 * @throws {RangeError} There is no such `logLevel`.
 */
export async function serve(
  node: AnyNode,
  options: ServeOptions = {},
): Promise<number> {
  const process = await currentProcess();
  const {
    input = process.stdin,
    output = process.stdout,
    lines = new TextLineStream(),
    logLevel = "info",
  } = options;
  const { log, flush } = options.log
    ? { log: filteredLog(options.log, logLevel), flush: () => {} }
    : stderrLog(logLevel, () => node.nodeId || "node");
  const memory = new Memory(() => node.pendingCount, {
    ...process,
    collect,
    now: () => performance.now(),
  });
  const restoreConsole = output === process.stdout
    ? consoleToStderr()
    : () => {};
  try {
    return await serveOn(
      node,
      { ...options, lines, log, ...process.quicker?.(input, output) },
      { ...process, used: () => memory.used() },
    );
  } finally {
    restoreConsole();
    memory.stop();
    await flush();
  }
}

/** Options of {@linkcode run}. */
export interface RunOptions
  extends ProgramOptions, Pick<ServeOptions, "input" | "lines" | "output"> {
  /**
   * The command line, without the program's own name.
   *
   * @default what the process was called with
   */
  args?: readonly string[];
}

/**
 * A whole program: reads its command line, then runs a node on stdin and stdout
 * as {@linkcode serve} does. `--help` shows the options; the node's are
 * `--rpc-timeout`, `--reap-interval`, `--max-pending`, `--max-running`,
 * `--max-line-bytes`, `--first-msg-id` (by default a random one) and
 * `--log-level`. A wrong one is named in a line on stderr.
 *
 * @example A program with one node
 * ```ts ignore
 * import type { Node } from "@gyre/node";
 * import { run } from "@gyre/node/stdio";
 *
 * function setUp(node: Node): void {
 *   node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * }
 * Deno.exit(await run(setUp)); // in Node.js and Bun: process.exit(await run(setUp))
 * ```
 *
 * @example One with several, such as `dist/node counter`
 * ```ts ignore
 * import { echo, pnCounter } from "@gyre/node";
 * import { run } from "@gyre/node/stdio";
 *
 * const code = await run({
 *   echo: { does: "sends back what it is sent", load: () => echo },
 *   counter: { does: "counts up and down", load: () => pnCounter },
 * });
 * Deno.exit(code);
 * ```
 *
 * @param node What sets the node up; or several by the name that the first argument may be: the first runs where it is none.
 * @param options What the program says of itself; its arguments, stdin and stdout.
 * @returns The exit code: as of {@linkcode serve}; 2 where the command line is wrong.
 */
export async function run(
  node: SetUp | Readonly<Record<string, Subcommand>>,
  options: RunOptions = {},
): Promise<number> {
  const process = await currentProcess();
  const {
    name = "maelstrom-node",
    version,
    args = process.args,
    input,
    lines,
    output = process.stdout,
  } = options;
  let asked: Asked;
  try {
    asked = await readCommandLine(node, args, { ...options, name });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    await write(process.stderr, `${name}: ${error.message}`);
    return 2;
  }
  if ("says" in asked) {
    const failure = await write(output, asked.says.trimEnd());
    if (failure === undefined) return 0;
    const text = `stdout can't be written to: ${failure.message}`;
    await write(process.stderr, `${name}: ${text}`);
    return 1;
  }
  const { setUp, nodeOptions, serveOptions } = asked;
  const { log, flush } = stderrLog(
    serveOptions.logLevel,
    () => `${name} ${made.nodeId || "-"}`,
  );
  const made = new Node({ ...nodeOptions, log });
  setUp(made);
  const versioned = version === undefined ? "" : `version ${version}, `;
  log("info", `${versioned}waiting for init`);
  const code = await serve(made, {
    ...serveOptions,
    input,
    lines,
    output,
    log,
  });
  await flush();
  return code;
}

/** Writes a line; returns why that failed, if it did. */
async function write(output: Output, line: string): Promise<Error | undefined> {
  const outbox = new Outbox(output, Infinity, plainEventLoop);
  outbox.send(line);
  await outbox.flush();
  return outbox.failure;
}
