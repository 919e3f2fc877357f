/** `deno task maelstrom` as a process, with what passes for a Maelstrom. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { SUBCOMMANDS } from "../lib/subcommands.ts";
import { figures, RUNS } from "../scripts/maelstrom/runs.ts";

const script = new URL("../scripts/maelstrom.ts", import.meta.url).href;
const directory = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => {
  Deno.removeSync(directory, { recursive: true });
});

/** A part of what Maelstrom wrote of a broadcast. */
const RESULTS = `{:perf {:latency-graph {:valid? true},
        :valid? true},
 :availability {:valid? true, :ok-fraction 0.99951},
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
echo "$*" >>calls
echo "could not start it"
case $3 in echo) exit 0 ;; g-set) exit 1 ;; *) exit 255 ;; esac
`,
      { mode: 0o755 },
    );
    const options = ["--store", directory, "--bin", fake, "--seconds", "3"];
    const one = await maelstrom(["echo", ...options], fake);
    assertEquals([one.code, one.stderr], [0, ""]);
    const found = figures(RESULTS);
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
    "15.38 messages/op between servers, 17.58 in all, availability 0.99951, known after 304 / 401 / 420 ms (median / p99 / max)",
  );
  assertEquals(figures("{:valid? true}"), "");
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
