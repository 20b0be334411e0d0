import { expect, test } from '@jest/globals';
import { Seeded } from '../../src/chaos/seeded.js';

const draw = (seeded: Seeded, count = 20): number[] => Array.from({ length: count }, () => seeded.int(0, 1_000_000));

test('the same seed gives the same chance, another seed another', () => {
  expect(draw(new Seeded('7'))).toEqual(draw(new Seeded('7')));
  expect(draw(new Seeded('7'))).not.toEqual(draw(new Seeded('8')));
});

test('a purpose draws the same whatever other purposes drew before it', () => {
  const [quiet, busy] = [new Seeded('7'), new Seeded('7')];
  draw(busy.child('other'), 100);
  draw(busy, 100);
  expect(draw(busy.child('kills'))).toEqual(draw(quiet.child('kills')));
  expect(draw(quiet.child('kills'))).not.toEqual(draw(quiet.child('faults')));
});

test('numbers lie evenly within their bounds, and weights are kept', () => {
  const seeded = new Seeded('even');
  const counts = new Map<number, number>();
  for (let i = 0; i < 6_000; i++) {
    const number = seeded.int(1, 6);
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  const often = Array.from({ length: 4_000 }, () => seeded.weighted([[3, 'often'] as const, [1, 'rarely'] as const]));
  expect(Math.abs(often.filter((one) => one === 'often').length - 3_000)).toBeLessThan(150);
});
