import { FAULTS } from "/tmp/h/d/scripts/mutants/faults.ts";
import { planted } from "/tmp/h/d/scripts/mutants/core.ts";
import { copyOfProject } from "/tmp/h/d/scripts/mutants/project.ts";
const [seeds, part = "", workers = "2"] = Deno.args;
const queue = FAULTS.filter((f) =>
  part.split("|").some((p) => f.name.includes(p))
);
await Promise.all(Array.from({ length: +workers }, async () => {
  const copy = await copyOfProject();
  for (let f; (f = queue.shift());) {
    const src = Deno.readTextFileSync("/tmp/h/d/" + f.file);
    try {
      Deno.writeTextFileSync(copy + "/" + f.file, planted(f, src));
    } catch (e) {
      console.log(e.message);
      continue;
    }
    const t = performance.now();
    const c = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "-A",
        "scripts/mutants/first_failure.ts",
        seeds!,
      ],
      cwd: copy,
      stdin: "null",
      stderr: "piped",
      stdout: "piped",
    }).spawn();
    const timer = setTimeout(() => c.kill("SIGKILL"), 200_000);
    const { code, stdout, stderr } = await c.output();
    clearTimeout(timer);
    console.log(
      code === 0 ? "MISSED" : "found ",
      f.name,
      "|",
      new TextDecoder().decode(stdout).slice(0, 260).trim(),
      new TextDecoder().decode(stderr).slice(0, 200).replaceAll("\n", " "),
      ((performance.now() - t) / 1000).toFixed(0) + "s",
    );
    Deno.writeTextFileSync(copy + "/" + f.file, src);
  }
  Deno.removeSync(copy, { recursive: true });
}));
