/** The node, message by message, on a clock that the test turns. */
import { TestNode } from "@gyre/node/testing";
import { assertEquals } from "@std/assert";
import { setUp } from "./node.ts";

Deno.test("echo", async () => {
  const test = new TestNode(setUp);
  await test.deliver({
    src: "c1",
    body: { type: "echo", msg_id: 1, echo: "hi" },
  });
  const [reply] = test.sent();
  assertEquals(reply?.dest, "c1");
  assertEquals(reply?.body.echo, "hi");
});

Deno.test("relay: a node that does not reply is given up after 500 ms", async () => {
  const test = new TestNode(setUp);
  await test.deliver({
    src: "c1",
    body: { type: "relay", msg_id: 1, node: "n2", echo: "hi" },
  });
  assertEquals(test.sent()[0]?.dest, "n2"); // which never answers
  await test.advance(499);
  assertEquals(test.sent(), []);
  await test.advance(1);
  assertEquals(test.sent()[0]?.body.text, "no reply from n2 within 500 ms");
  assertEquals(test.node.pendingCount, 0);
});
