// deno-lint-ignore-file no-import-prefix -- not in deno.json, so that only the benchmarks download them
/** `deno task bench:pipe`: whole processes, measured through their pipes. */
import { quantile } from "npm:simple-statistics@7.12.1";
import {
  interleave,
  type Options,
  optionsOrExit,
  roundsNote,
  type Sample,
} from "./harness.ts";
import { build, nodes, run, versions } from "./nodes.ts";
import { processCpuMs, requireLinux } from "./cpu.ts";
import { Child } from "./process.ts";
import { machine, print, type Result, save } from "./report.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message to the node as a line. */
function line(body: Record<string, unknown>, src = "c1"): string {
  return JSON.stringify({ src, dest: "n1", body }) + "\n";
}

/** The first message to a node. */
export const init = encoder.encode(
  line(
    { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1", "n2"] },
    "c0",
  ),
);

function echo(i: number): string {
  return line({ type: "echo", msg_id: i + 2, echo: `Please echo ${i % 100}` });
}

/** Many lines as bytes. */
function lines(
  count: number,
  make: (i: number) => string,
): Uint8Array<ArrayBuffer> {
  const text = [];
  for (let i = 0; i < count; i++) text.push(make(i));
  return encoder.encode(text.join(""));
}

/** Those of the round before, as making them takes longer than most nodes do. */
let echoes = { count: 0, bytes: new Uint8Array() };
/** That many echo requests. */
export function echoBytes(count: number): Uint8Array {
  if (echoes.count !== count) echoes = { count, bytes: lines(count, echo) };
  return echoes.bytes;
}

async function started(variant: string, ...options: string[]): Promise<Child> {
  const child = await Child.start([...nodes[variant]!.command, ...options]);
  child.exchange(init);
  return child;
}

/** A benchmark: what it does to one variant in one round. */
interface Benchmark {
  title: string;
  /** How many messages or RPCs. */
  count?: number;
  /** Whether ceilings can take part; they only echo. */
  ceilings: boolean;
  /** Whether peers that would take minutes take part, with fewer messages; by default they do. */
  heavy?: boolean;
  /** What is measured instead of the nodes. */
  variants?: string[];
  /** The figure that the chart shows. */
  charted?: string;
  /** Whether it only runs when it is named. */
  long?: boolean;
  run(variant: string, count: number): Promise<Sample>;
}

/** All lines at once, and all answers read. */
export async function pump(variant: string, count: number): Promise<Sample> {
  const input = echoBytes(count);
  const child = await started(variant);
  const [start, cpu, driver] = [
    performance.now(),
    child.cpuMs,
    processCpuMs(),
  ];
  const writing = child.write(input);
  await child.readLines(count);
  const ms = performance.now() - start;
  const sample = {
    "CPU, µs/message": (child.cpuMs - cpu) * 1000 / count,
    "throughput, messages/s": count / ms * 1000,
    "peak memory, MiB": child.memory.peak,
    "driver's CPU, µs/message": (processCpuMs() - driver) * 1000 / count,
  };
  await writing;
  await child.end();
  return sample;
}

/** One request at a time; and how long a process takes from its start to its `init_ok`. */
async function oneAtATime(variant: string, count: number): Promise<Sample> {
  const requests = Array.from(
    { length: count },
    (_, i) => encoder.encode(echo(i)),
  );
  const start = performance.now();
  const child = await started(variant);
  const startMs = performance.now() - start;
  const cpu = child.cpuMs;
  const times = requests.map((request) => {
    const before = performance.now();
    child.exchange(request);
    return (performance.now() - before) * 1000;
  });
  const sample = {
    "p50, µs": quantile(times, 0.5),
    "p99, µs": quantile(times, 0.99),
    "CPU, µs/message": (child.cpuMs - cpu) * 1000 / count,
    "start-up, ms": startMs,
  };
  await child.end();
  return sample;
}

/** What `stats` says that is of interest here. */
interface Stats {
  pending: number;
  reaped?: number;
}

/** Asks the node a last time, when nothing else is under way. */
function ask<T>(child: Child, type: string): T {
  const reply = child.exchange(encoder.encode(line({ type, msg_id: 1 })));
  return JSON.parse(decoder.decode(reply)).body;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** 1,000,000 RPCs whose answers never come. */
export async function lost(variant: string, count: number): Promise<Sample> {
  const input = lines(count, fireForget);
  const child = await started(variant);
  const [cpu, before] = [child.cpuMs, child.memory.now];
  const writing = child.write(input);
  await child.readLines(2 * count); // the RPCs and the answers to the requests
  await writing;
  const idleFrom = performance.now();
  let stats: Stats;
  do {
    await sleep(50);
    stats = ask(child, "stats");
  } while (stats.pending > 0 && performance.now() - idleFrom < 5000);
  const [cpuEnd, reaped] = [child.cpuMs, child.memory];
  await sleep(5000);
  const sample: Sample = {
    "CPU, µs/RPC": (cpuEnd - cpu) * 1000 / count,
    "memory before, MiB": before,
    "at the peak, MiB": reaped.peak,
    "after the reap, MiB": reaped.now,
    "5 s later, MiB": child.memory.now,
    "kept, bytes/RPC": (child.memory.now - before) * 2 ** 20 / count,
    "left pending": stats.pending,
  };
  await child.end();
  return sample;
}

/** RPCs that are pending, none of them due for a minute. */
async function idle(variant: string, count: number): Promise<Sample> {
  const child = await started(variant, "--rpc-timeout", "60000");
  const writing = child.write(lines(count, fireForget));
  await child.readLines(2 * count); // the RPCs and the answers to the requests
  await writing;
  const sample: Sample = {};
  for (const which of ["first", "next"]) {
    const { cpuMs } = child;
    await sleep(10_000);
    sample[`CPU of the ${which} 10 s, ms`] = child.cpuMs - cpuMs;
  }
  const { pending } = ask<Stats>(child, "stats");
  if (pending !== count) throw new Error(`${pending} RPCs are pending`);
  await child.end();
  return sample;
}

/** A request to send an RPC to n2; all are equally long. */
function fireForget(i: number): string {
  const payload = { type: "echo", echo: "lost" };
  const msg_id = 1_000_000_000 + i;
  return line({ type: "send_fire_forget", msg_id, target: "n2", payload });
}

const FIRE_FORGET_BYTES = fireForget(0).length;

/** Node n2: finds the RPCs in what the node writes, and answers them. */
class Answerer {
  #tail = "";

  /** The answers to the RPCs in this chunk, and how many other lines there are in it. */
  answer(chunk: Uint8Array): { answers: string; rpcs: number; others: number } {
    const text = this.#tail + decoder.decode(chunk);
    const end = text.lastIndexOf("\n") + 1;
    this.#tail = text.slice(end);
    let answers = "";
    let rpcs = 0;
    let lines = 0;
    for (const line of text.slice(0, end).split("\n")) {
      if (line === "") continue;
      lines++;
      if (!line.includes('"dest":"n2"')) continue;
      const id = line.match(/"msg_id":(\d+)/)![1];
      answers +=
        `{"src":"n2","dest":"n1","body":{"type":"echo_ok","in_reply_to":${id},"echo":"lost"}}\n`;
      rpcs++;
    }
    return { answers, rpcs, others: lines - rpcs };
  }
}

/** How the answers come to the node. */
interface Answering {
  /** How many requests may be without their answers. */
  inFlight?: number;
  /** Whether answers overtake the requests that have not been written yet. */
  overtake: boolean;
}

/** RPCs that are all answered. */
async function answered(
  variant: string,
  count: number,
  { inFlight = count, overtake }: Answering,
): Promise<Sample> {
  const input = lines(count, fireForget);
  const child = await started(variant);
  const { cpuMs, memory } = child;
  const driverMs = processCpuMs();
  const answerer = new Answerer();
  let answers = "";
  let rpcs = 0; // seen, each with its answer
  let others = 0; // seen: answers to requests
  let sent = 0;
  let wake = () => {};

  async function write(): Promise<void> {
    for (let done = 0; done < count;) {
      const most = Math.min(count, others + inFlight, sent + 500);
      if (answers !== "" && (overtake || sent === most)) {
        const bytes = encoder.encode(answers);
        answers = "";
        done = rpcs;
        await child.write(bytes);
      } else if (sent < most) {
        const from = sent * FIRE_FORGET_BYTES;
        sent = most;
        await child.write(input.subarray(from, sent * FIRE_FORGET_BYTES));
      } else await new Promise<void>((resolve) => wake = resolve);
    }
  }

  const writing = write();
  while (rpcs < count || others < count) {
    const chunk = await child.read();
    if (chunk === undefined) throw new Error("the process has ended");
    const found = answerer.answer(chunk);
    rpcs += found.rpcs;
    others += found.others;
    answers += found.answers;
    wake();
  }
  await writing;
  const { reaped } = ask<Stats>(child, "stats"); // read behind the last answer
  const sample: Sample = {
    "CPU, µs/RPC": (child.cpuMs - cpuMs) * 1000 / count,
    ...(reaped === undefined ? {} : { reaped }),
    "memory before, MiB": memory.now,
    "at the peak, MiB": child.memory.peak,
    "driver's CPU, µs/RPC": (processCpuMs() - driverMs) * 1000 / count,
  };
  await child.end();
  return sample;
}

/** CPU per message as their number grows. */
async function growth(variant: string): Promise<Sample> {
  const sample: Sample = {};
  for (const count of [1e4, 1e5, 1e6, 1e7]) {
    const part = Math.min(count, 1e6);
    const input = echoBytes(part);
    const child = await started(variant);
    const { cpuMs } = child;
    for (let sent = 0; sent < count; sent += part) {
      const writing = child.write(input);
      await child.readLines(part);
      await writing;
    }
    sample[`${count.toLocaleString("en")} messages; µs each`] =
      (child.cpuMs - cpuMs) * 1000 / count;
    await child.end();
  }
  return sample;
}

/** What comes in while timeouts are measured: how many probes at once, echo requests after them, and then nothing for how long. */
const loads: Record<
  string,
  { batch: number; echoes: number; pauseMs: number }
> = {
  idle: { batch: 20, echoes: 0, pauseMs: 100 },
  trickle: { batch: 1, echoes: 0, pauseMs: 5 },
  pumped: { batch: 1, echoes: 1000, pauseMs: 0 },
};

/** How late timeouts are, beside a bare `setTimeout` in the same process. */
async function lateness(load: string, probes: number): Promise<Sample> {
  const child = await Child.start([...run, "bench/timeouts.ts"]);
  child.exchange(init);
  const probe = line({ type: "probe", delay: 50 });
  const { batch, echoes, pauseMs } = loads[load]!;
  const input = encoder.encode(probe.repeat(batch) + echo(0).repeat(echoes));
  const batches = Math.ceil(probes / batch);
  const reading = child.readLines(batches * (batch + echoes));
  for (let i = 0; i < batches; i++) {
    await child.write(input);
    await sleep(pauseMs);
  }
  await reading;
  await sleep(200);
  const { rpc, bare } = ask<{ rpc: number[]; bare: number[] }>(
    child,
    "lateness",
  );
  await child.end();
  if (rpc.length !== batches * batch) throw new Error("a timeout did not come");
  const sample: Sample = { "earliest, ms": Math.min(...rpc) };
  for (const [name, p] of [["p50", 0.5], ["p99", 0.99]] as const) {
    sample[`RPC ${name}, ms`] = quantile(rpc, p);
    sample[`setTimeout ${name}, ms`] = quantile(bare, p);
    sample[`RPC ÷ setTimeout ${name}`] = quantile(rpc, p) / quantile(bare, p);
  }
  return sample;
}

/** How a process is kept from running when it should. */
const hindrances = ["idle", "busy machine", "stopped"];

/** Keeps every core busy, twice over; ends it. */
function load(): () => void {
  const hogs = Array.from(
    { length: navigator.hardwareConcurrency },
    () =>
      new Deno.Command("sh", { args: ["-c", "while :; do :; done"] }).spawn(),
  );
  return () => hogs.forEach((hog) => hog.kill());
}

const now = () => performance.timeOrigin + performance.now();

/** Waits without letting go of the processor. */
function waitUntil(time: number): void {
  while (now() < time);
}

/** How many RPCs are timed out though their replies could be read 1 ms before their deadlines. */
export async function inTime(variant: string, count: number): Promise<Sample> {
  const [hindrance, reads] = variant.split(", ");
  const child = await Child.start([
    ...run,
    "bench/timeouts.ts",
    ...(reads === "threads" ? ["threads"] : []),
  ]);
  child.exchange(init);
  for (let i = 0; i < 100; i++) child.exchange(encoder.encode(echo(i)));
  await sleep(200); // sockets have taken over, where they can
  const unload = hindrance === "busy machine" ? load() : () => {};
  const readable = new Set<number>();
  try {
    for (let id = 0; id < count; id++) {
      const request = line({ type: "ask", msg_id: id, id, delay: 20 });
      const [rpc, answer] = decoder.decode(
        child.exchange(encoder.encode(request)),
      ).trim().split("\n").map((line) => JSON.parse(line));
      const reply = encoder.encode(
        line({ type: "echo_ok", in_reply_to: rpc.body.msg_id }, "n2"),
      );
      const { deadline } = answer.body;
      if (hindrance === "stopped") child.signal("SIGSTOP");
      waitUntil(deadline - 1 - Math.random() * 4);
      await child.write(reply);
      if (now() <= deadline - 1) readable.add(id);
      await sleep(10 + Math.random() * 50);
      if (hindrance === "stopped") child.signal("SIGCONT");
      await sleep(20);
    }
  } finally {
    unload();
  }
  const { missed } = ask<{ missed: number[] }>(child, "missed");
  await child.end();
  return {
    "readable in time": readable.size,
    "timed out all the same": missed.filter((id) => readable.has(id)).length,
  };
}

const benchmarks: Record<string, Benchmark> = {
  "echo-200k": {
    title:
      "200,000 echo requests pumped: written as fast as the node takes them.",
    count: 200_000,
    ceilings: true,
    charted: "CPU",
    run: pump,
  },
  "echo-1m": {
    title: "1,000,000 echo requests pumped.",
    count: 1_000_000,
    ceilings: true,
    heavy: false,
    charted: "CPU",
    run: pump,
  },
  "one-at-a-time": {
    title:
      "Echo requests one at a time, 20,000 a round; and the time from a process's start to its `init_ok`.",
    count: 20_000,
    ceilings: true,
    charted: "p50",
    run: oneAtATime,
  },
  "rpc-lost": {
    title:
      "1,000,000 RPCs (`send_fire_forget`) pumped and never answered; memory before, at the peak, when all callbacks have been reaped (or after 5 s, where nothing reaps them), and 5 s later.",
    count: 1_000_000,
    ceilings: false,
    charted: "CPU",
    run: lost,
  },
  "rpc-answered": {
    title:
      "1,000,000 RPCs pumped, each answered before further requests are written.",
    count: 1_000_000,
    ceilings: false,
    heavy: false,
    charted: "CPU",
    run: (variant, count) => answered(variant, count, { overtake: true }),
  },
  "rpc-burst": {
    title:
      "300,000 RPCs at once, all of them answered at once, behind the requests: how many are timed out all the same?",
    count: 300_000,
    ceilings: false,
    charted: "CPU",
    run: (variant, count) => answered(variant, count, { overtake: false }),
  },
  "rpc-1000": {
    title: "200,000 RPCs answered, 1,000 at a time in flight.",
    count: 200_000,
    ceilings: false,
    charted: "CPU",
    run: (variant, count) =>
      answered(variant, count, { overtake: true, inFlight: 1000 }),
  },
  "rpc-idle": {
    title:
      "1,000,000 RPCs pending, none of them due for a minute: the CPU time of a node that is then left alone.",
    count: 1_000_000,
    ceilings: false,
    variants: ["gyre"],
    run: idle,
  },
  "lateness": {
    title:
      "How late 1,000 timeouts of 50 ms come, in ms, beside a bare `setTimeout` in the same process: idle, with a request every 5 ms, and while echo requests are pumped.",
    count: 1000,
    ceilings: false,
    variants: Object.keys(loads),
    run: lateness,
  },
  "in-time": {
    title:
      "200 RPCs whose replies are written 1 to 5 ms before their deadlines, on an idle machine, on one whose cores are all busy, and while the process is stopped until after the deadline: how many replies could be read 1 ms before the deadline, and how many of these RPCs are timed out all the same. stdin is read by sockets, or by threads, as where Deno can't do better.",
    count: 200,
    ceilings: false,
    variants: hindrances.flatMap((name) => [name, `${name}, threads`]),
    run: inTime,
  },
  "growth": {
    title: "CPU per echo as the messages grow from 10,000 to 10,000,000.",
    ceilings: true,
    heavy: false,
    long: true,
    run: growth,
  },
};

const HELP = `Measures whole nodes through their pipes, in turn.

Usage: deno task bench:pipe [benchmarks] [options]

Benchmarks (default: all but the long ones):
${
  Object.entries(benchmarks).map(([name, { title, long }]) =>
    `  ${name.padEnd(14)}${title}${long ? " Long." : ""}`
  ).join("\n")
}

Options:
  --variants A,B   which of: ${Object.keys(nodes).join(", ")}
  --rounds N       how many times each is run (default 5)
  --scale X        multiply all numbers of messages (default 1)
  --save           write the results to bench/results/
  -h, --help       show this`;

/** How many messages a variant gets: some would take minutes. */
function countFor(variant: string, count: number, { scale }: Options): number {
  const { maxMessages = Infinity } = nodes[variant] ?? {};
  return Math.max(1, Math.round(Math.min(count, maxMessages) * scale));
}

/** Who takes part in a benchmark, of those that can be run. */
function participants(
  { variants, ceilings, heavy = true }: Benchmark,
  able: string[],
): string[] {
  return variants ?? able.filter((name) => {
    const { ceiling = false, maxMessages } = nodes[name]!;
    return (ceilings || !ceiling) && (heavy || maxMessages === undefined);
  });
}

async function main(): Promise<void> {
  const names = Object.keys(benchmarks);
  const options = optionsOrExit("bench:pipe", HELP, {
    benchmarks: names,
    byDefault: names.filter((name) => !benchmarks[name]!.long),
    variants: Object.keys(nodes),
  });
  requireLinux("bench:pipe");
  Deno.chdir(new URL("../", import.meta.url));
  const able = await build(options.variants);
  const about = machine(await versions());
  const results: Result[] = [];
  for (const name of options.benchmarks) {
    const benchmark = benchmarks[name]!;
    const { title, charted, count = 1 } = benchmark;
    const variants = participants(benchmark, able);
    const notes = [roundsNote(options)];
    for (const variant of variants) {
      const fewer = countFor(variant, count, options);
      if (fewer < Math.round(count * options.scale)) {
        notes.push(
          `${variant}: ${fewer.toLocaleString("en")} instead of ${
            count.toLocaleString("en")
          }.`,
        );
      }
    }
    const figures = await interleave(
      variants,
      options.rounds,
      (variant) => benchmark.run(variant, countFor(variant, count, options)),
    );
    const result = {
      name,
      title,
      base: benchmark.variants ? "" : "gyre",
      figures,
      notes,
      charted,
      date: new Date().toISOString().slice(0, 10),
      machine: about,
    };
    print(result);
    results.push(result);
  }
  if (options.save) {
    save(
      "pipe",
      "Gyre and its peers as processes: multiples of Gyre's",
      names,
      results,
    );
  }
}

if (import.meta.main) await main();
