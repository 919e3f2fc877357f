/** The command line of a node's program. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Node } from "../lib/node.ts";
import { UsageError } from "../lib/stdio/command_line.ts";
import {
  type Input,
  type Output,
  run,
  type Subcommand,
} from "../lib/stdio/mod.ts";
import { readCommandLine } from "../lib/stdio/program.ts";

/** What a command line asks for: a node. */
async function asked(
  args: string[],
  node: Parameters<typeof readCommandLine>[0] = () => {},
) {
  const asked = await readCommandLine(node, args, { name: "mine" });
  if ("says" in asked) throw new Error(`it says ${asked.says}`);
  return asked;
}

/** Takes what is written. */
class Written implements Output {
  text = "";

  write(bytes: Uint8Array): Promise<number> {
    this.text += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  }
}

Deno.test("each option is an option of the node, or of serve", async () => {
  const { nodeOptions, serveOptions } = await asked([
    "--rpc-timeout=500.5",
    "--reap-interval",
    "1e3",
    "--max-pending=0",
    "--max-running=7",
    "--max-line-bytes=8",
    "--first-msg-id=9",
    "--log-level=debug",
  ]);
  assertEquals(nodeOptions, {
    rpcTimeoutMs: 500.5,
    reapIntervalMs: 1000,
    maxPending: 0,
    maxRunning: 7,
    firstMsgId: 9,
  });
  assertEquals(serveOptions, { maxLineBytes: 8, logLevel: "debug" });
});

Deno.test("without options all is as for a node without any, but for ids that start at random", async () => {
  const { nodeOptions, serveOptions } = await asked([]);
  const { firstMsgId, ...others } = nodeOptions;
  assertEquals(new Set(Object.values(others)), new Set([undefined]));
  assertEquals(serveOptions, { maxLineBytes: undefined, logLevel: "info" });
  const again = await asked(["--first-msg-id", "random"]);
  assertEquals(again.nodeOptions.firstMsgId === firstMsgId, false);
});

Deno.test("what a program can't understand, it says with the options that there are", async () => {
  const options = "--rpc-timeout, --reap-interval, --max-pending, " +
    "--max-running, --max-line-bytes, --first-msg-id, --log-level, --help";
  for (
    const [args, reason] of [
      [["--nope"], "Unknown option '--nope'"],
      [
        ["--max-pending", "1", "--max-pending", "2"],
        "Option '--max-pending' is given twice",
      ],
      [["--version"], "Unknown option '--version'"],
      [["extra"], "Unexpected argument 'extra'"],
      [["-h=yes"], "Unknown option '-='"],
    ] as const
  ) {
    await assertRejects(
      () => readCommandLine(() => {}, args, { name: "mine" }),
      UsageError,
      `${reason} (mine [options]; options: ${options})`,
    );
  }
});

Deno.test("of several workloads the one that is named is loaded, with its own options; else the first", async () => {
  const loaded: unknown[] = [];
  const workload = (name: string, more: Partial<Subcommand> = {}) => ({
    does: `does ${name}`,
    load: (values: Readonly<Record<string, string>>) => {
      loaded.push([name, values]);
      return () => {};
    },
    ...more,
  });
  const workloads = {
    first: workload("first", { firstMsgId: 5 }),
    second: workload("second", {
      options: { pace: { values: ["slow", "fast"], help: ["how fast"] } },
    }),
  };
  const { nodeOptions } = await asked([], workloads);
  assertEquals(nodeOptions.firstMsgId, 5);
  await asked(["second"], workloads);
  await asked(["second", "--pace", "fast"], workloads);
  assertEquals(loaded, [
    ["first", {}],
    ["second", { pace: "slow" }],
    ["second", { pace: "fast" }],
  ]);
  const refused = (args: string[], reason: string) =>
    assertRejects(() => asked(args, workloads), UsageError, reason);
  await refused(["--pace=fast"], "Unknown option '--pace'");
  await refused(["second", "--pace=x"], "--pace must be one of slow, fast");
  await refused(
    ["third"],
    "there is no workload 'third' (mine [WORKLOAD] [options]; workloads: first, second; ",
  );
});

Deno.test("run: help is all that is said, and exit code 0", async () => {
  const output = new Written();
  const setUp = () => {
    throw new Error("no node is wanted");
  };
  const about = { name: "mine", does: "counts", output };
  assertEquals(await run(setUp, { ...about, args: ["-h"] }), 0);
  assertStringIncludes(output.text, "mine: counts\n\n");
  assertStringIncludes(output.text, "Usage: mine [options]\n\n  --rpc-timeout");
  assertEquals(output.text.includes("--version"), false);
  const version = new Written();
  const args = ["--version"];
  await run(setUp, { ...about, version: "1.2", output: version, args });
  assertEquals(version.text, "mine 1.2\n");
});

Deno.test("run: a node on the input and output that are handed in", async () => {
  const lines = [
    '{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}\n',
    '{"src":"c1","dest":"n1","body":{"type":"ping","msg_id":2}}\n',
  ];
  const input: Input = {
    read(buffer) {
      const line = lines.shift();
      if (line === undefined) return Promise.resolve(null);
      buffer.set(new TextEncoder().encode(line));
      return Promise.resolve(line.length);
    },
  };
  const output = new Written();
  const code = await run(
    (node: Node) => node.on("ping", () => ({ from: node.nodeId })),
    { args: ["--first-msg-id=7", "--log-level=error"], input, output },
  );
  assertEquals(code, 0);
  const bodies = output.text.trim().split("\n")
    .map((line) => JSON.parse(line).body);
  assertEquals(bodies, [
    { type: "init_ok", in_reply_to: 1, msg_id: 7 },
    { type: "ping_ok", from: "n1", in_reply_to: 2, msg_id: 8 },
  ]);
});
