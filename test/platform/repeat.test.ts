import { expect, test } from '@jest/globals';
import { eachAtMost } from '../../src/platform/repeat.js';

const items = Array.from({ length: 100 }, (_, i) => i);

test('every item has its turn, however many before it fail, and the failures are thrown together at the end', async () => {
  const done: number[] = [];
  const working = eachAtMost(items, 16, async (item) => {
    await Promise.resolve();
    if (item < 40) throw new Error(`item ${item}`);
    done.push(item);
  });
  const failure: unknown = await working.then(
    () => null,
    (error: unknown) => error,
  );
  expect(done.toSorted((a, b) => a - b)).toEqual(items.slice(40));
  expect(failure).toBeInstanceOf(AggregateError);
  expect(failure instanceof AggregateError && failure.errors.map(String).toSorted()).toEqual(
    items
      .slice(0, 40)
      .map((item) => `Error: item ${item}`)
      .toSorted(),
  );
});

test.each([1, 3, 16, 1_000])('at most %s items are worked on at once', async (limit) => {
  let running = 0;
  let most = 0;
  await eachAtMost(items, limit, async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
  });
  expect(most).toBe(Math.min(limit, items.length));
});
