/** What the tasks share: how their options are read, and what is said of a wrong one. */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Config = NonNullable<ParseArgsConfig["options"]>;
type Values<T extends Config> = ReturnType<
  typeof parseArgs<{ options: T }>
>["values"];

/** Ends a task: one line on stderr, exit code 2. */
export function usageError(task: string, reason: string): never {
  console.error(`${task}: ${reason}`);
  Deno.exit(2);
}

/** The options of this process; shows the help and ends the task when asked for it. */
export function readOptions<const T extends Config>(
  task: string,
  help: string,
  options: T,
): Values<T> {
  const all = { ...options, help: { type: "boolean" } } as const;
  try {
    const { values } = parseArgs({ args: Deno.args, options: all });
    if (!(values as { help?: boolean }).help) return values as Values<T>;
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    const names = Object.keys(all).map((name) => `--${name}`).join(", ");
    usageError(task, `${reason} (options: ${names})`);
  }
  console.log(help.trimEnd());
  Deno.exit(0);
}

/** Which numbers an option takes. */
interface Range {
  min: number;
  max?: number;
  whole?: boolean;
}

/** The number of an option; `undefined` where it was not given. */
export function number(
  task: string,
  name: string,
  text: string | undefined,
  { min, max = 2 ** 31 - 1, whole = true }: Range,
): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) {
    return value;
  }
  usageError(
    task,
    `--${name} must be a ${
      whole ? "whole " : ""
    }number from ${min} to ${max}, not '${text}'`,
  );
}
