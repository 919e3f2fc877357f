import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DeadlineHeap } from "../lib/deadline_heap.ts";

/** A heap whose items are their own order, and where each stands. */
function heapWithPositions() {
  const positions = new Map<number, number>();
  const heap = new DeadlineHeap({
    moved: (item, position) => positions.set(item, position),
    precedes: (a, b) => a < b,
  });
  return { heap, positions };
}

/** Removes all, first to last. */
function drain(
  { heap, positions }: ReturnType<typeof heapWithPositions>,
): [deadline: number, item: number][] {
  const order: [number, number][] = [];
  while (heap.size > 0) {
    const { firstDeadline, firstItem } = heap;
    order.push([firstDeadline, firstItem]);
    heap.removeAt(positions.get(firstItem)!);
  }
  return order;
}

Deno.test("an empty heap has no deadline", () => {
  const { heap } = heapWithPositions();
  assertEquals([heap.size, heap.firstDeadline], [0, Infinity]);
});

Deno.test("property: behaves as a sorted list under push, update and removal anywhere", () => {
  fc.assert(fc.property(
    fc.array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.record({ push: fc.integer({ min: 0, max: 20 }) }),
        },
        { weight: 2, arbitrary: fc.record({ remove: fc.nat() }) },
        {
          weight: 2,
          arbitrary: fc.record({
            update: fc.nat(),
            to: fc.integer({ min: 0, max: 20 }),
          }),
        },
      ),
      { maxLength: 300 },
    ),
    (commands) => {
      const { heap, positions } = heapWithPositions();
      let model: [deadline: number, item: number][] = [];
      commands.forEach((command, item) => {
        if ("push" in command) {
          heap.push(command.push, item);
          model.push([command.push, item]);
        } else if (model.length === 0) return;
        else if ("update" in command) {
          const entry = model[command.update % model.length]!;
          heap.update(positions.get(entry[1])!, entry[0] = command.to);
        } else {
          const victim = model[command.remove % model.length]![1];
          const position = positions.get(victim)!;
          positions.delete(victim);
          heap.removeAt(position);
          model = model.filter(([, item]) => item !== victim);
        }
        model.sort(([a, i], [b, j]) => a - b || i - j);
        assertEquals([heap.size, positions.size], [model.length, model.length]);
        assertEquals(heap.firstDeadline, model[0]?.[0] ?? Infinity);
        for (const [deadline, item] of model) {
          assertEquals(heap.deadlineAt(positions.get(item)!), deadline);
        }
      });
      assertEquals(drain({ heap, positions }), model);
    },
  ));
});

Deno.test("order holds over many segments, and after they have been dropped", () => {
  const { heap, positions } = heapWithPositions();
  for (const round of [1, 2]) {
    let seed = round;
    const deadlines = Array.from(
      { length: 20_000 },
      () => (seed = seed * 48_271 % 2_147_483_647) % 1000,
    );
    deadlines.forEach((deadline, item) => heap.push(deadline, item));
    for (let item = 0; item < deadlines.length; item += 3) {
      heap.removeAt(positions.get(item)!);
    }
    const expected = deadlines
      .map((deadline, item): [number, number] => [deadline, item])
      .filter(([, item]) => item % 3 !== 0)
      .sort(([a, i], [b, j]) => a - b || i - j);
    assertEquals(drain({ heap, positions }), expected);
  }
});

Deno.test("items up to 2^32 - 1 fit", () => {
  const { heap } = heapWithPositions();
  heap.push(1, 2 ** 32 - 1);
  assert(heap.firstItem === 2 ** 32 - 1);
});
