/** The binary's subcommands: a workload each, of which only the one that is asked for is loaded. */
import type { Subcommand } from "./stdio/program.ts";

/** The subcommands, by name; the first need not be named, as the exercise asks for it. */
export const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  callbacks: {
    does: "makes pending RPC callbacks visible; what runs without a workload",
    firstMsgId: 0,
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
    async load({ aim }) {
      const { broadcast } = await import("./workloads/broadcast.ts");
      return (node) => broadcast(node, { aim: aim as "speed" | "thrift" });
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
