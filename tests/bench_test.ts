/** The parts of the benchmarks that only compute. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  countLines,
  type Figure,
  interleave,
  medians,
  parseOptions,
  UsageError,
} from "../bench/harness.ts";
import { format, table } from "../bench/report.ts";

const offer = {
  benchmarks: ["echo", "rpc", "growth"],
  byDefault: ["echo", "rpc"],
  variants: ["gyre", "plain Node.js", "cat"],
};

Deno.test("variants are run in turn, and their samples gathered by figure", async () => {
  const runs: string[] = [];
  const figures = await interleave(["a", "b"], 2, (variant, round) => {
    runs.push(variant);
    const sample = { "CPU, µs": round };
    return variant === "a" ? sample : { ...sample, "reaped": 7 };
  });
  assertEquals(runs, ["a", "b", "a", "b"]);
  assertEquals(figures, [
    { name: "CPU", unit: "µs", samples: { a: [0, 1], b: [0, 1] } },
    { name: "reaped", unit: "", samples: { b: [7, 7] } },
  ]);
});

Deno.test("a figure's medians, of odd and even numbers of samples", () => {
  const samples = { a: [9, 1, 2], b: [4, 1, 100, 2] };
  assertEquals(medians({ name: "CPU", unit: "µs", samples }), { a: 2, b: 3 });
});

Deno.test("a table shows medians and multiples of the base's", () => {
  const figures: Figure[] = [
    { name: "CPU", unit: "µs", samples: { gyre: [2], peer: [1000, 3000, 2] } },
    { name: "reaped", unit: "", samples: { peer: [12345.6] } },
    { name: "lost", unit: "", samples: { gyre: [0], peer: [3] } },
  ];
  assertEquals(
    table(figures, "gyre").split("\n").toSpliced(1, 1).map((row) =>
      row.split("|").map((cell) => cell.trim()).slice(1, -1)
    ),
    [
      ["", "CPU, µs", "reaped", "lost"],
      ["gyre", "2 (1 ×)", "–", "0"],
      ["peer", "1,000 (500 ×)", "12,346", "3"],
    ],
  );
});

Deno.test("numbers are shown with three significant digits", () => {
  assertEquals(
    [0.123456, 1.5, 99.96, 123.4, 1234567, -0.00123456, 0].map(format),
    ["0.123", "1.5", "100", "123", "1,234,567", "-0.00123", "0"],
  );
});

Deno.test("lines are counted by their newlines", () => {
  const count = (text: string) => countLines(new TextEncoder().encode(text));
  assertEquals(["", "a", "\n", "a\nb", "a\n\nb\n"].map(count), [0, 0, 1, 1, 3]);
});

Deno.test("arguments: defaults, choices in the suite's own order", () => {
  assertEquals(parseOptions([], offer), {
    benchmarks: ["echo", "rpc"],
    variants: ["gyre", "plain Node.js", "cat"],
    rounds: 5,
    scale: 1,
    save: false,
    help: false,
  });
  const args =
    "growth echo --rounds 7 --scale 0.1 --save --variants=cat,plain_Node.js"
      .split(" ").map((arg) => arg.replace("_", " "));
  assertEquals(parseOptions(args, offer), {
    benchmarks: ["echo", "growth"],
    variants: ["plain Node.js", "cat"],
    rounds: 7,
    scale: 0.1,
    save: true,
    help: false,
  });
});

Deno.test("arguments that are wrong are named in one line", () => {
  for (
    const [arg, pattern] of [
      ["--foo", /'--foo'.*--variants, --rounds, --scale, --save, --help/],
      ["foo", /no benchmark 'foo' \(benchmarks: echo, rpc, growth\)/],
      ["--variants=cat,dog", /no variant 'dog' \(variants: gyre/],
      ["--rounds=0", /--rounds .*'0'/],
      ["--rounds=1.5", /--rounds .*'1.5'/],
      ["--rounds=x", /--rounds .*'x'/],
      ["--scale=0", /--scale .*'0'/],
      ["--scale=1e9", /--scale .*'1e9'/],
    ] as const
  ) {
    const error = assertThrows(() => parseOptions([arg], offer), UsageError);
    assert(pattern.test(error.message), error.message);
    assertEquals(error.message.includes("\n"), false);
  }
});
