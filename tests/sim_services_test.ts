import { assert, assertEquals } from "@std/assert";
import type { SendBody } from "../lib/node.ts";
import { Random } from "../lib/sim/random.ts";
import {
  canonical,
  type Chooser,
  LinKv,
  LinTso,
  LwwKv,
  maelstromServices,
  SeqKv,
  type Service,
} from "../lib/sim/world/services.ts";

const ask = (service: Service, body: SendBody, src = "n1") =>
  service.handle({ src, dest: "kv", body });
const newest: Chooser = { int: (n) => n - 1 };
const oldest: Chooser = { int: () => 0 };

Deno.test("every store: read, write and cas with Maelstrom's errors", () => {
  for (
    const [name, kv] of Object.entries(maelstromServices(newest)).slice(0, 3)
  ) {
    const code = (body: SendBody) => ask(kv, body).code;
    assertEquals(code({ type: "read", key: 1 }), 20, name);
    assertEquals(code({ type: "cas", key: 1, from: 0, to: 1 }), 20);
    const create = { create_if_not_exists: true };
    const value = { a: 1, b: 2 };
    const created = ask(kv, {
      type: "cas",
      key: 1,
      from: 0,
      to: value,
      ...create,
    });
    if (name === "lww-kv") { // Maelstrom's does not know how to
      assertEquals(created.code, 20);
      ask(kv, { type: "write", key: 1, value });
    } else assertEquals(created, { type: "cas_ok" });
    assertEquals(
      ask(kv, { type: "cas", key: 1, from: { b: 2, a: 1 }, to: [3] }).type,
      "cas_ok",
    );
    assertEquals(code({ type: "cas", key: 1, from: 4, to: 5, ...create }), 22);
    assertEquals(ask(kv, { type: "read", key: 1 }).value, [3]);
    assertEquals(code({ type: "read", key: "1" }), 20); // another key
    assertEquals(code({ type: "nope" }), 10);
  }
});

Deno.test("lin-tso counts from 0", () => {
  const tso = new LinTso();
  assertEquals([0, 1, 2].map(() => ask(tso, { type: "ts" }).ts), [0, 1, 2]);
  assertEquals(ask(tso, { type: "read" }).code, 10);
});

Deno.test("seq-kv answers from the past, but no client goes back", () => {
  const kv = new SeqKv(oldest);
  for (let value = 1; value <= 3; value++) {
    ask(kv, { type: "write", key: "x", value }, "n1");
  }
  assertEquals(ask(kv, { type: "read", key: "x" }, "n1").value, 3);
  assertEquals(ask(kv, { type: "read", key: "x" }, "n2").code, 20); // the empty state
  ask(kv, { type: "write", key: "y", value: 1 }, "n2"); // takes n2 to the newest
  assertEquals(ask(kv, { type: "read", key: "x" }, "n2").value, 3);
});

Deno.test("seq-kv: the documentation's example, a write that happened in the past", () => {
  const kv = new SeqKv(oldest);
  ask(kv, { type: "write", key: "x", value: 1 }, "n1");
  const cas = { type: "cas", key: "x", from: 1, to: 2 };
  assertEquals(ask(kv, cas, "n2").code, 20); // in the empty state: nothing changed
  const latest = new SeqKv(newest);
  ask(latest, { type: "write", key: "x", value: 1 }, "n1");
  ask(latest, cas, "n2");
  const past = new SeqKv(oldest);
  ask(past, { type: "write", key: "x", value: 1 }, "n1");
  ask(past, { type: "write", key: "x", value: 2 }, "n2");
  ask(past, { type: "write", key: "x", value: 1 }, "n1"); // changes nothing where n1 is
  assertEquals(ask(past, { type: "read", key: "x" }, "n2").value, 2);
});

Deno.test("seq-kv forgets states older than 32", () => {
  const kv = new SeqKv(oldest);
  for (let value = 1; value <= 40; value++) {
    ask(kv, { type: "write", key: "x", value }, "n1");
  }
  assertEquals(ask(kv, { type: "read", key: "x" }, "n2").value, 9);
});

Deno.test("lww-kv loses writes and goes back in time, and merges by Lamport time", () => {
  const picks: number[] = [];
  const kv = new LwwKv({ int: () => picks.shift() ?? 0 }, 2);
  const on = (replica: number, body: SendBody, from = 0, to = 0) => {
    picks.push(from, to, replica);
    return ask(kv, body);
  };
  on(0, { type: "write", key: "x", value: "a" });
  assertEquals(on(1, { type: "read", key: "x" }).code, 20);
  on(0, { type: "write", key: "x", value: "b" });
  on(1, { type: "write", key: "x", value: "c" }); // at time 0: it will lose
  assertEquals(on(1, { type: "read", key: "x" }).value, "c");
  assertEquals(on(1, { type: "read", key: "x" }, 0, 1).value, "b");
  assertEquals(on(0, { type: "read", key: "x" }, 1, 0).value, "b");
});

Deno.test("lww-kv: at equal times the greater value stays, whichever way it is merged", () => {
  const pairs = [[9, 10], [-2, 1], ["a", "b"], ["1", 1], [{ a: 1 }, { a: 2 }]];
  for (const [small, great] of pairs) {
    for (const [from, to] of [[0, 1], [1, 0]] as const) {
      const picks: number[] = [];
      const kv = new LwwKv({ int: () => picks.shift()! }, 2);
      const on = (replica: number, body: SendBody, merge = [0, 0]) => {
        picks.push(...merge, replica);
        return ask(kv, body);
      };
      on(0, { type: "write", key: "x", value: small });
      on(1, { type: "write", key: "x", value: great });
      const read = { type: "read", key: "x" };
      assertEquals(on(to, read, [from, to]).value, great);
      assertEquals(on(from, read, [to, from]).value, great);
    }
  }
});

Deno.test("lww-kv converges once nothing is written any more", () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = new Random(seed, "test");
    const kv = new LwwKv(random);
    for (let value = 0; value < 5; value++) {
      ask(kv, { type: "write", key: "x", value });
    }
    const read = () => ask(kv, { type: "read", key: "x" }).value;
    for (let i = 0; i < 200; i++) read();
    assertEquals(
      new Set(Array.from({ length: 50 }, read)).size,
      1,
      `seed ${seed}`,
    );
  }
});

Deno.test("canonical: equal values, equal texts", () => {
  assertEquals(
    canonical({ b: [{ d: 1, c: 2 }], a: 1 }),
    '{"a":1,"b":[{"c":2,"d":1}]}',
  );
  assertEquals(canonical(undefined), "null");
  assert(canonical("1") !== canonical(1));
  assertEquals(ask(new LinKv(), { type: "write", key: "x" }).type, "write_ok");
});
