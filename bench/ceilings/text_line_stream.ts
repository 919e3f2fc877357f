/**
 * Ceiling: as little as a Deno program can do for an echo that still parses
 * and writes JSON; `TextLineStream` cuts the lines, replies are written once
 * per turn of the event loop.
 */
import { setImmediate } from "node:timers";
import { TextLineStream } from "@std/streams/text-line-stream";

const encoder = new TextEncoder();
let nextMsgId = 0;
let replies = "";

function flush(): void {
  let bytes = encoder.encode(replies);
  replies = "";
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

const decoder = new TextDecoder();
const buffer = new Uint8Array(65_536);
const text = new ReadableStream<string>({
  async pull(controller) {
    const count = await Deno.stdin.read(buffer);
    if (count === null) return controller.close();
    controller.enqueue(
      decoder.decode(buffer.subarray(0, count), { stream: true }),
    );
  },
}, { highWaterMark: 0 });

const reader = text.pipeThrough(new TextLineStream()).getReader();
for (;;) {
  const { done, value } = await reader.read();
  if (done) break;
  const { src, dest, body: { type, msg_id, echo } } = JSON.parse(value);
  const body = {
    type: type + "_ok",
    echo,
    in_reply_to: msg_id,
    msg_id: nextMsgId++,
  };
  if (replies === "") setImmediate(flush);
  replies += JSON.stringify({ src: dest, dest: src, body }) + "\n";
}
flush();
