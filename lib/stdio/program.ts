/** The command line of a node that is a program. */
import { MAX_DELAY_MS } from "../clock.ts";
import {
  type AnyNode,
  LOG_LEVELS,
  type LogLevel,
  type NodeOptions,
} from "../node.ts";
import {
  type NumberRange,
  parseNumber,
  parseOptions,
  parseWord,
  UsageError,
} from "./command_line.ts";

/** Sets a node up: its handlers, its periodic work. */
export type SetUp = (node: AnyNode) => void;

/** An option of a workload's own. */
export interface SubcommandOption {
  /** What it takes; the first is the default. */
  values: readonly string[];
  /** What it says, in lines of the help. */
  help: readonly string[];
}

/** A workload, where a program does several: it runs when it is named. */
export interface Subcommand {
  /** What it does, in a line of the help. */
  does: string;
  /** Its own options, by name. */
  options?: Readonly<Record<string, SubcommandOption>>;
  /**
   * Where `msg_id`s start, unless `--first-msg-id` says otherwise.
   *
   * @default a random number, as a node needs that may be restarted
   */
  firstMsgId?: number;
  /**
   * Loads it when it is asked for.
   *
   * @param values The values of its own options, by name.
   * @returns What sets a node up.
   */
  load(values: Readonly<Record<string, string>>): SetUp | Promise<SetUp>;
}

/** What the program says of itself. */
export interface ProgramOptions {
  /**
   * What it is called, in its help and in each line of its log.
   *
   * @default {"maelstrom-node"}
   */
  name?: string;
  /**
   * What it does, in a line of its help.
   *
   * @default nothing is said
   */
  does?: string;
  /**
   * Its version: without one it has no option `--version`.
   *
   * @default none
   */
  version?: string;
}

/** What a command line asks for: something that is said, and that is all, or a node. */
export type Asked =
  | { says: string }
  | {
    setUp: SetUp;
    nodeOptions: NodeOptions;
    serveOptions: { maxLineBytes: number | undefined; logLevel: LogLevel };
  };

/** A program, and what of it is asked for. */
interface Program extends ProgramOptions {
  name: string;
  /** The workloads to choose from, where it does several. */
  workloads: Readonly<Record<string, Subcommand>> | undefined;
  /** The one that was named. */
  named: string | undefined;
  /** The options that the one which runs has of its own. */
  own: Readonly<Record<string, SubcommandOption>>;
}

const OPTIONS = {
  "rpc-timeout": { type: "string" },
  "reap-interval": { type: "string" },
  "max-pending": { type: "string" },
  "max-running": { type: "string" },
  "max-line-bytes": { type: "string" },
  "first-msg-id": { type: "string" },
  "log-level": { type: "string", default: "info" },
  help: { type: "boolean", short: "h" },
} as const;
const VERSION = { version: { type: "boolean" } } as const;

const DURATION: NumberRange = { min: 1, max: MAX_DELAY_MS, whole: false };
const MAX_COUNT = 1_000_000_000;
const MAX_LINE_BYTES = 512 * 1024 * 1024;
const MAX_FIRST_MSG_ID = 2 ** 52;

/**
 * Reads the command line of a node's program.
 *
 * @param node What sets the node up; or workloads by name, of which the first argument may name one.
 * @param args The arguments.
 * @param about What the program says of itself.
 * @throws {UsageError} The command line can't be understood.
 */
export async function readCommandLine(
  node: SetUp | Readonly<Record<string, Subcommand>>,
  args: readonly string[],
  about: ProgramOptions & { name: string },
): Promise<Asked> {
  const workloads = typeof node === "function" ? undefined : node;
  const named = workloads && !args[0]?.startsWith("-") ? args[0] : undefined;
  const workload = typeof node === "function"
    ? { does: "", load: () => node }
    : Object.entries(node).find(([key]) => key === (named ?? key))?.[1];
  const own = workload?.options ?? {};
  const program: Program = { ...about, workloads, named, own };
  if (workload === undefined) {
    throw misused(program, `there is no workload '${named}'`);
  }
  const values = parse(program, args.slice(named === undefined ? 0 : 1));
  if (values.help) return { says: help(program) };
  if (values.version) return { says: `${about.name} ${about.version}` };
  const number = (option: NumberOption, range: NumberRange) => {
    const text = values[option];
    return text === undefined ? undefined : parseNumber(option, text, range);
  };
  const firstMsgId = values["first-msg-id"] ?? workload.firstMsgId ?? "random";
  return {
    nodeOptions: {
      rpcTimeoutMs: number("rpc-timeout", DURATION),
      reapIntervalMs: number("reap-interval", DURATION),
      maxPending: number("max-pending", { min: 0, max: MAX_COUNT }),
      maxRunning: number("max-running", { min: 1, max: MAX_COUNT }),
      firstMsgId: parseFirstMsgId(String(firstMsgId)),
    },
    serveOptions: {
      maxLineBytes: number("max-line-bytes", { min: 1, max: MAX_LINE_BYTES }),
      logLevel: parseWord("log-level", values["log-level"], LOG_LEVELS),
    },
    setUp: await workload.load(ownValues(own, values)),
  };
}

type NumberOption = Exclude<keyof typeof OPTIONS, "log-level" | "help">;

/** All options of a program. */
function optionsOf({ version, own }: Program) {
  const words = Object.entries(own).map(([option, { values }]) =>
    [option, { type: "string", default: values[0]! }] as const
  );
  return {
    ...Object.fromEntries(words),
    ...OPTIONS,
    ...version === undefined ? {} : VERSION,
  };
}

/** What was given for the options. */
function parse(program: Program, args: readonly string[]) {
  try {
    return parseOptions(args, optionsOf(program), false).values;
  } catch (error) {
    throw misused(program, (error as Error).message);
  }
}

/** Where ids start: a node that may be restarted is not to take replies to its predecessor. */
function parseFirstMsgId(text: string): number {
  if (text === "random") return Math.floor(Math.random() * MAX_FIRST_MSG_ID);
  const range = { min: 0, max: MAX_FIRST_MSG_ID };
  return parseNumber("first-msg-id", text, range, "random, or ");
}

/** What was given for a workload's own options. */
function ownValues(
  own: Program["own"],
  given: Readonly<Record<string, unknown>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(own).map(([option, { values }]) =>
      [option, parseWord(option, String(given[option]), values)] as const
    ),
  );
}

/** How a program is called. */
function usage({ name, workloads, named }: Program): string {
  const workload = workloads === undefined ? [] : [named ?? "[WORKLOAD]"];
  return [name, ...workload, "[options]"].join(" ");
}

function misused(program: Program, reason: string): UsageError {
  const { workloads } = program;
  const parts = [
    usage({ ...program, named: undefined }),
    ...workloads ? [`workloads: ${Object.keys(workloads).join(", ")}`] : [],
    `options: ${
      Object.keys(optionsOf(program)).map((name) => `--${name}`).join(", ")
    }`,
  ];
  return new UsageError(`${reason} (${parts.join("; ")})`);
}

/** A line of the help, and those that follow on from it. */
function entry(name: string, [first, ...more]: readonly string[]): string {
  const lines = more.map((line) => `${" ".repeat(24)}${line}\n`);
  return `  ${name.padEnd(20)}  ${first}\n${lines.join("")}`;
}

/** What `--help` says. */
function help(program: Program): string {
  const { name, does, version, workloads, named, own } = program;
  const title = named === undefined
    ? [version === undefined ? name : `${name} ${version}`, does]
    : [`${name} ${named}`, workloads?.[named]?.does];
  const list = Object.entries(workloads ?? {}).map(([name, { does }]) =>
    entry(name, [does])
  );
  const options = Object.entries(own).map(([option, { values, help }]) =>
    entry(`--${option} ${values.join("|")}`, help)
  );
  return `${title.filter((part) => part !== undefined).join(": ")}

Reads messages from stdin and writes messages to stdout, one JSON object a line;
logs to stderr.

Usage: ${usage(program)}

${
    workloads === undefined || named !== undefined ? "" : `${list.join("")}
${name} WORKLOAD --help shows a workload's own options. Those of all:

`
  }${options.join("")}${commonHelp(workloads)}${
    version === undefined ? "" : entry("--version", ["show the version"])
  }`;
}

/** What it says of the options that all nodes have. */
function commonHelp(workloads: Program["workloads"] = {}): string {
  const fixed = Object.entries(workloads)
    .filter(([, { firstMsgId }]) => firstMsgId !== undefined)
    .map(([name, { firstMsgId }]) => `; ${firstMsgId} for ${name}`);
  return `  --rpc-timeout MS      give up on an RPC after MS milliseconds, 1 to ${MAX_DELAY_MS} (default 2000)
  --reap-interval MS    look for expired callbacks every MS milliseconds
                        (default: exactly when the next one expires)
  --max-pending N       refuse further RPCs while N are pending (default 1000000)
  --max-running N       refuse further requests while N async handlers run (default 100000)
  --max-line-bytes N    skip input lines longer than N bytes (default 16777216)
  --first-msg-id N      start to count msg_ids at N, 0 to ${MAX_FIRST_MSG_ID}, or at a random one,
                        as a node that may be restarted needs (default: random${
    fixed.join("")
  })
  --log-level LEVEL     error, warn, info, or debug: every message (default info)
  -h, --help            show this
`;
}
