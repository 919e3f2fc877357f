/** End to end, once messages have come one at a time: stdin and stdout are sockets then, where Deno can; in Node.js they always are. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { NodeProcess } from "./process.ts";

const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
const ignore = Deno.build.os !== "linux" || Deno.env.has("GYRE_BIN") ||
  major < 2 || (major === 2 && minor < 9);

/** A node whose pipes are sockets: they don't block. */
async function onSockets(): Promise<NodeProcess> {
  const node = new NodeProcess("--log-level", "error");
  await node.init("n1");
  for (const fd of [0, 1]) {
    const blocks = async () => {
      // Deno itself reads /proc only with all permissions.
      const { stdout } = await new Deno.Command("cat", {
        args: [`/proc/${node.child.pid}/fdinfo/${fd}`],
      }).output();
      const [, flags] = new TextDecoder().decode(stdout)
        .match(/flags:\s*(\d+)/)!;
      return (parseInt(flags!, 8) & 0o4000) === 0; // O_NONBLOCK
    };
    for (let id = 0; await blocks(); id++) {
      await node.request({ type: "echo", msg_id: id });
      assertEquals((await node.next()).body.in_reply_to, id);
    }
  }
  return node;
}

Deno.test({
  name:
    "sockets: a reader that is slow gets everything, in order; then the end",
  ignore,
  fn: async () => {
    const node = await onSockets();
    const text = "x".repeat(100_000);
    let taken = 0;
    const writing = (async () => {
      for (let id = 0; id < 100; id++) {
        await node.request({ type: "echo", msg_id: id, echo: text });
        taken++;
      }
    })();
    for (let before = -1; before < taken;) { // until nothing is taken any more
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    assert(taken < 40, `${taken} requests were read`);
    for (let id = 0; id < 100; id++) {
      assertEquals((await node.next()).body.in_reply_to, id);
    }
    await writing;
    assertEquals((await node.end()).code, 0);
  },
});

Deno.test({
  name: "sockets: a closed stdout, exit code 1 and one line",
  ignore,
  fn: async () => {
    const node = await onSockets();
    await node.closeStdout();
    let running = true;
    node.child.status.finally(() => running = false);
    while (running) {
      await node.request({ type: "echo", msg_id: 2 }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { code, stderr } = await node.finished();
    assertEquals(code, 1);
    assertStringIncludes(stderr, "stdout can't be written to");
  },
});
