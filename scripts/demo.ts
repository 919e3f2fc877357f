/**
 * Starts the real node as a process, plays a conversation with it over its
 * pipes and explains what is seen. Exits with 1 when anything is not as it
 * should be.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { Task } from "./options.ts";

const HELP =
  `Plays a conversation with a real node and shows an RPC being reaped.

Usage: deno task demo

  -h, --help   show this`;
new Task("demo", HELP).options({});

// deno-lint-ignore no-explicit-any
type Json = any;

const RPC_TIMEOUT_MS = 2000;
const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
const paint = (code: number, text: string) =>
  colour ? `\x1b[${code}m${text}\x1b[0m` : text;

const child = new Deno.Command(Deno.execPath(), {
  args: [
    "run",
    "--quiet",
    "main.ts",
    "--rpc-timeout",
    String(RPC_TIMEOUT_MS),
    "--log-level",
    "info",
  ],
  cwd: new URL("../", import.meta.url),
  stdin: "piped",
  stdout: "piped",
  stderr: "piped",
}).spawn();
const stdin = child.stdin.getWriter();
const lines = (stream: ReadableStream<Uint8Array<ArrayBuffer>>) =>
  stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
const stdout = lines(child.stdout).getReader();

const startedAt = performance.now();
const time = () =>
  `${((performance.now() - startedAt) / 1000).toFixed(3).padStart(7)} s`;

/** Settled once the node has said on stderr that a reap left nothing pending. */
const reaped = Promise.withResolvers<void>();
const logged = (async () => {
  for await (const line of lines(child.stderr)) {
    console.log(paint(90, `${time()}     ${line}`));
    if (line.endsWith("; 0 pending")) reaped.resolve();
  }
})();

function say(text: string): void {
  console.log(`\n${paint(1, text)}`);
}

async function send(src: string, body: Json): Promise<void> {
  const line = JSON.stringify({ src, dest: "n1", body });
  console.log(`${time()} ${paint(36, "──▶")} ${line}`);
  await stdin.write(new TextEncoder().encode(line + "\n"));
}

async function receive(): Promise<Json> {
  const { done, value } = await stdout.read();
  if (done) throw new Error("the node ended early");
  console.log(`${time()} ${paint(33, "◀──")} ${value}`);
  return JSON.parse(value).body;
}

function expect(what: string, actual: unknown, expected: unknown): void {
  if (actual === expected) return;
  console.error(
    `demo: ${what} is ${JSON.stringify(actual)}, not ${
      JSON.stringify(expected)
    }`,
  );
  child.kill();
  Deno.exit(1);
}

let msgId = 0;
async function request(body: Json): Promise<Json> {
  await send("c1", { ...body, msg_id: ++msgId });
  return await receive();
}

/** Has the node send an RPC; returns the RPC and what the client is told. */
async function fireForget(target: string, echo: string): Promise<[Json, Json]> {
  const payload = { type: "echo", echo };
  const rpc = await request({ type: "send_fire_forget", target, payload });
  return [rpc, await receive()];
}

say("A node starts. Maelstrom tells it who it is.");
await send("c0", {
  type: "init",
  msg_id: 1,
  node_id: "n1",
  node_ids: ["n1", "n2", "n3"],
});
expect("the reply's type", (await receive()).type, "init_ok");

say("It answers requests.");
expect(
  "the echo",
  (await request({ type: "echo", echo: "hello" })).echo,
  "hello",
);

say("Three RPCs go to n2, which never answers: three callbacks wait.");
for (let i = 1; i <= 3; i++) {
  const [, told] = await fireForget("n2", `lost ${i}`);
  expect("pending", told.pending, i);
}

say("One goes to n3, which answers: its callback runs and is gone.");
const [rpc, told] = await fireForget("n3", "answered");
expect("pending", told.pending, 4);
await send("n3", {
  type: "echo_ok",
  msg_id: 1,
  in_reply_to: rpc.msg_id,
  echo: "answered",
});
const before = await request({ type: "pending_count" });
expect("the pending count", before.count, 3);

say(
  `${RPC_TIMEOUT_MS} ms after each lost RPC was sent its deadline passes, and the reaper invokes its callback with a timeout error.`,
);
await reaped.promise; // all three
expect(
  "the pending count",
  (await request({ type: "pending_count" })).count,
  0,
);

say("Nothing waits any more, and nothing leaked. The books balance:");
const stats = await request({ type: "stats" });
expect("registered", stats.registered, 4);
expect("replied", stats.replied, 1);
expect("reaped", stats.reaped, 3);
expect("pending", stats.pending, 0);

say("The input ends; so does the node.");
await stdin.close();
const { code } = await child.status;
await logged;
expect("the exit code", code, 0);
console.log(
  paint(32, "\n4 RPCs: 1 answered, 3 reaped, 0 leaked. All as it should be."),
);
