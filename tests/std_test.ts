/** Pins what Gyre relies on in `@std`, whichever of the real one and the stand-in is installed. */
import {
  assert,
  assertEquals,
  AssertionError,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { TextLineStream as StandIn } from "../scripts/standins/text_line_stream.ts";

for (
  const [name, Lines] of Object.entries({
    TextLineStream,
    "the stand-in, which the npm package has,": StandIn,
  })
) {
  const lines = (...chunks: string[]) =>
    Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new Lines()));

  Deno.test(`${name} splits on LF and CRLF and keeps empty lines`, async () => {
    assertEquals(await lines("a\nb\r\n\n\r\nc\n"), ["a", "b", "", "", "c"]);
  });

  Deno.test(`${name} joins what chunks cut, a CRLF included`, async () => {
    assertEquals(await lines("a", "b\r", "\nc", "", "\n"), ["ab", "c"]);
  });

  Deno.test(`${name} hands out a last line without newline, a lone CR kept`, async () => {
    assertEquals(await lines("a\nb\rc"), ["a", "b\rc"]);
    assertEquals(await lines("a\n"), ["a"]);
    assertEquals(await lines(), []);
  });
}

Deno.test("assertions hold and fail as they should", async () => {
  assert(1);
  assertThrows(() => assert(0), AssertionError);
  assertEquals({ a: [1] }, { a: [1] });
  assertThrows(
    () => assertEquals<unknown>({ a: 1 }, { a: "1" }),
    AssertionError,
  );
  assertStrictEquals(NaN, NaN);
  assertThrows(() => assertStrictEquals({}, {}), AssertionError);
  assertStringIncludes("abc", "b");
  assertThrows(() => assertStringIncludes("abc", "x"), AssertionError);
  assertThrows(() => assertThrows(() => {}), AssertionError);
  const error = assertThrows(
    () => {
      throw new RangeError("too big");
    },
    RangeError,
    "big",
  );
  assertEquals(error.message, "too big");
  await assertRejects(
    () => Promise.reject(new TypeError("no")),
    TypeError,
    "no",
  );
  await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
  );
});
