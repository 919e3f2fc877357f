/** A node as a process: its pipes, its CPU time, its memory. Linux only. */
import { processCpuMs } from "./cpu.ts";
import { countLines } from "./harness.ts";

const NEWLINE = 10;
/** What a single write hands to the kernel: big, so that the driver is no bottleneck. */
const WRITE_BYTES = 1024 * 1024;
/** What a pipe holds. */
const READ_BYTES = 64 * 1024;

/** Resident memory in MiB, now and at its peak. */
export interface Memory {
  now: number;
  peak: number;
}

/**
 * A child process between two named pipes, which, unlike `Deno.Command`'s own,
 * can also be read and written without a turn of the driver's event loop.
 */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: Deno.FsFile;
  readonly #stdout: Deno.FsFile;
  readonly #buffer = new Uint8Array(READ_BYTES);

  private constructor(
    process: Deno.ChildProcess,
    stdin: Deno.FsFile,
    stdout: Deno.FsFile,
  ) {
    this.#process = process;
    this.#stdin = stdin;
    this.#stdout = stdout;
  }

  /**
   * Starts a process; its stderr goes nowhere.
   *
   * @param command Program and arguments.
   */
  static async start(command: readonly string[]): Promise<Child> {
    const dir = await Deno.makeTempDir({ prefix: "gyre-bench-" });
    try {
      const pipes = [`${dir}/stdin`, `${dir}/stdout`];
      await new Deno.Command("mkfifo", { args: pipes }).output();
      const process = new Deno.Command("sh", {
        args: [
          "-c",
          'in=$1 out=$2; shift 2; exec "$@" <"$in" >"$out" 2>/dev/null',
          "sh",
          ...pipes,
          ...command,
        ],
        stdin: "null",
      }).spawn();
      // Each waits for the shell to open the other end.
      const stdin = await Deno.open(pipes[0]!, { write: true });
      const stdout = await Deno.open(pipes[1]!, { read: true });
      return new Child(process, stdin, stdout);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  /** CPU time so far in ms. */
  get cpuMs(): number {
    return processCpuMs(this.#process.pid);
  }

  /** Resident memory. */
  get memory(): Memory {
    const status = Deno.readTextFileSync(`/proc/${this.#process.pid}/status`);
    const mib = (key: string) =>
      Number(status.match(new RegExp(`^${key}:\\s*(\\d+) kB`, "m"))![1]) / 1024;
    return { now: mib("VmRSS"), peak: mib("VmHWM") };
  }

  /** Writes everything. */
  async write(bytes: Uint8Array): Promise<void> {
    while (bytes.length > 0) {
      const piece = bytes.subarray(0, WRITE_BYTES);
      bytes = bytes.subarray(await this.#stdin.write(piece));
    }
  }

  /** Reads some bytes, valid until the next read; `undefined` at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const count = await this.#stdout.read(this.#buffer);
    return count === null ? undefined : this.#buffer.subarray(0, count);
  }

  /** Reads until that many lines have come. */
  async readLines(count: number): Promise<void> {
    while (count > 0) {
      const chunk = await this.read();
      if (chunk === undefined) throw new Error("the process has ended");
      count -= countLines(chunk);
    }
  }

  /** Writes a line and waits for the answer, without a turn of the event loop in between. */
  exchange(line: Uint8Array): Uint8Array {
    for (let at = 0; at < line.length;) {
      at += this.#stdin.writeSync(line.subarray(at));
    }
    for (let length = 0;;) {
      const count = this.#stdout.readSync(this.#buffer.subarray(length));
      if (count === null) throw new Error("the process has ended");
      length += count;
      if (this.#buffer[length - 1] === NEWLINE) {
        return this.#buffer.subarray(0, length);
      }
    }
  }

  /** Sends the process a signal. */
  signal(name: Deno.Signal): void {
    this.#process.kill(name);
  }

  /** Ends the input and waits for the process. */
  async end(): Promise<void> {
    this.#stdin.close();
    while (await this.read() !== undefined);
    this.#stdout.close();
    await this.#process.status;
  }
}
