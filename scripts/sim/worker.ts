/** Runs simulations, one after the other, as `deno task sim` asks for them. */
import { type Choices, plan, runPlanned, seedResult } from "./scenario.ts";

const scope = self as unknown as {
  onmessage: (event: { data: Choices }) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data }) => {
  const planned = await plan(data);
  scope.postMessage(seedResult(planned, await runPlanned(planned, data)));
};
