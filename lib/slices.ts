/** Long work in slices, so that the event loop gets its turn in between. */
import type { Clock } from "./clock.ts";

/** How long a slice may take, in ms. */
export const SLICE_MS = 2;

/**
 * Does work step by step, in slices of {@linkcode SLICE_MS}: the first at once,
 * each further one in a turn of its own.
 *
 * @param clock Measures the slices.
 * @param step Does one step; returns whether there may be more.
 * @param done Called after the last step.
 */
export function inSlices(
  clock: Clock,
  step: () => boolean,
  done: () => void = () => {},
): void {
  const end = clock.now() + SLICE_MS;
  while (step()) {
    if (clock.now() < end) continue;
    clock.setTimer(() => inSlices(clock, step, done), 0);
    return;
  }
  done();
}
