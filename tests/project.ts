/** A project beside Gyre's checkout, in a temporary directory, where JSR can't be reached. */
import { root } from "./process.ts";

const decoder = new TextDecoder();

/** What a command came to. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

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
  async deno(
    args: string[],
    { input = "", below = "." } = {},
  ): Promise<Outcome> {
    const child = new Deno.Command(Deno.execPath(), {
      args,
      cwd: `${this.dir}/${below}`,
      // As when no one had set anything: the task that runs the tests has.
      env: {
        JSR_URL: "http://127.0.0.1:1/",
        NO_COLOR: "1",
        INIT_CWD: this.dir,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const written = writer.write(new TextEncoder().encode(input))
      .then(() => writer.close())
      .catch(() => {}); // a program that ends without reading
    const { code, stdout, stderr } = await child.output();
    await written;
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
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
