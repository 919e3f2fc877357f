/** Runs a program, and gathers what it says. */
const decoder = new TextDecoder();

/** What a program came to. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end, without colours.
 *
 * @param command The program and its arguments.
 * @param options Where; what to add to its environment; its stdin.
 */
export async function outcome(
  [program, ...args]: readonly [string, ...string[]],
  { cwd, env = {}, input = "" }: {
    cwd?: string | URL;
    env?: Record<string, string>;
    input?: string;
  } = {},
): Promise<Outcome> {
  const child = new Deno.Command(program, {
    args,
    ...cwd === undefined ? {} : { cwd },
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(input))
    .then(() => writer.close())
    .catch(() => {}); // a program that ends without reading
  const { code, stdout, stderr } = await child.output();
  await written;
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
