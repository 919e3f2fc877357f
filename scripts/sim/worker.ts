/** Runs simulations, one after the other, as `deno task sim` asks for them. */
import { errorText, forbidProcess } from "./load.ts";
import type { Answer } from "./pool.ts";
import { type Choices, plan, runPlanned, seedResult } from "./scenario.ts";

const scope = self as unknown as {
  onmessage: (event: { data: Choices }) => void;
  postMessage(message: Answer): void;
};

forbidProcess((why) => {
  const error = new Error(`the node ${why}`);
  scope.postMessage({ error: error.message });
  throw error;
});

scope.onmessage = async ({ data }) => {
  try {
    const planned = await plan(data);
    const result = await runPlanned(planned, data);
    scope.postMessage({ result: seedResult(planned, result) });
  } catch (error) {
    scope.postMessage({ error: errorText(error) });
  }
};
