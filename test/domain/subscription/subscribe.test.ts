import { expect, test } from '@jest/globals';
import type { SubscriptionId } from '../../../src/domain/ids.js';
import { quoteSubscribe, type SubscribeQuoteFacts } from '../../../src/domain/subscription/subscribe.js';
import { aCoupon, aTarget } from '../../builders/lifecycle-facts.js';

const now = new Date('2026-01-31T09:00:00Z');
const person = { userId: 'ana', emailHash: null, cardFingerprint: 'f1', paypalPayerId: null, bankFingerprint: null };
const aTrial = { trialDays: 14, person, usedIdentities: [], withoutMethod: 'end' as const };
const claimed = (more = {}) => ({ coupon: aCoupon(more), redeemedCount: 0, isUsedByPerson: false });
const wish: SubscribeQuoteFacts = {
  price: aTarget({ amountMinor: 10_00n }),
  live: null,
  coupon: null,
  trial: null,
  zone: 'UTC',
  ratePpm: 190_000,
  balanceMinor: 0n,
  expectedAmount: null,
  method: { kind: 'card', status: 'active' },
  isMethodAsked: false,
  now,
};
const quote = (more: Partial<SubscribeQuoteFacts> = {}) => quoteSubscribe({ ...wish, ...more });

test('subscribing charges the first period with its tax, and waits for the payment (V2, T3)', () => {
  expect(quote()).toMatchObject({
    status: 'incomplete',
    period: { epoch: 0, n: 0, start: now, end: new Date('2026-02-28T09:00:00Z') },
    sums: { netMinor: 1_000n, taxMinor: 190n, dueMinor: 1_190n },
    trial: null,
  });
});

test('a coupon comes off before the tax, and the first period uses one of its periods (T3, V10)', () => {
  expect(quote({ coupon: claimed({ durationPeriods: 3 }) })).toMatchObject({
    sums: { netMinor: 750n, discountMinor: 250n, taxMinor: 143n, dueMinor: 893n },
    running: { periodsLeft: 2 },
  });
});

test('what costs nothing is active at once and needs no method (V2)', () => {
  expect(quote({ coupon: claimed({ percentOffBps: 10_000 }), method: null })).toMatchObject({ status: 'active' });
  expect(quote({ balanceMinor: 5_000n, method: null })).toMatchObject({
    status: 'active',
    sums: { creditAppliedMinor: 1_190n, balanceAfterMinor: 3_810n },
  });
});

test('a trial costs nothing and uses no period of the coupon (V3, V10)', () => {
  expect(quote({ trial: aTrial, coupon: claimed({ durationPeriods: 3 }) })).toMatchObject({
    status: 'trialing',
    period: { start: now, end: new Date('2026-02-14T09:00:00Z') },
    trial: { endsAt: new Date('2026-02-14T09:00:00Z'), atEnd: 'charge' },
    line: null,
    sums: { dueMinor: 0n, settlement: 'nothing' },
    running: { periodsLeft: 3 },
  });
});

const troubles: [string, Partial<SubscribeQuoteFacts>, string][] = [
  ['an unknown price', { price: null }, 'NOT_FOUND'],
  ['a retired tier', { price: aTarget({ status: 'retired' }) }, 'NOT_FOR_SALE'],
  ['a live subscription', { live: { id: '01890000-0000-7000-8000-000000000001' as SubscriptionId } }, 'ALREADY_SUBSCRIBED'],
  ['an unknown coupon', { coupon: { coupon: null, redeemedCount: 0, isUsedByPerson: false } }, 'COUPON_NOT_APPLICABLE'],
  ['a trial had before', { trial: { ...aTrial, usedIdentities: ['card:f1'] } }, 'TRIAL_ALREADY_USED'],
  ['too much for one payment', { price: aTarget({ amountMinor: 99_999_999n }) }, 'INVALID_INPUT'],
  ['another amount', { expectedAmount: { minor: 1_000n, currency: 'USD' } }, 'PRICE_CHANGED'],
  ['no method', { method: null }, 'PAYMENT_METHOD_UNUSABLE'],
];

test.each(troubles)('subscribing with %s is refused', (_, more, code) => {
  expect(quote(more)).toMatchObject({ kind: 'refused', code });
});

test('a method that is named must be one, even where nothing is due', () => {
  expect(quote({ trial: aTrial, method: null, isMethodAsked: true })).toMatchObject({ code: 'NOT_FOUND' });
});
