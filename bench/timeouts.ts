/**
 * A node that tells of its own timeouts. Each `probe` sends an RPC that no one
 * answers and sets a bare `setTimeout` of the same delay; `lateness` answers
 * with how late, in ms, each of them was. Each `ask` sends an RPC and answers
 * with its deadline, in ms since 1970; `missed` answers with the ids of those
 * that timed out. With the argument `threads` stdin is read by threads for good.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { callbacks, Node } from "../lib/mod.ts";
import { serve } from "../lib/stdio/mod.ts";

const node = new Node({ log: () => {} }); // what a log costs is not what is measured
callbacks(node);
const rpc: number[] = [];
const bare: number[] = [];
const missed: number[] = [];

node.on<{ delay: number }>("probe", ({ body: { delay } }) => {
  const deadline = performance.now() + delay;
  setTimeout(() => bare.push(performance.now() - deadline), delay);
  const reaped = () => rpc.push(performance.now() - deadline);
  node.rpc("n2", { type: "echo" }, reaped, { timeoutMs: delay });
});
node.on("lateness", () => ({ rpc, bare }));

node.on<{ delay: number; id: number }>("ask", ({ body: { delay, id } }) => {
  const deadline = performance.timeOrigin + performance.now() + delay;
  node.rpc("n2", { type: "echo" }, (error) => {
    if (error) missed.push(id);
  }, { timeoutMs: delay });
  return { deadline };
});
node.on("missed", () => ({ missed }));

const input = Deno.args.includes("threads")
  ? { read: (buffer: Uint8Array) => Deno.stdin.read(buffer) }
  : Deno.stdin;
Deno.exit(await serve(node, { lines: new TextLineStream(), input }));
