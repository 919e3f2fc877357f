/**
 * A number of things.
 *
 * @param count How many.
 * @param what One of them.
 */
export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
