/** Whole clusters in a simulated network, in which things go wrong. */
import { echoWorkload, Simulation, type Workload } from "@gyre/node/sim";
import { assertEquals } from "@std/assert";
import { setUp } from "./node.ts";

/** As `echo`, but each node is asked to have another one answer. */
const relay: Workload = {
  ...echoWorkload,
  generate: (random, index, nodes) => ({
    f: "echo",
    value: `${random.pick(nodes)} ${index}`,
  }),
  request: ({ value }) => {
    const [node] = String(value).split(" ");
    return { type: "relay", node, echo: value };
  },
};

Deno.test("relay: what is answered is right, and nothing leaks", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const { violations } = await new Simulation({
      seed,
      setUp,
      workload: relay,
      faults: ["loss", "duplication", "partition", "pause", "crash"],
    }).run();
    assertEquals(violations, [], `seed ${seed}`);
  }
});
