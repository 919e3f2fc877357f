import { assert, assertEquals } from "@std/assert";
import { type Json, NodeProcess } from "./process.ts";

/** What a node that prints in every way says, on stdout and on stderr but for its log. */
async function talk(...args: string[]): Promise<[Json[], string[]]> {
  const node = new NodeProcess("tests/talkative_node.ts", ...args);
  const init = { type: "init", msg_id: 1, node_id: "n1", node_ids: ["n1"] };
  await node.request(init);
  await node.request({ type: "talk", msg_id: 2 });
  const { rest, stderr } = await node.end();
  assertEquals(rest.pop(), "served"); // when no node is, stdout is the program's
  const said = stderr.split("\n").filter((line) =>
    line !== "" && !/^n(1|ode) info: /.test(line)
  );
  return [rest, said];
}

Deno.test("while a node is served all that console prints goes to stderr", async () => {
  const [messages, said] = await talk();
  assertEquals(messages.map(({ body }) => body.type), ["init_ok", "talk_ok"]);
  const times = said.splice(-5, 2);
  for (const time of times) {
    assert(/^time: \d+\.\d{3} ms( more)?$/.test(time), time);
  }
  assertEquals(said, [
    "log formatted { a: 1 }",
    "info",
    "debug",
    "{ dir: 1 }",
    "dirxml",
    "[ { table: 1 } ]",
    "group",
    "group collapsed",
    "count: 1",
    "count: 2",
    "count: 1",
    "time: no such timer",
    "warn",
    "error",
  ]);
});

Deno.test("while a node is served what a program has put in place of console's stays", async () => {
  const [messages, said] = await talk("--own");
  assertEquals(messages.at(-1)!.body.mine, ["info"]);
  assertEquals(said.includes("info"), false);
});
