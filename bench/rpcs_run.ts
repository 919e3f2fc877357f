/**
 * One round of one variant of `bench/rpcs.ts`, in a process of its own:
 * `rpcs_run.ts OUTCOME DESTINATIONS SIGNAL COUNT` prints the sample as JSON.
 */
import { Node } from "../lib/mod.ts";
import { processCpuMs, threadCpuMs } from "./cpu.ts";
import type { Sample } from "./harness.ts";

/** How many calls lie between two looks at the clock where the longest is looked for. */
const GROUP = 32;
/** Long enough for all to be registered before the first expires. */
const TIMEOUT_MS = 4000;

const [outcome, destinations, withSignal, countText] = Deno.args;
const count = Number(countText);
const names = Array.from({ length: Number(destinations) }, (_, i) => `n${i}`);
const controller = new AbortController();
const options = withSignal === "signal" ? { signal: controller.signal } : {};

const node = new Node({ rpcTimeoutMs: TIMEOUT_MS });
node.connect({ send: () => {} });
node.receive(JSON.stringify({
  src: "c0",
  dest: "n1",
  body: { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] },
}));

const allEnded = Promise.withResolvers<void>();
let ended = 0;
const callback = () => {
  if (++ended === count) allEnded.resolve();
};

const cpu = processCpuMs();
const firstId = node.send("n1", { type: "first" }) + 1;
let longestMs = 0;
for (let i = 0; i < count; i += GROUP) {
  const before = threadCpuMs();
  const end = Math.min(i + GROUP, count);
  for (let j = i; j < end; j++) {
    node.rpc(names[j % names.length]!, { type: "x" }, callback, options);
  }
  longestMs = Math.max(longestMs, threadCpuMs() - before);
}
for (let i = 0; i < count; i++) {
  if (outcome === "answered" || outcome === "mixed" && i % 2 === 0) {
    const src = names[i % names.length];
    node.receive(
      `{"src":"${src}","dest":"n1","body":{"type":"x_ok","in_reply_to":${
        firstId + i
      }}}`,
    );
  }
}
if (outcome === "aborted") controller.abort();
if (outcome === "closed") await node.close();
await allEnded.promise;
const sample: Sample = {
  "CPU, µs/RPC": (processCpuMs() - cpu) * 1000 / count,
  "longest rpc() of all, ms": longestMs,
};
console.log(JSON.stringify(sample));
