/** A command line: its options, and what is said of wrong ones. */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** The options that there are, by name: as `parseArgs` of `node:util` takes them. */
export type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

/** What was given for them, by name. */
export type OptionValues<T extends OptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T }>
>["values"];

/** Which numbers an option takes. */
export interface NumberRange {
  min: number;
  /** @default {2_147_483_647} */
  max?: number;
  /** @default {true} */
  whole?: boolean;
}

/** A command line that can't be understood; its message says why, in a line. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** What starts like an option, and is no number. */
const OPTION = /^-[^\d.]/;

/**
 * Reads options and other arguments. It is as strict as `parseArgs`, but what
 * it says of wrong ones is a line that names them, and `--limit -5` is no
 * riddle: it has a value, to be checked as any other.
 *
 * @param args The arguments.
 * @param options The options that there are.
 * @param allowPositionals Whether there may be other arguments.
 * @param repeatable The options of which there may be several: the last one counts.
 * @throws {UsageError} An argument is none that there is, or lacks its value, or comes twice.
 */
export function parseOptions<const T extends OptionsConfig>(
  args: readonly string[],
  options: T,
  allowPositionals: boolean,
  repeatable: readonly string[] = [],
): { values: OptionValues<T>; positionals: string[] } {
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind === "positional" && !allowPositionals) {
      throw new UsageError(`Unexpected argument '${token.value}'`);
    }
    if (token.kind !== "option") continue;
    checkOption(token, options);
    if (seen.has(token.name) && !repeatable.includes(token.name)) {
      throw new UsageError(`Option '--${token.name}' is given twice`);
    }
    seen.add(token.name);
  }
  return { values: values as OptionValues<T>, positionals };
}

/** Throws unless there is such an option, with a value if it takes one, and only then. */
function checkOption(
  { name, rawName, value, inlineValue }: {
    name: string;
    rawName: string;
    value: string | undefined;
    inlineValue: boolean | undefined;
  },
  options: OptionsConfig,
): void {
  if (!Object.hasOwn(options, name)) {
    throw new UsageError(`Unknown option '${rawName}'`);
  }
  const { type, short } = options[name]!;
  const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
  if (type === "boolean") {
    if (value === undefined) return;
    throw new UsageError(`Option '${names}' does not take an argument`);
  }
  if (value === undefined) {
    throw new UsageError(`Option '${names} <value>' argument missing`);
  }
  if (!inlineValue && OPTION.test(value)) {
    throw new UsageError(
      `Option '${names} <value>' argument missing: if it is '${value}', write --${name}=${value}`,
    );
  }
}

/**
 * The number of an option.
 *
 * @param name The option's name, without dashes.
 * @param text What was given for it.
 * @param range Which numbers it takes.
 * @param otherwise What else it takes, if anything, such as `"random, or "`.
 * @throws {UsageError} It is none of these.
 */
export function parseNumber(
  name: string,
  text: string,
  { min, max = 2 ** 31 - 1, whole = true }: NumberRange,
  otherwise = "",
): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) {
    return value;
  }
  throw new UsageError(
    `--${name} must be ${otherwise}a ${
      whole ? "whole " : ""
    }number from ${min} to ${max}, not '${text}'`,
  );
}

/**
 * Of an option that takes one of some words: its value.
 *
 * @param name The option's name, without dashes.
 * @param text What was given for it.
 * @param words What it takes.
 * @throws {UsageError} It is none of these.
 */
export function parseWord<T extends string>(
  name: string,
  text: string,
  words: readonly T[],
): T {
  if (words.includes(text as T)) return text as T;
  throw new UsageError(
    `--${name} must be one of ${words.join(", ")}, not '${text}'`,
  );
}
