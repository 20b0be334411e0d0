import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SubscriptionId } from '../../../src/domain/ids.js';
import { previewCoupon, quoteSubscribe, type SubscribeQuoteFacts } from '../../../src/domain/subscription/subscribe.js';
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
  country: null,
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

const live = { id: '01890000-0000-7000-8000-000000000001' as SubscriptionId };
const troubles: [string, Partial<SubscribeQuoteFacts>, string, string | null][] = [
  ['an unknown price', { price: null }, 'NOT_FOUND', 'priceId'],
  ['a retired tier', { price: aTarget({ status: 'retired' }) }, 'NOT_FOR_SALE', 'priceId'],
  ['a price of another country', { price: aTarget({ country: 'IN' }), country: 'BR' }, 'NOT_FOR_SALE', 'priceId'],
  ['a live subscription', { live }, 'ALREADY_SUBSCRIBED', null],
  ['an unknown coupon', { coupon: { coupon: null, redeemedCount: 0, isUsedByPerson: false } }, 'COUPON_NOT_APPLICABLE', 'coupon'],
  ['a trial had before', { trial: { ...aTrial, usedIdentities: ['card:f1'] } }, 'TRIAL_ALREADY_USED', 'useTrial'],
  ['a trial that the price has not', { trial: { ...aTrial, trialDays: 0 } }, 'INVALID_INPUT', 'useTrial'],
  ['too much for one payment', { price: aTarget({ amountMinor: 99_999_999n }) }, 'INVALID_INPUT', 'priceId'],
  ['another amount', { expectedAmount: { minor: 1_000n, currency: 'USD' } }, 'PRICE_CHANGED', 'expectedAmount'],
  ['no method', { method: null }, 'PAYMENT_METHOD_UNUSABLE', 'paymentMethodId'],
];

test.each(troubles)('subscribing with %s is refused', (_, more, code, field) => {
  expect(quote(more)).toMatchObject({ kind: 'refused', code, field: field === null ? null : ['input', field] });
});

test('of several troubles the first in the order of the table is told', () => {
  for (let i = troubles.length - 1, facts = wish; i >= 0; i--) {
    facts = { ...facts, ...troubles[i]?.[1] };
    expect(quoteSubscribe(facts)).toMatchObject({ code: troubles[i]?.[2] });
  }
});

test('the subscription in the way is named', () => {
  expect(quote({ live })).toMatchObject({ subscriptionId: live.id });
});

test('a method that is named must be one, even where nothing is due', () => {
  expect(quote({ trial: aTrial, method: null, isMethodAsked: true })).toMatchObject({ code: 'NOT_FOUND' });
});

test('a default card that has expired is no method: the trial ends by the policy for that (V3)', () => {
  expect(quote({ trial: aTrial, method: { kind: 'card', status: 'expired' } })).toMatchObject({ trial: { atEnd: 'end' } });
});

test('what is owed from before is due with the first period, and a sum too small for a payment is carried (P7, M6)', () => {
  expect(quote({ balanceMinor: -30n })).toMatchObject({
    status: 'incomplete',
    sums: { dueMinor: 1_220n, debitCollectedMinor: 30n },
  });
  expect(quote({ balanceMinor: 1_160n, method: null })).toMatchObject({
    status: 'active',
    sums: { settlement: 'carried', dueMinor: 0n, carriedMinor: 30n, balanceAfterMinor: -30n },
  });
});

test('what a code would give is shown to the cent as subscribing charges it, for whatever coupon, tax and balance (V5)', () => {
  const coupons = fc.record({
    percentOffBps: fc.constantFrom(1, 3_333, 10_000, null),
    durationPeriods: fc.constantFrom(1, null),
  });
  const amounts = { USD: 5_00n };
  fc.assert(
    fc.property(
      coupons,
      fc.bigInt(50n, 100_000n),
      fc.integer({ min: 0, max: 300_000 }),
      fc.bigInt(-10_000n, 10_000n),
      (more, amountMinor, ratePpm, balanceMinor) => {
        const coupon = claimed({ ...more, amountsOff: more.percentOffBps === null ? amounts : null });
        const facts = { price: aTarget({ amountMinor }), country: null, zone: 'UTC', ratePpm, balanceMinor, now, coupon };
        const charged = quote(facts);
        expect(previewCoupon(facts)).toEqual({
          kind: 'approved',
          line: 'line' in charged && charged.line,
          sums: 'sums' in charged && charged.sums,
          chargeAt: now,
        });
      },
    ),
  );
});

test('a code that does not apply shows nothing, nor one on a price that is not sold', () => {
  const facts = { price: aTarget(), country: 'BR', zone: 'UTC', ratePpm: 0, balanceMinor: 0n, now };
  expect(previewCoupon({ ...facts, coupon: claimed({ intervalUnits: ['year'] }) })).toMatchObject({
    code: 'COUPON_NOT_APPLICABLE',
  });
  expect(previewCoupon({ ...facts, coupon: claimed(), price: null })).toMatchObject({ code: 'NOT_FOUND' });
  for (const price of [aTarget({ validTo: now }), aTarget({ country: 'IN' })]) {
    expect(previewCoupon({ ...facts, coupon: claimed(), price })).toMatchObject({ code: 'NOT_FOR_SALE' });
  }
});
