/** A directed graph, and the cycles in it. */

/** An edge of a {@linkcode Graph}. */
export interface Edge<V> {
  from: V;
  to: V;
  label: string;
}

/** A directed graph whose edges say what they stand for. */
export class Graph<V> {
  readonly #edges: Map<V, Map<V, string>> = new Map();

  /** Adds an edge; the first one between two vertices stays. */
  add(from: V, to: V, label: string): void {
    const next = this.#edges.get(from);
    if (next === undefined) this.#edges.set(from, new Map([[to, label]]));
    else if (!next.has(to)) next.set(to, label);
  }

  /** All edges: from where, to where. */
  *edges(): Iterable<[from: V, to: V]> {
    for (const [from, next] of this.#edges) {
      for (const to of next.keys()) yield [from, to];
    }
  }

  /** Whether there is a way of at least one edge. */
  reaches(from: V, to: V): boolean {
    return this.#way(from, to) !== undefined;
  }

  /** Of each set of vertices that all reach each other, a shortest cycle through one of them. */
  cycles(): Edge<V>[][] {
    return this.#components()
      .map(([first]) => this.#way(first!, first!))
      .filter((way) => way !== undefined);
  }

  /** A shortest way of at least one edge. */
  #way(from: V, to: V): Edge<V>[] | undefined {
    const cameBy = new Map<V, Edge<V>>();
    const queue = [from];
    for (const vertex of queue) {
      for (const [next, label] of this.#edges.get(vertex) ?? []) {
        if (cameBy.has(next)) continue;
        cameBy.set(next, { from: vertex, to: next, label });
        if (next !== to) {
          queue.push(next);
          continue;
        }
        const way: Edge<V>[] = [];
        let edge = cameBy.get(to)!;
        for (way.push(edge); edge.from !== from; way.push(edge)) {
          edge = cameBy.get(edge.from)!;
        }
        return way.reverse();
      }
    }
    return undefined;
  }

  /** Sets of vertices that reach each other: strongly connected components, by Tarjan. */
  #components(): V[][] {
    const components: V[][] = [];
    const numbers = new Map<V, number>();
    const lowest = new Map<V, number>();
    const stack: V[] = [];
    const onStack = new Set<V>();
    /** Without recursion: a chain of transactions may be as long as a history. */
    const search = (root: V) => {
      const work: { vertex: V; rest: Iterator<V> }[] = [];
      const enter = (vertex: V) => {
        numbers.set(vertex, numbers.size);
        lowest.set(vertex, numbers.get(vertex)!);
        stack.push(vertex);
        onStack.add(vertex);
        const next = this.#edges.get(vertex) ?? new Map<V, string>();
        work.push({ vertex, rest: next.keys() });
      };
      const lower = (vertex: V, number: number) =>
        lowest.set(vertex, Math.min(lowest.get(vertex)!, number));
      enter(root);
      while (work.length > 0) {
        const { vertex, rest } = work.at(-1)!;
        const { done, value: next } = rest.next();
        if (!done) {
          if (!numbers.has(next)) enter(next);
          else if (onStack.has(next)) lower(vertex, numbers.get(next)!);
          continue;
        }
        work.pop();
        const parent = work.at(-1);
        if (parent) lower(parent.vertex, lowest.get(vertex)!);
        if (lowest.get(vertex) !== numbers.get(vertex)) continue;
        const component = stack.splice(stack.lastIndexOf(vertex));
        for (const one of component) onStack.delete(one);
        components.push(component);
      }
    };
    for (const vertex of this.#edges.keys()) {
      if (!numbers.has(vertex)) search(vertex);
    }
    return components;
  }
}
