/**
 * Runs the node as a process: `deno run main.ts`, or the binary that GYRE_BIN
 * names, or in the Node.js that GYRE_NODE names, such as `node`, what
 * `scripts/node_project.ts` made.
 */
import { basename } from "node:path";
import { assert } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";

/** The project's directory. */
export const root: URL = new URL("../", import.meta.url);
const binary = Deno.env.get("GYRE_BIN");
/** The Node.js that the nodes run in, if they do. */
export const nodeJs: string | undefined = Deno.env.get("GYRE_NODE");

/** A JSON message, loosely typed for tests. */
// deno-lint-ignore no-explicit-any
export type Json = any;

/** The command that runs the node with these arguments in the project's directory; the first may be another node's script. */
export function command(...args: string[]): [string, ...string[]] {
  const scripted = args[0]?.endsWith(".ts");
  if (binary && !scripted) return [binary, ...args];
  const [script, ...rest] = scripted ? args : ["main.ts", ...args];
  if (nodeJs) {
    const name = basename(script!).replace(/ts$/, "mjs");
    return [nodeJs, `dist/node/${name}`, ...rest];
  }
  return [Deno.execPath(), "run", "--quiet", script!, ...rest];
}

/** The lines of a node's log; none of them may be part of a stack trace. */
export function linesOf(stderr: string): string[] {
  const lines = stderr.split("\n").filter((line) => line !== "");
  for (const line of lines) {
    assert(/^gyre( .+ (error|warn|info|debug))?: /.test(line), line);
  }
  return lines;
}

/** A running node: its pipes, line by line. */
export class NodeProcess {
  readonly child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly stderr: Promise<string>;
  #said = "";
  #saidMore = Promise.withResolvers<void>();

  /** @param args The node's command-line arguments. */
  constructor(...args: string[]) {
    const [program, ...all] = command(...args);
    this.child = new Deno.Command(program, {
      args: all,
      cwd: root,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.child.stdin.getWriter();
    this.#lines = this.child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    this.stderr = this.#listen();
  }

  async #listen(): Promise<string> {
    for await (
      const text of this.child.stderr.pipeThrough(new TextDecoderStream())
    ) {
      this.#said += text;
      this.#saidMore.resolve();
      this.#saidMore = Promise.withResolvers();
    }
    return this.#said;
  }

  /** Resolves once this has been said on stderr. */
  async logged(text: string): Promise<void> {
    while (!this.#said.includes(text)) {
      await Promise.race([
        this.#saidMore.promise,
        this.stderr.then(() => assert(this.#said.includes(text), this.#said)),
      ]);
    }
  }

  /** Writes text or bytes to the node's stdin as they are. */
  write(input: string | Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#stdin.write(
      typeof input === "string" ? new TextEncoder().encode(input) : input,
    );
  }

  /** Sends a message from a client to n1. */
  request(body: Json, src = "c1"): Promise<void> {
    return this.write(JSON.stringify({ src, dest: "n1", body }) + "\n");
  }

  /** The next message from the node. */
  async next(): Promise<Json> {
    return JSON.parse(await this.nextLine());
  }

  /** The next line from the node. */
  async nextLine(): Promise<string> {
    const { done, value } = await this.#lines.read();
    if (done) throw new Error(`stdout ended; stderr: ${await this.stderr}`);
    return value;
  }

  /** The messages up to the reply to this client's request, that included. */
  async until(client: string, msgId: number): Promise<Json[]> {
    const messages: Json[] = [];
    do messages.push(await this.next()); while (
      messages.at(-1).dest !== client ||
      messages.at(-1).body.in_reply_to !== msgId
    );
    return messages;
  }

  /** The node's counters now; nothing else may be on its way. */
  async stats(): Promise<Json> {
    await this.request({ type: "stats", msg_id: 0 }, "stats");
    return (await this.until("stats", 0)).at(-1).body;
  }

  /** Initializes the node as n1 of a cluster. */
  async init(...nodeIds: string[]): Promise<void> {
    await this.request({
      type: "init",
      msg_id: 1,
      node_id: "n1",
      node_ids: nodeIds,
    }, "c0");
    await this.next();
  }

  /** Ends the input and gathers what the node still says. */
  async end(): Promise<{ code: number; rest: Json[]; stderr: string }> {
    await this.#stdin.close();
    return await this.finished();
  }

  /** Waits for the node's end. */
  async finished(): Promise<{ code: number; rest: Json[]; stderr: string }> {
    const rest = [];
    for (;;) {
      const { done, value } = await this.#lines.read();
      if (done) break;
      rest.push(JSON.parse(value));
    }
    const { code } = await this.child.status;
    await this.#stdin.close().catch(() => {}); // Deno 2.7 calls an open one a leak
    return { code, rest, stderr: await this.stderr };
  }

  /** Stops reading the node's stdout for good. */
  closeStdout(): Promise<void> {
    return this.#lines.cancel();
  }
}
