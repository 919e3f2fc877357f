/** What listens to a signal on behalf of RPCs. */

/** Of a signal: the listeners that were added while an RPC was sent. */
interface Watched {
  readonly listeners: Set<unknown>;
  sending: boolean;
}

const watched = new WeakMap<AbortSignal, Watched>();

function watch(signal: AbortSignal): Watched {
  let record = watched.get(signal);
  if (record !== undefined) return record;
  record = { listeners: new Set(), sending: false };
  watched.set(signal, record);
  const { addEventListener, removeEventListener } = signal;
  const { listeners } = record;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    if (record.sending) listeners.add(args[1]);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (
    ...args: Parameters<typeof removeEventListener>
  ) => {
    listeners.delete(args[1]);
    removeEventListener.apply(signal, args);
  };
  return record;
}

/**
 * Sends an RPC, and remembers which listeners that adds to its signal.
 *
 * @param signal Its signal, if it has one.
 * @param send Sends it.
 */
export function watching<T>(signal: AbortSignal | undefined, send: () => T): T {
  if (signal === undefined) return send();
  const record = watch(signal);
  record.sending = true;
  try {
    return send();
  } finally {
    record.sending = false;
  }
}

/**
 * How many listeners a signal has on behalf of RPCs.
 *
 * @param signal The signal.
 */
export function listenersOf(signal: AbortSignal): number {
  return watched.get(signal)?.listeners.size ?? 0;
}
