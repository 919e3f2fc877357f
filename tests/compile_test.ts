/** The build script, as far as it gets without a network. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { elfSize } from "../scripts/denort.ts";
import { outcome } from "./command.ts";

function compile(args: string[], env: Record<string, string> = {}) {
  const script = ["run", "--quiet", "--no-check", "-A", "scripts/compile.ts"];
  const cwd = new URL("../", import.meta.url);
  return outcome([Deno.execPath(), ...script, ...args], { cwd, env });
}

Deno.test("compile: a wrong option is named in one line, with where help is", async () => {
  for (
    const [arg, reason] of [
      ["--nope", "Unknown option '--nope'"],
      ["--runtime=jsr", "--runtime must be npm, not 'jsr'"],
      ["gyre", "Unexpected argument 'gyre'"],
    ] as const
  ) {
    const { code, stderr } = await compile([arg]);
    assertEquals([code, stderr.trim().split("\n").length], [2, 1]);
    assertStringIncludes(stderr, reason);
    assertStringIncludes(stderr, " (see --help)");
  }
});

Deno.test("compile --help goes to stdout", async () => {
  const { code, stdout, stderr } = await compile(["--help"]);
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "--runtime=npm");
});

Deno.test({
  name: "compile --runtime=npm says where it works",
  ignore: Deno.build.target === "x86_64-unknown-linux-gnu",
  fn: async () => {
    const { code, stderr } = await compile(["--runtime=npm"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "x86_64-unknown-linux-gnu only");
  },
});

async function withoutRuntime(env: Record<string, string>, reason: string) {
  const dist = new URL("../dist/", import.meta.url);
  await Deno.mkdir(dist, { recursive: true });
  const gyre = new URL(Deno.build.os === "windows" ? "gyre.exe" : "gyre", dist);
  const made = await Deno.writeTextFile(gyre, "", { createNew: true })
    .then(() => true, () => false);
  const { code, stderr } = await compile([], env);
  await Deno.stat(gyre); // a build that fails leaves the one before alone
  if (made) await Deno.remove(gyre);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `compile: no runtime: ${reason}`);
  assertStringIncludes(stderr, "DENORT_BIN");
  assertStringIncludes(stderr, "deno task compile --runtime=npm");
  assertEquals(/backtrace|^\s+at /m.test(stderr), false);
}

Deno.test({
  name: "compile: where the runtime can't be downloaded, the ways out",
  ignore: Deno.env.has("DENORT_BIN"),
  fn: async () => {
    // An empty cache: an earlier build may have downloaded the runtime.
    const cache = await Deno.makeTempDir({ prefix: "gyre-compile-" });
    const env = { DENO_DIR: cache, HTTPS_PROXY: "http://127.0.0.1:1" };
    await withoutRuntime(
      { ...env, NO_PROXY: "" },
      "error sending request for url (https://dl.deno.land/",
    ).finally(() => Deno.remove(cache, { recursive: true }));
  },
});

Deno.test("compile: where DENORT_BIN names nothing, the ways out", () =>
  withoutRuntime(
    { DENORT_BIN: "/nowhere" },
    "Could not find denort at '/nowhere'",
  ));

Deno.test("elfSize is the end of the section headers, 0 for what is no ELF file", () => {
  const bytes = new Uint8Array(70);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x7f454c46);
  view.setBigUint64(0x28, 1000n, true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 3, true);
  assertEquals(elfSize(bytes), 1192);
  assertEquals(elfSize(bytes.subarray(0, 63)), 0);
  view.setUint32(0, 0x7f454c47);
  assertEquals(elfSize(bytes), 0);
});
