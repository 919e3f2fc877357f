/** Makes a project with a node of one's own: a copy of `scripts/new/`, which works where it is, too. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Task } from "./options.ts";

const HELP =
  `Makes a project with a Maelstrom node of your own, its tests and tasks.

Usage: deno task new DIR

  DIR          where: a directory that is empty, or does not exist yet
  -h, --help   show this

Exit code: 0 when it was made, 1 when it could not be, 2 for a wrong argument.`;

const checkout = fileURLToPath(new URL("../", import.meta.url));
const template = fileURLToPath(new URL("new/", import.meta.url));
/** Where the checkout is, from the template. */
const UP = "../..";

function fail(text: string): never {
  console.error(`new: ${text}`);
  Deno.exit(1);
}

/** Whether a directory is the other one, or in it. */
function contains(dir: string, other: string): boolean {
  const path = relative(dir, other);
  return !path.startsWith("..") && !isAbsolute(path);
}

/** How a file or directory is named in a directory: with slashes; by its URL if it is on another drive. */
function pathTo(file: string, dir: string): string {
  const path = relative(dir, file);
  return isAbsolute(path)
    ? pathToFileURL(file).href.replace(/\/$/, "")
    : path.replaceAll(sep, "/");
}

/** A path as a word of a task's command. */
function quoted(path: string): string {
  return /^[\w./:-]+$/.test(path) ? path : `'${path.replaceAll("'", `'"'"'`)}'`;
}

/** `deno.json`, with the checkout at another path. */
function configFor(path: string, text: string): string {
  const config = JSON.parse(text);
  config.links = [path];
  for (const task of Object.values<{ command: string }>(config.tasks)) {
    task.command = task.command.replace(
      /\.\.\/\.\.(\/\S+)/,
      (_, script) => quoted(path + script),
    );
  }
  return JSON.stringify(config, null, 2) + "\n";
}

/** What is in a directory; nothing where there is none. */
function contents(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    fail(
      code === "ENOTDIR"
        ? `${dir} is no directory: choose another name`
        : `${dir} can't be made: ${message}`,
    );
  }
}

const task: Task = new Task("new", HELP);
const [name, ...more] = task.arguments();
if (name === undefined || name === "") {
  task.usageError("DIR is missing: deno task new ../my-node");
}
if (more.length > 0) {
  task.usageError(`one DIR at a time, not '${[name, ...more].join("' '")}'`);
}
const dir = resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), name);
if (contains(checkout, dir)) {
  fail(
    `${dir} is in Gyre's own directory: choose one beside it, such as ../my-node`,
  );
}
if (contents(dir).length > 0) {
  fail(`${dir} is not empty: choose another directory, or empty it first`);
}
const path = pathTo(checkout, dir);
try {
  mkdirSync(dir, { recursive: true });
  const entries = readdirSync(template, { withFileTypes: true });
  for (const { name: file } of entries.filter((entry) => entry.isFile())) {
    const text = readFileSync(join(template, file), "utf8");
    const copy = file === "deno.json"
      ? configFor(path, text)
      : text.replaceAll(UP, path);
    writeFileSync(join(dir, file), copy);
  }
} catch (error) {
  fail(`${dir} can't be made: ${(error as Error).message}`);
}
console.log(`Made ${dir}. Next:

  cd ${quoted(relative(Deno.env.get("INIT_CWD") ?? Deno.cwd(), dir) || ".")}
  deno task test   # npx -y deno@2.9.6, where there is no deno
  deno task sim

Begin in node.ts; README.md says more.`);
