import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { diagram, Simulation } from "../lib/sim/mod.ts";
import { SCENARIOS } from "../scripts/sim/nodes.ts";

const event = (t: number, e: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({ t, e, ...more });
const send = (t: number, m: number, src: string, dest: string, body: object) =>
  event(t, "send", { m, src, dest, body });

Deno.test("diagram: lanes, arrows, crosses, bars, faults and what broke", () => {
  const svg = diagram([
    event(0, "start", { node: "n1" }),
    event(0, "start", { node: "n2" }),
    send(1, 0, "c1", "n1", { type: "ask", msg_id: 1, text: '<&">\u0000' }),
    event(2, "recv", { m: 0 }),
    send(2, 1, "n1", "n2", { type: "get", msg_id: 0 }),
    event(2, "rpc", { node: "n1", id: 0 }),
    send(2, 2, "n1", "lin-kv", { type: "read", msg_id: 1 }),
    event(2, "rpc", { node: "n1", id: 1 }),
    event(3, "lost", { m: 1, why: "loss" }),
    event(4, "recv", { m: 2 }),
    send(4, 3, "lin-kv", "n1", { type: "read_ok", in_reply_to: 1 }),
    event(5, "recv", { m: 3 }),
    event(5, "end", { node: "n1", id: 1, how: "replied" }),
    event(9, "fault", { fault: 0, kind: "pause", node: "n2" }),
    event(19, "heal", { fault: 0 }),
    send(20, 4, "n1", "n1", { type: "self" }),
    event(21, "recv", { m: 4 }),
    event(22, "recv", { m: 4 }),
    event(30, "end", { node: "n1", id: 0, how: "reaped" }),
    event(31, "violation", { check: "in-order", text: "out of it" }),
  ]);
  for (const lane of ["c1", "n1", "n2", "lin-kv"]) {
    assertStringIncludes(svg, `>${lane}</text>`);
  }
  assertStringIncludes(svg, "n1: RPC 0 waits from 2 ms to 30 ms: reaped");
  assertStringIncludes(svg, "n1: RPC 1 waits from 2 ms to 5 ms: replied");
  assertStringIncludes(svg, "message 1 n1 to n2, lost: loss");
  assertStringIncludes(svg, "9 ms: pause: node n2");
  assertStringIncludes(svg, "19 ms: pause ends");
  assertStringIncludes(svg, "31 ms: in-order: out of it");
  assertEquals(svg.match(/message 4 n1 to n1/g)!.length, 2);
  assert(!/NaN|undefined/.test(svg));
});

Deno.test("diagram: well-formed, with and without faults, with few and many messages", async () => {
  for (
    const [name, operations] of [["callbacks", 20], ["lin-kv", 300]] as const
  ) {
    const trace: string[] = [];
    await new Simulation({
      ...SCENARIOS[name]!,
      seed: 1,
      operations,
      onTrace: (line) => trace.push(line),
    }).run();
    const svg = diagram(trace);
    assert(!/NaN|undefined/.test(svg));
    const tags = svg.match(/<[^>]*>/g)!.filter((tag) => !tag.endsWith("/>"));
    const open: string[] = [];
    for (const tag of tags) {
      const element = /^<\/?(\w+)/.exec(tag)![1]!;
      if (tag.startsWith("</")) assertEquals(open.pop(), element);
      else open.push(element);
    }
    assertEquals(open, []);
  }
  assertStringIncludes(diagram([]), "</svg>");
});
