/** The log on stderr. */
import { currentProcess } from "./current_process.ts";
import { LOG_LEVELS, type LogLevel } from "../node.ts";
import { withTimeout } from "./event_loop.ts";
import { Outbox, type Output } from "./outbox.ts";
import { plainEventLoop } from "./runtime.ts";

/** A log that is written in the background; see {@linkcode stderrLog}. */
export interface StderrLog {
  /** Writes one line, unless its level is too low. */
  log: (level: LogLevel, text: string) => void;
  /** Waits until all is written, for 1 s at most. */
  flush: () => Promise<void>;
}

/** What could start a new line, or make a terminal do things. */
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTERS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;
/** Where the log goes by default. */
const stderr: Output = {
  write: async (bytes) => (await currentProcess()).stderr.write(bytes),
};
/** How many bytes of log may wait to be written. */
const MAX_LOG_BYTES = 1024 * 1024;

/**
 * A log on stderr, one line an entry. It never holds up the node: while stderr
 * takes nothing, up to 1 MiB waits, what comes after that is dropped, and the
 * number of lines dropped is logged later.
 *
 * @example
 * ```ts
 * import { stderrLog } from "@gyre/node/stdio";
 * import { assertEquals } from "@std/assert";
 *
 * const written: string[] = [];
 * const output = {
 *   write(bytes: Uint8Array) {
 *     written.push(new TextDecoder().decode(bytes));
 *     return Promise.resolve(bytes.length);
 *   },
 * };
 * const { log, flush } = stderrLog("warn", () => "gyre n1", output);
 * log("warn", "that was odd");
 * log("info", "not shown");
 * await flush();
 * assertEquals(written, ["gyre n1 warn: that was odd\n"]);
 * ```
 *
 * @param level The least important level that is shown.
 * @param name What each line starts with.
 * @param output Where to write.
 * @throws {RangeError} There is no such level.
 */
export function stderrLog(
  level: LogLevel,
  name: () => string,
  output: Output = stderr,
): StderrLog {
  checkLevel(level);
  const outbox = new Outbox(output, MAX_LOG_BYTES, plainEventLoop);
  let dropped = 0;
  const entry = (at: LogLevel, text: string) =>
    `${name()} ${at}: ${text.replace(/\s*[\r\n]+\s*/g, " | ")}`.replace(
      CONTROL_CHARACTERS,
      (character) =>
        `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  return {
    log(at, text) {
      if (!isShown(at, level)) return;
      const lines = [entry(at, text)];
      if (dropped > 0) {
        const what = dropped === 1 ? "line was" : "lines were";
        lines.unshift(entry("warn", `${dropped} log ${what} dropped`));
      }
      try {
        outbox.send(lines.join("\n"));
        dropped = 0;
      } catch { // full
        dropped++;
      }
    },
    flush: () => withTimeout(plainEventLoop, outbox.flush(), 1000),
  };
}

/**
 * A log without the lines that are less important than a level.
 *
 * @param log Where the others go.
 * @param level The least important level that is shown.
 * @throws {RangeError} There is no such level.
 */
export function filteredLog(
  log: (level: LogLevel, text: string) => unknown,
  level: LogLevel,
): (level: LogLevel, text: string) => unknown {
  checkLevel(level);
  return (at, text) => isShown(at, level) && log(at, text);
}

function isShown(at: LogLevel, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(at) <= LOG_LEVELS.indexOf(level);
}

function checkLevel(level: LogLevel): void {
  if (!LOG_LEVELS.includes(level)) {
    throw new RangeError(
      `The log's level must be one of ${
        LOG_LEVELS.join(", ")
      }: current value is ${level}`,
    );
  }
}
