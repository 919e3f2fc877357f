/** Runs simulations until one fails: prints a line for each that does not, then what broke. */
import { Simulation } from "../../lib/sim/mod.ts";
import { plan } from "../sim/scenario.ts";

const [seeds, workload] = Deno.args;
for (let seed = 0; seed < Number(seeds); seed++) {
  const { violations } = await new Simulation(
    (await plan({ seed, workload })).options,
  ).run();
  if (violations[0]) {
    console.log(JSON.stringify(violations[0]));
    Deno.exit(1);
  }
  console.log();
}
