import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantBroken } from '../../../src/domain/invariant.js';
import { addMoney, roundedQuotient } from '../../../src/domain/money/money.js';

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
