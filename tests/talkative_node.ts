/** A node for console_test.ts, which prints in every way that there is. */
import { Node } from "../lib/mod.ts";
import { serve } from "../lib/stdio/mod.ts";

const mine: unknown[] = [];
if (Deno.args.includes("--own")) console.info = (text) => mine.push(text);

const node = new Node();
node.on("talk", () => {
  console.log("log %s", "formatted", { a: 1 });
  console.info("info");
  console.debug("debug");
  console.dir({ dir: 1 });
  console.dirxml("dirxml");
  console.table([{ table: 1 }]);
  console.group("group");
  console.groupEnd();
  console.groupCollapsed("group collapsed");
  console.groupEnd();
  console.count("count");
  console.count("count");
  console.countReset("count");
  console.count("count");
  console.time("time");
  console.timeLog("time", "more");
  console.timeEnd("time");
  console.timeEnd("time");
  console.warn("warn");
  console.error("error");
  return { mine };
});
const code = await serve(node);
console.log('"served"'); // read as JSON, as messages are
Deno.exit(code);
