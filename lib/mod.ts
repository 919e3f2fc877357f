/**
 * Maelstrom nodes whose RPC callbacks never leak.
 *
 * @example An echo node
 * ```ts
 * import { Node } from "@gyre/node";
 *
 * const node = new Node();
 * node.on<{ echo: unknown }>("echo", ({ body }) => ({ echo: body.echo }));
 * // then, with serve of "@gyre/node/stdio": await serve(node);
 * ```
 *
 * @module
 */
export { type Clock, MAX_DELAY_MS, systemClock } from "./clock.ts";
export {
  ErrorCode,
  isDefinite,
  RpcError,
  type RpcErrorOptions,
} from "./errors.ts";
export {
  type Answer,
  type HedgeOptions,
  type QuorumOptions,
  rpcAll,
  rpcHedged,
  rpcQuorum,
} from "./fan_out.ts";
export {
  type Body,
  decode,
  InvalidMessageError,
  MAX_DEPTH,
  MAX_PARTS,
  type Message,
} from "./message.ts";
export {
  chunks,
  Gossip,
  type GossipOptions,
  type Neighbourhood,
  star,
  type StarOptions,
  type Topology,
} from "./gossip.ts";
export {
  type AnyNode,
  type AskingNode,
  type CheckedHandler,
  type Handler,
  type HandlerOf,
  type HandlerResult,
  LOG_LEVELS,
  type LogLevel,
  Node,
  type NodeOptions,
  type NodeStats,
  type ReplyBody,
  type RpcOptions,
  type SendBody,
  type Transport,
  type TypedHandler,
} from "./node.ts";
export type { PendingRpcsStats, RpcCallback } from "./pending_rpcs.ts";
export type { ReapReport } from "./reaper.ts";
export { retry, type RetryOptions } from "./retry.ts";
export { type Key, Kv, type KvService, type ReadOptions } from "./services.ts";
export {
  broadcast,
  type BroadcastAim,
  type BroadcastOptions,
} from "./workloads/broadcast.ts";
export { callbacks } from "./workloads/callbacks.ts";
export { echo } from "./workloads/echo.ts";
export { gCounter } from "./workloads/g_counter.ts";
export { gSet } from "./workloads/g_set.ts";
export { kafka } from "./workloads/kafka.ts";
export { pnCounter } from "./workloads/pn_counter.ts";
export { txnRwRegister } from "./workloads/txn_rw_register.ts";
export { uniqueIds } from "./workloads/unique_ids.ts";
export type {
  BodyIds,
  Exchange,
  HandledReply,
  HandledType,
  InitProtocol,
  IsUntyped,
  NoSurplus,
  ReplyFields,
  ReplyOf,
  RequestBody,
  RequestType,
  Surplus,
  SurplusFields,
  TypedResult,
  Untyped,
  WithoutProtocol,
} from "./protocol.ts";
export type {
  BroadcastProtocol,
  CounterProtocol,
  EchoProtocol,
  GSetProtocol,
  KafkaProtocol,
  KvProtocol,
  ListAppendOperation,
  NoFields,
  RwRegisterOperation,
  TsoProtocol,
  Txn,
  TxnListAppendProtocol,
  TxnRead,
  TxnRwRegisterProtocol,
  UniqueIdsProtocol,
} from "./protocols.ts";
