/** Runs the node on stdin and stdout; logs to stderr, with --debug every message. */
import { Node } from "@gyre/node";
import { serve } from "@gyre/node/stdio";
import { setUp } from "./node.ts";

const node = new Node();
setUp(node);
const logLevel = Deno.args.includes("--debug") ? "debug" : "info";
Deno.exit(await serve(node, { logLevel }));
