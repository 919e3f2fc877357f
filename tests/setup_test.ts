/** The set-up, in a copy of what it needs, against a JSR on loopback. */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Outcome, outcome } from "./command.ts";

const root = new URL("../", import.meta.url);
const UNREACHABLE = "http://127.0.0.1:1/";
const USE = `import { TextLineStream } from "@std/streams/text-line-stream";
import { assertEquals } from "@std/assert";
console.log(TextLineStream.name, assertEquals.name, "real" in TextLineStream);`;

/** A temporary copy of the set-up, and what it installs in there. */
class Copy implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "gyre-setup-" });

  constructor() {
    for (
      const path of [
        "deno.json",
        "scripts/setup.ts",
        "scripts/standins/assert.ts",
        "scripts/standins/text_line_stream.ts",
      ]
    ) this.write(path, Deno.readTextFileSync(new URL(path, root)));
    this.write("use.ts", USE);
  }

  write(path: string, text: string): void {
    Deno.mkdirSync(dirname(`${this.#dir}/${path}`), { recursive: true });
    Deno.writeTextFileSync(`${this.#dir}/${path}`, text);
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.#dir}/${path}`);
  }

  /** The text files in a folder and in those below it. */
  list(path: string): string[] {
    return readdirSync(`${this.#dir}/${path}`, { recursive: true }).map(String)
      .filter((name) => /\.(json|ts)$/.test(name));
  }

  /** Makes the copy's stand-ins ones that pass for the real packages. */
  alter(): void {
    const path = "scripts/standins/text_line_stream.ts";
    this.write(
      path,
      this.read(path).replace("{\n", "{\n  static real = true;\n"),
    );
  }

  #deno(jsr: string, ...args: string[]): Promise<Outcome> {
    return outcome([Deno.execPath(), ...args], {
      cwd: this.#dir,
      // A cache of its own: nothing from a JSR that isn't one may outlive the test.
      env: {
        DENO_DIR: `${this.#dir}/cache`,
        JSR_URL: jsr,
        NO_PROXY: "127.0.0.1",
      },
    });
  }

  /** Runs the set-up; returns what it says. */
  async setUp(jsr: string, ...dir: string[]): Promise<string> {
    const args = ["run", "--no-config", "--quiet", "-A", "scripts/setup.ts"];
    const { stdout, stderr } = await this.#deno(jsr, ...args, ...dir);
    assertEquals(stdout, ""); // that belongs to the node's messages
    return stderr;
  }

  /** Whether the packages can be imported, without a network, and which they are. */
  async installed(jsr: string, dir = "."): Promise<"real" | "stand-ins"> {
    const config = `${dir}/deno.json`;
    const args = ["--quiet", "--cached-only", "--config", config, "use.ts"];
    const { stdout, stderr } = await this.#deno(jsr, "run", ...args);
    assertEquals(stderr, "");
    const [stream, assert, real] = stdout.trim().split(" ");
    assertEquals([stream, assert], ["TextLineStream", "assertEquals"]);
    return real === "true" ? "real" : "stand-ins";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** The files of a JSR whose packages can be told from the stand-ins. */
async function registry(): Promise<(path: string) => string> {
  await using copy = new Copy();
  copy.alter();
  await copy.setUp(UNREACHABLE); // lays them out as JSR does
  const files = new Map<string, string>();
  for (const path of copy.list("vendor/http_127.0.0.1_1")) {
    const name = path.replaceAll("\\", "/");
    files.set(`/${name}`, copy.read(`vendor/http_127.0.0.1_1/${name}`));
  }
  return (path) => files.get(path) ?? "";
}

/** Serves what `body` says for a path; "" is a 404. */
function serve(body: (path: string) => string) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { pathname } = new URL(request.url);
      const text = body(pathname);
      const type = text.startsWith("<")
        ? "text/html"
        : pathname.endsWith(".json")
        ? "application/json"
        : "text/typescript";
      return new Response(text, {
        status: text === "" ? 404 : 200,
        headers: { "content-type": type },
      });
    },
  );
  return Object.assign(server, {
    url: `http://127.0.0.1:${server.addr.port}/`,
  });
}

const files = await registry();

Deno.test("a machine that reaches JSR gets the real packages, once, and is told so", async () => {
  let requests = 0;
  await using jsr = serve((path) => (requests++, files(path)));
  await using copy = new Copy();
  assertEquals(
    await copy.setUp(jsr.url),
    `setup: @std/streams and @std/assert from ${jsr.url}\n`,
  );
  assertEquals(await copy.installed(jsr.url), "real");
  requests = 0;
  assertEquals(await copy.setUp(jsr.url), "");
  assertEquals(requests, 0);
});

Deno.test("stand-ins, said once, until JSR can be reached", async () => {
  let reachable = false;
  await using jsr = serve((path) => reachable ? files(path) : "");
  await using copy = new Copy();
  const said = await copy.setUp(jsr.url);
  assertStringIncludes(said, `can't be had from ${jsr.url} (`);
  assertStringIncludes(said, "using the stand-ins in scripts/standins/\n");
  assertEquals(await copy.installed(jsr.url), "stand-ins");
  assertEquals(await copy.setUp(jsr.url), ""); // nothing was done
  assertEquals(await copy.installed(jsr.url), "stand-ins");
  reachable = true;
  assertStringIncludes(await copy.setUp(jsr.url), `from ${jsr.url}\n`);
  assertEquals(await copy.installed(jsr.url), "real");
});

Deno.test("a project that links to Gyre gets them in its own directory", async () => {
  await using jsr = serve(files);
  await using copy = new Copy();
  copy.write("project/deno.json", copy.read("deno.json"));
  assertStringIncludes(
    await copy.setUp(UNREACHABLE, "project"),
    "using the stand-ins in scripts/standins/\n",
  );
  assertEquals(await copy.installed(UNREACHABLE, "project"), "stand-ins");
  assertStringIncludes(await copy.setUp(jsr.url, "project"), "from http:");
  assertEquals(await copy.installed(jsr.url, "project"), "real");
  assertThrows(() => copy.list("vendor"), Error, "ENOENT");
});

Deno.test("a changed stand-in is installed again", async () => {
  await using copy = new Copy();
  await copy.setUp(UNREACHABLE);
  copy.alter();
  assertStringIncludes(await copy.setUp(UNREACHABLE), "using the stand-ins");
  assertEquals(await copy.installed(UNREACHABLE), "real");
});

for (
  const [name, body, reason] of [
    ["answers in HTML", () => "<html>Please log in</html>", "not valid JSON"],
    ["has nothing", () => "", "(status 404)"],
    ["lacks the version", () => '{"versions":{}}', "it has no @std/"],
    [
      "loses the sources",
      (path: string) => path.endsWith(".ts") ? "" : files(path),
      ".ts",
    ],
    [
      "serves other sources than it lists",
      (path: string) => path.endsWith(".ts") ? files(path) + "//" : files(path),
      "ntegrity check failed",
    ],
  ] as const
) {
  Deno.test(`a JSR that ${name} is answered with stand-ins and the reason`, async () => {
    await using jsr = serve(body);
    await using copy = new Copy();
    const said = await copy.setUp(jsr.url);
    assertStringIncludes(said, reason);
    assertStringIncludes(said, "using the stand-ins");
    assertEquals(said.split("\n").length, 2);
    assertEquals(await copy.installed(jsr.url), "stand-ins");
  });
}

Deno.test("a JSR below a path serves as well", async () => {
  await using jsr = serve((path) => files(path.replace("/mirror/", "/")));
  await using copy = new Copy();
  const url = `${jsr.url}mirror`; // as Deno has it: the slash is optional
  assertStringIncludes(await copy.setUp(url), `from ${url}/\n`);
  assertEquals(await copy.installed(url), "real");
});
