/** RPCs that an AbortSignal cancels. */
/**
 * The pending RPCs of each signal. A signal has one listener, however many RPCs
 * share it, as adding one takes the longer the more it has; and none while no
 * RPC of it is pending.
 */
export class AbortGroups {
  readonly #groups: Map<
    AbortSignal,
    { readonly ids: Set<number>; readonly stop: () => void }
  > = new Map();
  readonly #aborted: (signal: AbortSignal, ids: Iterator<number>) => void;

  /** @param aborted Told of a signal that was aborted, and its RPCs: those that are still pending when asked for, in the order in which they joined. */
  constructor(aborted: (signal: AbortSignal, ids: Iterator<number>) => void) {
    this.#aborted = aborted;
  }

  /**
   * Adds an RPC.
   *
   * @param signal What cancels it.
   * @param msgId Its message id; {@linkcode AbortGroups.leave} it when it ends.
   */
  join(signal: AbortSignal, msgId: number): void {
    let group = this.#groups.get(signal);
    if (group === undefined) {
      const ids = new Set<number>();
      const abort = () => this.#aborted(signal, ids.values());
      signal.addEventListener("abort", abort);
      group = { ids, stop: () => signal.removeEventListener("abort", abort) };
      this.#groups.set(signal, group);
    }
    group.ids.add(msgId);
  }

  /**
   * Takes an RPC out.
   *
   * @param signal What would have cancelled it.
   * @param msgId Its message id.
   */
  leave(signal: AbortSignal, msgId: number): void {
    const group = this.#groups.get(signal)!;
    group.ids.delete(msgId);
    if (group.ids.size > 0) return;
    this.#groups.delete(signal);
    group.stop();
  }
}
