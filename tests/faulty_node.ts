/** A node for process_faults_test.ts: it tells what becomes of each RPC, and has a handler that hangs. */
import { TextLineStream } from "@std/streams/text-line-stream";
import { Node } from "../lib/mod.ts";
import { serve, stderrLog } from "../lib/stdio/mod.ts";

const { log, flush } = stderrLog("info", () => `gyre ${node.nodeId || "-"}`);
const node = new Node({ log });
node.on("echo", ({ body }) => ({ echo: body.echo }));
node.on("hang", () => new Promise(() => {}));
node.on<{ timeouts: number[] }>("rpcs", ({ body: { timeouts } }) => {
  for (const [index, timeoutMs] of timeouts.entries()) {
    const startedAt = performance.now();
    node.rpc("n2", { type: "x" }, (error) => {
      const early = performance.now() - startedAt < timeoutMs;
      node.send("c1", { type: "settled", index, code: error?.code, early });
    }, { timeoutMs });
  }
  return {};
});
const code = await serve(node, { lines: new TextLineStream(), log });
await flush();
Deno.exit(code);
