import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  annualAmount,
  annualRevenueOf,
  compareAnnual,
  compareLength,
  revenueMove,
} from '../../../src/domain/metrics/recurring.js';

test('a year of a price is 12 months, 52 weeks or 365 days of it (K1)', () => {
  expect(annualAmount(10_00n, { unit: 'month', count: 1 })).toBe(120_00n);
  expect(annualAmount(10_00n, { unit: 'month', count: 3 })).toBe(40_00n);
  expect(annualAmount(1_00n, { unit: 'week', count: 1 })).toBe(52_00n);
  expect(annualAmount(10_00n, { unit: 'day', count: 7 })).toBe(521_43n);
  expect(compareAnnual({ unit: 'month', count: 1, amountMinor: 10_00n }, { unit: 'year', count: 1, amountMinor: 120_00n })).toBe(
    0,
  );
  expect(compareLength({ unit: 'week', count: 4 }, { unit: 'month', count: 1 })).toBe(-1);
  expect(compareLength({ unit: 'month', count: 12 }, { unit: 'year', count: 1 })).toBe(0);
});

test('only what is paid, or within grace, counts as recurring (K1)', () => {
  const facts = {
    status: 'active',
    isInGrace: false,
    isGift: false,
    netMinor: 10_00n,
    interval: { unit: 'month' as const, count: 1 },
  };
  expect(annualRevenueOf(facts)).toBe(120_00n);
  expect(annualRevenueOf({ ...facts, status: 'past_due', isInGrace: true })).toBe(120_00n);
  for (const more of [{ status: 'past_due' }, { status: 'trialing' }, { status: 'paused' }, { isGift: true }]) {
    expect(annualRevenueOf({ ...facts, ...more })).toBe(0n);
  }
});

test('what was, and what moved, is what is (K2)', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(0n, 3n), { minLength: 2, maxLength: 10 }), (revenues) => {
      let hadRevenue = false;
      let sum = 0n;
      for (const [i, end] of revenues.entries()) {
        const { kind, amountMinor } = revenueMove(revenues[i - 1] ?? 0n, end, hadRevenue);
        sum += kind === 'contraction' || kind === 'churn' ? -amountMinor : amountMinor;
        hadRevenue ||= end > 0n;
        if (amountMinor < 0n || sum !== end) return false;
      }
      return true;
    }),
  );
  expect(revenueMove(0n, 5n, false).kind).toBe('new');
  expect(revenueMove(0n, 5n, true).kind).toBe('reactivation');
});
