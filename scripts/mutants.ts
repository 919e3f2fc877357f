/**
 * Plants faults in `lib/`, one at a time, and runs the tests that concern the
 * file: a fault that no test notices shows what is not tested. Changes that were
 * found to be no faults are in `no_faults.json`, with the reason; they are not
 * planted.
 */
import { join } from "node:path";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
// deno-lint-ignore no-import-prefix -- not in deno.json, so that only this task downloads it
import ts from "npm:typescript@5.9.3";
import { SUITES } from "./mutants/faults.ts";
import { plantSuite } from "./mutants/suite.ts";
import {
  copyOfProject,
  limitsOf,
  root,
  runStages,
  stagesOf,
} from "./mutants/project.ts";
import { Task } from "./options.ts";
import noFaults from "./no_faults.json" with { type: "json" };

const FILES = [
  "deadline_heap",
  "pending_rpcs",
  "reaper",
  "node",
  "stdio/inbox",
  "stdio/outbox",
  "stdio/log",
  "stdio/deno",
  "stdio/runtime",
  "stdio/sockets",
  "stdio/memory",
  "stdio/serve",
  "message",
  "retry",
  "services",
  "fan_out",
  "gossip",
].map((name) => `lib/${name}.ts`);
/** How many of the faults must be caught, in per cent. */
const ENOUGH = 95;
const HELP =
  `Plants faults in lib/, one at a time, and runs the tests that concern them.
Exits with 1 when fewer than ${ENOUGH} % are caught.

Usage: deno task mutants [options]

  --suite NAME plant the faults of scripts/mutants/faults.ts instead, those of
               the core, or of the workloads: does simulation alone find each of
               them, and do the core's tests? Exits with 1 when neither does, or
               simulation doesn't and nothing says why
  --fault TEXT with --suite: only those whose names have this
  --limit N    how many faults to plant, of all that there are (default 150)
  --seed N     which ones (default 1)
  --file PATH  plant them in this file only, such as lib/node.ts
  --list       show the faults, plant none
  -h, --help   show this`;

/** A fault: part of a file, and what stands there instead. */
interface Mutant {
  file: string;
  line: number;
  start: number;
  end: number;
  from: string;
  to: string;
}

const { SyntaxKind } = ts;
const OPERATORS: Partial<Record<ts.SyntaxKind, readonly string[]>> = {
  [SyntaxKind.LessThanToken]: ["<=", ">="],
  [SyntaxKind.LessThanEqualsToken]: ["<", ">"],
  [SyntaxKind.GreaterThanToken]: [">=", "<="],
  [SyntaxKind.GreaterThanEqualsToken]: [">", "<"],
  [SyntaxKind.EqualsEqualsEqualsToken]: ["!=="],
  [SyntaxKind.ExclamationEqualsEqualsToken]: ["==="],
  [SyntaxKind.AmpersandAmpersandToken]: ["||"],
  [SyntaxKind.BarBarToken]: ["&&"],
  [SyntaxKind.PlusToken]: ["-"],
  [SyntaxKind.MinusToken]: ["+"],
  [SyntaxKind.AsteriskToken]: ["/"],
  [SyntaxKind.SlashToken]: ["*"],
  [SyntaxKind.PercentToken]: ["*"],
  [SyntaxKind.PlusEqualsToken]: ["-="],
  [SyntaxKind.MinusEqualsToken]: ["+="],
  [SyntaxKind.LessThanLessThanToken]: [">>>"],
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken]: ["<<"],
  [SyntaxKind.AmpersandToken]: ["|"],
  [SyntaxKind.BarToken]: ["&"],
};

/** Every fault that can be planted in a file, from its syntax tree. */
function mutantsOf(file: string, text: string): Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const mutants: Mutant[] = [];
  const lines = text.split("\n");
  const plant = (node: ts.Node, to: string) => {
    const start = node.getStart(source);
    const { line } = source.getLineAndCharacterOfPosition(start);
    const from = node.getText(source);
    const known = noFaults.some((other) =>
      other.file === file && other.code === lines[line]!.trim() &&
      other.from === from && other.to === to
    );
    if (known) return;
    mutants.push({ file, line: line + 1, start, end: node.end, from, to });
  };
  const visit = (node: ts.Node) => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node)) return;
    if (ts.isBinaryExpression(node)) {
      const { left, right, operatorToken } = node;
      const joins = [left, right].some((part) =>
        ts.isStringLiteral(part) || ts.isTemplateLiteral(part)
      );
      for (const to of joins ? [] : OPERATORS[operatorToken.kind] ?? []) {
        plant(operatorToken, to);
      }
    } else if (
      ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)
    ) {
      const operand = node.operand.getText(source);
      if (node.operator === SyntaxKind.ExclamationToken) plant(node, operand);
      else if (node.operator === SyntaxKind.PlusPlusToken) {
        plant(node, `${operand}--`);
      } else if (node.operator === SyntaxKind.MinusMinusToken) {
        plant(node, `${operand}++`);
      }
    } else if (ts.isNumericLiteral(node)) {
      const value = Number(node.text.replaceAll("_", ""));
      plant(node, String(value < 10 ? value + 1 : value * 10));
    } else if (node.kind === SyntaxKind.TrueKeyword) plant(node, "false");
    else if (node.kind === SyntaxKind.FalseKeyword) plant(node, "true");
    else if (
      ts.isExpressionStatement(node) || ts.isBreakStatement(node) ||
      ts.isContinueStatement(node) || ts.isThrowStatement(node) ||
      ts.isReturnStatement(node) && node.expression === undefined
    ) plant(node, ";");
    if (
      ts.isIfStatement(node) || ts.isWhileStatement(node) ||
      ts.isDoStatement(node)
    ) plant(node.expression, `!(${node.expression.getText(source)})`);
    else if (ts.isConditionalExpression(node)) {
      plant(node.condition, `!(${node.condition.getText(source)})`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return mutants;
}

/** The order in which a seed deals these out. */
function shuffled<T>(from: readonly T[], seed: number): T[] {
  const random = xoroshiro128plus(seed);
  const dealt = [...from];
  for (let i = dealt.length - 1; i > 0; i--) {
    const j = uniformInt(random, 0, i);
    [dealt[i], dealt[j]] = [dealt[j]!, dealt[i]!];
  }
  return dealt;
}

const shown = ({ file, line, from, to }: Mutant) =>
  `${file}:${line}: ${
    [from, to].map((text) => text.replace(/\s+/g, " ").slice(0, 60))
      .join("  →  ")
  }`;

const task: Task = new Task("mutants", HELP);
const values = task.options({
  suite: { type: "string" },
  fault: { type: "string" },
  limit: { type: "string" },
  seed: { type: "string" },
  file: { type: "string" },
  list: { type: "boolean" },
});
const suite = task.word("suite", values.suite, Object.keys(SUITES));
if (suite !== undefined) {
  Deno.exit(await plantSuite(suite, values.fault ?? "") ? 0 : 1);
}
const limit = task.number("limit", values.limit, { min: 1 }) ?? 150;
const seed = task.number("seed", values.seed, { min: 0 }) ?? 1;
const file = task.word("file", values.file, FILES);
const files = file === undefined ? FILES : [file];
const sources = new Map(
  files.map((file) => [file, Deno.readTextFileSync(join(root, file))]),
);
const all = files.flatMap((file) => mutantsOf(file, sources.get(file)!));
const chosen = shuffled(all, seed).slice(0, limit);
console.log(
  `${all.length} faults can be planted, ${chosen.length} are (seed ${seed})`,
);
if (values.list) {
  for (const mutant of chosen) console.log(shown(mutant));
  Deno.exit(0);
}

const copies = await Promise.all(
  Array.from({ length: navigator.hardwareConcurrency }, copyOfProject),
);
const survivors: Mutant[] = [];
const tally = new Map(
  files.map((file) => [file, { planted: 0, failed: 0, hung: 0, passed: 0 }]),
);
try {
  const stages = new Map(files.map((file) => [file, stagesOf(file)]));
  const limits = await limitsOf([...stages.values()].flat(), copies[0]!);
  const queue = [...chosen];
  const work = async (copy: string) => {
    for (let mutant; (mutant = queue.shift());) {
      const { file, start, end, to } = mutant;
      const source = sources.get(file)!;
      const path = join(copy, file);
      await Deno.writeTextFile(
        path,
        source.slice(0, start) + to + source.slice(end),
      );
      const verdict = await runStages(stages.get(file)!, copy, limits);
      await Deno.writeTextFile(path, source);
      const count = tally.get(file)!;
      count.planted++;
      count[verdict]++;
      if (verdict === "passed") {
        survivors.push(mutant);
        console.log(`survived: ${shown(mutant)}`);
      }
    }
  };
  await Promise.all(copies.map(work));
} finally {
  await Promise.all(
    copies.map((copy) => Deno.remove(copy, { recursive: true })),
  );
}

const caught = chosen.length - survivors.length;
const percent = 100 * caught / chosen.length;
console.log("planted  failed  hung  survived  file");
for (const [file, { planted, failed, hung, passed }] of tally) {
  console.log(
    [[planted, 7], [failed, 6], [hung, 4], [passed, 8]]
      .map(([count, width]) => String(count).padStart(width!)).join("  ") +
      `  ${file}`,
  );
}
console.log(`${caught} of ${chosen.length} caught: ${percent.toFixed(1)} %`);
Deno.exit(percent >= ENOUGH ? 0 : 1);
