/**
 * The protocols of Maelstrom's workloads and services, as its `doc/workloads.md`
 * and `doc/services.md` have them: `new Node<EchoProtocol>()`.
 *
 * @module
 */

/** No fields besides `type` and ids. */
export type NoFields = Record<never, never>;

/** Workload `echo`. */
export interface EchoProtocol {
  /** Sends it back. */
  echo: { request: { echo: unknown }; reply: { echo: unknown } };
}

/** Workload `unique-ids`. */
export interface UniqueIdsProtocol {
  /** A new id, globally unique, of any type. */
  generate: { request: NoFields; reply: { id: unknown } };
}

/** Workload `broadcast`. */
export interface BroadcastProtocol {
  /** Each node's neighbours, sent once after `init`; a hint. */
  topology: {
    request: { topology: Record<string, string[]> };
    reply: NoFields;
  };
  /** A message for everyone. */
  broadcast: { request: { message: unknown }; reply: NoFields };
  /** All messages that this node knows. */
  read: { request: NoFields; reply: { messages: unknown[] } };
}

/** Workload `g-set`: a grow-only set. */
export interface GSetProtocol {
  /** Adds an element. */
  add: { request: { element: unknown }; reply: NoFields };
  /** All elements. */
  read: { request: NoFields; reply: { value: unknown[] } };
}

/** Workloads `g-counter` and `pn-counter`: a counter; of the second, `delta` may be negative. */
export interface CounterProtocol {
  /** Adds to the counter. */
  add: { request: { delta: number }; reply: NoFields };
  /** The sum of what was added. */
  read: { request: NoFields; reply: { value: number } };
}

/** Workload `lin-kv`, and the services `lin-kv`, `seq-kv` and `lww-kv`. */
export interface KvProtocol {
  /** A key's value; error 20 when there is none. */
  read: { request: { key: unknown }; reply: { value: unknown } };
  /** Sets a key's value. */
  write: { request: { key: unknown; value: unknown }; reply: NoFields };
  /** Sets a key's value if it is `from`; error 22 when it is another, 20 when there is none. */
  cas: {
    request: {
      key: unknown;
      from: unknown;
      to: unknown;
      /** Whether a key that does not exist is created instead. */
      create_if_not_exists?: boolean;
    };
    reply: NoFields;
  };
}

/** Service `lin-tso`: timestamps. */
export interface TsoProtocol {
  /** An integer, greater than all before. */
  ts: { request: NoFields; reply: { ts: number } };
}

/** Workload `kafka`: logs by key, in which each offset has a message. */
export interface KafkaProtocol {
  /** Appends a message to a log. */
  send: { request: { key: string; msg: unknown }; reply: { offset: number } };
  /** Messages of logs, from an offset on. */
  poll: {
    request: { offsets: Record<string, number> };
    reply: { msgs: Record<string, [offset: number, msg: unknown][]> };
  };
  /** What has been processed, up to and including an offset, by log. */
  commit_offsets: {
    request: { offsets: Record<string, number> };
    reply: NoFields;
  };
  /** The committed offsets of logs; those of unknown ones are left out. */
  list_committed_offsets: {
    request: { keys: string[] };
    reply: { offsets: Record<string, number> };
  };
}

/** A read of a transaction: its value is `null` in a request. */
export type TxnRead = [f: "r", key: unknown, value: unknown];

/** An operation of `txn-list-append`. */
export type ListAppendOperation =
  | TxnRead
  | [f: "append", key: unknown, element: unknown];

/** Workload `txn-list-append`: transactions over lists. */
export interface TxnListAppendProtocol {
  /** Executes a transaction; the reply has the values that were read. */
  txn: Txn<ListAppendOperation>;
}

/** An operation of `txn-rw-register`. */
export type RwRegisterOperation =
  | TxnRead
  | [f: "w", key: unknown, value: unknown];

/** Workload `txn-rw-register`: transactions over registers. */
export interface TxnRwRegisterProtocol {
  /** Executes a transaction; the reply has the values that were read. */
  txn: Txn<RwRegisterOperation>;
}

/** A transaction of such operations. */
export interface Txn<Operation> {
  /** What to do, in order. */
  request: { txn: Operation[] };
  /** What was done, in the same order. */
  reply: { txn: Operation[] };
}
