/**
 * A node that times its own timeouts. Each `probe` sends an RPC that no one
 * answers and sets a bare `setTimeout` of the same delay; `lateness` answers
 * with how late, in ms, each of them was.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { callbacks, Node } from "../lib/mod.ts";
import { serve } from "../lib/stdio/mod.ts";

const node = new Node();
callbacks(node);
const rpc: number[] = [];
const bare: number[] = [];

node.on<{ delay: number }>("probe", ({ body: { delay } }) => {
  const deadline = performance.now() + delay;
  setTimeout(() => bare.push(performance.now() - deadline), delay);
  const reaped = () => rpc.push(performance.now() - deadline);
  node.rpc("n2", { type: "echo" }, reaped, { timeoutMs: delay });
});
node.on("lateness", () => ({ rpc, bare }));

Deno.exit(await serve(node, { lines: new TextLineStream() }));
