/** Faults are planted by the text that they change. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Fault, planted, SUITES } from "../scripts/mutants/faults.ts";
import noFaults from "../scripts/no_faults.json" with { type: "json" };

const FAULTS = Object.values(SUITES).flat();
const fault: Fault = {
  name: "off by one",
  file: "lib/x.ts",
  changes: [["a < b", "a <= b"], ["c$&", "$&"]],
};

Deno.test("a fault is planted as it stands", () => {
  assertEquals(planted(fault, "if (a < b) c$&;"), "if (a <= b) $&;");
});

Deno.test("a fault that no longer fits is named, with what its file has not got", () => {
  for (const [source, count] of [["c$&", 0], ["a < b; a < b", 2]] as const) {
    assertThrows(
      () => planted(fault, source),
      Error,
      `the fault "off by one" can't be planted: lib/x.ts has ${count} times what it changes: a < b`,
    );
  }
});

Deno.test("the faults have names of their own", () => {
  assertEquals(new Set(FAULTS.map(({ name }) => name)).size, FAULTS.length);
});

Deno.test("what is known to be no fault is in the code as it is", () => {
  for (const { file, code, from } of noFaults) {
    const source = Deno.readTextFileSync(
      new URL(`../${file}`, import.meta.url),
    );
    const lines = source.split("\n").map((line) => line.trim());
    assert(
      lines.includes(code) && code.includes(from),
      `scripts/no_faults.json: ${file} has no "${from}" in a line "${code}"`,
    );
  }
});

Deno.test("every fault of the suites fits the code as it is", () => {
  for (const fault of FAULTS) {
    const file = new URL(`../${fault.file}`, import.meta.url);
    planted(fault, Deno.readTextFileSync(file));
  }
});
