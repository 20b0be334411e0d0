import { expect, test } from '@jest/globals';
import {
  decideClaim,
  decideGift,
  decidePrepaid,
  GIFT_MOVES,
  hasLapsed,
  mayMoveGift,
  refundEndsGift,
  spanOfGift,
  unusedPeriodsOf,
  unusedValueOf,
  type BoughtGift,
  type ClaimedGift,
  type GiftFacts,
  type LiveSubscription,
} from '../../../src/domain/subscription/gift.js';
import { aTarget } from '../../builders/lifecycle-facts.js';

const now = new Date('2026-02-10T00:00:00Z');
const wish: GiftFacts = {
  price: aTarget({ amountMinor: 10_00n }),
  periods: 3,
  giverId: 'ana',
  recipientId: 'ben',
  country: null,
  ratePpm: 190_000,
  method: { kind: 'card', status: 'active' },
  isMethodAsked: false,
  now,
};
const gift: BoughtGift & ClaimedGift = {
  status: 'claimable',
  giverId: 'ana',
  recipientId: null,
  claimBy: new Date('2027-02-10T00:00:00Z'),
  tierId: 'premium',
  priceId: 'premium-month',
  periods: 3,
  usedPeriods: 0,
  perPeriodMinor: 11_90n,
};
const same: LiveSubscription = { status: 'active', cancelAtPeriodEnd: false, tierId: 'premium', priceId: 'premium-month' };

test('a gift costs so many periods, each with its tax, and may be claimed for a year (V11)', () => {
  expect(decideGift(wish)).toEqual({
    kind: 'approved',
    perPeriod: { netMinor: 10_00n, taxMinor: 1_90n, totalMinor: 11_90n },
    totalMinor: 35_70n,
    claimBy: new Date('2027-02-10T00:00:00Z'),
  });
});

test.each<[string, Partial<GiftFacts>, string]>([
  ['of no period', { periods: 0 }, 'INVALID_INPUT'],
  ['of thirteen periods', { periods: 13 }, 'INVALID_INPUT'],
  ['of part of a period', { periods: 1.5 }, 'INVALID_INPUT'],
  ['to oneself', { recipientId: 'ana' }, 'INVALID_INPUT'],
  ['of what is not there', { price: null }, 'NOT_FOUND'],
  ['of what is not sold', { price: aTarget({ status: 'retired' }) }, 'NOT_FOR_SALE'],
  ['of what is sold elsewhere', { price: aTarget({ country: 'IN' }), country: 'BR' }, 'NOT_FOR_SALE'],
  ['beyond one payment', { price: aTarget({ amountMinor: 50_000_000n }) }, 'INVALID_INPUT'],
  ['without a method', { method: null }, 'PAYMENT_METHOD_UNUSABLE'],
])('a gift %s is refused (V11)', (_, more, code) => {
  expect(decideGift({ ...wish, ...more })).toMatchObject({ kind: 'refused', code });
});

test('a claim begins a subscription, extends the same one, or goes to the balance (V11)', () => {
  expect(decideClaim(gift, 'ben', null, now)).toEqual({ kind: 'begins', prepaidPeriods: 2 });
  expect(decideClaim(gift, 'ben', same, now)).toEqual({ kind: 'extends', addedPeriods: 3 });
  for (const other of [
    { tierId: 'basic' },
    { priceId: 'premium-year' },
    { status: 'past_due' as const },
    { cancelAtPeriodEnd: true },
  ]) {
    expect(decideClaim(gift, 'ben', { ...same, ...other }, now)).toEqual({ kind: 'to_balance' });
  }
});

test.each<[string, ClaimedGift | null, string, string]>([
  ['that is not there', null, 'ben', 'NOT_FOUND'],
  ['for somebody else', { ...gift, recipientId: 'cleo' }, 'ben', 'NOT_FOUND'],
  ['by its giver', gift, 'ana', 'INVALID_INPUT'],
  ['claimed already', { ...gift, status: 'claimed' }, 'ben', 'INVALID_STATE'],
  ['that is over', { ...gift, claimBy: now }, 'ben', 'INVALID_STATE'],
])('a gift %s is not claimed (V11)', (_, bought, claimant, code) => {
  expect(decideClaim(bought, claimant, null, now)).toMatchObject({ kind: 'refused', code });
});

test('a gift that nobody claimed lapses when its time is over (V11)', () => {
  expect(hasLapsed(gift, new Date(gift.claimBy.getTime() - 1))).toBe(false);
  expect(hasLapsed(gift, gift.claimBy)).toBe(true);
  expect(hasLapsed({ ...gift, status: 'claimed' }, gift.claimBy)).toBe(false);
});

test('giving back all that has not begun takes the gift back, and a smaller part does not (V11)', () => {
  const used = { ...gift, status: 'claimed' as const, usedPeriods: 1 };
  expect(refundEndsGift(used, 23_79n)).toBe(false);
  expect(refundEndsGift(used, 23_80n)).toBe(true);
  expect(refundEndsGift({ ...used, usedPeriods: 3 }, 35_70n)).toBe(false);
  expect(refundEndsGift({ ...gift, status: 'expired' }, 35_70n)).toBe(false);
});

const month = { anchorLocal: '2026-01-31T09:00:00', zone: 'UTC', unit: 'month' as const, count: 1 };

test('gifts are used one after the other, and each covers its own periods (V11)', () => {
  // The first period runs; it and two more are of a gift of three, and two more of a second one.
  const place = { rule: month, periodNumber: 0, prepaidPeriods: 4 };
  const [first, second] = [
    { ...place, laterPeriods: 2, periods: 3 },
    { ...place, laterPeriods: 0, periods: 2 },
  ];
  expect([unusedPeriodsOf(first), unusedPeriodsOf(second)]).toEqual([2, 2]);
  expect(spanOfGift(first)).toEqual({ start: new Date('2026-01-31T09:00:00Z'), end: new Date('2026-04-30T09:00:00Z') });
  expect(spanOfGift(second)).toEqual({ start: new Date('2026-04-30T09:00:00Z'), end: new Date('2026-06-30T09:00:00Z') });
  // Three periods later the first gift is used up, and the second one's first period runs.
  const later = { rule: month, periodNumber: 3, prepaidPeriods: 1 };
  expect(unusedPeriodsOf({ ...later, laterPeriods: 2, periods: 3 })).toBe(0);
  expect(unusedPeriodsOf({ ...later, laterPeriods: 0, periods: 2 })).toBe(1);
  expect(spanOfGift({ ...later, laterPeriods: 0, periods: 2 })).toEqual(spanOfGift(second));
});

test('only periods that have not begun are given back (V11)', () => {
  expect(unusedValueOf({ ...gift, status: 'claimed', usedPeriods: 1 })).toBe(23_80n);
  expect(unusedValueOf({ ...gift, status: 'expired' })).toBe(35_70n);
  expect(unusedValueOf({ ...gift, status: 'pending_payment' })).toBe(0n);
});

test('prepaid periods are used before anything is charged, and then only who opted in is charged (V11)', () => {
  expect(decidePrepaid({ prepaidPeriods: 2, isGift: true, isOptedIn: true })).toEqual({ kind: 'prepaid', prepaidPeriodsLeft: 1 });
  expect(decidePrepaid({ prepaidPeriods: 0, isGift: true, isOptedIn: false })).toEqual({ kind: 'end', endReason: 'gift_over' });
  expect(decidePrepaid({ prepaidPeriods: 0, isGift: true, isOptedIn: true })).toEqual({ kind: 'charge' });
  expect(decidePrepaid({ prepaidPeriods: 0, isGift: false, isOptedIn: false })).toEqual({ kind: 'charge' });
});

test('every state of a gift can be reached from its payment', () => {
  const seen = new Set(['pending_payment']);
  for (const status of seen) for (const to of GIFT_MOVES[status as keyof typeof GIFT_MOVES]) seen.add(to);
  expect([...seen].sort()).toEqual(Object.keys(GIFT_MOVES).sort());
  expect(mayMoveGift('expired', 'claimed')).toBe(false);
});
