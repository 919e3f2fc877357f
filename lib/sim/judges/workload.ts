/** What clients ask of the nodes, and what must hold of the answers. */
import type { Body } from "../../message.ts";
import type { SendBody } from "../../node.ts";
import type { Finding, HistoryEntry, Operation } from "./history.ts";
import type { Random } from "../random.ts";
import type { Topology } from "../world/topology.ts";

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
  /**
   * What every node is asked after its `init`, before any client begins.
   *
   * @param topology Who is whose neighbour.
   */
  prepare?(topology: Topology): SendBody;
  /**
   * Operations that a node is asked after the faults, one after the other, and
   * from the first again where one does not succeed: a node makes progress
   * when all do. At least one of each kind, so that no kind goes unseen.
   *
   * @param node The node's id.
   * @param number The node's number, from 0.
   */
  probe?(node: string, number: number): Operation[];
  /** An operation that is asked of every node at the end, when all is quiet. */
  final?(): Operation;
  /**
   * What else there is to measure, by name, in ms, besides how long operations take.
   *
   * @param history All operations, in the order in which they were invoked.
   */
  latencies?(history: readonly HistoryEntry[]): Record<string, number[]>;
  /**
   * Checks a whole history.
   *
   * @param history All operations, in the order in which they were invoked.
   */
  check(history: readonly HistoryEntry[]): Finding[];
}
