import { assertEquals, assertThrows } from "@std/assert";
import {
  decode,
  encode,
  InvalidMessageError,
  MAX_DEPTH,
  MAX_PARTS,
  show,
} from "../lib/message.ts";

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
    for (
      const [id, shown = id] of [
        ["-1"],
        ["9007199254740992"],
        ["0.5"],
        ["true"],
        ['"1"'],
        ["[1]", "an array"],
        ['{"id":1}', "an object"],
      ] as const
    ) {
      const { message } = assertThrows(
        () => decode(line(key, id)),
        InvalidMessageError,
      );
      assertEquals(
        message,
        `'body.${key}' is not a non-negative integer below 2^53: ${shown}`,
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

Deno.test("decode leaves out ids that are null, as if they were absent", () => {
  const line =
    '{"src":"c1","dest":"n1","body":{"msg_id":null,"type":"x","in_reply_to":null,"value":null}}';
  assertEquals(decode(line).body, { type: "x", value: null });
  const { replyTo } = assertThrows(
    () =>
      decode(
        '{"src":"c1","dest":"n1","body":{"msg_id":1,"in_reply_to":null}}',
      ),
    InvalidMessageError,
  );
  assertEquals(replyTo, { src: "c1", dest: "n1", msgId: 1 });
});

/** A message whose body has such a value. */
const lineOf = (value: string) =>
  `{"src":"c1","dest":"n1","body":{"type":"x","value":${value},"msg_id":1}}`;
const nested = (levels: number, inner = "", open = "[", close = "]") =>
  open.repeat(levels) + inner + close.repeat(levels);

Deno.test("decode takes what is nested MAX_DEPTH levels deep, and no more", () => {
  const levels = MAX_DEPTH - 2; // the message and its body are two
  for (
    const [open, close, inner] of [
      ["[", "]", ""],
      ['{"a":', "}", "1"],
      ['[{"[{\\"[":"]}\\\\"},', "]", "[]"],
    ] as const
  ) {
    const extra = inner === "[]" ? 1 : 0;
    const deep = nested(levels - extra, inner, open, close);
    assertEquals(decode(lineOf(deep)).body.msg_id, 1);
    const wide = `[${Array(3).fill(deep.slice(open.length, -close.length))}]`;
    if (open === "[") assertEquals(decode(lineOf(wide)).body.msg_id, 1);
    const deeper = nested(levels + 1 - extra, inner, open, close);
    const error = assertThrows(
      () => decode(lineOf(deeper)),
      InvalidMessageError,
    );
    assertEquals(
      error.message,
      "the message is nested deeper than 10000 levels",
    );
    assertEquals(error.replyTo, { src: "c1", dest: "n1", msgId: 1 });
  }
});

Deno.test("decode: brackets in strings, and brackets side by side, are not deep", () => {
  const many = 3 * MAX_DEPTH;
  for (
    const value of [
      JSON.stringify("[".repeat(many)),
      JSON.stringify('"[{'.repeat(many)),
      JSON.stringify("\\[".repeat(many)),
      `[${Array(many).fill("[]")}]`,
      `[${Array(many).fill("{}")}]`,
    ]
  ) {
    assertEquals(decode(lineOf(value)).body.value, JSON.parse(value));
  }
});

Deno.test("decode takes MAX_PARTS objects, arrays and fields, and no more; encode writes no more", () => {
  const outside = 8; // the message and its body, and their fields
  const list = (item: string, count: number) => `[${Array(count).fill(item)}]`;
  for (
    const [item, parts] of [
      ["[]", 1],
      ["{}", 1],
      ['{"a":"]:[{"}', 2],
      ['[{"a\\":[":1}]', 3],
    ] as const
  ) {
    const count = Math.floor((MAX_PARTS - outside - 1) / parts);
    const message = decode(lineOf(list(item, count)));
    assertEquals((message.body.value as unknown[]).length, count);
    assertEquals(decode(encode(message)), message);
    const error = assertThrows(
      () => decode(lineOf(list(item, count + 1))),
      InvalidMessageError,
    );
    const text = "the message has more than 250000 objects, arrays and fields";
    assertEquals(error.message, text);
    assertEquals(error.replyTo, { src: "c1", dest: "n1", msgId: 1 });
    (message.body.value as unknown[]).push(JSON.parse(item));
    assertThrows(() => encode(message), RangeError, `Cannot send as ${text}`);
  }
  const plain = `[${"1,".repeat(2 * MAX_PARTS)}"${":".repeat(2 * MAX_PARTS)}"]`;
  assertEquals(decode(lineOf(plain)).body.value, JSON.parse(plain));
});

Deno.test("decode: a body of too many fields is not looked into to know whom to tell", () => {
  const fields = '"a":1,'.repeat(MAX_PARTS);
  const line = lineOf("1").replace('"value":', `${fields}"value":`);
  const error = assertThrows(() => decode(line), InvalidMessageError);
  assertEquals(error.replyTo, undefined);
});

Deno.test("decode: what is nested too deeply and is no message knows whom to tell only where that can be read", () => {
  const deep = nested(MAX_DEPTH);
  for (
    const [line, told] of [
      [`{"src":"c1","dest":"n1","body":{"msg_id":1,"type":${deep}}}`, true],
      [`{"src":"c1","dest":${deep},"body":{"msg_id":1,"type":"x"}}`, true],
      [`{"src":${deep},"dest":"n1","body":{"msg_id":1,"type":"x"}}`, false],
      [`{"src":"c1","dest":"n1","body":{"msg_id":${deep}}}`, false],
      [lineOf(deep).replace('"msg_id"', '"in_reply_to":1,"msg_id"'), false],
      [lineOf(deep).slice(0, -1), false],
      [lineOf(deep.slice(0, -1)), false],
      [lineOf("[".repeat(3 * MAX_DEPTH)), false],
      [deep + deep, false],
    ] as const
  ) {
    const { replyTo } = assertThrows(() => decode(line), InvalidMessageError);
    assertEquals(replyTo !== undefined, told, line.slice(0, 60));
  }
});

Deno.test("encode writes what decode takes, and nothing else", () => {
  const good = { src: "n1", dest: "n2", body: { type: "x", msg_id: 1 } };
  assertEquals(decode(encode(good)), good);
  for (
    const [part, text] of [
      [{ dest: "" }, "Cannot send as 'dest' is not a non-empty string"],
      [{ body: [] }, "Cannot send as 'body' is not an object"],
      [{ body: { type: 5 } }, "Cannot send as 'body.type' is not a string"],
      [
        { body: { type: "x", in_reply_to: "1" } },
        "Cannot send as 'body.in_reply_to' is not a non-negative integer below 2^53: \"1\"",
      ],
    ] as const
  ) {
    assertThrows(
      // deno-lint-ignore no-explicit-any -- what is no message
      () => encode({ ...good, ...part } as any),
      TypeError,
      text,
    );
  }
  const value = JSON.parse(nested(MAX_DEPTH - 2));
  encode({ ...good, body: { type: "x", value } });
  assertThrows(
    () => encode({ ...good, body: { type: "x", value: [value] } }),
    RangeError,
    "Cannot send as the message is nested deeper than 10000 levels",
  );
});

Deno.test("show looks at no more than the start of a value", () => {
  const untouchable = {
    toJSON() {
      throw new Error("looked at");
    },
  };
  assertEquals(show(untouchable), "an object");
  assertEquals(show([untouchable]), "an array");
  assertEquals(show("x".repeat(100)), `"${"x".repeat(39)}`);
  assertEquals(show('a"b'), '"a\\"b"');
  assertEquals(show(null), "null");
  assertEquals(show(undefined), "undefined");
  assertEquals(show(-0.5), "-0.5");
});
