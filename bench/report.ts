// deno-lint-ignore-file no-import-prefix -- not in deno.json, so that only the benchmarks download them
/** Results as a table, a JSON file and a chart. */
import * as echarts from "npm:echarts@6.1.0";
import { cpus } from "node:os";
import { markdownTable } from "npm:markdown-table@3.1.0";
import { type Figure, medians } from "./harness.ts";

/** One benchmark's results. */
export interface Result {
  /** Its name on the command line. */
  name: string;
  /** What was done, in a sentence. */
  title: string;
  /** The variant that the others are compared with. */
  base: string;
  /** What was measured. */
  figures: Figure[];
  /** What a reader has to know: what was left out and why. */
  notes: string[];
  /** The figure that the chart shows. */
  charted?: string | undefined;
  /** When it was run. */
  date: string;
  /** On what. */
  machine: string;
}

/** The processor and the versions of everything. */
export function machine(versions: Record<string, string>): string {
  const processors = cpus();
  return [
    `${processors[0]?.model.trim()} (${processors.length} cores)`,
    `${Deno.build.os} ${Deno.osRelease()}`,
    ...Object.entries({ deno: Deno.version.deno, ...versions }).map((
      [name, version],
    ) => `${name} ${version}`),
  ].join(", ");
}

/** Three significant digits, thousands separated. */
export function format(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/**
 * A Markdown table: a row for each variant; in each cell the median and, in
 * brackets, how many times the base's it is.
 *
 * @param figures The columns.
 * @param base The variant to compare with.
 */
export function table(figures: readonly Figure[], base: string): string {
  const variants = [...new Set(figures.flatMap((f) => Object.keys(f.samples)))];
  const columns = figures.map(medians);
  return markdownTable([
    ["", ...figures.map(({ name, unit }) => unit ? `${name}, ${unit}` : name)],
    ...variants.map((variant) => [
      variant,
      ...columns.map((values) => cell(values[variant], values[base])),
    ]),
  ], { align: ["l", ...figures.map(() => "r")] });
}

function cell(value: number | undefined, base: number | undefined): string {
  if (value === undefined) return "–";
  if (!base) return format(value);
  return `${format(value)} (${format(value / base)} ×)`;
}

/** A result as Markdown. */
function markdown(
  { name, title, base, figures, notes, date, machine }: Result,
) {
  return [
    `## ${name}`,
    title,
    table(figures, base),
    [...notes, `${date}: ${machine}`].map((note) => `- ${note}`).join("\n"),
  ].join("\n\n");
}

/** Prints a result. */
export function print(result: Result): void {
  console.log(markdown(result) + "\n");
}

/** The charted figure of each result as multiples of its base's, on a logarithmic axis. */
export function chart(title: string, results: readonly Result[]): string {
  const rows = results.flatMap((result) => {
    const figure = result.figures.find(({ name }) => name === result.charted);
    if (figure === undefined) return [];
    const values = medians(figure);
    const base = values[result.base];
    return base
      ? [{ label: `${result.name}\n${figure.name}`, values, base }]
      : [];
  });
  const variants = [
    ...new Set(rows.flatMap(({ values }) => Object.keys(values))),
  ].filter((variant) => results.every(({ base }) => variant !== base));
  const svg = echarts.init(null, null, {
    renderer: "svg",
    ssr: true,
    width: 860,
    height: 150 + rows.length * (24 + 14 * variants.length),
  });
  svg.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "sans-serif" },
    title: { text: title, left: 10, top: 6 },
    legend: { top: 34, itemGap: 24 },
    grid: { left: 200, right: 60, top: 110, bottom: 30 },
    xAxis: { type: "log", logBase: 10, axisLabel: { formatter: "{value} ×" } },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows.map(({ label }) => label),
    },
    series: variants.map((variant) => ({
      type: "bar",
      name: variant,
      data: rows.map(({ values, base }) =>
        variant in values
          ? Number((values[variant]! / base).toPrecision(3))
          : null
      ),
      label: {
        show: true,
        position: "right",
        formatter: "{c} ×",
        fontSize: 10,
      },
    })),
  });
  const text = svg.renderToSVGString();
  svg.dispose(); // else it keeps the process alive
  return text;
}

/**
 * Writes `bench/results/<suite>.json`, `.md` and `.svg`. Results that are there
 * already stay unless there is a newer one of the same name.
 *
 * @param suite The suite's name.
 * @param title The chart's title.
 * @param order The benchmarks' names in order.
 * @param results The new results.
 */
export function save(
  suite: string,
  title: string,
  order: readonly string[],
  results: readonly Result[],
): void {
  const dir = new URL("results/", import.meta.url);
  Deno.mkdirSync(dir, { recursive: true });
  const file = (ext: string) => new URL(`${suite}.${ext}`, dir);
  let old: Result[] = [];
  try {
    old = JSON.parse(Deno.readTextFileSync(file("json")));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const all = order.flatMap((name) =>
    [...results, ...old].find((result) => result.name === name) ?? []
  );
  Deno.writeTextFileSync(file("json"), JSON.stringify(all, null, 1) + "\n");
  Deno.writeTextFileSync(file("svg"), chart(title, all));
  Deno.writeTextFileSync(
    file("md"),
    [`# ${title}`, `![${title}](${suite}.svg)`, ...all.map(markdown)]
      .join("\n\n") + "\n",
  );
}
