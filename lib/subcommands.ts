/** The binary's subcommands: a workload each, of which only the one that is asked for is loaded. */
import type { AnyNode } from "./node.ts";

/** An option of a workload's own. */
export interface SubcommandOption {
  /** What it takes; the first is the default. */
  values: readonly string[];
  /** What it says, in lines of the help. */
  help: readonly string[];
}

/** A workload, as the binary offers it. */
export interface Subcommand {
  /** What it does, in a line. */
  does: string;
  /** Its own options, by name. */
  options?: Readonly<Record<string, SubcommandOption>>;
  /** Loads it: what sets a node up, by the values of its options. */
  load(): Promise<
    (node: AnyNode, options: Readonly<Record<string, unknown>>) => void
  >;
}

/** The subcommand that need not be named: what the exercise asks for. */
export const DEFAULT_SUBCOMMAND = "callbacks";

/** The subcommands, by name. */
export const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  callbacks: {
    does: "makes pending RPC callbacks visible; what runs without a workload",
    load: async () => (await import("./workloads/callbacks.ts")).callbacks,
  },
  echo: {
    does: "sends back what it is sent",
    load: async () => (await import("./workloads/echo.ts")).echo,
  },
  "unique-ids": {
    does: "gives ids that no other node, and no other life of this one, gives",
    load: async () => (await import("./workloads/unique_ids.ts")).uniqueIds,
  },
  broadcast: {
    does: "what one node is told, all know",
    options: {
      aim: {
        values: ["speed", "thrift"],
        help: [
          "what to save: time (speed, the default: at 25 nodes, 100 ms apart,",
          "all know in 0.4 s), or messages (thrift: half as many, in 1.2 s)",
        ],
      },
    },
    async load() {
      const { broadcast } = await import("./workloads/broadcast.ts");
      return (node, { aim }) =>
        broadcast(node, { aim: aim as "speed" | "thrift" });
    },
  },
  "g-set": {
    does: "a set that only grows",
    load: async () => (await import("./workloads/g_set.ts")).gSet,
  },
  "g-counter": {
    does: "a counter that only grows",
    load: async () => (await import("./workloads/g_counter.ts")).gCounter,
  },
  "pn-counter": {
    does: "a counter that goes up and down",
    load: async () => (await import("./workloads/pn_counter.ts")).pnCounter,
  },
  kafka: {
    does: "append-only logs, from which messages are polled by offset",
    load: async () => (await import("./workloads/kafka.ts")).kafka,
  },
  "txn-rw-register": {
    does: "transactions over registers, read committed",
    load: async () =>
      (await import("./workloads/txn_rw_register.ts")).txnRwRegister,
  },
};
