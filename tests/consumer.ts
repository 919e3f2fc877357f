/** Programs that use all of Gyre, under every setting of the compiler's strictness. */

/** As loose as can be. */
export const LOOSEST = { strict: false, noImplicitOverride: false };

/** All that make the compiler stricter, and that a program may set. */
export const STRICTEST = {
  strict: true,
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  erasableSyntaxOnly: true,
  exactOptionalPropertyTypes: true,
  noFallthroughCasesInSwitch: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
};

/**
 * A module that exports all of some entries.
 *
 * @param entries The entries, such as `"./sim"`.
 */
export function exportAll(entries: readonly string[]): string {
  return entries.map((entry, i) =>
    `export * as entry${i} from "@gyre/node${entry.slice(1)}";\n`
  ).join("");
}
