/** `deno task maelstrom` as a process, with what passes for a Maelstrom. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { SUBCOMMANDS } from "../lib/subcommands.ts";
import { recoveriesMs } from "../scripts/maelstrom/recovery.ts";
import { figures, RUNS } from "../scripts/maelstrom/runs.ts";

const script = new URL("../scripts/maelstrom.ts", import.meta.url).href;
const directory = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => {
  Deno.removeSync(directory, { recursive: true });
});

/** A part of what Maelstrom wrote of a broadcast. */
const RESULTS = `{:perf {:latency-graph {:valid? true},
        :valid? true},
 :stats {:valid? true,
         :count 2009,
         :by-f {:broadcast {:valid? true,
                            :count 1000,
                            :ok-count 999,
                            :fail-count 0,
                            :info-count 1},
                :crash {:valid? false,
                        :count 9,
                        :ok-count 0,
                        :fail-count 0,
                        :info-count 9},
                :read {:valid? true,
                       :count 1000,
                       :ok-count 1000,
                       :fail-count 0,
                       :info-count 0}}},
 :availability {:valid? true, :ok-fraction 0.99502},
 :net {:all {:send-count 1828,
             :msgs-per-op 17.576923},
       :clients {:send-count 228, :recv-count 228, :msg-count 228},
       :servers {:send-count 1600,
                 :msg-count 1600,
                 :msgs-per-op 15.384615},
       :valid? true},
 :workload {:worst-stale (),
            :stable-latencies {0 0, 0.5 304, 0.95 380,
                               0.99 401,
                               1 420},
            :attempt-count 50},
 :valid? true}`;

/** A history, as Maelstrom writes it. */
function historyOf(
  lines: readonly [ms: number, type: string, f: string, value: string][],
): string {
  return lines.map(([ms, type, f, value], index) =>
    `{:index ${index}, :time ${ms * 1e6}, :type :${type}, :process ${
      f.endsWith("partition") ? ":nemesis" : 0
    }, :f :${f}, :value ${value}}`
  ).join("\n");
}

const HEALED = historyOf([
  [90, "invoke", "broadcast", "7"],
  [100, "ok", "broadcast", "7"],
  [150, "info", "start-partition", '[:isolated {"n1" #{"n0"}}]'],
  [500, "info", "stop-partition", "nil"],
  [500, "info", "stop-partition", ":network-healed"],
  [600, "invoke", "broadcast", "8"], // not before the heal
  [610, "ok", "broadcast", "8"],
  [700, "invoke", "read", "nil"],
  [710, "ok", "read", "[]"],
  [900, "invoke", "read", "nil"],
  [2600, "ok", "read", "[7]"],
  [2700, "invoke", "read", "nil"],
  [2710, "ok", "read", "[7]"],
  [4000, "info", "start-partition", '[:isolated {"n1" #{"n0"}}]'],
  [5000, "info", "stop-partition", ":network-healed"],
  [5500, "info", "start-partition", '[:isolated {"n1" #{"n0"}}]'],
  [9000, "info", "stop-partition", ":network-healed"],
  [9100, "invoke", "read", "nil"],
  [9110, "ok", "read", "[]"],
  [19000, "invoke", "read", "nil, :final? true"],
  [19010, "ok", "read", "[], :final? true"],
]);

/** Runs the task; MAELSTROM is a program that exits with a code that follows from the workload. */
async function maelstrom(args: string[], program?: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", script, ...args],
    env: { NO_COLOR: "1", MAELSTROM: program ?? "" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test({
  name:
    "maelstrom: a line a run, with its verdict and figures; 1 unless all are valid",
  ignore: Deno.build.os === "windows", // it is a shell script
  fn: async () => {
    const fake = `${directory}/maelstrom`;
    Deno.writeTextFileSync(
      fake,
      `#!/bin/sh
mkdir -p store/latest
cat >store/latest/results.edn <<'END'
${RESULTS}
END
cat >store/latest/history.edn <<'END'
${HEALED}
END
echo "$*" >>calls
echo "could not start it"
case $3 in echo) exit 0 ;; g-set) exit 1 ;; *) exit 255 ;; esac
`,
      { mode: 0o755 },
    );
    const options = ["--store", directory, "--bin", fake, "--seconds", "3"];
    const one = await maelstrom(["echo", ...options], fake);
    assertEquals([one.code, one.stderr], [0, ""]);
    const found = figures(RESULTS, HEALED);
    assertStringIncludes(found, "known 200 ms after a heal at the latest");
    assertEquals(
      one.stdout.split("\n")[0],
      `valid: echo node-count 1: ${found}`,
    );
    assertEquals(
      Deno.readTextFileSync(`${directory}/calls`),
      `test -w echo --bin ${fake} --node-count 1 --time-limit 3 -- echo\n`,
    );
    const three = await maelstrom(
      ["echo", "g-set", "g-counter", ...options],
      fake,
    );
    assertEquals(three.code, 1);
    const lines = three.stdout.trimEnd().split("\n");
    assertEquals(
      lines.map((line) => line.split(":")[0]),
      ["valid", "INVALID", "no verdict", `1 of 3 runs valid; details`],
    );
    assertStringIncludes(lines[2]!, ": could not start it");
  },
});

Deno.test("maelstrom: figures are those of results.edn, where it has them", () => {
  assertEquals(
    figures(RESULTS),
    "15.38 messages/op between servers, 17.58 in all, availability 0.9995, known after 304 / 401 / 420 ms (median / p99 / max)",
  );
  assertEquals(
    figures(`{:worst-realtime-lag {:time 19.2, :key "2", :lag 19.0218}}`),
    "polls at most 19.0 s behind",
  );
  assertEquals(figures("{:valid? true}"), "");
});

Deno.test("maelstrom: a heal counts until the last read that lacks what was confirmed before it, where 2 s of reads follow", () => {
  assertEquals(recoveriesMs(HEALED), [200]);
  const counter = HEALED.replaceAll(/\[\d?\]/g, "7");
  assertEquals(recoveriesMs(counter), []);
  assertEquals(recoveriesMs(""), []);
});

Deno.test("maelstrom: every workload of the binary but the exercise's is run", () => {
  const names = [...new Set(RUNS.map(({ workload }) => workload))];
  assertEquals(["callbacks", ...names], Object.keys(SUBCOMMANDS));
});

Deno.test("maelstrom: what is missing, or wrong, is named with the way out; exit code 2", async () => {
  const cases: [string[], string | undefined, string][] = [
    [[], undefined, "https://github.com/jepsen-io/maelstrom/releases"],
    [[], "/nowhere/maelstrom", "there is no /nowhere/maelstrom"],
    [["--bin", "/nowhere"], Deno.execPath(), "deno task compile builds it"],
    [["ecko"], undefined, "there is no workload 'ecko': echo, unique-ids"],
    [["--seconds", "0"], undefined, "--seconds must be a whole number from 1"],
  ];
  for (const [args, program, text] of cases) {
    const { code, stdout, stderr } = await maelstrom(args, program);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, text);
  }
});

Deno.test("maelstrom --list shows the command lines", async () => {
  const { code, stdout } = await maelstrom(["unique-ids", "--list"]);
  assertEquals([code, stdout], [
    0,
    "maelstrom test -w unique-ids --bin dist/gyre --node-count 3 --rate 1000 --availability total --nemesis partition --time-limit 20 -- unique-ids\n",
  ]);
});
