/** Waiting until every promise that can settle has settled. */

type Schedule = (fn: () => void) => unknown;

/**
 * `setImmediate`, which Deno, Node.js and Bun have; else `setTimeout`, as in
 * browsers, which is slower. A `MessageChannel` won't do: Deno may hand out a
 * message before all microtasks have run.
 */
const schedule: Schedule =
  (globalThis as { setImmediate?: Schedule }).setImmediate ??
    ((fn) => setTimeout(fn, 0));

/** Resolves in the next turn of the event loop: once no microtask is left. */
export function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => schedule(resolve));
}
