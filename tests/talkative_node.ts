/** A node for console_test.ts, which prints in every way that there is. */
import { Node } from "../lib/mod.ts";
import { serve } from "../lib/stdio/mod.ts";

const { console: own } = globalThis; // in Node.js, the test has another `console`
const mine: unknown[] = [];
if (Deno.args.includes("--own")) own.info = (text) => mine.push(text);

const node = new Node();
node.on("talk", () => {
  own.log("log %s", "formatted", { a: 1 });
  own.info("info");
  own.debug("debug");
  own.dir({ dir: 1 });
  own.dirxml("dirxml");
  own.table([{ table: 1 }]);
  own.group("group");
  own.groupEnd();
  own.groupCollapsed("group collapsed");
  own.groupEnd();
  own.count("count");
  own.count("count");
  own.countReset("count");
  own.count("count");
  own.time("time");
  own.timeLog("time", "more");
  own.timeEnd("time");
  own.timeEnd("time");
  own.warn("warn");
  own.error("error");
  return { mine };
});
const code = await serve(node);
own.log("served");
Deno.exit(code);
