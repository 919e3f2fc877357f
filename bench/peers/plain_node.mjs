/**
 * The exercise's messages on Node.js as most people write them: `readline`,
 * one `setTimeout` per RPC, one write per reply.
 */
import process from "node:process";
import readline from "node:readline";

const TIMEOUT_MS = 2000;
const callbacks = new Map();
let nodeId;
let nextMsgId = 0;
let reaped = 0;

function send(dest, body) {
  const msgId = nextMsgId++;
  const message = { src: nodeId, dest, body: { ...body, msg_id: msgId } };
  process.stdout.write(JSON.stringify(message) + "\n");
  return msgId;
}

function reply(request, body) {
  send(request.src, { ...body, in_reply_to: request.body.msg_id });
}

function rpc(dest, body, callback) {
  const msgId = send(dest, body);
  const timer = setTimeout(() => {
    callbacks.delete(msgId);
    reaped++;
    callback(new Error("timeout"));
  }, TIMEOUT_MS);
  callbacks.set(msgId, { callback, timer });
}

function handleReply({ body }) {
  const rpc = callbacks.get(body.in_reply_to);
  if (!rpc) return;
  callbacks.delete(body.in_reply_to);
  clearTimeout(rpc.timer);
  rpc.callback(undefined, body);
}

const handlers = {
  init(request) {
    nodeId = request.body.node_id;
    reply(request, { type: "init_ok" });
  },
  echo(request) {
    reply(request, { type: "echo_ok", echo: request.body.echo });
  },
  send_fire_forget(request) {
    rpc(request.body.target, request.body.payload, () => {});
    reply(request, { type: "send_fire_forget_ok", pending: callbacks.size });
  },
  stats(request) {
    reply(request, { type: "stats_ok", pending: callbacks.size, reaped });
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.body.in_reply_to !== undefined) handleReply(message);
  else handlers[message.body.type](message);
});
