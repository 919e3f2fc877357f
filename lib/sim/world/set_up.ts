/** What nodes are asked before clients ask anything. */
import type { Message } from "../../message.ts";
import type { SendBody } from "../../node.ts";
import { type HandledRequest, silenceOf } from "./observed_node.ts";

/** The id that sends `init` and what else sets a node up. */
export const SET_UP_CLIENT = "c0";

/** What a set-up has of the world around it. */
export interface SetUpWorld {
  /** Sends a request, which always arrives. */
  request(message: Message): void;
  /** Every node has answered everything for the first time. */
  ready(): void;
  /** A node has refused something. */
  failed(text: string, node: string): void;
}

/** How far a node has got. */
interface Progress {
  /** How many requests it has answered. */
  answered: number;
  /** The `msg_id` of the one that it is to answer next. */
  msgId: number;
  /** Why it may never answer that, where it is known. */
  silence: string | undefined;
}

/**
 * Sets nodes up as Maelstrom does: each gets its `init`; once all have
 * answered, what the workload prepares them with; once all have answered that,
 * clients may begin. A node that starts anew goes through the same by itself.
 */
export class SetUp {
  readonly #world: SetUpWorld;
  readonly #requests: readonly ((node: string) => SendBody)[];
  readonly #progress: Map<string, Progress>;
  #nextId = 1;
  #initialized = false;
  #ready = false;

  /**
   * A set-up of nodes that have not started yet.
   *
   * @param world What is around it.
   * @param nodeIds The nodes' ids.
   * @param prepare What the workload asks of each node, if anything.
   */
  constructor(
    world: SetUpWorld,
    nodeIds: readonly string[],
    prepare: SendBody | undefined,
  ) {
    this.#world = world;
    this.#requests = [
      (node_id) => ({ type: "init", node_id, node_ids: nodeIds }),
      ...prepare === undefined ? [] : [() => prepare],
    ];
    this.#progress = new Map(
      nodeIds.map((node) => [
        node,
        { answered: 0, msgId: 0, silence: undefined },
      ]),
    );
  }

  /**
   * Whether a node has answered everything since it last started.
   *
   * @param node The node.
   */
  isReady(node: string): boolean {
    return this.#ready &&
      this.#progress.get(node)!.answered === this.#requests.length;
  }

  /**
   * What a node has not done yet, in words; `undefined` when it is ready.
   *
   * @param node The node.
   */
  missing(node: string): string | undefined {
    const type = this.#asked(node);
    const { silence } = this.#progress.get(node)!;
    return type && `has not answered "${type}"${silence ? `: ${silence}` : ""}`;
  }

  /**
   * A node's handler has returned nothing, or the node has replied by itself.
   *
   * @param node The node.
   * @param request What it was asked.
   * @param replies Whether it has replied.
   */
  handled(node: string, request: HandledRequest, replies: boolean): void {
    const progress = this.#progress.get(node)!;
    if (request.msgId !== progress.msgId) return;
    progress.silence = replies ? undefined : silenceOf(request);
  }

  /** What a node has yet to answer, such as "init"; `undefined` when it is ready. */
  #asked(node: string): string | undefined {
    return this.#requests[this.#progress.get(node)!.answered]?.(node).type;
  }

  /**
   * A node's process has started.
   *
   * @param node The node.
   */
  started(node: string): void {
    this.#progress.get(node)!.answered = 0;
    this.#ask(node);
  }

  /**
   * Takes in a message.
   *
   * @param message Most likely an answer.
   */
  receive({ src, body }: Message): void {
    const progress = this.#progress.get(src);
    if (progress === undefined || body.in_reply_to !== progress.msgId) return;
    const type = this.#asked(src);
    if (type === undefined) return;
    if (body.type === "error") {
      return this.#world.failed(
        `${src} answered ${JSON.stringify(type)} with error ${body["code"]}: ${
          body["text"]
        }`,
        src,
      );
    }
    progress.answered++;
    if (this.#initialized) this.#ask(src);
    else if (this.#all((answered) => answered > 0)) {
      this.#initialized = true;
      for (const node of this.#progress.keys()) this.#ask(node);
    }
    if (
      !this.#ready &&
      this.#all((answered) => answered === this.#requests.length)
    ) {
      this.#ready = true;
      this.#world.ready();
    }
  }

  #all(has: (answered: number) => boolean): boolean {
    return [...this.#progress.values()].every(({ answered }) => has(answered));
  }

  #ask(node: string): void {
    const progress = this.#progress.get(node)!;
    const request = this.#requests[progress.answered]?.(node);
    if (request === undefined) return;
    progress.msgId = this.#nextId++;
    progress.silence = undefined;
    const body = { ...request, msg_id: progress.msgId };
    this.#world.request({ src: SET_UP_CLIENT, dest: node, body });
  }
}
