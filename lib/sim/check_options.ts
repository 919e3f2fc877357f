/** What is wrong with a simulation's options, before it begins. */
import { show } from "../message.ts";
import type { NodeOptions } from "../node.ts";
import type { Workload } from "./judges/workload.ts";
import type { SimulationOptions } from "./options.ts";
import { type Fault, FAULT_KINDS, SHAPES } from "./world/fault.ts";
import { DISTRIBUTIONS, type Latency } from "./world/latency.ts";
import type { NetworkOptions } from "./world/network.ts";
import type { BytesOptions } from "./world/pipes.ts";
import { TOPOLOGY_SHAPES } from "./world/topology.ts";

/** The names of all options, which the compiler keeps complete. */
type Names<T> = Readonly<Record<keyof Required<T>, true>>;

const OPTIONS: Names<SimulationOptions> = {
  seed: true,
  nodes: true,
  setUp: true,
  nodeOptions: true,
  nodeClass: true,
  services: true,
  network: true,
  bytes: true,
  faults: true,
  needs: true,
  recoveryMs: true,
  workload: true,
  topology: true,
  operations: true,
  burst: true,
  clients: true,
  durationMs: true,
  clientTimeoutMs: true,
  quietMs: true,
  checks: true,
  onlyFaults: true,
  onlyOperations: true,
  onTrace: true,
  onLog: true,
  maxEvents: true,
};

const NODE_OPTIONS: Names<Omit<NodeOptions, "clock">> = {
  rpcTimeoutMs: true,
  reapIntervalMs: true,
  inputGraceMs: true,
  maxPending: true,
  maxRunning: true,
  log: true,
  firstMsgId: true,
  random: true,
  onReap: true,
};

const NETWORK_OPTIONS: Names<NetworkOptions> = {
  latency: true,
  clientLatency: true,
};

const LATENCY: Names<Latency> = { distribution: true, meanMs: true };

const BYTES_OPTIONS: Names<BytesOptions> = {
  lines: true,
  maxLineBytes: true,
  maxOutputBytes: true,
};

/** What a workload must be able to do. */
const WORKLOAD = ["generate", "request", "check"] as const satisfies readonly (
  keyof Workload
)[];

/** By kind: what a fault must say besides `kind`, `at` and `until`. */
const FAULT_DETAILS: Readonly<Record<Fault["kind"], readonly string[]>> = {
  loss: ["probability"],
  duplication: ["probability"],
  reordering: ["probability"],
  corruption: ["probability"],
  stray: ["probability"],
  refusal: ["probability"],
  throw: ["probability"],
  slow: ["src", "dest", "factor"],
  partition: ["shape"],
  crash: ["node"],
  pause: ["node"],
  drift: ["node", "rate"],
  "wall-clock": ["node", "byMs"],
  busy: ["node", "messageMs", "callbackMs"],
};

/**
 * Checks a simulation's options: what is misspelt would be ignored otherwise,
 * and what is wrong would be an error somewhere inside.
 *
 * @param options The simulation's options.
 * @throws {TypeError} There is no such option, or it is of another type.
 * @throws {RangeError} An option is out of range.
 */
export function checkOptions(options: SimulationOptions): void {
  checkNames(options, OPTIONS, "a simulation");
  checkFunction(options.setUp, "setUp");
  checkNumbers(options);
  const { nodeOptions, network, bytes, workload, faults, checks } = options;
  if (nodeOptions) {
    if ("clock" in nodeOptions) {
      throw new TypeError(
        "'nodeOptions' can't have a 'clock': nodes have the simulation's",
      );
    }
    checkNames(nodeOptions, NODE_OPTIONS, "'nodeOptions'");
  }
  if (network) {
    checkNames(network, NETWORK_OPTIONS, "'network'");
    checkLatency(network.latency, "latency");
    checkLatency(network.clientLatency, "clientLatency");
  }
  if (bytes) {
    checkNames(bytes, BYTES_OPTIONS, "'bytes'");
    checkFunction(bytes.lines, "bytes.lines");
  }
  if (workload) {
    for (const name of WORKLOAD) {
      checkFunction(workload[name], `workload.${name}`);
    }
  }
  for (const name of ["services", "nodeClass", "onTrace", "onLog"] as const) {
    if (options[name] !== undefined) checkFunction(options[name], name);
  }
  checks?.forEach(({ check }, i) => checkFunction(check, `checks[${i}].check`));
  checkOneOf(options.topology ?? "grid", TOPOLOGY_SHAPES, "topology");
  checkFaults(faults ?? []);
}

/**
 * Checks that what is to be left of a plan is in it.
 *
 * @param only The numbers of what is to be left; `undefined` where all is.
 * @param count How many there are.
 * @param name The option's name.
 * @param what What there are so many of.
 * @throws {RangeError} Names the first number that is not in it.
 */
export function checkOnly(
  only: readonly number[] | undefined,
  count: number,
  name: string,
  what: string,
): void {
  const wrong = only?.find((number) =>
    !Number.isInteger(number) || number < 0 || number >= count
  );
  if (wrong === undefined) return;
  const there = count === 0 ? `no ${what}` : `${what} 0 to ${count - 1}`;
  throw new RangeError(`'${name}' has ${wrong}, but there are ${there}`);
}

function checkNumbers(options: SimulationOptions): void {
  const { nodes = 3, operations = 100, clients = 1, burst = 1, seed } = options;
  const { needs = 1, maxEvents = 1 } = options;
  const whole = { seed, nodes, operations, clients, burst, needs, maxEvents };
  for (const [name, value] of Object.entries(whole)) {
    const min = name === "seed" || name === "operations" ? 0 : 1;
    if (Number.isSafeInteger(value) && value >= min) continue;
    throw new RangeError(
      `'${name}' must be a whole number from ${min}: current value is ${
        show(value)
      }`,
    );
  }
  if (needs > nodes) {
    throw new RangeError(
      `'needs' must be at most 'nodes', ${nodes}: current value is ${needs}`,
    );
  }
  const { durationMs = 0, quietMs = 0, recoveryMs = 0, clientTimeoutMs = 0 } =
    options;
  const times = { durationMs, quietMs, recoveryMs, clientTimeoutMs };
  for (const [name, value] of Object.entries(times)) {
    if (value >= 0 && value <= 1e12) continue;
    throw new RangeError(
      `'${name}' must be from 0 to 1e12 ms: current value is ${show(value)}`,
    );
  }
}

function checkLatency(latency: Latency | undefined, name: string): void {
  if (latency === undefined) return;
  checkNames(latency, LATENCY, `'${name}'`);
  checkOneOf(latency.distribution, DISTRIBUTIONS, `${name}.distribution`);
  if (latency.meanMs >= 0 && latency.meanMs < Infinity) return;
  throw new RangeError(
    `'${name}.meanMs' must be from 0: current value is ${show(latency.meanMs)}`,
  );
}

function checkFaults(faults: readonly (Fault | string)[]): void {
  if (!Array.isArray(faults)) {
    throw new TypeError(
      `'faults' must be a list: current value is ${show(faults)}`,
    );
  }
  const kinds = faults.filter((fault) => typeof fault === "string");
  for (const kind of kinds) checkOneOf(kind, FAULT_KINDS, "faults");
  if (kinds.length === faults.length) return;
  if (kinds.length > 0) {
    throw new TypeError(
      `'faults' must be either kinds or faults with their times: ${
        show(kinds[0])
      } is a kind, others are not`,
    );
  }
  (faults as readonly Fault[]).forEach((fault, i) => {
    const name = `faults[${i}]`;
    checkOneOf(fault.kind, FAULT_KINDS, `${name}.kind`);
    const details = FAULT_DETAILS[fault.kind];
    const known = ["kind", "at", "until", ...details];
    if (fault.kind === "partition") known.push("drops");
    checkNames(
      fault,
      Object.fromEntries(known.map((detail) => [detail, true])),
      `'${name}', a fault of kind '${fault.kind}'`,
    );
    for (const detail of details) {
      if (detail in fault) continue;
      throw new TypeError(
        `'${name}', a fault of kind '${fault.kind}', must have a '${detail}'`,
      );
    }
    if (fault.kind === "partition") {
      checkOneOf(fault.shape, SHAPES, `${name}.shape`);
    }
    if (fault.at >= 0 && fault.until >= fault.at) return;
    throw new RangeError(
      `'${name}' must have an 'at' from 0 and an 'until' not before it, in ms: current values are ${
        show(fault.at)
      } and ${show(fault.until)}`,
    );
  });
}

/** Refuses what may be a misspelt name. */
function checkNames(value: object, known: object, what: string): void {
  const wrong = Object.keys(value).find((name) => !Object.hasOwn(known, name));
  if (wrong === undefined) return;
  throw new TypeError(
    `${what} has no option '${wrong}': there are ${
      Object.keys(known).join(", ")
    }`,
  );
}

function checkFunction(value: unknown, name: string): void {
  if (typeof value === "function") return;
  throw new TypeError(
    `'${name}' must be a function: current value is ${show(value)}`,
  );
}

function checkOneOf(value: unknown, all: readonly string[], name: string) {
  if (all.includes(value as string)) return;
  throw new RangeError(
    `'${name}' must be of ${all.join(", ")}: current value is ${show(value)}`,
  );
}
