/** Faults, and plans of them. */
import type { Random } from "../random.ts";

/** When a fault acts, in ms of simulated time. */
export interface FaultWindow {
  /** When it begins. */
  at: number;
  /** When it ends. */
  until: number;
}

/**
 * Messages get lost, arrive twice, overtake each other, arrive cut or garbled;
 * or ("stray") a reply to a node arrives once more, from another sender; or
 * ("refusal") a node can't send what is no reply, as if its output were full.
 */
export interface MessageFault extends FaultWindow {
  /** What happens to messages. */
  kind:
    | "loss"
    | "duplication"
    | "reordering"
    | "corruption"
    | "stray"
    | "refusal";
  /** The part of all messages that it happens to, from 0 to 1. */
  probability: number;
}

/** Messages from one node to another take longer. */
export interface SlowFault extends FaultWindow {
  /** "slow". */
  kind: "slow";
  /** The link's end that sends. */
  src: string;
  /** The link's end that receives. */
  dest: string;
  /** How many times as long they take. */
  factor: number;
}

/** Messages between some nodes don't arrive. */
export interface PartitionFault extends FaultWindow {
  /** "partition". */
  kind: "partition";
  /** How the cluster is cut. */
  shape: PartitionShape;
  /**
   * By receiving node: the nodes that it hears nothing from.
   *
   * @default as the shape cuts the nodes in the order of their ids
   */
  drops?: Record<string, string[]>;
}

/**
 * How a cluster is cut: into two halves; so that every node sees a majority,
 * but no two the same one; so that one half hears the other, but not the other
 * way round; or one node from all others.
 */
export type PartitionShape =
  | "halves"
  | "majorities-ring"
  | "one-way"
  | "single";

/** Something happens to a node: it loses its memory and starts anew at the end, or stands still and goes on at the end. */
export interface NodeFault extends FaultWindow {
  /** What happens. */
  kind: "crash" | "pause";
  /** The node. */
  node: string;
}

/** A node's monotonic clock runs too fast or too slow. */
export interface DriftFault extends FaultWindow {
  /** "drift". */
  kind: "drift";
  /** The node. */
  node: string;
  /** How many ms its clock moves in one. */
  rate: number;
}

/** A node's wall clock is set at the beginning of the window, and set back at its end. */
export interface WallClockFault extends FaultWindow {
  /** "wall-clock". */
  kind: "wall-clock";
  /** The node. */
  node: string;
  /** How far it jumps, in ms. */
  byMs: number;
}

/** A node computes slowly: messages wait, timers fire late. */
export interface BusyFault extends FaultWindow {
  /** "busy". */
  kind: "busy";
  /** The node. */
  node: string;
  /** How long it takes over a message, in ms. */
  messageMs: number;
  /** How long it takes over an RPC's callback, in ms. */
  callbackMs: number;
}

/** RPC callbacks throw after they have done their work. */
export interface ThrowFault extends FaultWindow {
  /** "throw". */
  kind: "throw";
  /** The part of all callbacks that do, from 0 to 1. */
  probability: number;
}

/** Something that goes wrong for a while. */
export type Fault =
  | MessageFault
  | SlowFault
  | PartitionFault
  | NodeFault
  | DriftFault
  | WallClockFault
  | BusyFault
  | ThrowFault;

/** What can go wrong. */
export type FaultKind = Fault["kind"];

/** All that can go wrong. */
export const FAULT_KINDS: readonly FaultKind[] = [
  "loss",
  "duplication",
  "reordering",
  "corruption",
  "stray",
  "refusal",
  "slow",
  "partition",
  "crash",
  "pause",
  "drift",
  "wall-clock",
  "busy",
  "throw",
];

/** How long, at most, a process is down that is started again at once. */
const QUICK_RESTART_MS = 50;

/** All ways to cut a cluster. */
export const SHAPES: readonly PartitionShape[] = [
  "halves",
  "majorities-ring",
  "one-way",
  "single",
];

/**
 * Which nodes hear nothing from which in a partition.
 *
 * @example
 * ```ts
 * import { partitionDrops } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(partitionDrops("single", ["n0", "n1", "n2"]), {
 *   n0: ["n1", "n2"],
 *   n1: ["n0"],
 *   n2: ["n0"],
 * });
 * ```
 *
 * @param shape How to cut.
 * @param nodes The nodes, in the order in which they are to be cut.
 */
export function partitionDrops(
  shape: PartitionShape,
  nodes: readonly string[],
): Record<string, string[]> {
  const count = nodes.length;
  const half = shape === "single" ? 1 : Math.floor(count / 2);
  const majority = Math.floor(count / 2) + 1;
  const hears = (to: number, from: number): boolean => {
    switch (shape) {
      case "majorities-ring": {
        const distance = Math.min(
          (to - from + count) % count,
          (from - to + count) % count,
        );
        return distance <= Math.floor((majority - 1) / 2) ||
          (majority % 2 === 0 && (from - to + count) % count === majority / 2);
      }
      case "one-way":
        return to >= half || from < half;
      default:
        return (to < half) === (from < half);
    }
  };
  return Object.fromEntries(
    nodes.map((node, to) => [
      node,
      nodes.filter((_, from) => from !== to && !hears(to, from)),
    ]).filter(([, dropped]) => dropped!.length > 0),
  );
}

/**
 * What a fault is, in words, without its times.
 *
 * @example
 * ```ts
 * import { describeFault } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const fault = { kind: "partition", at: 0, until: 9, shape: "halves" } as const;
 * const drops = { n0: ["n1", "n2"], n1: ["n0"], n2: ["n0"] };
 * assertEquals(
 *   describeFault({ ...fault, drops }),
 *   "partition: halves: n0 hears nothing from n1, n2; n1, n2 hear nothing from n0",
 * );
 * ```
 *
 * @param fault The fault.
 */
export function describeFault(fault: Fault): string {
  const { kind, at: _, until: __, ...details } = fault;
  if (kind === "partition") {
    return `partition: ${fault.shape}: ${partitionText(fault.drops ?? {})}`;
  }
  const text = Object.entries(details)
    .map(([name, value]) => `${name} ${value}`).join(", ");
  return `${kind}${text ? `: ${text}` : ""}`;
}

function partitionText(drops: Record<string, string[]>): string {
  const groups = new Map<string, string[]>();
  for (const [node, unheard] of Object.entries(drops)) {
    const key = [...unheard].sort().join(", ");
    groups.set(key, [...groups.get(key) ?? [], node].sort());
  }
  return [...groups].map(([unheard, nodes]) =>
    `${nodes.join(", ")} ${
      nodes.length === 1 ? "hears" : "hear"
    } nothing from ${unheard}`
  ).join("; ") || "nobody is cut off";
}

/**
 * Plans faults at random: of each kind one to three, within the duration.
 *
 * @param random Where they come from.
 * @param kinds What may go wrong.
 * @param nodes The nodes' ids.
 * @param durationMs For how long things may go wrong.
 */
export function planFaults(
  random: Random,
  kinds: readonly FaultKind[],
  nodes: readonly string[],
  durationMs: number,
): Fault[] {
  const faults = kinds.flatMap((kind) =>
    Array.from({ length: 1 + random.int(3) }, () => {
      const at = random.int(Math.floor(durationMs * 0.9) + 1);
      const length = 1 + random.int(Math.floor(durationMs * 0.4) + 1);
      const until = Math.min(at + length, durationMs);
      return planFault(random, kind, nodes, { at, until });
    })
  );
  return faults.sort((a, b) => a.at - b.at);
}

/**
 * Plans what goes wrong after everything else, while only some of the nodes
 * are to be well: each of the others crashes, stands still, or is cut off.
 *
 * @param random Where it comes from.
 * @param kinds What may go wrong with them.
 * @param nodes All nodes' ids.
 * @param others Those that are not to be well.
 * @param window When.
 */
export function planRecovery(
  random: Random,
  kinds: readonly ("crash" | "pause" | "partition")[],
  nodes: readonly string[],
  others: readonly string[],
  window: FaultWindow,
): Fault[] {
  return others.map((node) => {
    const kind = random.pick(kinds);
    if (kind !== "partition") return { kind, ...window, node };
    const all = [node, ...nodes.filter((other) => other !== node)];
    const shape = "single";
    return { kind, ...window, shape, drops: partitionDrops(shape, all) };
  });
}

function planFault(
  random: Random,
  kind: FaultKind,
  nodes: readonly string[],
  window: FaultWindow,
): Fault {
  const node = random.pick(nodes);
  const probability = (1 + random.int(50)) / 100;
  switch (kind) {
    case "loss":
    case "duplication":
    case "reordering":
    case "corruption":
    case "stray":
    case "refusal":
    case "throw":
      return { kind, ...window, probability };
    case "slow":
      return {
        kind,
        ...window,
        src: node,
        dest: random.pick(nodes),
        factor: 2 + random.int(100),
      };
    case "partition": {
      const shape = random.pick(SHAPES);
      const drops = partitionDrops(shape, random.shuffle(nodes));
      return { kind, ...window, shape, drops };
    }
    case "crash": {
      // Half of them are started again while messages to them are on their way.
      const soon = window.at + 1 + random.int(QUICK_RESTART_MS);
      const until = random.chance(0.5)
        ? Math.min(soon, window.until)
        : window.until;
      return { kind, ...window, until, node };
    }
    case "pause":
      return { kind, ...window, node };
    case "drift":
      return { kind, ...window, node, rate: (500 + random.int(1501)) / 1000 };
    case "wall-clock":
      return { kind, ...window, node, byMs: random.int(2e9) - 1e9 };
    case "busy":
      return {
        kind,
        ...window,
        node,
        messageMs: random.int(20),
        callbackMs: random.int(4),
      };
  }
}
