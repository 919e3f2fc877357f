/** What the tasks share: how their options are read, and what is said of a wrong one. */
import {
  type NumberRange,
  type OptionsConfig,
  type OptionValues,
  parseNumber,
  parseOptions,
  parseWord,
} from "../lib/stdio/command_line.ts";

/** Ends this process, whatever the task keeps its modules from. */
const exit: (code: number) => never = Deno.exit;

/** A task as it is called from the command line. */
export class Task {
  readonly #name: string;
  readonly #help: string;

  /** @param help What `--help` shows. */
  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help.trimEnd();
  }

  /** Ends the task: what is wrong, and where help is, on stderr; exit code 2. */
  usageError(reason: string): never {
    console.error(`${this.#name}: ${reason} (see --help)`);
    exit(2);
  }

  /**
   * The options of this process; shows the help and ends the task when asked for it.
   *
   * @param options What there is.
   * @param preset Those that the tasks of a project may give already: of these the last one counts.
   */
  options<const T extends OptionsConfig>(
    options: T,
    preset: readonly (keyof T & string)[] = [],
  ): OptionValues<T> {
    return this.#parse(options, false, preset).values;
  }

  /** The options of this process, and its other arguments; shows the help and ends the task when asked for it. */
  both<const T extends OptionsConfig>(
    options: T,
  ): { values: OptionValues<T>; positionals: string[] } {
    return this.#parse(options, true);
  }

  /** The arguments of this process, which takes no options; shows the help and ends the task when asked for it. */
  arguments(): string[] {
    return this.#parse({}, true).positionals;
  }

  #parse<const T extends OptionsConfig>(
    options: T,
    allowPositionals: boolean,
    preset: readonly string[] = [],
  ) {
    const all = { ...options, help: { type: "boolean", short: "h" } } as const;
    const { values, positionals } = this.#understood(() =>
      parseOptions(Deno.args, all, allowPositionals, preset)
    );
    if (!(values as { help?: boolean }).help) {
      return { values: values as OptionValues<T>, positionals };
    }
    console.log(this.#help);
    exit(0);
  }

  /** The number of an option; `undefined` where it was not given. */
  number(
    name: string,
    text: string | undefined,
    range: NumberRange,
  ): number | undefined {
    if (text === undefined) return undefined;
    return this.#understood(() => parseNumber(name, text, range));
  }

  /** Of an option that takes one of some words: its value; `undefined` where it was not given. */
  word<T extends string>(
    name: string,
    text: string | undefined,
    words: readonly T[],
  ): T | undefined {
    if (text === undefined) return undefined;
    return this.#understood(() => parseWord(name, text, words));
  }

  /** What is read of the command line; ends the task if that can't be understood. */
  #understood<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.usageError((error as Error).message);
    }
  }
}
