import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantBroken } from '../../../src/domain/invariant.js';
import { addMoney, allocate, roundedQuotient, steppedQuotient } from '../../../src/domain/money/money.js';

test('amounts of different currencies never meet in one sum', () => {
  const usd = { minor: 100n, currency: 'USD' };
  expect(addMoney(usd, { minor: 1n, currency: 'USD' })).toEqual({ minor: 101n, currency: 'USD' });
  expect(() => addMoney(usd, { minor: 1n, currency: 'EUR' })).toThrow(InvariantBroken);
});

test.each<[bigint, bigint, bigint]>([
  [5n, 2n, 3n],
  [-5n, 2n, -3n],
  [4n, 3n, 1n],
  [-4n, 3n, -1n],
  [0n, 7n, 0n],
])('%s / %s is %s: halves go away from zero', (n, d, expected) => {
  expect(roundedQuotient(n, d)).toBe(expected);
});

test('a rounded quotient is never more than half a unit off', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.bigInt({ min: 1n, max: 10n ** 9n }), (n, d) => {
      const error = 2n * (roundedQuotient(n, d) * d - n);
      return error <= d && error >= -d;
    }),
  );
});

test('a divisor that is not positive is a bug', () => {
  expect(() => roundedQuotient(1n, 0n)).toThrow('a divisor is positive');
});

test("an amount is rounded half up to the currency's step, whatever its sign (M4)", () => {
  expect([149n, 150n, -149n, -150n, 250n].map((n) => steppedQuotient(n, 1n, 100n))).toEqual([100n, 200n, -100n, -200n, 300n]);
  expect(steppedQuotient(1_005n, 2n, 5n)).toBe(505n);
});

test('what is split over weights goes to the largest remainders, ties to the earlier (M7)', () => {
  expect(allocate(100n, [1n, 1n, 1n], 1n)).toEqual([34n, 33n, 33n]);
  expect(allocate(5n, [1n, 2n, 2n], 1n)).toEqual([1n, 2n, 2n]);
  expect(allocate(1_000n, [1n, 2n], 100n)).toEqual([300n, 700n]);
  expect(allocate(0n, [0n, 3n], 1n)).toEqual([0n, 0n]);
  expect(() => allocate(1n, [0n], 1n)).toThrow('weights');
  expect(() => allocate(150n, [1n], 100n)).toThrow('multiple of the step');
});

test('splitting loses nothing, and no share is a step or more off its part (M7)', () => {
  const weights = fc.array(fc.bigInt(0n, 1_000n), { minLength: 1, maxLength: 8 }).filter((ws) => ws.some((w) => w > 0n));
  fc.assert(
    fc.property(fc.bigInt(0n, 100_000n), weights, fc.constantFrom(1n, 10n, 100n), (steps, ws, step) => {
      const total = steps * step;
      const shares = allocate(total, ws, step);
      const all = ws.reduce((a, b) => a + b, 0n);
      const isFair = shares.every((share, i) => {
        const off = share * all - total * (ws[i] ?? 0n);
        return off > -step * all && off < step * all && share % step === 0n;
      });
      return isFair && shares.reduce((a, b) => a + b, 0n) === total;
    }),
  );
});
