/** Gyre's binary: the callback exercise's node on stdin and stdout. */
import { parseArgs } from "node:util";
import { TextLineStream } from "@std/streams/text-line-stream";
import config from "./deno.json" with { type: "json" };
import { callbacks, LOG_LEVELS, type LogLevel, Node } from "./lib/mod.ts";
import { serve, stderrLog } from "./lib/stdio/mod.ts";

const HELP =
  `gyre ${config.version}: a Maelstrom node whose RPC callbacks never leak

Reads messages from stdin and writes messages to stdout, one JSON object a line;
logs to stderr.

Usage: gyre [options]

  --rpc-timeout MS      give up on an RPC after MS milliseconds, 1 to 2073600000 (default 2000)
  --reap-interval MS    look for expired callbacks every MS milliseconds
                        (default: exactly when the next one expires)
  --max-pending N       refuse further RPCs while N are pending (default 1000000)
  --max-running N       refuse further requests while N async handlers run (default 100000)
  --max-line-bytes N    skip input lines longer than N bytes (default 16777216)
  --log-level LEVEL     error, warn, info, or debug: every message (default info)
  -h, --help            show this
  --version             show the version
`;

/** A wrong option: exit code 2. */
function usageError(text: string): never {
  console.error(`gyre: ${text}`);
  Deno.exit(2);
}

const options = {
  "rpc-timeout": { type: "string", default: "2000" },
  "reap-interval": { type: "string" },
  "max-pending": { type: "string", default: "1000000" },
  "max-running": { type: "string", default: "100000" },
  "max-line-bytes": { type: "string", default: "16777216" },
  "log-level": { type: "string", default: "info" },
  help: { type: "boolean", short: "h", default: false },
  version: { type: "boolean", default: false },
} as const;

function parse() {
  try {
    return parseArgs({ args: Deno.args, options }).values;
  } catch (error) {
    const names = Object.keys(options).map((name) => `--${name}`).join(", ");
    const [reason] = (error as Error).message.split("\n");
    usageError(`${reason} (options: ${names})`);
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
    | "max-line-bytes",
  min: number,
  max: number,
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  const whole = name.startsWith("max") ? Number.isInteger(value) : true;
  if (!(value >= min && value <= max && whole)) {
    usageError(
      `--${name} must be a number from ${min} to ${max}, not '${text}'`,
    );
  }
  return value;
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

if (values.help) answer(HELP.trimEnd());
if (values.version) answer(`gyre ${config.version}`);
if (!(LOG_LEVELS as readonly string[]).includes(values["log-level"])) {
  usageError(
    `--log-level must be one of ${LOG_LEVELS.join(", ")}, not '${
      values["log-level"]
    }'`,
  );
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
  log,
});
callbacks(node);
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
