/** The checks of histories, each seen to pass, to fail, and to say when it does not know. */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  checkCounter,
  checkEcho,
  checkRegisters,
  checkSet,
  checkSucceeded,
  checkUniqueIds,
  type HistoryEntry,
  isLinearizable,
  registerModel,
} from "../lib/sim/mod.ts";

let next = 0;

function entry(f: string, more: Partial<HistoryEntry> = {}): HistoryEntry {
  const index = next++;
  return {
    f,
    index,
    process: "c1.0",
    node: "n1",
    invokedAt: 10 * index,
    completedAt: 10 * index + 5,
    status: "ok",
    final: false,
    ...more,
  };
}

const at = (invokedAt: number, completedAt: number) => ({
  invokedAt,
  completedAt,
});
const unknown = { status: "info", completedAt: Infinity } as const;
const outcomes = (findings: { outcome: string }[]) =>
  findings.map(({ outcome }) => outcome);

Deno.test("registers: a stale read, a lost write, a value from nowhere", () => {
  const histories: [string, HistoryEntry[]][] = [
    ["pass", [
      entry("write", { value: 1, ...at(0, 10) }),
      entry("write", { value: 2, ...at(5, 20) }),
      entry("read", { result: 1, ...at(21, 22) }),
    ]],
    ["fail", [
      entry("write", { value: 1, ...at(0, 1) }),
      entry("write", { value: 2, ...at(2, 3) }),
      entry("read", { result: 1, ...at(4, 5) }),
    ]],
    ["fail", [
      entry("write", { value: 1, ...at(0, 10) }),
      entry("read", { result: 1, ...at(1, 2) }),
      entry("read", { result: null, ...at(3, 4) }),
    ]],
    ["fail", [entry("read", { result: 7 })]],
    ["fail", [
      entry("write", { value: 1, ...at(0, 1) }),
      entry("cas", { value: [1, 2], ...at(2, 3) }),
      entry("cas", { value: [1, 3], ...at(4, 5) }),
    ]],
    ["pass", []],
  ];
  for (const [expected, history] of histories) {
    assertEquals(isLinearizable(history, registerModel).outcome, expected);
  }
});

Deno.test("registers: what nobody knows may have happened, even much later, or not at all", () => {
  const write = entry("write", { value: 1, ...at(0, 1), ...unknown });
  const read = (result: unknown, time: number) =>
    entry("read", { result, ...at(time, time + 1) });
  for (
    const [expected, reads] of [
      ["pass", [read(null, 5), read(null, 7)]],
      ["pass", [read(null, 5), read(1, 7)]],
      ["fail", [read(1, 5), read(null, 7)]],
    ] as const
  ) {
    assertEquals(
      isLinearizable([write, ...reads], registerModel).outcome,
      expected,
    );
  }
  const failed = entry("write", { value: 1, status: "fail" });
  assertEquals(
    isLinearizable([failed, read(1, 99)], registerModel).outcome,
    "fail",
  );
});

Deno.test("registers: a compare-and-set of which nobody knows happens only where it matches", () => {
  const write = entry("write", { value: 1, ...at(0, 1) });
  const read = entry("read", { result: 3, ...at(5, 6) });
  for (const [expected, from] of [["pass", 1], ["fail", 2]] as const) {
    const cas = entry("cas", { value: [from, 3], ...at(2, 3), ...unknown });
    const { outcome } = isLinearizable([write, cas, read], registerModel);
    assertEquals(outcome, expected);
  }
});

Deno.test("registers: each key for itself; a failure names the key and where it got stuck", () => {
  const history = [
    entry("write", { key: "a", value: 1 }),
    entry("write", { key: "b", value: 2 }),
    entry("read", { key: "a", result: 2 }),
    entry("read", { key: "b", result: 2 }),
  ];
  const findings = checkRegisters(history);
  assertEquals(outcomes(findings), ["fail", "pass"]);
  assertStringIncludes(
    findings[0]!.text,
    `key "a": no order explains its 2 operations; none got past operation ${
      history[2]!.index
    }, read 2`,
  );
});

Deno.test("registers: the limit is no pass", () => {
  const concurrent = Array.from(
    { length: 12 },
    (_, value) => entry("write", { value, ...at(0, 100) }),
  );
  const history = [
    ...concurrent,
    entry("read", { result: 99, ...at(101, 102) }),
  ];
  const [finding] = checkRegisters(history, 1000);
  assertEquals(finding!.outcome, "unknown");
  assertStringIncludes(finding!.text, "the limit 'maxSteps'");
  assertEquals(
    checkRegisters(history.slice(0, 5).concat(history.at(-1)!))[0]!.outcome,
    "fail",
  );
});

Deno.test("registers: another operation is refused", () => {
  assertThrows(
    () => isLinearizable([entry("append")], registerModel),
    Error,
    "Cannot do 'append' to a register",
  );
});

/** All orders of a history, tried one by one. */
function isLinearizableNaively(history: HistoryEntry[]): boolean {
  const all = history.filter((one) =>
    one.status !== "fail" || registerModel.tells!(one)
  );
  const search = (left: HistoryEntry[], state: unknown): boolean => {
    if (left.every(({ status }) => status === "info")) return true;
    return left.some((one) => {
      const first = left.every((other) => other.completedAt >= one.invokedAt);
      if (!first) return false;
      const after = registerModel.step(state, one);
      return after !== undefined &&
        search(left.filter((other) => other !== one), after);
    });
  };
  return search(all, null);
}

Deno.test("property: the search agrees with trying all orders", () => {
  const small = fc.nat(2);
  const operation = fc.record({
    f: fc.constantFrom("read", "write", "cas"),
    value: small,
    to: small,
    invokedAt: fc.nat(12),
    length: fc.nat(6),
    status: fc.constantFrom("ok", "ok", "ok", "info", "fail"),
    code: fc.constantFrom(11, 20, 22),
  });
  const seen = { pass: 0, fail: 0, unknown: 0 };
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 7 }), (operations) => {
      const history = operations.map((
        { f, value, to, invokedAt, length, status, code },
      ) =>
        entry(f, {
          value: f === "cas" ? [value, to] : value,
          result: value,
          status: status as "ok",
          ...status === "fail" ? { code } : {},
          invokedAt,
          completedAt: status === "info" ? Infinity : invokedAt + length,
        })
      );
      const { outcome } = isLinearizable(history, registerModel);
      seen[outcome]++;
      assertEquals(
        outcome,
        isLinearizableNaively(history) ? "pass" : "fail",
      );
    }),
    { numRuns: 2000 },
  );
  assert(seen.pass > 100 && seen.fail > 100);
});

Deno.test("set: lost elements, elements that nobody added, no final read", () => {
  const add = entry("add", { value: 1 });
  const maybe = entry("add", { value: 2, ...unknown });
  const never = entry("add", { value: 3, status: "fail" });
  const read = (result: number[], final = true) =>
    entry("read", { result, final });
  const check = (...reads: HistoryEntry[]) =>
    outcomes(checkSet([add, maybe, never, ...reads]));
  assertEquals(check(read([1]), read([1, 2])), ["pass"]);
  assertEquals(check(read([2])), ["fail"]);
  assertEquals(check(read([1, 3])), ["fail"]);
  assertEquals(check(read([], false), read([1])), ["pass"]);
  assertEquals(check(read([1], false)), ["unknown"]);
});

Deno.test("set: each final read has all that was added, not just some of them together", () => {
  const added = [1, 2].map((value) => entry("add", { value }));
  const read = (result: number[]) => entry("read", { result, final: true });
  const check = (...reads: HistoryEntry[]) =>
    outcomes(checkSet([...added, ...reads]));
  assertEquals(check(read([1, 2]), read([2, 1])), ["pass"]);
  assertEquals(check(read([1, 2]), read([1])), ["fail"]);
  assertEquals(check(read([2]), read([1, 2])), ["fail"]);
  assertEquals(check(read([1]), read([2])), ["fail", "fail"]);
});

Deno.test("counter: the sum, with or without what perhaps happened", () => {
  const history = [
    entry("add", { value: 5 }),
    entry("add", { value: -2, ...unknown }),
    entry("add", { value: 100, status: "fail" }),
  ];
  const check = (...results: number[]) =>
    outcomes(checkCounter([
      ...history,
      ...results.map((result) => entry("read", { result, final: true })),
    ]));
  assertEquals(check(5, 3), ["pass"]);
  assertEquals(check(4), ["fail"]);
  assertEquals(check(105, 5), ["fail"]);
  assertEquals(check(), ["unknown"]);
  const many = Array.from(
    { length: 20 },
    (_, i) => entry("add", { value: 2 ** i, ...unknown }),
  );
  assertEquals(outcomes(checkCounter(many)), ["unknown"]);
});

Deno.test("unique ids and echoes", () => {
  const ids = [1, 2, "1"].map((result) => entry("generate", { result }));
  assertEquals(outcomes(checkUniqueIds(ids)), ["pass"]);
  assertEquals(
    outcomes(checkUniqueIds([...ids, entry("generate", { result: 2 })])),
    ["fail"],
  );
  const echo = (value: unknown, result: unknown) =>
    entry("echo", { value, result });
  assertEquals(outcomes(checkEcho([echo(1, 1), entry("other")])), ["pass"]);
  assertEquals(outcomes(checkEcho([echo(1, 2), echo(1, "1")])), [
    "fail",
    "fail",
  ]);
});

Deno.test("registers: a refusal is a claim, and judged", () => {
  const write = entry("write", { value: 1, ...at(0, 1) });
  const refused = (f: string, code: number, value?: unknown) =>
    entry(f, { value, status: "fail", code, ...at(2, 3) });
  for (
    const [expected, history] of [
      ["fail", [write, refused("read", 20)]],
      ["pass", [refused("read", 20)]],
      ["fail", [write, refused("cas", 20, [1, 2])]],
      ["fail", [write, refused("cas", 22, [1, 2])]],
      ["pass", [write, refused("cas", 22, [3, 2])]],
      ["fail", [write, refused("read", 22)]],
      ["fail", [refused("write", 20, 1)]],
      ["pass", [write, refused("cas", 11, [1, 2])]], // says nothing of the value
    ] as const
  ) {
    assertEquals(isLinearizable(history, registerModel).outcome, expected);
  }
});

Deno.test("registers: what nobody knows of may be needed late, and does not cost much", () => {
  const count = 14;
  const indefinite = Array.from(
    { length: count },
    (_, i) => entry("write", { value: i, ...at(0, 0), ...unknown }),
  );
  const definite = Array.from({ length: 20 }, (_, i) => [
    entry("write", { value: "x", ...at(10 * i + 1, 10 * i + 5) }),
    entry("read", { result: "x", ...at(10 * i + 2, 10 * i + 6) }),
  ]).flat();
  const late = Array.from(
    { length: count },
    (_, i) => entry("read", { result: i, ...at(1000 + 10 * i, 1001 + 10 * i) }),
  );
  const { outcome, steps } = isLinearizable(
    [...indefinite, ...definite, ...late],
    registerModel,
  );
  assertEquals(outcome, "pass");
  assert(steps < 10_000, `${steps} steps`);
});

Deno.test("set: what a node confirmed it must show, unless it was started anew, or nobody asks for that", () => {
  const add = entry("add", { value: 1, incarnation: 1 });
  const last = entry("read", { result: [1], final: true });
  const read = (more: Partial<HistoryEntry>) =>
    entry("read", { result: [], incarnation: 1, ...more });
  const check = (one: HistoryEntry, ownWrites = true) =>
    outcomes(checkSet([add, one, last], { ownWrites }));
  assertEquals(check(read({})), ["fail"]);
  assertEquals(check(read({}), false), ["pass"]);
  assertEquals(check(read({ node: "n2" })), ["pass"]);
  assertEquals(check(read({ incarnation: 2 })), ["pass"]);
  assertEquals(check(read({ incarnation: undefined })), ["pass"]);
  assertEquals(check(read({ invokedAt: add.completedAt })), ["pass"]);
});

Deno.test("set and counter: what is wrong is told in words, a few times", () => {
  const add = entry("add", { value: 1 });
  const reads = Array.from(
    { length: 9 },
    () => entry("read", { result: [1, 1] }),
  );
  const last = entry("read", { result: [1], final: true });
  const findings = checkSet([add, ...reads, last]);
  assertEquals(findings.length, 6);
  assertEquals(findings.at(-1)!.text, "and 4 more of this kind");
  const [counter] = checkCounter([
    add,
    entry("read", { result: 3, final: true }),
  ]);
  assertEquals(
    counter!.text,
    "n1's final read says 3, but what was added makes 1",
  );
});

Deno.test("succeeded: each kind at least once; else, and without any, nothing is decided", () => {
  const failed = entry("read", { status: "fail", error: "11: not now" });
  assertEquals(outcomes(checkSucceeded([])), ["unknown"]);
  assertEquals(outcomes(checkSucceeded([failed, entry("read")])), ["pass"]);
  const [finding] = checkSucceeded([failed, entry("write")]);
  assertEquals(finding, {
    check: "succeeded",
    outcome: "unknown",
    text: 'none of 1 "read" succeeded: 11: not now',
  });
});

/** Two nodes, of which n1 crashed: what it confirmed, and what was read in the end. */
function crashed(
  confirmed: unknown[],
  finals: unknown[],
  more: HistoryEntry[] = [],
): HistoryEntry[] {
  const first = { node: "n1", incarnation: 1 };
  return [
    ...confirmed.map((value) => entry("add", { value, ...first })),
    ...more,
    ...finals.map((result, i) =>
      entry("read", {
        result,
        final: true,
        node: `n${i + 1}`,
        incarnation: i === 0 ? 2 : 1,
      })
    ),
  ].map((one, i) => ({
    ...one,
    invokedAt: 10 * i,
    completedAt: one.status === "ok" ? 10 * i + 5 : Infinity,
  }));
}

Deno.test("set in memory: a crash may lose what nobody else is known to have heard of, and that for all", () => {
  const n2 = { node: "n2", incarnation: 1 };
  const histories: [string, HistoryEntry[]][] = [
    ["pass", crashed([1, 2], [[2], [2]])],
    ["pass", crashed([1, 2], [[], []])],
    ["fail", crashed([1, 2], [[2], [1, 2]])], // they differ
    ["fail", crashed([1], [[], []], [entry("read", { result: [1], ...n2 })])],
    ["fail", crashed([], [[], []], [entry("add", { value: 1, ...n2 })])],
    [
      "fail",
      crashed([], [[], []], [
        entry("add", { value: 1, node: "n1", incarnation: 2 }),
      ]),
    ],
    [
      "pass",
      crashed([1], [[], []], [
        entry("read", { result: [1], node: "n1", incarnation: 1 }),
      ]),
    ],
  ];
  for (const [outcome, history] of histories) {
    const [found] = checkSet(history, { inMemory: true });
    assertEquals(found!.outcome, outcome, found!.text);
  }
});

Deno.test("counter in memory: of a process that crashed is left what it had counted until some time", () => {
  const n2 = { node: "n2", incarnation: 1 };
  for (const sum of [0, 1, 3, 7]) { // of 1, 2 and 4
    const [found] = checkCounter(crashed([1, 2, 4], [sum, sum]), {
      inMemory: true,
    });
    assertEquals(found!.outcome, "pass", `${sum}`);
  }
  for (const sum of [2, 4, 5, 6, 8]) {
    const [found] = checkCounter(crashed([1, 2, 4], [sum, sum]), {
      inMemory: true,
    });
    assertEquals(found!.outcome, "fail", `${sum}`);
  }
  const histories: [string, HistoryEntry[]][] = [
    ["fail", crashed([1, 2], [3, 1])], // they differ
    ["fail", crashed([1, 2], [1, 1], [entry("read", { result: 3, ...n2 })])],
    ["pass", crashed([1, 2], [3, 3], [entry("read", { result: 1, ...n2 })])],
    ["fail", crashed([1], [0, 0], [entry("add", { value: 1, ...n2 })])],
    [
      "pass",
      crashed([1], [1, 1], [
        entry("add", { value: 1, ...n2 }),
        entry(
          "add",
          { value: -1, node: "n1", incarnation: undefined, ...unknown },
        ),
      ]),
    ],
  ];
  for (const [outcome, history] of histories) {
    const [found] = checkCounter(history, { inMemory: true });
    assertEquals(found!.outcome, outcome, found!.text);
  }
});
