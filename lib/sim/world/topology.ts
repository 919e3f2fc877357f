/** Who is whose neighbour in a cluster, as Maelstrom tells broadcast nodes. */

/** By node: its neighbours. */
export type Topology = Record<string, string[]>;

/** A square grid, a line, everyone with everyone, or a tree of four branches a node. */
export type TopologyShape = "grid" | "line" | "total" | "tree4";

/** All shapes of topologies, Maelstrom's default first. */
export const TOPOLOGY_SHAPES: readonly TopologyShape[] = [
  "grid",
  "line",
  "total",
  "tree4",
];

/**
 * The topology of a cluster, as Maelstrom's `--topology` makes it.
 *
 * @example
 * ```ts
 * import { topology } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(topology("line", ["n0", "n1", "n2"]), {
 *   n0: ["n1"],
 *   n1: ["n0", "n2"],
 *   n2: ["n1"],
 * });
 * ```
 *
 * @param shape The shape.
 * @param nodes The nodes' ids.
 */
export function topology(
  shape: TopologyShape,
  nodes: readonly string[],
): Topology {
  const neighbours = NEIGHBOURS[shape];
  return Object.fromEntries(
    nodes.map((node, i) => [
      node,
      neighbours(i, nodes.length).flatMap((j) => nodes[j] ?? []),
    ]),
  );
}

/** By shape: the places of a node's neighbours, some of which may not exist. */
const NEIGHBOURS: Record<TopologyShape, (i: number, n: number) => number[]> = {
  grid(i, n) {
    const side = Math.ceil(Math.sqrt(n));
    return [
      i + side,
      i - side,
      ...(i + 1) % side === 0 ? [] : [i + 1],
      ...i % side === 0 ? [] : [i - 1],
    ];
  },
  line: (i) => [i - 1, i + 1],
  total: (i, n) =>
    Array.from({ length: n }, (_, j) => j).filter((j) => j !== i),
  tree4: (i) => [
    ...i === 0 ? [] : [Math.floor((i - 1) / 4)],
    ...[1, 2, 3, 4].map((child) => 4 * i + child),
  ],
};
