/** A short run of `deno task fuzz`, with seeds that no one has tried before. */
import { converse, converseWithProcess } from "../scripts/fuzz.ts";

const LINES = 3000;

for (
  const [name, talk, option] of [
    ["a node", converse, ""],
    ["a process", converseWithProcess, " --process"],
  ] as const
) {
  Deno.test(`fuzz: ${name} answers and counts each of ${LINES} lines as the rules say`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      await talk(seed, LINES);
    } catch (error) {
      throw new Error(
        `replay: deno task fuzz --seed ${seed} --lines ${LINES}${option}`,
        { cause: error },
      );
    }
  });
}
