/** Maelstrom's `txn-rw-register`: transactions that read and write registers. */
import { ErrorCode, RpcError } from "../errors.ts";
import { chunks, Gossip } from "../gossip.ts";
import type { AnyNode } from "../node.ts";

/** A write as nodes tell it: the later one stays, by its time, and by its writer where times are equal. */
type Write = readonly [
  key: unknown,
  value: unknown,
  time: number,
  writer: string,
];

/**
 * Sets the handler of `txn`: reads (`["r", key, null]`) and writes
 * (`["w", key, value]`), in order, by what this node knows, so that a partition
 * stops nobody. Keys and values are any JSON.
 *
 * What it guarantees is read committed. A transaction takes place at once, in
 * one node, and is told to the others as a whole: what another one reads is the
 * last that it wrote. Each has a Lamport time, greater than those of all that
 * its node knew by then, and of two writes of a key all nodes keep the later
 * one. So whatever a transaction has read or overwritten is earlier than it:
 * those that depend on each other are in one order, the same for all keys. The
 * nodes agree as soon as `Gossip` has told them all, within 0.3 s or so.
 *
 * What it does not guarantee: two transactions in different nodes may both read
 * the same value and replace it (lost update), or read what is not the newest.
 * What a node has told nobody when it crashes is lost.
 *
 * @param node The node.
 */
export function txnRwRegister(node: AnyNode): void {
  const life = node.random();
  const registers = new Map<string, Write>(); // by their keys' JSON
  let time = 0;
  const gossip = new Gossip<Write[]>(node, {
    merge(delta) {
      const news = delta.filter((write) => {
        const key = JSON.stringify(write[0]);
        time = Math.max(time, write[2]);
        return isLater(write, registers.get(key)) && registers.set(key, write);
      });
      return news.length > 0 ? news : undefined;
    },
    // Of what a node has learnt of a key, the later is the one that stays.
    join: (a, b) => [
      ...new Map([...a, ...b].map((write) => [JSON.stringify(write[0]), write]))
        .values(),
    ],
    split: chunks,
    full: () => registers.size > 0 ? [...registers.values()] : undefined,
  });
  node.on("txn", ({ body }) => {
    const operations = checked(body["txn"]);
    const writer = `${node.nodeId} ${life}`;
    const own = new Map<string, Write>();
    time++;
    const txn = operations.map(([f, key, value]) => {
      const name = JSON.stringify(key);
      if (f === "w") own.set(name, [key, value, time, writer]);
      const [, known = null] = own.get(name) ?? registers.get(name) ?? [];
      return [f, key, known];
    });
    gossip.add([...own.values()]);
    return { txn };
  });
}

function isLater(
  [, , time, writer]: Write,
  known: Write | undefined,
): boolean {
  if (known === undefined || time !== known[2]) {
    return time > (known?.[2] ?? -1);
  }
  return writer > known[3];
}

/** The operations, all of them looked at before the first is done. */
function checked(txn: unknown): [f: "r" | "w", key: unknown, value: unknown][] {
  if (!Array.isArray(txn)) {
    throw malformed("'txn' is not a list of operations");
  }
  for (const operation of txn) {
    const ok = Array.isArray(operation) && operation.length === 3 &&
      (operation[0] === "r" || operation[0] === "w");
    if (ok) continue;
    throw malformed(
      `neither ["r", key, null] nor ["w", key, value]: ${
        JSON.stringify(operation)
      }`,
    );
  }
  return txn;
}

function malformed(text: string): RpcError {
  return new RpcError(ErrorCode.malformedRequest, `txn: ${text}`);
}
