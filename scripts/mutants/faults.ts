/**
 * Faults as people make them in code like this, for `deno task mutants --suite
 * core`: each as the text that it changes, so that it can be planted as long as
 * that text stands where it stood.
 */

/** A fault that can be planted. */
export interface Fault {
  /** What goes wrong. */
  name: string;
  /** The file that it is planted in. */
  file: string;
  /** What it changes: a text that the file has once, and what stands there instead. */
  changes: readonly (readonly [from: string, to: string])[];
  /** Why simulation can't find it; without this it must. */
  unseen?: string;
}

/**
 * The file with the fault in it.
 *
 * @param fault What to plant.
 * @param source The file as it is.
 * @throws {Error} The file has not got what the fault changes, or more than once.
 */
export function planted(
  { name, file, changes }: Fault,
  source: string,
): string {
  for (const [from, to] of changes) {
    const count = source.split(from).length - 1;
    if (count !== 1) {
      throw new Error(
        `the fault "${name}" can't be planted: ${file} has ${count} times what it changes: ${from}`,
      );
    }
    source = source.replace(from, () => to);
  }
  return source;
}

const INBOX = "lib/stdio/inbox.ts";
const OUTBOX = "lib/stdio/outbox.ts";
const SERVE = "lib/stdio/serve.ts";
const EVENT_LOOP = "lib/stdio/event_loop.ts";
const REAPER = "lib/reaper.ts";
const SLICES = "lib/slices.ts";
const PENDING = "lib/pending_rpcs.ts";
const HEAP = "lib/deadline_heap.ts";
const ABORTS = "lib/abort_groups.ts";
const NODE = "lib/node.ts";
const MESSAGE = "lib/message.ts";
const LINEARIZABILITY = "lib/sim/judges/linearizability.ts";
const CHECKERS = "lib/sim/judges/checkers.ts";

const JUDGE =
  "a judge that says yes too often: the nodes that it judges are right";

/** All faults of the suite "core". */
export const FAULTS: readonly Fault[] = [
  {
    name: "the start of a line that the end of a read cuts is dropped",
    file: INBOX,
    changes: [["    this.#keep(rest, end);", "    this.#keep(end, end);"]],
  },
  {
    name:
      "a byte order mark at the start is taken for a part of the first line",
    file: INBOX,
    changes: [[
      "if (!this.#started && BOM.every(",
      "if (this.#started && BOM.every(",
    ]],
  },
  {
    name: "a byte order mark is passed over at the start of every read",
    file: INBOX,
    changes: [["if (!this.#started && BOM.every(", "if (BOM.every("]],
  },
  {
    name: "a line that just fits is skipped, once it is whole",
    file: INBOX,
    changes: [
      [
        "if (bytes.length - 1 <= this.#options.maxLineBytes) {",
        "if (bytes.length - 1 < this.#options.maxLineBytes) {",
      ],
      [
        "if (line.length > this.#options.maxLineBytes) {",
        "if (line.length >= this.#options.maxLineBytes) {",
      ],
    ],
  },
  {
    name: "a line that just fits is skipped before its end has come",
    file: INBOX,
    changes: [[
      "if (this.#kept > this.#options.maxLineBytes) {",
      "if (this.#kept >= this.#options.maxLineBytes) {",
    ]],
  },
  {
    name: "after a line that is too long the rest of the input is skipped",
    file: INBOX,
    changes: [["    this.#skipping = false;\n", ""]],
  },
  {
    name:
      "with a line that is too long those after it in the same read are skipped",
    file: INBOX,
    changes: [[
      "this.#skipping ? fresh.indexOf(NEWLINE) + 1 : 0",
      "this.#skipping ? fresh.lastIndexOf(NEWLINE) + 1 : 0",
    ]],
  },
  {
    name: "a last line without a line end is dropped",
    file: INBOX,
    changes: [["count === null ? this.#last() :", 'count === null ? "" :']],
  },
  {
    name: "what is no UTF-8 is replaced instead of skipped",
    file: INBOX,
    changes: [['if (!text.includes("\\ufffd")) return text;', "return text;"]],
  },
  {
    name: "a buffer that grows forgets what it held",
    file: INBOX,
    changes: [["      this.#buffer.set(line.subarray(0, this.#kept));\n", ""]],
  },
  {
    name:
      "whoever asks while nothing is being read is never told that there is no more",
    file: INBOX,
    changes: [[
      "    this.#reading = true;\n    this.#look();\n",
      "    this.#reading = true;\n",
    ]],
  },
  {
    name: "a read that waits and one that is over count alike as no more input",
    file: INBOX,
    changes: [[
      "const waited = this.#reading && this.#begun === begun;",
      "const waited = true;",
    ]],
    unseen:
      "a simulated read is over before the loop's next turn; real ones take a thread's time",
  },
  {
    name: "of a write that took a part the rest is dropped",
    file: OUTBOX,
    changes: [[
      "bytes = bytes.subarray(await this.#output.write(piece));",
      "await this.#output.write(piece);\n          bytes = bytes.subarray(piece.length);",
    ]],
  },
  {
    name: "what is sent while a write is under way is lost",
    file: OUTBOX,
    changes: [
      ["        this.#lines = [];\n        let bytes", "        let bytes"],
      [
        "        this.#waiting -= waiting;\n",
        "        this.#waiting -= waiting;\n        this.#lines = [];\n",
      ],
    ],
  },
  {
    name:
      "what is sent while a write is under way waits until something else is sent",
    file: OUTBOX,
    changes: [[
      "      while (this.#lines.length > 0) {",
      "      if (this.#lines.length > 0) {",
    ]],
  },
  {
    name: "what was written counts as waiting for ever",
    file: OUTBOX,
    changes: [["        this.#waiting -= waiting;\n", ""]],
  },
  {
    name: "the last line of a write has no line end",
    file: OUTBOX,
    changes: [['lines.join("\\n") + "\\n"', 'lines.join("\\n")']],
  },
  {
    name: "nobody is told that stdout can't be written to",
    file: OUTBOX,
    changes: [["      this.#failed.resolve(this.#failure);\n", ""]],
  },
  {
    name: "what waits to be written has no limit",
    file: OUTBOX,
    changes: [[
      "if (this.#waiting + bytes > this.#maxBytes) {",
      "if (this.#waiting + bytes < 0) {",
    ]],
  },
  {
    name: "input is read however much waits to be written",
    file: SERVE,
    changes: [[
      "      while (outbox.waiting > pauseBytes) await outbox.flush();\n",
      "",
    ]],
  },
  {
    name: "the process ends while something waits to be written",
    file: SERVE,
    changes: [[
      "const problem = await drain(outbox, loop);",
      "const problem = outbox.failure;",
    ]],
  },
  {
    name: "the process ends without waiting for handlers",
    file: SERVE,
    changes: [["  await node.close();\n", "  void node.close();\n"]],
  },
  {
    name: "a timer stays armed once what it bounds is over",
    file: EVENT_LOOP,
    changes: [["  cancel();\n", ""]],
  },
  {
    name: "the grace of the input is counted anew for each slice",
    file: REAPER,
    changes: [["Math.ceil(reap.due + graceMs - clock.now())", "graceMs"]],
  },
  {
    name: "the report's age is the least of its slices",
    file: REAPER,
    changes: [
      [
        "    const step = (now: number) =>\n",
        "    const age = report.oldestAgeMs || Infinity;\n    report.oldestAgeMs = 0;\n    const step = (now: number) =>\n",
      ],
      [
        "      if (!more) return this.#endReap();\n",
        "      report.oldestAgeMs = Math.min(report.oldestAgeMs, age);\n      if (!more) return this.#endReap();\n",
      ],
    ],
  },
  {
    name: "a timer stays armed when nothing is pending",
    file: REAPER,
    changes: [[
      "if (pending.size === 0) this.#disarm();",
      "if (pending.size === 0) return;",
    ]],
  },
  {
    name:
      "an earlier deadline than the one that the timer is for does not move it",
    file: REAPER,
    changes: [[
      "pending.firstDeadline < this.#armedFor",
      "this.#armedFor === Infinity",
    ]],
  },
  {
    name: "a fraction of a ms is cut off the timer's delay",
    file: REAPER,
    changes: [["Math.ceil(time - now)", "Math.floor(time - now)"]],
  },
  {
    name: "between two slices replies that have come meanwhile are not handled",
    file: REAPER,
    changes: [[
      "this.#afterInput(reap, clock.now() - setAt);",
      "this.#slice(reap);",
    ]],
  },
  {
    name: "a reap has no end until all is reaped",
    file: SLICES,
    changes: [["if (now >= end) return then(true);", ""]],
  },
  {
    name: "a slice does not count what awaits the promises that it settles",
    file: SLICES,
    changes: [["    if (steps % STEPS_AT_ONCE === 0) await undefined;\n", ""]],
  },
  {
    name: "stopping leaves the timer armed",
    file: REAPER,
    changes: [[
      "  stop(): void {\n    this.#disarm();\n",
      "  stop(): void {\n",
    ]],
  },
  {
    name: "once a reap is over no timer is armed for the next deadline",
    file: REAPER,
    changes: [[
      "    this.#reap = undefined;\n    this.update();\n",
      "    this.#reap = undefined;\n",
    ]],
  },
  {
    name: "replies to ids from 5000 settle whoever sends them",
    file: PENDING,
    changes: [[
      "segment.dests[offset] !== message.src",
      "segment.dests[offset] !== message.src && msgId < 5000",
    ]],
  },
  {
    name: "how an RPC ended is forgotten",
    file: PENDING,
    changes: [[
      "    this.#ended[place] = replied ? msgId + 1 : -msgId - 1;\n",
      "",
    ]],
  },
  {
    name: "of equal deadlines the last comes first",
    file: PENDING,
    changes: [[
      "this.deadlines[this.#order[middle]!]! <= deadline",
      "this.deadlines[this.#order[middle]!]! < deadline",
    ]],
  },
  {
    name:
      "an RPC whose deadline is the earliest of its segment does not move the segment",
    file: PENDING,
    changes: [[
      "    else if (segment.first === segment.used - 1) {",
      "    else if (segment.first === segment.used) {",
    ]],
  },
  {
    name: "an RPC that could not be sent stays registered",
    file: PENDING,
    changes: [[
      "    this.#takeOut(segment, offset);\n    this.#counts.registered--;",
      "    this.#counts.registered--;",
    ]],
  },
  {
    name: "a segment that is merged loses its last RPC",
    file: PENDING,
    changes: [[
      "this.#append(a, b, b.used);",
      "this.#append(a, b, b.used - 1);",
    ]],
  },
  {
    name: "segments with equal deadlines come in the wrong order",
    file: PENDING,
    changes: [[
      "this.#segments[a]!.firstId < this.#segments[b]!.firstId",
      "this.#segments[a]!.firstId > this.#segments[b]!.firstId",
    ]],
  },
  {
    name: "the heap passes over the last item",
    file: HEAP,
    changes: [["right < this.size &&", "right < this.size - 1 &&"]],
  },
  {
    name: "a listener stays with its signal when all its RPCs have ended",
    file: ABORTS,
    changes: [["    group.stop();\n", ""]],
  },
  {
    name: "RPCs that are aborted leave the timer armed",
    file: NODE,
    changes: [[
      "        this.#pending.cancel(msgId, reason);\n        this.#reaper.update();\n",
      "        this.#pending.cancel(msgId, reason);\n",
    ]],
  },
  {
    name: "RPCs that are answered leave the timer armed",
    file: NODE,
    changes: [[
      'if (outcome === "replied") this.#reaper.update();\n      else {',
      'if (outcome !== "replied") {',
    ]],
  },
  {
    name: "an id that was not sent is used up",
    file: NODE,
    changes: [[
      "      if (this.#nextMsgId === body.msg_id + 1) this.#nextMsgId = body.msg_id;\n",
      "",
    ]],
  },
  {
    name: "periodic work goes on after the node was closed",
    file: NODE,
    changes: [["    for (const work of this.#periodic) work.stop();\n", ""]],
  },
  {
    name: "an id of 0 is no id",
    file: MESSAGE,
    changes: [["(value as number) >= 0", "(value as number) > 0"]],
  },
  {
    name:
      "a compare-and-set of which nobody knows is always taken to have happened",
    file: LINEARIZABILITY,
    changes: [[
      "canonical(from) === canonical(state) ?",
      'status !== "ok" || canonical(from) === canonical(state) ?',
    ]],
    unseen: JUDGE,
  },
  {
    name: "an element in any final read counts as in all",
    file: CHECKERS,
    changes: [[
      "filter((one) => !set.has(one))",
      "filter((one) => !history.some(({ final, result }) => final && (result as unknown[]).map(canonical).includes(one)))",
    ]],
    unseen: JUDGE,
  },
];
