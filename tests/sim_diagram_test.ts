import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { diagram, diagrams, Simulation } from "../lib/sim/mod.ts";
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

/** A message at each ms, from c1 to one node after the other. */
function conversation(count: number): string[] {
  return [
    event(0, "start", { node: "n0" }),
    event(0, "start", { node: "n1" }),
    ...Array.from({ length: count }, (_, i) => [
      send(i, i, "c1", `n${i % 2}`, { type: `ask${i % 7}` }),
      event(i + 0.5, "recv", { m: i }),
    ]).flat(),
  ];
}

const heightOf = (svg: string) => Number(/height="([\d.]+)"/.exec(svg)![1]);
const messagesOf = (svg: string) =>
  Array.from(svg.matchAll(/message (\d+) /g), ([, m]) => Number(m));

Deno.test("diagram: a part of the time, and of the nodes", () => {
  const whole = diagram(conversation(100));
  assertEquals(messagesOf(whole).length, 100);
  const part = diagram(conversation(100), { fromMs: 20, toMs: 29 });
  const messages = messagesOf(part);
  assert(messages.includes(20) && messages.includes(29), `${messages}`);
  assert(messages.length <= 12, `${messages}`);
  assert(heightOf(part) < heightOf(whole) / 4);
  const some = diagram(conversation(100), { lanes: ["c1", "n1"] });
  assertEquals(messagesOf(some).length, 50);
  assert(!some.includes(">n0</text>"));
});

Deno.test("diagram: no page is higher than viewers take, and each says which it is", () => {
  const trace = conversation(8000);
  const pages = diagrams(trace);
  assert(pages.length > 1);
  for (const [i, page] of pages.entries()) {
    assert(heightOf(page) <= 32_767);
    assertStringIncludes(page, `page ${i + 1} of ${pages.length}`);
    assertStringIncludes(page, ">n0</text>");
  }
  assertEquals(new Set(pages.flatMap(messagesOf)).size, 8000);
  assertEquals(diagram(trace), pages[0]);
  assert(!diagram(conversation(10)).includes("page 1"));
});

Deno.test("diagram: who is cut from whom; a refusal is not a failure; nothing is clipped", () => {
  const drops = { n0: ["n1"], n1: ["n0"] };
  const long = `${"word ".repeat(60)}end`;
  const type = "a_type_with_a_name_longer_than_any_other_there_is";
  const svg = diagram([
    ...conversation(2),
    event(3, "fault", { fault: 0, kind: "partition", shape: "halves", drops }),
    send(4, 10, "n0", "c1", { type: "error", code: 22, in_reply_to: 1 }),
    event(5, "recv", { m: 10 }),
    send(6, 11, "n1", "c1", { type: "error", code: 13, in_reply_to: 1 }),
    event(7, "recv", { m: 11 }),
    send(8, 12, "n0", "n1", { type }),
    event(9, "recv", { m: 12 }),
    event(10, "violation", { check: "x", text: long }),
  ]);
  assertStringIncludes(
    svg,
    "halves: n0 hears nothing from n1; n1 hears nothing from n0",
  );
  assertStringIncludes(svg, `>${type}</text>`);
  const colour = (m: number) =>
    new RegExp(`message ${m} [^]*?stroke="(#\\w+)"`).exec(svg)![1];
  assert(colour(10) !== colour(11));
  const width = Number(/width="(\d+)"/.exec(svg)![1]);
  const lines = Array.from(
    svg.matchAll(/<tspan[^>]*>([^<]*)</g),
    ([, text]) => text!,
  );
  assertStringIncludes(lines.join(" "), long);
  for (const line of lines) assert(12 + line.length * 6 < width);
});

Deno.test("diagram: a window that ends before it begins and a lane that is not in the trace are refused", () => {
  const trace = [
    event(0, "start", { node: "n0" }),
    send(1, 0, "c1", "n0", { type: "ask", msg_id: 1 }),
  ];
  for (
    const [options, text] of [
      [{ fromMs: 100, toMs: 50 }, "current values are 100 and 50"],
      [
        { lanes: ["n0", "n99"] },
        `'lanes' has "n99", but in the trace are c1, n0`,
      ],
    ] as const
  ) assertThrows(() => diagrams(trace, options), RangeError, text);
});
