// deno-lint-ignore-file no-import-prefix -- not in deno.json, so that only the benchmarks download them
/** What both benchmark commands share: options, rounds, medians. */
import { parseArgs } from "node:util";
import { median } from "npm:simple-statistics@7.12.1";

const NEWLINE = 10;

/** The samples of one figure, such as CPU per message: one a round for each variant. */
export interface Figure {
  /** What was measured. */
  name: string;
  /** Its unit; empty for a mere count. */
  unit: string;
  /** By variant, in the order in which they are shown. */
  samples: Record<string, number[]>;
}

/** What a variant's round measured: figures by "name, unit". */
export type Sample = Record<string, number>;

/**
 * Runs the variants in turn, A B C A B C…, so that what disturbs the machine
 * for a while disturbs all of them.
 *
 * @param variants Names of the variants.
 * @param rounds How many times each is run.
 * @param run Runs a variant once.
 * @returns The figures in the order in which the samples first named them.
 */
export async function interleave(
  variants: readonly string[],
  rounds: number,
  run: (variant: string, round: number) => Promise<Sample> | Sample,
): Promise<Figure[]> {
  const figures = new Map<string, Figure>();
  for (let round = 0; round < rounds; round++) {
    for (const variant of variants) {
      for (const [key, value] of Object.entries(await run(variant, round))) {
        const [name = "", unit = ""] = key.split(", ");
        const figure = figures.get(key) ?? { name, unit, samples: {} };
        figures.set(key, figure);
        (figure.samples[variant] ??= []).push(value);
      }
    }
  }
  return [...figures.values()];
}

/** The medians of a figure by variant. */
export function medians(figure: Figure): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figure.samples).map((
      [variant, samples],
    ) => [variant, median(samples)]),
  );
}

/** What a benchmark command was asked to do. */
export interface Options {
  /** Names of the benchmarks to run. */
  benchmarks: string[];
  /** Names of the variants to run. */
  variants: string[];
  /** How many times each variant is run. */
  rounds: number;
  /** What every number of messages or callbacks is multiplied with. */
  scale: number;
  /** Whether to write the results to `bench/results/`. */
  save: boolean;
  /** Whether to show the help and do nothing. */
  help: boolean;
}

/** How much was run. */
export function roundsNote({ rounds, scale }: Options): string {
  return `Rounds: ${rounds}.` +
    (scale === 1 ? "" : ` All numbers multiplied with ${scale}.`);
}

/** A command line that can't be understood; its message is one line. */
export class UsageError extends Error {}

/** What a command offers. */
export interface Offer {
  /** All benchmarks. */
  benchmarks: readonly string[];
  /** Those that run when none are named. */
  byDefault: readonly string[];
  /** All variants. */
  variants: readonly string[];
}

/**
 * Reads a benchmark command's arguments.
 *
 * @param args The arguments.
 * @param offer What there is to choose from.
 * @throws {UsageError} One is unknown or out of range.
 */
export function parseOptions(args: string[], offer: Offer): Options {
  const options = {
    variants: { type: "string" },
    rounds: { type: "string", default: "5" },
    scale: { type: "string", default: "1" },
    save: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const names = Object.keys(options).map((name) => `--${name}`).join(", ");
    const [reason] = (error as Error).message.split("\n");
    throw new UsageError(`${reason} (options: ${names})`);
  }
  const { values, positionals } = parsed;
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1)) {
    throw new UsageError(
      `--rounds must be a positive integer, not '${values.rounds}'`,
    );
  }
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 100)) {
    throw new UsageError(
      `--scale must be above 0 and at most 100, not '${values.scale}'`,
    );
  }
  return {
    benchmarks: chosen("benchmark", positionals, offer.benchmarks) ??
      [...offer.byDefault],
    variants: chosen("variant", values.variants?.split(","), offer.variants) ??
      [...offer.variants],
    rounds,
    scale,
    save: values.save,
    help: values.help,
  };
}

/** Those of `all` that were named, in their own order; `undefined` when none were. */
function chosen(
  what: string,
  names: string[] = [],
  all: readonly string[],
): string[] | undefined {
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `there is no ${what} '${unknown}' (${what}s: ${all.join(", ")})`,
    );
  }
  return names.length > 0
    ? all.filter((name) => names.includes(name))
    : undefined;
}

/**
 * Reads the arguments of this process: ends it after `--help`, and with exit
 * code 2 and one line when there is something wrong with them.
 *
 * @param command The command's name.
 * @param help What `--help` shows.
 * @param offer What there is to choose from.
 */
export function optionsOrExit(
  command: string,
  help: string,
  offer: Offer,
): Options {
  try {
    const options = parseOptions(Deno.args, offer);
    if (!options.help) return options;
    console.log(help);
    Deno.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${command}: ${error.message}`);
    Deno.exit(2);
  }
}

/** How many newlines there are. */
export function countLines(chunk: Uint8Array): number {
  let count = 0;
  for (let at = chunk.indexOf(NEWLINE); at !== -1; count++) {
    at = chunk.indexOf(NEWLINE, at + 1);
  }
  return count;
}
