/** What clients ask of the nodes, and what must hold of the answers. */
import type { Body } from "../message.ts";
import type { SendBody } from "../node.ts";
import type { Finding, HistoryEntry, Operation } from "./history.ts";
import type { Random } from "./random.ts";

/** A kind of work for simulated clients. */
export interface Workload {
  /**
   * Thinks of an operation.
   *
   * @param random Where choices come from.
   * @param index The operation's number, from 0.
   * @param nodes The nodes' ids.
   */
  generate(
    random: Random,
    index: number,
    nodes: readonly string[],
  ): Operation;
  /**
   * The request that asks for an operation.
   *
   * @param operation What is asked for.
   */
  request(operation: Operation): SendBody;
  /**
   * What a reply says; by default its body's `value`.
   *
   * @param operation What was asked for.
   * @param reply The reply's body.
   */
  result?(operation: Operation, reply: Body): unknown;
  /** An operation that is asked of every node at the end, when all is quiet. */
  final?(): Operation;
  /**
   * Checks a whole history.
   *
   * @param history All operations, in the order in which they were invoked.
   */
  check(history: readonly HistoryEntry[]): Finding[];
}
