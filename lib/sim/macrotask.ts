/** Waiting until every promise that can settle has settled. */

type Schedule = (fn: () => void) => unknown;

const { process, setImmediate } = globalThis as {
  process?: { nextTick?: Schedule };
  setImmediate?: Schedule;
};

/**
 * `process.nextTick`, which Deno, Node.js and Bun have: it comes after all
 * microtasks and before anything real, such as a timer or a reply from the
 * network, which so never happens in the middle of a simulation. Elsewhere, as
 * in browsers, `setTimeout`, which is slower. A `MessageChannel` won't do: Deno
 * may hand out a message before all microtasks have run.
 */
const schedule: Schedule = process?.nextTick?.bind(process) ??
  setImmediate ?? ((fn) => setTimeout(fn, 0));

/** Resolves once no microtask is left. */
export async function nextMacrotask(): Promise<void> {
  await null; // outside of a microtask, a tick comes before all of them
  return new Promise((resolve) => schedule(resolve));
}
