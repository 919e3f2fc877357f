/** How long messages take. */
import type { Random } from "../random.ts";

/** A distribution of latencies, of those that Maelstrom has. */
export interface Latency {
  /** Always the mean; anything from 0 to twice the mean; or exponential: mostly short, now and then very long. */
  distribution: "constant" | "uniform" | "exponential";
  /** The mean, in ms. */
  meanMs: number;
}

/** All distributions. */
export const DISTRIBUTIONS: readonly Latency["distribution"][] = [
  "constant",
  "uniform",
  "exponential",
];

/**
 * One latency, in whole µs.
 *
 * @param latency Its distribution.
 * @param random Where it comes from.
 */
export function drawLatencyUs(latency: Latency, random: Random): number {
  const meanUs = latency.meanMs * 1000;
  switch (latency.distribution) {
    case "constant":
      return Math.round(meanUs);
    case "uniform":
      return random.int(Math.round(2 * meanUs) + 1);
    case "exponential":
      return Math.round(random.exponential() * meanUs);
  }
}
