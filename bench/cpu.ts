/** CPU clocks, to the nanosecond. Linux only. */

const CLOCK_THREAD_CPUTIME_ID = 3;

const libc = Deno.dlopen("libc.so.6", {
  clock_getcpuclockid: { parameters: ["i32", "buffer"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
const clock = new Int32Array(1);
const time = new BigInt64Array(2);

function read(clockId: number): number {
  if (libc.symbols.clock_gettime(clockId, time) !== 0) {
    throw new Error(`Cannot read clock ${clockId}`);
  }
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}

/**
 * User and system CPU time of a running process in ms, all threads that it ever
 * had included. `/proc` has it in ticks of 10 ms only, and `getrusage` only of
 * a child that has ended.
 *
 * @param pid The process.
 */
export function processCpuMs(pid: number = Deno.pid): number {
  if (libc.symbols.clock_getcpuclockid(pid, clock) !== 0) {
    throw new Error(`Cannot read the CPU clock of process ${pid}`);
  }
  return read(clock[0]!);
}

/** CPU time of this thread in ms. */
export function threadCpuMs(): number {
  return read(CLOCK_THREAD_CPUTIME_ID);
}

/** Ends a command on systems whose clocks are others. */
export function requireLinux(command: string): void {
  if (Deno.build.os === "linux") return;
  console.error(
    `${command}: reads CPU times and memory as Linux shows them: run it there`,
  );
  Deno.exit(1);
}
