/** The table of workloads that a real Maelstrom runs: what it is told, and what the binary is. */
import { recoveriesMs } from "./recovery.ts";

/** A run of Maelstrom's. */
export interface Run {
  /** Maelstrom's workload; the binary's subcommand of the same name does it. */
  workload: string;
  /** What the binary is told besides. */
  args?: readonly string[];
  /** What Maelstrom is told besides. */
  options: readonly string[];
}

const run = (workload: string, options: string, args = ""): Run => ({
  workload,
  options: options.split(" "),
  args: args === "" ? [] : args.split(" "),
});

/** The runs, those of one workload together. */
export const RUNS: readonly Run[] = [
  run("echo", "--node-count 1"),
  run(
    "unique-ids",
    "--node-count 3 --rate 1000 --availability total --nemesis partition",
  ),
  ...["grid", "line", "total", "tree4"].map((topology) =>
    run("broadcast", `--node-count 5 --rate 10 --topology ${topology}`)
  ),
  run("broadcast", "--node-count 5 --rate 10 --nemesis partition"),
  ...["speed", "thrift"].map((aim) =>
    run(
      "broadcast",
      "--node-count 25 --rate 100 --latency 100",
      `--aim ${aim}`,
    )
  ),
  ...["speed", "thrift"].map((aim) =>
    run(
      "broadcast",
      "--node-count 25 --rate 100 --latency 100 --nemesis partition --nemesis-interval 4",
      `--aim ${aim}`,
    )
  ),
  run("g-set", "--node-count 5 --rate 100 --nemesis partition"),
  run("g-counter", "--node-count 3 --rate 100 --nemesis partition"),
  run("pn-counter", "--node-count 3 --rate 100 --nemesis partition"),
  run("kafka", "--node-count 2 --concurrency 2n --rate 1000"),
  ...[2, 5].map((nodes) =>
    run(
      "kafka",
      `--node-count ${nodes} --concurrency 2n --rate 1000 --nemesis partition`,
    )
  ),
  ...["read-uncommitted", "read-committed"].map((model) =>
    run(
      "txn-rw-register",
      `--node-count 2 --concurrency 2n --rate 1000 --consistency-models ${model} --availability total --nemesis partition`,
    )
  ),
];

/**
 * What Maelstrom is called with.
 *
 * @param run The run.
 * @param bin The binary.
 * @param seconds For how long clients ask.
 */
export function commandLine(
  { workload, options, args = [] }: Run,
  bin: string,
  seconds: number,
): string[] {
  return [
    ...["test", "-w", workload, "--bin", bin, ...options],
    ...["--time-limit", String(seconds), "--", workload, ...args],
  ];
}

/** A run in a few words. */
export function title({ workload, options, args = [] }: Run): string {
  const told = options.join(" ").replaceAll("--", "");
  return [workload, ...args.length > 0 ? [args.join(" ")] : [], told].join(" ");
}

/** What a map of Maelstrom's results has under a key, in the first map of that name. */
function field(edn: string, map: string, key: string): string | undefined {
  const from = edn.indexOf(`:${map} {`);
  if (from < 0) return undefined;
  const inside = edn.slice(from, edn.indexOf("}", from));
  return inside.match(RegExp(`[{\\s]${key} ([^\\s,}]+)`))?.[1];
}

/** A number with four digits. */
const short = (text: string) => String(Number(Number(text).toPrecision(4)));

/**
 * The part of the operations that succeeded, never rounded up. Those by which
 * Maelstrom crashes its own clients, as it does in `kafka`, are none that a node
 * is asked for; they are passed over.
 */
function availability(edn: string): number | undefined {
  const kinds = edn.slice(edn.indexOf(":by-f {")).matchAll(
    /:([\w-]+) \{:valid\? \w+,\s+:count (\d+),\s+:ok-count (\d+)/g,
  );
  let [all, ok] = [0, 0];
  for (const [, kind, count, okCount] of kinds) {
    if (kind === "crash") continue;
    all += Number(count);
    ok += Number(okCount);
  }
  return all === 0 ? undefined : Math.floor(ok * 1e5 / all) / 1e5;
}

/**
 * The figures of a run.
 *
 * @param edn Maelstrom's `results.edn`.
 * @param history Its `history.edn`, of a run that has one.
 */
export function figures(edn: string, history = ""): string {
  const between = field(edn, "servers", ":msgs-per-op");
  const all = field(edn, "all", ":msgs-per-op");
  const available = availability(edn);
  const known = ["0.5", "0.99", "1"].map((part) =>
    field(edn, "stable-latencies", part.replace(".", "\\."))
  );
  const lag = field(edn, "worst-realtime-lag", ":lag");
  const recoveries = recoveriesMs(history);
  return [
    ...between ? [`${short(between)} messages/op between servers`] : [],
    ...all ? [`${short(all)} in all`] : [],
    ...available === undefined ? [] : [`availability ${available}`],
    ...known.every((ms) => ms !== undefined)
      ? [`known after ${known.join(" / ")} ms (median / p99 / max)`]
      : [],
    ...lag ? [`polls at most ${Number(lag).toFixed(1)} s behind`] : [],
    ...recoveries.length > 0
      ? [`known ${Math.max(...recoveries)} ms after a heal at the latest`]
      : [],
  ].join(", ");
}
