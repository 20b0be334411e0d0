import { expect, test } from '@jest/globals';
import { discountEndsAt, type DiscountFacts } from '../../../src/domain/subscription/discount.js';
import type { PeriodUnit } from '../../../src/domain/time/periods.js';

const start = new Date('2026-01-31T09:00:00Z');
const facts = (more: Partial<DiscountFacts> = {}): DiscountFacts => ({
  status: 'active',
  period: { epoch: 0, n: 0, start, end: new Date('2026-02-28T09:00:00Z') },
  rule: { anchorLocal: '2026-01-31T09:00:00', zone: 'UTC', unit: 'month' as PeriodUnit, count: 1 },
  prepaidPeriods: 0,
  resumesAt: null,
  periodsLeft: 2,
  ...more,
});
const ends = (more: Partial<DiscountFacts>) => discountEndsAt(facts(more))?.toISOString().slice(0, 10) ?? null;

test('a coupon for all periods never stops, and one that was used on the present period stops with it (V10)', () => {
  expect(ends({ periodsLeft: null })).toBeNull();
  expect(ends({ periodsLeft: 0 })).toBe('2026-02-28');
});

test('a coupon stops at the end of its last period, counted from the anchor (V10, B1)', () => {
  expect(ends({ periodsLeft: 1 })).toBe('2026-03-31');
  expect(ends({ periodsLeft: 2 })).toBe('2026-04-30');
});

test("periods that a gift has paid use none of a coupon's, so it stops so much later (V10, V11)", () => {
  expect(ends({ periodsLeft: 1, prepaidPeriods: 2 })).toBe('2026-05-31');
});

test('in a trial the periods of a coupon begin when it is over, and in a pause when it goes on (V9, V10, B5)', () => {
  const trial = { epoch: 0, n: 0, start, end: new Date('2026-02-14T09:00:00Z') };
  expect(ends({ status: 'trialing', period: trial, periodsLeft: 3 })).toBe('2026-05-14');
  expect(ends({ status: 'paused', resumesAt: new Date('2026-06-10T00:00:00Z'), periodsLeft: 1 })).toBe('2026-07-10');
  expect(ends({ status: 'paused' })).toBeNull();
});
