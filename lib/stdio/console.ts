/** Keeps `console` off stdout, where nothing but messages may go. */

/** `console` as it was before anyone could change it. */
const original: Readonly<Console> = { ...console };

/**
 * Has what `console` prints to stdout go to stderr, as `console.error` prints
 * it. What others have put in place of a method stays: they know where it
 * prints to.
 *
 * @returns Undoes it.
 */
export function consoleToStderr(): () => void {
  const { error } = original;
  const counts = new Map<string, number>();
  const startedAt = new Map<string, number>();
  function timeLog(label = "default", ...data: unknown[]): void {
    const start = startedAt.get(label);
    if (start === undefined) return error(`${label}: no such timer`);
    error(`${label}: ${(performance.now() - start).toFixed(3)} ms`, ...data);
  }
  const replacements: Partial<Console> = {
    log: error,
    info: error,
    debug: error,
    dir: (item) => error(item),
    dirxml: error,
    table: (data) => error(data),
    group: error,
    groupCollapsed: error,
    groupEnd: () => {},
    count(label = "default") {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      error(`${label}: ${counts.get(label)}`);
    },
    countReset: (label = "default") => void counts.delete(label),
    time: (label = "default") => void startedAt.set(label, performance.now()),
    timeLog,
    timeEnd(label = "default") {
      timeLog(label);
      startedAt.delete(label);
    },
  };
  const names = Object.keys(replacements) as (keyof Console)[];
  const replaced = names.filter((name) => console[name] === original[name]);
  for (const name of replaced) {
    Object.assign(console, { [name]: replacements[name] });
  }
  return () => {
    for (const name of replaced) {
      Object.assign(console, { [name]: original[name] });
    }
  };
}
