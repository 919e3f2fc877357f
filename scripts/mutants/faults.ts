/**
 * Faults as people make them in code like this, for `deno task mutants
 * --suite`: each as the text that it changes, so that it can be planted as long
 * as that text stands where it stood.
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
  /** What clients are to ask for in the simulations; by default what each seed chooses. */
  workload?: string;
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

/** All faults of the suite "core": the node, its callbacks, its input and output. */
const CORE: readonly Fault[] = [
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

const G_SET = { file: "lib/workloads/g_set.ts", workload: "g-set" };
const BROADCAST = { file: "lib/workloads/broadcast.ts", workload: "broadcast" };
const COUNTER = { file: "lib/workloads/pn_counter.ts", workload: "pn-counter" };
const KAFKA = { file: "lib/workloads/kafka.ts", workload: "kafka" };
const TXN = {
  file: "lib/workloads/txn_rw_register.ts",
  workload: "txn-rw-register",
};
const IDS = { file: "lib/workloads/unique_ids.ts", workload: "unique-ids" };
const GOSSIP = { file: "lib/gossip.ts", workload: "broadcast" };

/** All faults of the suite "workloads", and of what they share. */
const WORKLOADS: readonly Fault[] = [
  {
    name: "of several ids two are the same",
    ...IDS,
    changes: [["${count++}", "${count++ >> 1}"]],
  },
  {
    name: "ids of a process that restarts begin anew",
    ...IDS,
    changes: [["Math.floor(number * 2 ** 32).toString(36)", '""']],
  },
  {
    name: "ids lack the node",
    ...IDS,
    changes: [[
      "`${node.nodeId}-${life}-${count++}`",
      "`${life.slice(0, 2)}-${count++}`",
    ]],
  },
  {
    name: "of the elements that come together one is taken in",
    ...G_SET,
    changes: [["delta.filter(", "delta.slice(0, 1).filter("]],
  },
  {
    name: "of elements that are gathered the last stay",
    ...G_SET,
    changes: [["join: (a, b) => [...a, ...b],", "join: (_, b) => b,"]],
  },
  {
    name: "a set that was lost in a crash is not told again",
    ...G_SET,
    changes: [[
      "full: () => known.size > 0 ? [...known.values()] : undefined,",
      "full: () => undefined,",
    ]],
  },
  {
    name: "an element that was told is told on, and not kept",
    ...G_SET,
    changes: [[
      "return !known.has(key) && known.set(key, element);",
      "return !known.has(key) && (delta.length > 1 || known.set(key, element));",
    ]],
  },
  {
    name: "from the fiftieth on messages are confirmed and dropped",
    ...BROADCAST,
    changes: [[
      "    set.add(message);\n",
      "    if (set.elements().length < 50) set.add(message);\n",
    ]],
  },
  {
    name: "a read says what the first one said",
    ...BROADCAST,
    changes: [[
      'node.on("read", () => ({ messages: set.elements() }));',
      'let read: unknown[];\n  node.on("read", () => ({ messages: read ??= set.elements() }));',
    ]],
  },
  {
    name: "a topology is not answered",
    ...BROADCAST,
    changes: [['"topology", () => ({})', '"topology", () => {}']],
  },
  {
    name: "a process that restarts goes on with the count of the one before",
    ...COUNTER,
    changes: [["`${node.nodeId} ${life}`", "node.nodeId"]],
  },
  {
    name: "of two counts the one that comes last stays",
    ...COUNTER,
    changes: [
      [
        "if (up <= knownUp && down <= knownDown) return false;",
        "if (up === knownUp && down === knownDown) return false;",
      ],
      [
        "[Math.max(up, knownUp), Math.max(down, knownDown)]",
        "[up, down]",
      ],
    ],
  },
  {
    name: "what goes down is counted with what goes up",
    ...COUNTER,
    changes: [[
      "by > 0 ? [up + by, down] : [up, down - by]",
      "[up + by, down]",
    ]],
  },
  {
    name: "of another node what is told again is added again",
    ...COUNTER,
    changes: [
      [
        "if (up <= knownUp && down <= knownDown) return false;",
        "const isOwn = key.startsWith(`${node.nodeId} `);\n        if (up <= knownUp && down <= knownDown && isOwn) return false;",
      ],
      [
        "[Math.max(up, knownUp), Math.max(down, knownDown)]",
        "isOwn || up <= knownUp ? [Math.max(up, knownUp), Math.max(down, knownDown)] : [knownUp + up, down]",
      ],
    ],
  },
  {
    name: "two nodes use the same offset",
    ...KAFKA,
    changes: [[
      "promised +\n      (ahead < 0 ? ahead + nodeIds.length : ahead)",
      "promised",
    ]],
  },
  {
    name: "messages are polled in the order in which they came",
    ...KAFKA,
    changes: [["    complete.sort(([a], [b]) => a - b);\n", ""]],
  },
  {
    name: "what is not complete is polled",
    ...KAFKA,
    changes: [[
      "Math.min(...this.#nodeIds.map(",
      "Math.max(...this.#nodeIds.map(",
    ]],
  },
  {
    name: "committed offsets go back",
    ...KAFKA,
    changes: [[
      "offset > (committed.get(key) ?? -1) &&",
      "offset !== committed.get(key) &&",
    ]],
  },
  {
    name: "a message is confirmed and lost where many wait",
    ...KAFKA,
    changes: [[
      "    this.#rest.push(...entries);\n",
      "    if (this.#rest.length < 8) this.#rest.push(...entries);\n",
    ]],
  },
  {
    name: "a poll begins one too late",
    ...KAFKA,
    changes: [["![0] < offset) low", "![0] <= offset) low"]],
  },
  {
    name: "what comes before what it follows is lost",
    ...KAFKA,
    changes: [[
      "    if (segment.from > from) this.#early.push(segment);\n",
      "",
    ]],
  },
  {
    name: "writes of a transaction are seen one by one",
    ...TXN,
    changes: [[
      'if (f === "w") own.set(name, [key, value, time, writer]);',
      'if (f === "w") gossip.add([[key, value, time++, writer]]);',
    ]],
  },
  {
    name: "of two writes the first stays",
    ...TXN,
    changes: [["return time > (known?.[2] ?? -1);", "return !known;"]],
  },
  {
    name: "times of others don't count",
    ...TXN,
    changes: [["        time = Math.max(time, write[2]);\n", ""]],
  },
  {
    name: "a transaction does not read what it has written",
    ...TXN,
    changes: [[
      "own.get(name) ?? registers.get(name)",
      "registers.get(name) ?? own.get(name)",
    ]],
  },
  {
    name: "of writes at the same time the one that comes last stays",
    ...TXN,
    changes: [["return writer > known[3];", "return writer !== known[3];"]],
  },
  {
    name: "what was in flight when a neighbour went away is forgotten",
    ...GOSSIP,
    changes: [[
      "    for (const { delta } of sent) if (delta !== undefined) this.queue(delta);\n",
      "",
    ]],
  },
  {
    name: "a neighbour that has lost its memory is told nothing",
    ...GOSSIP,
    changes: [[
      "this.#isBehind = this.#state.full() !== undefined;\n      this.#goOn();",
      "this.#isBehind = false;\n      this.#goOn();",
    ]],
  },
  {
    name: "what was lost is not told again",
    ...GOSSIP,
    changes: [["    this.#waits = true;\n    for (", "    return;\n    for ("]],
  },
  {
    name: "once a neighbour is back what waited is not told",
    ...GOSSIP,
    changes: [[
      "if (this.#waits && this.#inFlight.size === 0) this.#goOn();",
      "if (this.#waits && this.#inFlight.size === 0) this.#waits = false;\n    this.#news = [];",
    ]],
  },
];

/** All faults, by the name of their suite. */
export const SUITES: Readonly<Record<string, readonly Fault[]>> = {
  core: CORE,
  workloads: WORKLOADS,
};
