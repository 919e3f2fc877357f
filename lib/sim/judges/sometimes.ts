/** What must happen in some simulation, or the simulations test less than they seem to. */

/** Rare things that can happen to a node, and what each means. */
export const SOMETIMES = {
  "reply on the deadline":
    "a reply is handled on the very tick of its RPC's deadline",
  "reply past the deadline":
    "a reply settles an RPC whose deadline has passed, but that was not reaped yet",
  "late reply": "a reply comes to an RPC that has timed out",
  "duplicate reply": "a reply comes a second time",
  "stray reply": "a reply to a pending RPC comes from another node",
  "unknown reply":
    "a reply comes to nothing known, as to the process before a restart",
  "reap cut by its slice": "a reap ends with more callbacks due",
  "table merged while reaping":
    "two sparse parts of the table of RPCs become one while a reap is under way",
  "pause across a deadline": "a node stands still while a deadline passes",
  "crash with RPCs pending": "a process ends while RPCs are pending",
  "full table": "an RPC is refused as too many are pending",
  "callback throws": "an RPC's callback throws",
  "request before init": "a node is asked something before it knows who it is",
} as const;

/** The name of something that must happen in some simulation. */
export type Sometimes = keyof typeof SOMETIMES;

/** How often each of them happened. */
export type SometimesCounts = Record<Sometimes, number>;

/** Counts with which to begin: nothing has happened. */
export function nothingHappened(): SometimesCounts {
  const names = Object.keys(SOMETIMES) as Sometimes[];
  return Object.fromEntries(names.map((name) => [name, 0])) as SometimesCounts;
}
