/**
 * Has a real process make millions of RPCs, of which some get lost, are answered
 * late or twice, and compares its memory and its counters with what they should be.
 */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { command, root } from "../tests/process.ts";
import { Task } from "./options.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

/** How many RPCs are asked for at once. */
const BURST = 200_000;
/** After so many the memory is measured for the first time. */
const WARM_UP = 1_000_000;
/** By how much it may differ after the last one, in per cent. */
const GROWTH = 10;
/** Of a thousand RPCs, how many get lost, are answered late, and twice. */
const LOST = 10;
const LATE = 10;
const TWICE = 1;
/** Longer than the default, so that on a slow machine, too, a whole burst is answered in time. */
const RPC_TIMEOUT_MS = 4000;
/** For how long the memory of the idle process is watched, in ms: V8 collects garbage some 8 s after the work ends. */
const WATCH_MS = 20_000;

const HELP =
  `Has a node make RPCs in bursts of ${BURST} and checks its memory and counters.
The node is the binary that GYRE_BIN names, or deno run. Its memory is the least
resident set size (VmRSS in /proc on Linux, what ps says elsewhere) that is seen
in ${WATCH_MS / 1000} s of idleness, in which V8 collects what garbage there is.

Usage: deno task soak [options]

  --rpcs N     how many RPCs, ${WARM_UP} or more (default 10000000)
  --minutes N  stop after the burst in which so many minutes are over (default: never)
  --seed N     which RPCs get lost, are answered late or twice (default 1)
  -h, --help   show this`;

const task: Task = new Task("soak", HELP);
const values = task.options({
  rpcs: { type: "string" },
  minutes: { type: "string" },
  seed: { type: "string" },
});
const wanted = task.number("rpcs", values.rpcs, { min: WARM_UP }) ??
  10_000_000;
const minutes = task.number("minutes", values.minutes, {
  min: 0,
  whole: false,
}) ?? Infinity;
const random = xoroshiro128plus(
  task.number("seed", values.seed, { min: 0 }) ?? 1,
);

const [program, ...args] = command(
  "--log-level",
  "warn",
  "--rpc-timeout",
  String(RPC_TIMEOUT_MS),
);
const child = new Deno.Command(program, {
  args,
  cwd: root,
  stdin: "piped",
  stdout: "piped",
  stderr: "inherit",
}).spawn();

const encoder = new TextEncoder();
const stdin = child.stdin.getWriter();
const send = (text: string) => stdin.write(encoder.encode(text));
const message = (src: string, body: Json) =>
  JSON.stringify({ src, dest: "n1", body }) + "\n";

/** What was done to the node. */
const done = { rpcs: 0, lost: 0, late: 0, replies: 0 };
/** Replies that wait until their RPCs have been reaped. */
let tooLate: string[] = [];
/** Told the node's answer to what the soak itself asks. */
let answered: (body: Json) => void = () => {};

function reply(line: string): string {
  const id = line.slice(line.lastIndexOf('"msg_id":') + 9, -2);
  const text =
    `{"src":"n2","dest":"n1","body":{"type":"x_ok","in_reply_to":${id}}}\n`;
  done.rpcs++;
  const fate = uniformInt(random, 0, 999);
  if (fate < LOST) {
    done.lost++;
    return "";
  }
  if (fate < LOST + LATE) {
    done.late++;
    tooLate.push(text);
    return "";
  }
  const times = fate < LOST + LATE + TWICE ? 2 : 1;
  done.replies += times;
  return text.repeat(times);
}

async function listen(): Promise<void> {
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    let replies = "";
    for (const line of lines) {
      if (line.includes('"dest":"n2"')) replies += reply(line);
      else if (line.includes('"dest":"soak"')) answered(JSON.parse(line).body);
      else if (!line.includes("_ok")) fail(`the node answered ${line}`);
    }
    if (replies !== "") send(replies);
  }
}

function fail(text: string): never {
  console.error(`soak: ${text}`);
  child.kill("SIGKILL");
  Deno.exit(1);
}

async function ask(type: string): Promise<Json> {
  const { promise, resolve } = Promise.withResolvers<Json>();
  answered = resolve;
  await send(message("soak", { type, msg_id: 1 }));
  return await promise;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The memory that the process holds, in bytes: VmRSS on Linux, what `ps` says elsewhere. */
function memory(): number {
  if (Deno.build.os === "linux") {
    const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
    return Number(status.match(/^VmRSS:\s+(\d+)/m)![1]) * 1024;
  }
  const { stdout } = new Deno.Command("ps", {
    args: ["-o", "rss=", "-p", String(child.pid)],
  }).outputSync();
  return Number(new TextDecoder().decode(stdout)) * 1024;
}

/** The least memory that the process holds while it is idle. */
async function idleMemory(): Promise<number> {
  let least = Infinity;
  for (const until = performance.now() + WATCH_MS; performance.now() < until;) {
    least = Math.min(least, memory());
    await sleep(100);
  }
  return least;
}

/** Has the node make a burst of RPCs; returns when all have been settled, and those that were to be answered late were. */
async function burst(count: number): Promise<void> {
  const request = message("c1", {
    type: "send_fire_forget",
    msg_id: 1,
    target: "n2",
    payload: { type: "x" },
  });
  await send(request.repeat(count));
  while ((await ask("pending_count")).count > 0) await sleep(100);
  const text = tooLate.join("");
  done.replies += tooLate.length;
  tooLate = [];
  await send(text);
}

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const listening = listen();
await send(message("soak", {
  type: "init",
  msg_id: 0,
  node_id: "n1",
  node_ids: ["n1", "n2"],
}));
const startedAt = performance.now();
let warm = 0;
let stats: Json;
while (done.rpcs < wanted) {
  await burst(Math.min(BURST, wanted - done.rpcs));
  stats = await ask("stats");
  const { registered, replied, reaped, cancelled, pending } = stats;
  const { late, duplicate, stray, unknown } = stats;
  for (
    const [what, actual, expected] of [
      ["pending", pending, 0],
      ["registered", registered, done.rpcs],
      ["replied + reaped + cancelled", replied + reaped + cancelled, done.rpcs],
      [
        "replied + late + duplicate + stray + unknown",
        replied + late + duplicate + stray + unknown,
        done.replies,
      ],
      ["stray", stray, 0],
      ["invalid_lines", stats.invalid_lines, 0],
    ] as const
  ) if (actual !== expected) fail(`${what}: ${actual}, not ${expected}`);
  if (warm === 0 && done.rpcs >= WARM_UP) warm = await idleMemory();
  const passedMs = performance.now() - startedAt;
  console.log(
    `${done.rpcs} RPCs in ${(passedMs / 1000).toFixed(0)} s, ${mb(memory())}`,
  );
  if (passedMs > minutes * 60_000 && warm > 0) break;
}
const last = await idleMemory();
await stdin.close();
await listening;
const { code } = await child.status;
console.log(
  `registered ${stats.registered} = replied ${stats.replied} + reaped ${stats.reaped} + cancelled ${stats.cancelled}
lost ${done.lost}, answered late ${done.late}; answered in time, but reaped: ${
    stats.reaped - done.lost - done.late
  }
late ${stats.late}, duplicate ${stats.duplicate}, unknown ${stats.unknown}: too long ago to be remembered
memory ${mb(warm)} after ${WARM_UP} RPCs, ${mb(last)} after the last: ${
    (100 * (last / warm - 1)).toFixed(1)
  } %`,
);
if (code !== 0) fail(`exit code ${code}`);
if (last > warm * (1 + GROWTH / 100)) {
  console.error(`soak: the memory grew by more than ${GROWTH} %`);
  Deno.exit(1);
}
