/** Everything random in a simulation, from one seed. */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import type { Chooser } from "./world/services.ts";

/**
 * A seeded generator of random numbers: xoroshiro128+, of the library
 * pure-rand. The same seed and stream give the same numbers everywhere: what
 * is computed from them is whole numbers and comparisons only, as the last bit
 * of a `Math.log` may differ between engines.
 *
 * @example
 * ```ts
 * import { Random } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const dice = (seed: number) => {
 *   const random = new Random(seed, "dice");
 *   return [random.int(6), random.int(6), random.int(6)];
 * };
 * assertEquals(dice(1), dice(1));
 * ```
 */
export class Random implements Chooser {
  readonly #generator: ReturnType<typeof xoroshiro128plusFromState>;

  /**
   * A generator of its own for each purpose, so that one more number drawn
   * for one purpose changes no other.
   *
   * @param seed A whole number from 0 to below 2^53.
   * @param stream The purpose's name.
   */
  constructor(seed: number, stream: string) {
    this.#generator = xoroshiro128plusFromState(
      [1, 2, 3, 4].map((word) => scramble(`${seed} ${stream} ${word}`)),
    );
  }

  /**
   * A whole number from 0 to below `n`, all equally likely.
   *
   * @param n From 1 to 2^32.
   */
  int(n: number): number {
    return n <= 1 ? 0 : uniformInt(this.#generator, 0, n - 1);
  }

  /** A number from 0 to below 1, in steps of 2^-32. */
  fraction(): number {
    return (this.#generator.next() >>> 0) / 2 ** 32;
  }

  /**
   * Whether something of this probability happens.
   *
   * @param probability From 0 to 1.
   */
  chance(probability: number): boolean {
    return probability > 0 &&
      (this.#generator.next() >>> 0) < probability * 2 ** 32;
  }

  /**
   * One of the items, all equally likely.
   *
   * @param items At least one.
   */
  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)]!;
  }

  /**
   * The items in a random order (Fisher and Yates).
   *
   * @param items What to shuffle; left as it is.
   */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  /**
   * A number of the exponential distribution of mean 1, in steps of 2^-32: by
   * von Neumann's method ("Various techniques used in connection with random
   * digits", 1951), which needs comparisons only.
   */
  exponential(): number {
    for (let whole = 0;; whole++) {
      const first = this.#generator.next() >>> 0;
      let last = first;
      let falling = 1;
      for (;;) {
        const next = this.#generator.next() >>> 0;
        if (next >= last) break;
        last = next;
        falling++;
      }
      if (falling % 2 === 1) return whole + first / 2 ** 32;
    }
  }
}

/** 32 well-mixed bits of a text: FNV-1a, finished as in MurmurHash3. */
function scramble(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return hash ^ hash >>> 16;
}
