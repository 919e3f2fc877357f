/** What `deno task sim` prints. */
import process from "node:process";
import { SingleBar } from "cli-progress";
import { plural } from "../../lib/plural.ts";
import { LOG_LEVELS, type LogLevel } from "../../lib/mod.ts";
import {
  describeFault,
  type Fault,
  type LatencySummary,
  type LogEntry,
  type MessageCounts,
  type Shrunk,
  type ShrunkSoFar,
  type SimulationOptions,
  type SimulationResult,
  SOMETIMES,
  type Sometimes,
  type Violation,
} from "../../lib/sim/mod.ts";
import { summarize } from "../../lib/sim/judges/metrics.ts";
import { framesOf } from "./load.ts";
import type { Choices, SeedResult } from "./scenario.ts";

const COLUMNS = [
  "seeds",
  "messages",
  "lost",
  "rpcs",
  "replied",
  "reaped",
  "cancelled",
  "late",
  "ok",
  "failed",
  "unknown",
] as const;
/** How often a line is written where there is no terminal, in ms. */
const SHRINK_LINE_MS = 5000;
/** How errors end that are faults, thrown by the simulation. */
const PLANNED = "as planned";
type Row = Record<typeof COLUMNS[number], number>;

/** What was measured of a workload. */
interface Measured {
  operations: number;
  messages: MessageCounts;
  latencies: Record<string, number[]>;
}

/** Sums over simulations, for each fault and workload, and for all. */
export class Summary {
  seeds = 0;
  readonly #rows: Map<string, Row> = new Map();
  readonly #measured: Map<string, Measured> = new Map();
  readonly #sometimes: Map<Sometimes, number> = new Map();

  add(result: SeedResult): void {
    const { workload, faults, counts, sometimes } = result;
    this.seeds++;
    const kinds = faults.length === 0 ? ["(no fault)"] : [...faults];
    for (const name of [`workload ${workload}`, ...kinds, "all"]) {
      const row = this.#rows.get(name) ??
        Object.fromEntries(COLUMNS.map((column) => [column, 0])) as Row;
      this.#rows.set(name, row);
      for (const column of COLUMNS) {
        row[column] += column === "seeds" ? 1 : counts[column];
      }
    }
    for (const what of Object.keys(SOMETIMES) as Sometimes[]) {
      const before = this.#sometimes.get(what) ?? 0;
      this.#sometimes.set(what, before + sometimes[what]);
    }
    this.#measure(result);
  }

  #measure({ workload, metrics, latencies }: SeedResult): void {
    const measured = this.#measured.get(workload) ?? {
      operations: 0,
      messages: { all: 0, betweenNodes: 0, withServices: 0 },
      latencies: {},
    };
    this.#measured.set(workload, measured);
    const { operations, messagesPerOperation } = metrics;
    measured.operations += operations;
    const { messages } = measured;
    for (const kind of Object.keys(messages) as (keyof MessageCounts)[]) {
      messages[kind] += (messagesPerOperation?.[kind] ?? 0) * operations;
    }
    for (const [name, list] of Object.entries(latencies)) {
      const all = measured.latencies[name] ??= [];
      for (const ms of list) all.push(ms);
    }
  }

  /** What must happen in some seed, but did not in any. */
  get missing(): Sometimes[] {
    return [...this.#sometimes].filter(([, count]) => count === 0)
      .map(([what]) => what);
  }

  /** What was counted: a row for each workload, for each fault (a seed has several), and for all; of one seed just one. */
  counts(): string {
    const order = (name: string) =>
      name === "all" ? 2 : name.startsWith("workload") ? 0 : 1;
    const names = this.seeds === 1
      ? ["all"]
      : [...this.#rows.keys()].sort((a, b) =>
        order(a) - order(b) || (a < b ? -1 : 1)
      );
    const columns = COLUMNS.slice(this.seeds === 1 ? 1 : 0);
    return table([
      [this.seeds === 1 ? "counted" : "", ...columns],
      ...names.map((name) => [
        this.seeds === 1 ? "" : name,
        ...columns.map((column) => String(this.#rows.get(name)![column])),
      ]),
    ]);
  }

  /** Messages for each operation and latencies: a row for each workload and kind of operation. */
  metrics(): string {
    const names = [...this.#measured.keys()].sort();
    const each = names.flatMap((workload) => {
      const { operations, messages } = this.#measured.get(workload)!;
      if (operations === 0) return [];
      const { all, betweenNodes, withServices } = messages;
      const counts = [all, betweenNodes, withServices];
      const cells = counts.map((count) => (count / operations).toFixed(2));
      return [[workload, String(operations), ...cells]];
    });
    const latencies = names.flatMap((workload) =>
      Object.entries(this.#measured.get(workload)!.latencies)
        .filter(([, list]) => list.length > 0)
        .map(([name, list]) =>
          latencyRow(`${workload} ${name}`, summarize(list))
        )
    );
    const perOperation = ["messages per operation", "operations", "all"];
    return [
      table([[...perOperation, "between nodes", "with services"], ...each]),
      table([["latency in ms", "count", "median", "p99", "max"], ...latencies]),
    ].join("\n\n");
  }

  /** How often happened what must happen in some seed. */
  sometimes(): string {
    return table([
      ["sometimes", "count"],
      ...[...this.#sometimes].map(([what, count]) => [what, String(count)]),
    ]);
  }
}

function latencyRow(
  name: string,
  { count, medianMs, p99Ms, maxMs }: LatencySummary,
): string[] {
  const times = [medianMs, p99Ms, maxMs].map((ms) => ms.toFixed(1));
  return [name, String(count), ...times];
}

/** Lines of cells, the first cell to the left and the others to the right of their columns. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, i) =>
    Math.max(...lines.map((line) => line[i]!.length))
  );
  return lines.map((line) =>
    line.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
    ).join("  ").trimEnd()
  ).join("\n");
}

/** The command that runs just this again. */
export function command(choices: Choices): string {
  const { seed, workload, node, nodes, operations, faults, bytes } = choices;
  const options: [string, string | number | undefined][] = [
    ["seed", seed],
    ["workload", workload],
    ["node", node],
    ["nodes", nodes],
    ["needs", choices.needs],
    ["ops", operations],
    ["topology", choices.topology],
    ["faults", faults && (faults.join(",") || "none")],
    ["bytes", bytes === undefined ? undefined : bytes ? "yes" : "no"],
    ["only-faults", list(choices.onlyFaults)],
    ["only-ops", list(choices.onlyOperations)],
  ];
  return "deno task sim" +
    options.filter(([, value]) => value !== undefined)
      .map(([name, value]) => ` --${name} ${value}`).join("") +
    (choices.twice ? " --twice" : "");
}

/** Numbers with commas between, those that follow each other as 3-7. */
function list(numbers: readonly number[] | undefined): string | undefined {
  if (numbers === undefined) return undefined;
  const ranges: [from: number, to: number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => from === to ? from : `${from}-${to}`)
    .join(",") || "none";
}

export function violationText(
  { check, text, event, atMs, node }: Violation,
): string {
  return `${check}: ${text}\n  at event ${event}, ${atMs} ms${
    node ? `, node ${node}` : ""
  }`;
}

/** The scenario that is the smallest so far, on stderr, while it is being made smaller. */
export class ShrinkProgress {
  readonly #bar: SingleBar;
  readonly #startedAt: number = performance.now();

  /**
   * @param check What fails.
   * @param seconds For how long it may take.
   */
  constructor(check: string, seconds: number) {
    this.#bar = new SingleBar({
      format:
        `Shrinking for at most ${seconds} s what fails at ${check}: {value} s, {left}`,
      stream: process.stderr,
      clearOnComplete: true,
      noTTYOutput: true,
      notTTYSchedule: SHRINK_LINE_MS,
    });
    this.#bar.start(seconds, 0, { left: "all of it" });
  }

  /** @param best The smallest so far. */
  show({ options, result, runs }: ShrunkSoFar): void {
    const left = sizeText(options, result);
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#bar.update(Math.round(seconds), { left: `${runs} runs, ${left}` });
  }

  end(): void {
    this.#bar.stop();
  }
}

function sizeText(
  { nodes, onlyFaults }: SimulationOptions,
  { faults, history }: SimulationResult,
): string {
  const operations = history.filter(({ final, probe }) => !final && !probe);
  return [
    plural(nodes!, "node"),
    plural(onlyFaults?.length ?? faults.length, "fault"),
    plural(operations.length, "operation"),
  ].join(", ");
}

/** A shrunk scenario: what is left of it, and how to run it. */
export function shrunkText(
  { options, result, runs, cutShort }: Shrunk,
  choices: Choices,
): string {
  const { onlyFaults, onlyOperations } = options;
  const left = result.faults.filter((_, i) => onlyFaults?.includes(i) ?? true);
  const asked = result.history.filter(({ final, probe }) => !final && !probe);
  return [
    `Shrunk in ${plural(runs, "run")} to ${sizeText(options, result)}${
      cutShort === undefined
        ? ""
        : `, but cut short, at ${cutShort}: there may be less (see --shrink-seconds)`
    }:`,
    ...left.map((fault) => `  ${faultText(fault)}`),
    ...asked.slice(0, 20).map(({ f, key, value, node, process, invokedAt }) =>
      `  ${invokedAt} ms: ${process} asks ${node}: ${f}${part(key)}${
        part(value)
      }`
    ),
    ...asked.length > 20 ? [`  and ${asked.length - 20} more`] : [],
    ...result.violations.map((violation) =>
      `  ${violationText(violation).replace("\n", "\n  ")}`
    ),
    `Run it: ${
      command({ ...choices, nodes: options.nodes, onlyFaults, onlyOperations })
    }`,
  ].join("\n");
}

/** The nodes' log: what is shown as it comes, and what went wrong in a run that fails. */
export class NodesLog {
  readonly #level: LogLevel | undefined;
  /** By their texts: errors, each where it came first, and where it was thrown. */
  readonly #errors: Map<string, string> = new Map();
  /** The error whose stack may come next. */
  #thrown: string | undefined;

  /** @param level The least important level that is shown; without one nothing is. */
  constructor(level: LogLevel | undefined) {
    this.#level = level;
  }

  add({ atMs, node, level, text }: LogEntry): void {
    const rank = LOG_LEVELS.indexOf(level);
    if (this.#level && rank <= LOG_LEVELS.indexOf(this.#level)) {
      console.error(`${atMs} ms ${node} ${level}: ${text}`);
    }
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (level === "debug" && thrown !== undefined) {
      const places = framesOf(text).map((frame) => `\n${frame}`).join("");
      this.#errors.set(thrown, this.#errors.get(thrown) + places);
    }
    if (level !== "error" || text.endsWith(PLANNED)) return;
    if (this.#errors.has(text)) return;
    this.#errors.set(text, `${node} at ${atMs} ms: ${text}`);
    this.#thrown = text;
  }

  /** What went wrong in the nodes' own code; each error once, the first five of them. */
  errors(): string[] {
    return [...this.#errors.values()].slice(0, 5);
  }
}

function part(value: unknown): string {
  return value === undefined ? "" : ` ${JSON.stringify(value)}`;
}

/** A fault: when it acts, and what it does. */
export function faultText(fault: Fault): string {
  return `${fault.at} to ${fault.until} ms: ${describeFault(fault)}`;
}
