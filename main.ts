/** Gyre's binary: a workload's node on stdin and stdout; the callback exercise's, where none is named. */
import { TextLineStream } from "@std/streams/text-line-stream";
import config from "./deno.json" with { type: "json" };
import { run } from "./lib/stdio/mod.ts";
import { SUBCOMMANDS } from "./lib/subcommands.ts";

const code = await run(SUBCOMMANDS, {
  name: "gyre",
  does: "Maelstrom nodes whose RPC callbacks never leak",
  version: config.version,
  args: Deno.args,
  input: Deno.stdin,
  lines: new TextLineStream(),
  output: Deno.stdout,
});
Deno.exit(code);
