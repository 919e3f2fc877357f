import { assertEquals, assertThrows } from "@std/assert";
import { decode, InvalidMessageError } from "../lib/message.ts";

Deno.test("decode says what is wrong", () => {
  for (const line of ["null", "1", '"{}"', "[]"]) {
    assertThrows(
      () => decode(line),
      InvalidMessageError,
      "the message is not an object",
    );
  }
  const good = { src: "c1", dest: "n1", body: { type: "x" } };
  for (
    const [field, values] of [
      ["src", [undefined, null, 1, "", []]],
      ["dest", [undefined, null, 1, "", []]],
      ["body", [undefined, null, 1, "", []]],
    ] as const
  ) {
    for (const value of values) {
      assertThrows(
        () => decode(JSON.stringify({ ...good, [field]: value })),
        InvalidMessageError,
        `'${field}' is not `,
      );
    }
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

Deno.test("decode shows no more than 40 characters of what is no id", () => {
  const body = { type: "x", msg_id: "x".repeat(100) };
  const { message } = assertThrows(
    () => decode(JSON.stringify({ src: "c1", dest: "n1", body })),
    InvalidMessageError,
  );
  assertEquals(message.endsWith(`: "${"x".repeat(39)}`), true);
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
