/** Long work in slices, so that the event loop gets its turn in between. */
import type { Clock } from "./clock.ts";

/** How long a slice may take, in ms. */
export const SLICE_MS = 2;

/**
 * After how many steps those go on that wait for promises which the steps have
 * settled: what they do counts as a part of the slice.
 */
const STEPS_AT_ONCE = 8;

/**
 * Does work step by step for {@linkcode SLICE_MS}: the first steps at once.
 *
 * @param clock Measures the slice.
 * @param step Does one step, given the time in ms; returns whether there may be more.
 * @param then Called at the end; told whether there may be more.
 */
export async function slice(
  clock: Clock,
  step: (now: number) => boolean,
  then: (more: boolean) => void,
): Promise<void> {
  let now = clock.now();
  const end = now + SLICE_MS;
  for (let steps = 1; step(now); steps++) {
    if (steps % STEPS_AT_ONCE === 0) await undefined;
    now = clock.now();
    if (now >= end) return then(true);
  }
  then(false);
}

/**
 * Does work step by step, in slices: the first at once, each further one in a
 * turn of its own.
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
  slice(clock, step, (more) => {
    if (more) clock.setTimer(() => inSlices(clock, step, done), 0);
    else done();
  });
}
