import { assertEquals, assertThrows } from "@std/assert";
import { decode, encode, InvalidMessageError } from "../lib/message.ts";

Deno.test("encode writes each key once, ids last, the node's own ids in place of the body's", () => {
  const line = (body: string) => `{"src":"n1","dest":"n2","body":${body}}`;
  for (
    const [body, msgId, inReplyTo, type, expected] of [
      [{ type: "x" }, 0, undefined, undefined, '{"type":"x","msg_id":0}'],
      [
        { type: "x", msg_id: 9, in_reply_to: 3 },
        1,
        undefined,
        undefined,
        '{"type":"x","in_reply_to":3,"msg_id":1}',
      ],
      [
        { type: "x", in_reply_to: 3, a: 1 },
        2,
        4,
        undefined,
        '{"type":"x","a":1,"in_reply_to":4,"msg_id":2}',
      ],
      [
        { type: "x", msg_id: 9, in_reply_to: 3 },
        2,
        0,
        "y",
        '{"type":"x","in_reply_to":0,"msg_id":2}',
      ],
      [{ a: 1 }, 3, 5, "y", '{"type":"y","a":1,"in_reply_to":5,"msg_id":3}'],
      [{}, 4, 6, "y", '{"type":"y","in_reply_to":6,"msg_id":4}'],
      [{}, 5, undefined, undefined, '{"msg_id":5}'],
    ] as const
  ) {
    assertEquals(
      encode("n1", "n2", body, msgId, inReplyTo, type),
      line(expected),
    );
  }
});

Deno.test("encode quotes any names, however many and however long", () => {
  for (let i = 0; i < 3000; i++) {
    const name = i % 100 === 0 ? `"${"x".repeat(i)}\n` : `n"${i}`;
    const line = encode(name, "n2", { type: "x" }, 1);
    assertEquals(JSON.parse(line).src, name);
  }
});

Deno.test("encode refuses what is no JSON object", () => {
  for (const body of [[1], { toJSON: () => 1 }, { toJSON: () => undefined }]) {
    assertThrows(
      () => encode("n1", "n2", body as Record<string, unknown>, 1),
      TypeError,
      "Cannot send a body that is no JSON object",
    );
  }
});

Deno.test("decode takes ids from 0 to 2^53 - 1", () => {
  const line = (key: string, id: string) =>
    `{"src":"c1","dest":"n1","body":{"type":"x","${key}":${id}}}`;
  for (const key of ["msg_id", "in_reply_to"] as const) {
    for (const id of [0, 1, 2 ** 53 - 1]) {
      assertEquals(decode(line(key, String(id))).body[key], id);
    }
    for (const id of ["-1", "9007199254740992", "0.5", "null", '"1"', "[1]"]) {
      assertThrows(
        () => decode(line(key, id)),
        InvalidMessageError,
        `'body.${key}' is not a non-negative integer below 2^53: ${id}`,
      );
    }
  }
});

Deno.test("decode knows whom to tell, where it can be told", () => {
  const replyTo = (message: unknown) => {
    try {
      decode(JSON.stringify(message));
    } catch (error) {
      return (error as InvalidMessageError).replyTo;
    }
  };
  const message = { src: "c1", dest: "n1", body: { type: 1, msg_id: 0 } };
  assertEquals(replyTo(message), { src: "c1", dest: "n1", msgId: 0 });
  assertEquals(replyTo({ ...message, dest: "" }), {
    src: "c1",
    dest: "",
    msgId: 0,
  });
  for (
    const other of [
      { ...message, src: "" },
      { ...message, body: null },
      { ...message, body: { type: 1 } },
      { ...message, body: { type: 1, msg_id: 1, in_reply_to: 0 } },
    ]
  ) assertEquals(replyTo(other), undefined);
});
