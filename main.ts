/** Gyre's binary: a workload's node on stdin and stdout; the callback exercise's, where none is named. */
import { parseArgs } from "node:util";
import { TextLineStream } from "@std/streams/text-line-stream";
import config from "./deno.json" with { type: "json" };
import { LOG_LEVELS, type LogLevel, Node } from "./lib/node.ts";
import { serve, stderrLog } from "./lib/stdio/mod.ts";
import { DEFAULT_SUBCOMMAND, SUBCOMMANDS } from "./lib/subcommands.ts";

/** A line of the help, and those that follow on from it. */
const entry = (name: string, [first, ...more]: readonly string[]) =>
  [
    `  ${name.padEnd(20)}  ${first}`,
    ...more.map((line) => " ".repeat(24) + line),
  ].join("\n");

const COMMON_HELP =
  `  --rpc-timeout MS      give up on an RPC after MS milliseconds, 1 to 2073600000 (default 2000)
  --reap-interval MS    look for expired callbacks every MS milliseconds
                        (default: exactly when the next one expires)
  --max-pending N       refuse further RPCs while N are pending (default 1000000)
  --max-running N       refuse further requests while N async handlers run (default 100000)
  --max-line-bytes N    skip input lines longer than N bytes (default 16777216)
  --first-msg-id N      start to count msg_ids at N, 0 to 4503599627370496, or at a random one,
                        as a node that may be restarted needs (default: random; 0 for callbacks)
  --log-level LEVEL     error, warn, info, or debug: every message (default info)
  -h, --help            show this
  --version             show the version
`;

const IO_HELP =
  `Reads messages from stdin and writes messages to stdout, one JSON object a line;
logs to stderr.`;

/** What `gyre --help` says. */
const help = () =>
  `gyre ${config.version}: Maelstrom nodes whose RPC callbacks never leak

${IO_HELP}

Usage: gyre [WORKLOAD] [options]

${
    Object.entries(SUBCOMMANDS).map(([name, { does }]) => entry(name, [does]))
      .join("\n")
  }

gyre WORKLOAD --help shows a workload's own options. Those of all:

${COMMON_HELP}`;

/** What `gyre WORKLOAD --help` says. */
const workloadHelp = () =>
  `gyre ${name}: ${subcommand.does}

${IO_HELP}

Usage: gyre ${name} [options]

${
    Object.entries(ownOptions).map(([option, { values, help }]) =>
      entry(`--${option} ${values.join("|")}`, help) + "\n"
    ).join("")
  }${COMMON_HELP}`;

/** A wrong option: exit code 2. */
function usageError(text: string): never {
  console.error(`gyre: ${text}`);
  Deno.exit(2);
}

const commonOptions = {
  "rpc-timeout": { type: "string", default: "2000" },
  "reap-interval": { type: "string" },
  "max-pending": { type: "string", default: "1000000" },
  "max-running": { type: "string", default: "100000" },
  "max-line-bytes": { type: "string", default: "16777216" },
  "first-msg-id": { type: "string" },
  "log-level": { type: "string", default: "info" },
  help: { type: "boolean", short: "h", default: false },
  version: { type: "boolean", default: false },
} as const;

/** A command line that can't be understood. */
function misused(reason: string, options: object): never {
  const names = Object.keys(options).map((name) => `--${name}`).join(", ");
  const workloads = Object.keys(SUBCOMMANDS).join(", ");
  usageError(
    `${reason} (gyre [WORKLOAD] [options]; workloads: ${workloads}; options: ${names})`,
  );
}

const isNamed = Deno.args[0] !== undefined && !Deno.args[0].startsWith("-");
const name = isNamed ? Deno.args[0]! : DEFAULT_SUBCOMMAND;
if (!Object.hasOwn(SUBCOMMANDS, name)) {
  misused(`there is no workload '${name}'`, commonOptions);
}
const subcommand = SUBCOMMANDS[name]!;
const ownOptions = subcommand.options ?? {};

function parse() {
  const options = {
    ...Object.fromEntries(
      Object.entries(ownOptions).map(([option, { values }]) =>
        [option, { type: "string", default: values[0]! }] as const
      ),
    ),
    ...commonOptions,
  };
  try {
    return parseArgs({ args: Deno.args.slice(isNamed ? 1 : 0), options })
      .values;
  } catch (error) {
    misused((error as Error).message.split("\n")[0]!, options);
  }
}

const values = parse();

/** The number of an option, checked to be one. */
function number(
  name:
    | "rpc-timeout"
    | "reap-interval"
    | "max-pending"
    | "max-running"
    | "max-line-bytes"
    | "first-msg-id",
  min: number,
  max: number,
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  const whole = name.startsWith("max") || name === "first-msg-id"
    ? Number.isInteger(value)
    : true;
  if (!(value >= min && value <= max && whole)) {
    const word = name === "first-msg-id" ? "random, or " : "";
    usageError(
      `--${name} must be ${word}a number from ${min} to ${max}, not '${text}'`,
    );
  }
  return value;
}

/** Of an option: its value, checked to be one of some. */
function oneOf(name: string, text: string, all: readonly string[]): void {
  if (!all.includes(text)) {
    usageError(`--${name} must be one of ${all.join(", ")}, not '${text}'`);
  }
}

/** Where ids start: a node that may be restarted is not to take replies to its predecessor. */
function firstMsgId(): number {
  const {
    "first-msg-id": text = name === DEFAULT_SUBCOMMAND ? "0" : "random",
  } = values;
  return text === "random"
    ? Math.floor(Math.random() * 2 ** 52)
    : number("first-msg-id", 0, 2 ** 52) ?? 0;
}

/** Says what was asked for, and that is all. */
function answer(text: string): never {
  try {
    console.log(text);
  } catch (error) { // a full disk
    console.error(
      `gyre: stdout can't be written to: ${(error as Error).message}`,
    );
    Deno.exit(1);
  }
  Deno.exit(0);
}

if (values.help) answer((isNamed ? workloadHelp() : help()).trimEnd());
if (values.version) answer(`gyre ${config.version}`);
oneOf("log-level", values["log-level"], LOG_LEVELS);
const chosen = values as Record<string, unknown>;
for (const [option, { values }] of Object.entries(ownOptions)) {
  oneOf(option, String(chosen[option]), values);
}
const logLevel = values["log-level"] as LogLevel;
const { log, flush } = stderrLog(
  logLevel,
  () => `gyre ${node.nodeId || "-"}`,
);
const node = new Node({
  rpcTimeoutMs: number("rpc-timeout", 1, 2_073_600_000)!,
  reapIntervalMs: number("reap-interval", 1, 2_073_600_000),
  maxPending: number("max-pending", 0, 1_000_000_000)!,
  maxRunning: number("max-running", 1, 1_000_000_000)!,
  firstMsgId: firstMsgId(),
  log,
});
const setUp = await subcommand.load();
setUp(node, chosen);
const maxLineBytes = number("max-line-bytes", 1, 512 * 1024 * 1024)!;
log("info", `version ${config.version}, waiting for init`);
const code = await serve(node, {
  input: Deno.stdin,
  lines: new TextLineStream(),
  output: Deno.stdout,
  maxLineBytes,
  log,
  logLevel,
});
await flush();
Deno.exit(code);
