import { expect, test } from '@jest/globals';
import { upcomingInvoice, type UpcomingFacts } from '../../../src/domain/subscription/upcoming.js';
import { aCoupon, aPrice, aTarget } from '../../builders/lifecycle-facts.js';

const at = (text: string) => new Date(text);
const facts: UpcomingFacts = {
  status: 'active',
  cancelAtPeriodEnd: false,
  pauseAtPeriodEnd: false,
  resumesAt: null,
  prepaidPeriods: 0,
  isGift: false,
  isOptedIn: false,
  hasMethod: true,
  current: aPrice(),
  pending: null,
  period: { epoch: 0, n: 0, start: at('2026-01-31T09:00:00Z'), end: at('2026-02-28T09:00:00Z') },
  anchorLocal: '2026-01-31T09:00:00',
  zone: 'UTC',
  running: null,
  ratePpm: 190_000,
  balanceMinor: 0n,
};
const upcoming = (more: Partial<UpcomingFacts>) => upcomingInvoice({ ...facts, ...more });

test('the next invoice is of the next period, with coupon, tax and balance', () => {
  expect(upcoming({ running: { coupon: aCoupon(), periodsLeft: 1 }, balanceMinor: 100n })).toMatchObject({
    chargeAt: at('2026-02-28T09:00:00Z'),
    period: { epoch: 0, n: 1, end: at('2026-03-31T09:00:00Z') },
    sums: { netMinor: 750n, discountMinor: 250n, taxMinor: 143n, dueMinor: 793n },
  });
  expect(upcoming({ running: { coupon: aCoupon(), periodsLeft: 0 } })).toMatchObject({ sums: { discountMinor: 0n } });
});

test('a change that waits is in the next invoice, if its price is still sold', () => {
  expect(upcoming({ pending: aTarget({ rank: 0 }) })).toMatchObject({ price: { id: 'premium' }, sums: { netMinor: 25_00n } });
  expect(upcoming({ pending: aTarget({ status: 'retired' }) })).toMatchObject({ price: { id: 'basic' } });
  expect(upcoming({ pending: aTarget({ intervalUnit: 'year' }) })).toMatchObject({
    period: { epoch: 1, n: 0, end: at('2027-02-28T09:00:00Z') },
  });
});

test('a trial, a pause and prepaid periods put the next invoice off', () => {
  expect(upcoming({ status: 'trialing' })).toMatchObject({ chargeAt: facts.period.end, period: { epoch: 1, n: 0 } });
  const resumesAt = at('2026-04-10T00:00:00Z');
  expect(upcoming({ pauseAtPeriodEnd: true, resumesAt })).toMatchObject({ chargeAt: resumesAt, period: { epoch: 1 } });
  expect(upcoming({ status: 'paused', resumesAt })).toMatchObject({ chargeAt: resumesAt });
  expect(upcoming({ prepaidPeriods: 2 })).toMatchObject({ chargeAt: at('2026-04-30T09:00:00Z'), period: { n: 3 } });
});

test.each<[string, Partial<UpcomingFacts>]>([
  ['has ended', { status: 'canceled' }],
  ['is past due', { status: 'past_due' }],
  ['is to end', { cancelAtPeriodEnd: true }],
  ['is a trial without a method', { status: 'trialing', hasMethod: false }],
  ['is paused without an end', { status: 'paused' }],
  ['is to pause without an end', { pauseAtPeriodEnd: true }],
  ['is a gift that nobody will pay', { isGift: true, prepaidPeriods: 2 }],
])('there is no next invoice of what %s', (_, more) => expect(upcoming(more)).toBeNull());
