/** Runs simulations, one after the other, as `deno task sim` asks for them. */
import { Simulation } from "../../lib/sim/mod.ts";
import { type Choices, outcomeOf, plan } from "./scenario.ts";

const scope = self as unknown as {
  onmessage: (event: { data: Choices }) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data }) => {
  const planned = plan(data);
  const result = await new Simulation(planned.options).run();
  scope.postMessage(outcomeOf(planned, result));
};
