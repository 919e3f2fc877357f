/**
 * Ceiling: as little as a Deno program can do for an echo that still parses
 * and writes JSON; cuts whole chunks into lines itself.
 */
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const buffer = new Uint8Array(65_536);
let nextMsgId = 0;
let tail = "";
for (;;) {
  const count = await Deno.stdin.read(buffer);
  if (count === null) break;
  const lines = decoder.decode(buffer.subarray(0, count), { stream: true })
    .split("\n");
  lines[0] = tail + lines[0];
  tail = lines.pop()!;
  let replies = "";
  for (const line of lines) {
    const { src, dest, body: { type, msg_id, echo } } = JSON.parse(line);
    const body = {
      type: type + "_ok",
      echo,
      in_reply_to: msg_id,
      msg_id: nextMsgId++,
    };
    replies += JSON.stringify({ src: dest, dest: src, body }) + "\n";
  }
  let bytes = encoder.encode(replies);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
