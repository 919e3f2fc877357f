/** Logs for measuring how far behind polls are. */
import { kafkaWorkload, type Workload } from "../lib/sim/mod.ts";

/**
 * Logs that are all used for the whole run, and polled from their beginning.
 *
 * @param count How many.
 */
export function lastingLogs(count: number): Workload {
  return {
    ...kafkaWorkload,
    generate(random, index) {
      const key = `k${random.int(count)}`;
      return random.chance(0.5)
        ? { f: "send", key, value: index }
        : { f: "poll", value: { [key]: 0 } };
    },
  };
}
