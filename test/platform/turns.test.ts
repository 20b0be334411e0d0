import { expect, test } from '@jest/globals';
import { Overloaded, Turns } from '../../src/platform/turns.js';

/** Work that ends when it is told to. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

test('what finishes something goes before what begins something, each in the order it came', async () => {
  const turns = new Turns(1, 60_000);
  const first = held();
  const order: string[] = [];
  const run = (kind: 'begins' | 'finishes', name: string): Promise<void> => turns.run(kind, async () => void order.push(name));
  const all = [
    turns.run('begins', first.work),
    run('begins', 'begin 1'),
    run('begins', 'begin 2'),
    run('finishes', 'finish 1'),
    run('finishes', 'finish 2'),
  ];
  first.end();
  await Promise.all(all);
  expect(order).toEqual(['finish 1', 'finish 2', 'begin 1', 'begin 2']);
});

test('no more run at once than there are places, and a failure gives its place back', async () => {
  const turns = new Turns(2, 60_000);
  let running = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    throw new Error('failed');
  };
  const ended = await Promise.allSettled(Array.from({ length: 20 }, () => turns.run('begins', work)));
  expect(ended.every(({ status }) => status === 'rejected')).toBe(true);
  expect(most).toBe(2);
  await expect(turns.run('begins', async () => 'there is a place')).resolves.toBe('there is a place');
});

test('what begins is turned away when it had no place in time, and what finishes is not', async () => {
  const turns = new Turns(1, 1);
  const first = held();
  const running = turns.run('begins', first.work);
  const finishing = turns.run('finishes', async () => 'finished');
  await expect(turns.run('begins', async () => 'begun')).rejects.toThrow(Overloaded);
  first.end();
  await running;
  await expect(finishing).resolves.toBe('finished');
});
