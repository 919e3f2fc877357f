/** `deno task bench:rpc`: what an RPC costs, to how many nodes it goes, however it ends. */
import { requireLinux } from "./cpu.ts";
import {
  interleave,
  optionsOrExit,
  roundsNote,
  type Sample,
} from "./harness.ts";
import { machine, print, save } from "./report.ts";

const COUNT = 500_000;
const NAME = "rpc";

/** By name: the outcome, how many destinations, and whether all share a signal. */
const variants: Record<string, [string, number, string]> = {};
for (const outcome of ["lost", "answered", "mixed"]) {
  for (const destinations of [1, 2, 100]) {
    variants[`${outcome} 1/${destinations}`] = [outcome, destinations, "none"];
  }
}
for (const outcome of ["lost", "answered", "mixed", "aborted"]) {
  variants[`${outcome} with a signal`] = [outcome, 1, "signal"];
}
variants.closed = ["closed", 1, "none"];
const names = Object.keys(variants);

async function run(variant: string, count: number): Promise<Sample> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", new URL("rpcs_run.ts", import.meta.url).href],
      ...[...variants[variant]!, count].map(String),
    ],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${variant} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const options = optionsOrExit(
  "bench:rpc",
  `Measures RPCs of a node in-process, ${COUNT} at once: lost, answered, every
second one answered, aborted by a signal that all share, or cancelled as the
node closes; to 1, 2 or 100 nodes.

Usage: deno task bench:rpc [options]

Options:
  --variants A,B   which of: ${names.join(", ")}
  --rounds N       how many times each is run (default 5)
  --scale X        multiply the number of RPCs (default 1)
  --save           write the results to bench/results/
  -h, --help       show this`,
  { benchmarks: [NAME], byDefault: [NAME], variants: names },
);
requireLinux("bench:rpc");
const result = {
  name: NAME,
  title:
    `${COUNT} RPCs at once, each to one of 1, 2 or 100 nodes by turns: sending, and how they end.`,
  base: "lost 1/1",
  charted: "CPU",
  figures: await interleave(
    options.variants,
    options.rounds,
    (variant) => run(variant, Math.round(COUNT * options.scale)),
  ),
  notes: [
    roundsNote(options),
    "`lost 1/100`: never answered, to a hundred nodes by turns. `mixed`: every second one is answered. `with a signal`: all share one AbortSignal.",
    `The longest \`rpc()\` is the CPU time of the main thread over 32 calls, the compiler's and the garbage collector's work on it included.`,
  ],
  date: new Date().toISOString().slice(0, 10),
  machine: machine({}),
};
print(result);
if (options.save) {
  save("rpc", "RPCs: multiples of a lost one", [NAME], [result]);
}
