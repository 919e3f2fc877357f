/** One worker a core, each with one seed at a time. */
import type { Choices, SeedResult } from "./scenario.ts";

/** What a worker says of a simulation: what it came to, or what ended it. */
export type Answer = { result: SeedResult } | { error: string };

/**
 * Runs simulations until there are no more to be run.
 *
 * @param next The next one; `undefined` when there are no more.
 * @param done Told of each that has ended, in the order in which they end.
 * @throws {Error} A simulation ended its worker; its seed is named.
 */
export async function runAll(
  next: () => Choices | undefined,
  done: (result: SeedResult) => void,
): Promise<void> {
  const count = Math.max(1, navigator.hardwareConcurrency);
  await Promise.all(Array.from({ length: count }, () => runSome(next, done)));
}

async function runSome(
  next: () => Choices | undefined,
  done: (result: SeedResult) => void,
): Promise<void> {
  const url = new URL("./worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  try {
    for (let choices = next(); choices; choices = next()) {
      done(await runOne(worker, choices));
    }
  } finally {
    worker.terminate();
  }
}

function runOne(worker: Worker, choices: Choices): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const failed = (text: string) =>
      reject(new Error(`seed ${choices.seed}: ${text}`));
    worker.onmessage = ({ data }: { data: Answer }) =>
      "error" in data ? failed(data.error) : resolve(data.result);
    worker.onerror = (event) => {
      event.preventDefault();
      failed(event.message);
    };
    worker.postMessage(choices);
  });
}
