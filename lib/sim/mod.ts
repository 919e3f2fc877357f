/**
 * A simulated network of real nodes: virtual time, every fault, and one seed
 * that a run follows from, to the byte.
 *
 * @example A node's handlers under crashes and partitions
 * ```ts
 * import { echoWorkload, Simulation } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const { violations, counts } = await new Simulation({
 *   seed: 1,
 *   nodes: 5,
 *   setUp: (node) => node.on("echo", ({ body }) => ({ echo: body.echo })),
 *   workload: echoWorkload,
 *   faults: ["crash", "partition"],
 * }).run();
 * assertEquals(violations, []);
 * assertEquals(counts.ok > 50, true);
 * ```
 *
 * @module
 */
export { EventQueue } from "../event_queue.ts";
export type { Body, Message } from "../message.ts";
export type {
  AnyNode,
  Handler,
  HandlerResult,
  LogLevel,
  Node,
  NodeOptions,
  NodeStats,
  ReplyBody,
  RpcOptions,
  SendBody,
  Transport,
} from "../node.ts";
export type { PendingRpcsStats, RpcCallback } from "../pending_rpcs.ts";
export type { ReapReport } from "../reaper.ts";
export type { Clock } from "../clock.ts";
export type { InvalidMessageError } from "../message.ts";
export type { RpcError, RpcErrorOptions } from "../errors.ts";
export {
  checkCounter,
  checkEcho,
  checkSet,
  checkSucceeded,
  checkUniqueIds,
  type ReadOptions,
} from "./judges/checkers.ts";
export { diagram, type DiagramOptions, diagrams } from "./shown/diagram.ts";
export {
  type BusyFault,
  describeFault,
  type DriftFault,
  type Fault,
  FAULT_KINDS,
  type FaultKind,
  type FaultWindow,
  type MessageFault,
  type NodeFault,
  partitionDrops,
  type PartitionFault,
  type PartitionShape,
  planFaults,
  type SlowFault,
  type ThrowFault,
  type WallClockFault,
} from "./world/fault.ts";
export type {
  Finding,
  HistoryEntry,
  Operation,
  OperationStatus,
} from "./judges/history.ts";
export { type Invariant, INVARIANTS } from "./judges/invariants.ts";
export type { Latency } from "./world/latency.ts";
export {
  checkRegisters,
  isLinearizable,
  type LinearizabilityResult,
  registerModel,
  type SequentialModel,
} from "./judges/linearizability.ts";
export type {
  LatencySummary,
  MessageCounts,
  SimulationMetrics,
} from "./judges/metrics.ts";
export type { NetworkOptions } from "./world/network.ts";
export type { BytesOptions } from "./world/pipes.ts";
export { Random } from "./random.ts";
export {
  canonical,
  type Chooser,
  LinKv,
  LinTso,
  LwwKv,
  maelstromServices,
  SeqKv,
  type Service,
} from "./world/services.ts";
export {
  type Topology,
  topology,
  TOPOLOGY_SHAPES,
  type TopologyShape,
} from "./world/topology.ts";
export {
  shrink,
  type ShrinkOptions,
  type Shrunk,
  type ShrunkSoFar,
} from "./shrink.ts";
export type {
  Check,
  LogEntry,
  Outcome,
  SimulatedProcess,
  SimulationCounts,
  SimulationOptions,
  SimulationResult,
  Violation,
} from "./options.ts";
export {
  SOMETIMES,
  type Sometimes,
  type SometimesCounts,
} from "./judges/sometimes.ts";
export { Simulation } from "./simulation.ts";
export { checkLogs } from "./judges/logs.ts";
export { checkTransactions } from "./judges/transactions.ts";
export type { Workload } from "./judges/workload.ts";
export {
  broadcastWorkload,
  callbacksWorkload,
  echoWorkload,
  gCounterWorkload,
  gSetWorkload,
  kafkaWorkload,
  linKvWorkload,
  pnCounterWorkload,
  txnRwRegisterWorkload,
  uniqueIdsWorkload,
} from "./judges/workloads.ts";
