import { expect, test } from '@jest/globals';
import { gather } from '../../src/platform/gather.js';

/** Work that ends when it is told to, and remembers what came together. */
function held(): { batches: number[][]; together: (items: number[]) => Promise<string[]>; letGo: () => void } {
  const batches: number[][] = [];
  let letGo: () => void = () => undefined;
  return {
    batches,
    together: async (items) => {
      batches.push(items);
      await new Promise<void>((resolve) => (letGo = resolve));
      if (items.includes(13)) throw new Error(`no ${items.join()}`);
      return items.map((item) => `did ${item}`);
    },
    letGo: () => letGo(),
  };
}

/** Lets every promise that can go on go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('who comes alone is served at once, who comes meanwhile goes together, and each gets the own answer', async () => {
  const { batches, together, letGo } = held();
  const ask = gather(together, 3);
  const first = ask(1);
  const others = [ask(2), ask(3), ask(4), ask(5)];
  expect(batches).toEqual([[1]]);
  letGo();
  expect(await first).toBe('did 1');
  await settle();
  expect(batches).toEqual([[1], [2, 3, 4]]);
  letGo();
  await settle();
  expect(batches).toEqual([[1], [2, 3, 4], [5]]);
  letGo();
  expect(await Promise.all(others)).toEqual(['did 2', 'did 3', 'did 4', 'did 5']);
});

test('what is wrong with one keeps nobody else from the answer', async () => {
  const { batches, together, letGo } = held();
  const ask = gather(together, 10);
  const first = ask(1);
  const ends = Promise.allSettled([ask(12), ask(13), ask(14)]);
  for (let turn = 0; turn < 5; turn++) {
    letGo();
    await settle();
  }
  expect(await first).toBe('did 1');
  expect(batches).toEqual([[1], [12, 13, 14], [12], [13], [14]]);
  expect(await ends).toEqual([
    { status: 'fulfilled', value: 'did 12' },
    { status: 'rejected', reason: new Error('no 13') },
    { status: 'fulfilled', value: 'did 14' },
  ]);
  const last = ask(2);
  letGo();
  expect(await last).toBe('did 2');
});
