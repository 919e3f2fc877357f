/** Runs the node on stdin and stdout, logs to stderr; --help shows the options. */
import { run } from "@gyre/node/stdio";
import { setUp } from "./node.ts";

Deno.exit(await run(setUp));
