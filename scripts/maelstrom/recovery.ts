/** How long nodes took, once partitions were over, until all knew what had been confirmed. */

/** How long after a heal there must have been reads, and no other partition, for it to count. */
const WATCHED_MS = 2000;

/** An operation's beginning or end, or a step of the nemesis. */
interface Event {
  ms: number;
  type: string;
  process: string;
  f: string;
  value: string;
}

/** A read that succeeded. */
interface Read {
  invokedAt: number;
  elements: Set<string>;
}

function eventsOf(history: string): Event[] {
  return [...history.matchAll(
    /:time (\d+), :type :(\w+), :process :?(\w+), :f :([\w-]+), :value (.*)\}/g,
  )].map(([, time, type, process, f, value]) => ({
    ms: Number(time) / 1e6,
    type: type!,
    process: process!,
    f: f!,
    value: value!,
  }));
}

/**
 * After each heal: how long, in ms, until the last read began that lacked
 * something confirmed before the heal; 0 where none did. It can't be
 * less than how often one reads. A heal is left out that another
 * partition, or the end of the reads, follows within 2 s. What reads return
 * that is no list, as a counter's value, is passed over.
 *
 * @param history Maelstrom's `history.edn` of a run of `broadcast` or `g-set`.
 */
export function recoveriesMs(history: string): number[] {
  const events = eventsOf(history);
  const reads: Read[] = [];
  const confirmed: { element: string; ms: number }[] = [];
  const invokedAt = new Map<string, number>(); // of each process, its last operation
  for (const { ms, type, process, f, value } of events) {
    if (type === "invoke") invokedAt.set(process, ms);
    if (type !== "ok") continue;
    if (f !== "read") confirmed.push({ element: value, ms });
    else if (value.startsWith("[") && !value.includes(":final?")) {
      const elements = new Set(value.match(/\d+/g));
      reads.push({ invokedAt: invokedAt.get(process)!, elements });
    }
  }
  const cuts = events.filter(({ f }) => f === "start-partition");
  return events.filter(({ value }) => value === ":network-healed")
    .flatMap(({ ms: heal }) => {
      const cut = cuts.find(({ ms }) => ms > heal)?.ms ?? Infinity;
      const before = confirmed.filter(({ ms }) => ms <= heal);
      const after = reads.filter(({ invokedAt }) =>
        invokedAt > heal && invokedAt < cut
      );
      const end = heal + WATCHED_MS;
      if (cut < end || !after.some(({ invokedAt }) => invokedAt >= end)) {
        return [];
      }
      const lacking = after.filter(({ elements }) =>
        before.some(({ element }) => !elements.has(element))
      );
      const last = Math.max(heal, ...lacking.map((read) => read.invokedAt));
      return [Math.round(last - heal)];
    });
}
