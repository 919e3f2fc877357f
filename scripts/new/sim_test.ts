/** Whole clusters in a simulated network, in which things go wrong. */
import { echoWorkload, Simulation, type Workload } from "@gyre/node/sim";
import { assertEquals } from "@std/assert";
import { setUp } from "./node.ts";

/** As `echo`, but whichever node is asked, n0 answers. */
const relay: Workload = {
  ...echoWorkload,
  request: ({ value }) => ({ type: "relay", node: "n0", echo: value }),
};

Deno.test("relay: what is answered is right, and nothing leaks", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const { outcome, reasons } = await new Simulation({
      seed,
      setUp,
      workload: relay,
      nodes: 3,
      needs: 3, // without n0 nothing gets on
      faults: ["loss", "duplication", "partition", "pause", "crash"],
    }).run();
    assertEquals(outcome, "pass", `seed ${seed}: ${reasons}`);
  }
});
