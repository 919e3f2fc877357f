/** Which runtime the process runs in. */
import * as deno from "./deno.ts";
import type { Process } from "./runtime.ts";

/** What this runtime has. */
export async function currentProcess(): Promise<Process> {
  return "Deno" in globalThis ? deno : await import("./node.ts");
}
