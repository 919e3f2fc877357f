/** What `deno task sim` prints. */
import type { Fault, Shrunk, Violation } from "../../lib/sim/mod.ts";
import type { Choices, Outcome } from "./scenario.ts";

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
type Row = Record<typeof COLUMNS[number], number>;

/** Sums over simulations, for each fault and workload, and for all. */
export class Summary {
  seeds = 0;
  undecided = 0;
  readonly #rows: Map<string, Row> = new Map();

  add({ workload, faults, counts, undecided }: Outcome): void {
    this.seeds++;
    this.undecided += undecided;
    const kinds = faults.length === 0 ? ["(no fault)"] : [...faults];
    for (const name of [`workload ${workload}`, ...kinds, "all"]) {
      const row = this.#rows.get(name) ??
        Object.fromEntries(COLUMNS.map((column) => [column, 0])) as Row;
      this.#rows.set(name, row);
      for (const column of COLUMNS) {
        row[column] += column === "seeds" ? 1 : counts[column];
      }
    }
  }

  /** A table: a row for each workload, for each fault (a seed has several), and for all. */
  toString(): string {
    const order = (name: string) =>
      name === "all" ? 2 : name.startsWith("workload") ? 0 : 1;
    const names = [...this.#rows.keys()].sort((a, b) =>
      order(a) - order(b) || (a < b ? -1 : 1)
    );
    const lines = [
      ["", ...COLUMNS],
      ...names.map((name) => [
        name,
        ...COLUMNS.map((column) => String(this.#rows.get(name)![column])),
      ]),
    ];
    const widths = lines[0]!.map((_, i) =>
      Math.max(...lines.map((line) => line[i]!.length))
    );
    return lines.map((line) =>
      line.map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
      ).join("  ").trimEnd()
    ).join("\n");
  }
}

/** The command that runs just this again. */
export function command(choices: Choices): string {
  const { seed, workload, nodes, operations, faults, bytes } = choices;
  const options: [string, string | number | undefined][] = [
    ["seed", seed],
    ["workload", workload],
    ["nodes", nodes],
    ["ops", operations],
    ["faults", faults && (faults.join(",") || "none")],
    ["bytes", bytes === undefined ? undefined : bytes ? "yes" : "no"],
    ["only-faults", list(choices.onlyFaults)],
    ["only-ops", list(choices.onlyOperations)],
  ];
  return "deno task sim" +
    options.filter(([, value]) => value !== undefined)
      .map(([name, value]) => ` --${name} ${value}`).join("");
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

/** A shrunk scenario: what is left of it, and how to run it. */
export function shrunkText(
  { options, result, runs }: Shrunk,
  choices: Choices,
): string {
  const { onlyFaults, onlyOperations } = options;
  const left = result.faults.filter((_, i) => onlyFaults?.includes(i) ?? true);
  const asked = result.history.filter(({ final, probe }) => !final && !probe);
  return [
    `Shrunk in ${runs} runs to ${plural(options.nodes!, "node")}, ${
      plural(left.length, "fault")
    }, ${plural(asked.length, "operation")}:`,
    ...left.map((fault) => `  ${faultText(fault)}`),
    ...asked.slice(0, 20).map(({ f, key, value, node, process, invokedAt }) =>
      `  ${invokedAt} ms: ${process} asks ${node}: ${f}${part(key)}${
        part(value)
      }`
    ),
    ...asked.length > 20 ? [`  and ${asked.length - 20} more`] : [],
    `  ${violationText(result.violations[0]!).replace("\n", "\n  ")}`,
    `Run it: ${
      command({ ...choices, nodes: options.nodes, onlyFaults, onlyOperations })
    }`,
  ].join("\n");
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function part(value: unknown): string {
  return value === undefined ? "" : ` ${JSON.stringify(value)}`;
}

function faultText({ kind, at, until, ...details }: Fault): string {
  return `${at} to ${until} ms: ${kind}${part(details)}`;
}
