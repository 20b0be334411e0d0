import { expect, test } from '@jest/globals';
import {
  afterInvoicedPeriod,
  couponForNextPeriod,
  decideApplyCoupon,
  decideCoupon,
  discountOf,
  parseCouponCode,
  type CouponFacts,
} from '../../../src/domain/catalogue/coupon.js';
import { aCoupon } from '../../builders/lifecycle-facts.js';

const now = new Date('2026-02-10T00:00:00Z');
const month = { currency: 'USD', intervalUnit: 'month' };
const claim = (more: Partial<CouponFacts> = {}): CouponFacts => ({
  coupon: aCoupon(),
  price: month,
  redeemedCount: 0,
  isUsedByPerson: false,
  now,
  ...more,
});

test('a coupon that is there, in time, for the price and not used up is claimed (V10)', () => {
  expect(decideCoupon(claim({ coupon: aCoupon({ redeemBy: new Date(now.getTime() + 1), maxRedemptions: 1 }) }))).toMatchObject({
    kind: 'approved',
  });
});

test.each<[string, Partial<CouponFacts>]>([
  ['is not there', { coupon: null }],
  ['is over', { coupon: aCoupon({ redeemBy: now }) }],
  ['is for another interval', { price: { currency: 'USD', intervalUnit: 'year' } }],
  ['has no amount in the currency', { coupon: aCoupon({ percentOffBps: null, amountsOff: { EUR: 500n } }) }],
  ['was claimed by the person before', { isUsedByPerson: true }],
  ['is used up', { coupon: aCoupon({ maxRedemptions: 7 }), redeemedCount: 7 }],
])('a coupon that %s does not apply (V10)', (_, more) => {
  expect(decideCoupon(claim(more))).toMatchObject({ kind: 'refused', code: 'COUPON_NOT_APPLICABLE', field: ['input', 'coupon'] });
});

test('a share is rounded half up, and a fixed amount takes off no more than there is (V10)', () => {
  expect(discountOf(aCoupon(), month, 1_002n)).toBe(251n);
  const fixed = aCoupon({ percentOffBps: null, amountsOff: { USD: 500n } });
  expect(discountOf(fixed, month, 800n)).toBe(500n);
  expect(discountOf(fixed, month, 300n)).toBe(300n);
  expect(discountOf(fixed, { currency: 'EUR', intervalUnit: 'month' }, 800n)).toBe(0n);
  expect(discountOf(fixed, { currency: 'USD', intervalUnit: 'year' }, 800n)).toBe(0n);
  expect(discountOf(null, month, 800n)).toBe(0n);
});

test('a coupon for two periods works on two that are invoiced, and then no more (V10)', () => {
  const first = { coupon: aCoupon(), periodsLeft: 2 };
  const second = afterInvoicedPeriod(first);
  const over = afterInvoicedPeriod(second);
  expect([first, second, over].map((running) => couponForNextPeriod(running)?.id ?? null)).toEqual([
    'quarter-off',
    'quarter-off',
    null,
  ]);
  expect(afterInvoicedPeriod(over).periodsLeft).toBe(0);
  expect(couponForNextPeriod(afterInvoicedPeriod({ coupon: aCoupon(), periodsLeft: null }))).not.toBeNull();
});

test('a coupon put on a running subscription replaces the one that runs, but not itself', () => {
  const running = { coupon: aCoupon({ id: 'other' }), periodsLeft: 1 };
  expect(decideApplyCoupon({ status: 'active', running: null }, claim())).toMatchObject({
    kind: 'approved',
    replacesCouponId: null,
  });
  expect(decideApplyCoupon({ status: 'trialing', running }, claim())).toMatchObject({
    kind: 'approved',
    running: { periodsLeft: null },
    replacesCouponId: 'other',
  });
  expect(decideApplyCoupon({ status: 'active', running: { coupon: aCoupon(), periodsLeft: null } }, claim())).toEqual({
    kind: 'unchanged',
  });
  expect(decideApplyCoupon({ status: 'past_due', running: null }, claim())).toMatchObject({ code: 'INVALID_STATE' });
  expect(decideApplyCoupon({ status: 'active', running: null }, claim({ coupon: null }))).toMatchObject({
    code: 'COUPON_NOT_APPLICABLE',
    field: ['input', 'code'],
  });
});

test('a code is known in whatever case it is typed, and what can be no code is none (V10)', () => {
  expect(['welcome25', '  Welcome25 ', 'WELCOME25'].map(parseCouponCode)).toEqual(['WELCOME25', 'WELCOME25', 'WELCOME25']);
  expect(['', 'ab', 'a b c', 'A\u0000B', 'ß'.repeat(5), 'x'.repeat(41)].map(parseCouponCode)).toEqual(Array(6).fill(null));
});
