/** A project beside Gyre's checkout, in a temporary directory, where JSR can't be reached. */
import { type Outcome, outcome } from "./command.ts";
import { root } from "./process.ts";

/** A temporary directory, and Deno in it. */
export class Project implements AsyncDisposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "gyre-project-" });

  /** Writes a file. */
  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.dir}/${name}`, text);
  }

  /** Reads a file. */
  read(name: string): string {
    return Deno.readTextFileSync(`${this.dir}/${name}`);
  }

  /** Runs Deno in the directory, or in one below it. */
  deno(
    args: string[],
    { input = "", below = "." } = {},
  ): Promise<Outcome> {
    return outcome([Deno.execPath(), ...args], {
      cwd: `${this.dir}/${below}`,
      // As when no one had set anything: the task that runs the tests has.
      env: { JSR_URL: "http://127.0.0.1:1/", INIT_CWD: this.dir },
      input,
    });
  }

  /** Runs one of Gyre's scripts. */
  script(name: string, ...args: string[]): Promise<Outcome> {
    const path = new URL(`scripts/${name}`, root).href;
    return this.deno(["run", "--no-config", "--quiet", "-A", path, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}
