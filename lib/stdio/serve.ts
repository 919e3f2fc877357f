/** Runs a node on an inbox and an outbox. */
import { guard } from "../guard.ts";
import type { AnyNode, LogLevel } from "../node.ts";
import { plural } from "../plural.ts";
import { type EventLoop, withTimeout } from "./event_loop.ts";
import { Inbox, type Input } from "./inbox.ts";
import { Outbox, type Output } from "./outbox.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /**
   * Cuts text into lines.
   *
   * @default {new TextLineStream()} of `@std/streams`
   */
  lines?: TransformStream<string, string> | undefined;
  /**
   * Where messages come from.
   *
   * @default {Deno.stdin}
   */
  input?: Input | undefined;
  /**
   * Where messages go.
   *
   * @default {Deno.stdout}
   */
  output?: Output | undefined;
  /**
   * The longest line in bytes; a longer one is skipped.
   *
   * @default {16_777_216}
   */
  maxLineBytes?: number | undefined;
  /**
   * How many bytes, about, may wait to be written: beyond them sending fails
   * with error 11. Input is read only while no more than half of them wait, and
   * no more than 256 KiB.
   *
   * @default {134_217_728}
   */
  maxOutputBytes?: number | undefined;
  /**
   * Where log lines go: those of `serve`, and those of the node if it was made
   * without a `log` of its own. That it throws, or rejects, harms nothing.
   *
   * @default stderr, each line after the node's id: see `stderrLog`
   */
  log?: ((level: LogLevel, text: string) => unknown) | undefined;
  /**
   * The least important level of lines that go there: `"error"`, `"warn"`,
   * `"info"` or `"debug"`, which shows every message, in and out.
   *
   * @default {"info"}
   */
  logLevel?: LogLevel | undefined;
}

/** {@linkcode ServeOptions} with what only a runtime knows a default for. */
export type FullServeOptions =
  & ServeOptions
  & { [Key in "lines" | "log"]-?: NonNullable<ServeOptions[Key]> };

/** What a process is given by the runtime that it runs in. */
export interface Runtime {
  /** Where messages come from by default. */
  stdin: Input;
  /** Where messages go by default. */
  stdout: Output;
  /** Resolves with the name of the first signal that asks for the end, from now until `stop`. */
  onSignals(): { received: Promise<string>; stop: () => void };
  /** Its event loop. */
  eventLoop: EventLoop;
  /** Told of each read, and each reap: what may use memory, or free it. */
  used?: () => void;
}

/** What is served: a node, or what stands between. */
export type ServedNode = Pick<
  AnyNode,
  "close" | "connect" | "receive" | "reject" | "stats"
>;

/**
 * While more bytes than this wait to be written no input is read: a backlog
 * only costs memory, and, where it outlives a collection of the young
 * generation, CPU: with 1 MiB a tenth of that of pumped echoes.
 */
const PAUSE_BYTES = 262_144;
/** How long to wait for a reader of stdout that takes nothing, once the node is stopping, in ms. */
const STALLED_MS = 5000;

/**
 * Runs a node on a runtime's stdin and stdout: see `serve` in `mod.ts`.
 *
 * @param node The node.
 * @param options The line splitter, limits, log; lines of every level are logged.
 * @param runtime The runtime.
 * @returns The exit code.
 */
export async function serveOn(
  node: ServedNode,
  options: FullServeOptions,
  runtime: Runtime,
): Promise<number> {
  const {
    lines,
    input = runtime.stdin,
    output = runtime.stdout,
    maxLineBytes = 16 * 1024 * 1024,
    maxOutputBytes = 128 * 1024 * 1024,
    log,
    logLevel,
  } = options;
  const { eventLoop: loop } = runtime;
  const outbox = new Outbox(output, maxOutputBytes, loop);
  const pauseBytes = Math.min(PAUSE_BYTES, maxOutputBytes / 2);
  const inbox = new Inbox({
    input,
    loop,
    maxLineBytes,
    skipped: (start, reason) => node.reject(start, new Error(reason)),
  });
  const say = (level: LogLevel, text: string) =>
    guard(() => log(level, text), () => {}); // there is nowhere else to say so
  const logsMessages = logLevel === "debug";
  node.connect({
    send(line) {
      outbox.send(line);
      if (logsMessages) say("debug", `sent ${line}`);
    },
    caughtUp: (lateMs) => {
      runtime.used?.();
      return inbox.caughtUp(lateMs);
    },
    log,
  });

  const writer = lines.writable.getWriter();
  const reader = lines.readable.getReader();
  let stopping = false;
  async function readAll(): Promise<void> {
    for (;;) {
      runtime.used?.();
      while (outbox.waiting > pauseBytes) await outbox.flush();
      const text = await inbox.read();
      if (text === undefined) return writer.close();
      outbox.gather();
      if (text !== "") await writer.write(text);
    }
  }
  async function handleAll(): Promise<string> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "the end of the input";
      if (stopping) return "";
      if (logsMessages) say("debug", `received ${value}`);
      node.receive(value);
    }
  }
  const signals = runtime.onSignals();
  const reason = await Promise.race([
    Promise.all([handleAll(), readAll()]).then(
      ([reason]) => reason,
      (error) => new Error(`stdin can't be read: ${error.message}`),
    ),
    signals.received,
    outbox.failed.then(unwritable),
  ]);
  stopping = true;
  signals.stop(); // a second signal ends the process at once
  await node.close();
  await inbox.stop();
  const problem = await drain(outbox, loop);
  if (reason instanceof Error || problem !== undefined) {
    say("error", ((problem ?? reason) as Error).message);
    return 1;
  }
  const { registered, replied, reaped, cancelled, invalid_lines } = node
    .stats();
  say(
    "info",
    `stopped at ${reason}: ${
      plural(registered, "RPC")
    }: ${replied} answered, ${reaped} reaped, ${cancelled} cancelled; ${
      plural(invalid_lines, "invalid line")
    }`,
  );
  return 0;
}

/** Waits until all is written; gives up when that fails, or when nothing is taken for {@linkcode STALLED_MS}. */
async function drain(
  outbox: Outbox,
  loop: EventLoop,
): Promise<Error | undefined> {
  let written = -1;
  while (outbox.waiting > 0 && written < outbox.writes) {
    written = outbox.writes;
    await withTimeout(loop, outbox.flush(), STALLED_MS);
  }
  if (outbox.failure) return unwritable(outbox.failure);
  if (outbox.waiting === 0) return undefined;
  return unwritable(
    new Error(
      `nothing was taken for ${STALLED_MS} ms, ${outbox.waiting} bytes are lost`,
    ),
  );
}

function unwritable(reason: Error): Error {
  return new Error(`stdout can't be written to: ${reason.message}`);
}
