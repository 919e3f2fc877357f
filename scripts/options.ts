/** What the tasks share: how their options are read, and what is said of a wrong one. */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Config = NonNullable<ParseArgsConfig["options"]>;
type Values<T extends Config> = ReturnType<
  typeof parseArgs<{ options: T }>
>["values"];

/** Which numbers an option takes. */
interface Range {
  min: number;
  max?: number;
  whole?: boolean;
}

/** A task as it is called from the command line. */
export class Task {
  readonly #name: string;
  readonly #help: string;

  /** @param help Names each option at the start of a line: `  --seed N  …`, `  -h, --help  …`. */
  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help.trimEnd();
  }

  /** Ends the task: one line on stderr with the options that there are, exit code 2. */
  usageError(reason: string): never {
    const options = this.#help.matchAll(
      /^ {2}(?:-\w, )?(--\S+(?: [A-Z]\S*)?)/gm,
    );
    const names = Array.from(options, ([, option]) => option).join(", ");
    console.error(`${this.#name}: ${reason} (options: ${names})`);
    Deno.exit(2);
  }

  /** The options of this process; shows the help and ends the task when asked for it. */
  options<const T extends Config>(options: T): Values<T> {
    return this.#parse(options, false).values;
  }

  /** The options of this process, and its other arguments; shows the help and ends the task when asked for it. */
  both<const T extends Config>(
    options: T,
  ): { values: Values<T>; positionals: string[] } {
    return this.#parse(options, true);
  }

  /** The arguments of this process, which takes no options; shows the help and ends the task when asked for it. */
  arguments(): string[] {
    return this.#parse({}, true).positionals;
  }

  #parse<const T extends Config>(options: T, allowPositionals: boolean) {
    const all = { ...options, help: { type: "boolean", short: "h" } } as const;
    try {
      const { values, positionals } = parseArgs({
        args: Deno.args,
        options: all,
        allowPositionals,
      });
      if (!(values as { help?: boolean }).help) {
        return { values: values as Values<T>, positionals };
      }
    } catch (error) {
      this.usageError((error as Error).message.split("\n")[0]!);
    }
    console.log(this.#help);
    Deno.exit(0);
  }

  /** The number of an option; `undefined` where it was not given. */
  number(
    name: string,
    text: string | undefined,
    { min, max = 2 ** 31 - 1, whole = true }: Range,
  ): number | undefined {
    if (text === undefined) return undefined;
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) {
      return value;
    }
    this.usageError(
      `--${name} must be a ${
        whole ? "whole " : ""
      }number from ${min} to ${max}, not '${text}'`,
    );
  }
}
