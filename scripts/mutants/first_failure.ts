/** Runs simulations until one fails; prints how many that took, and what broke. */
import { Simulation } from "../../lib/sim/mod.ts";
import { plan } from "../sim/scenario.ts";

const seeds = Number(Deno.args[0]);
for (let seed = 0; seed < seeds; seed++) {
  const { violations } = await new Simulation(plan({ seed }).options).run();
  if (violations[0] === undefined) continue;
  console.log(JSON.stringify({ seeds: seed + 1, ...violations[0] }));
  Deno.exit(1);
}
