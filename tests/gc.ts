/** The garbage collector, on demand: leaks are told from garbage with it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/** Collects all garbage. */
export const gc: () => void = runInNewContext("gc");
