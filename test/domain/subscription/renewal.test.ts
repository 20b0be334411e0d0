import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  exceedsPlan,
  firstPeriod,
  followingPeriod,
  isRenewedBy,
  mayTryAgain,
  quoteRenewal,
  renewalEnd,
  renewed,
  spreadOf,
  unpaid,
} from '../../../src/domain/subscription/renewal.js';
import { periodOf } from '../../../src/domain/time/periods.js';

const RULE = { anchorLocal: '2024-01-31T09:00:00', zone: 'UTC', unit: 'month', count: 1 } as const;
const DAY = 86_400_000;
const FIRST = { epoch: 0, n: 0, end: periodOf({ ...RULE, n: 0 }).end };

describe('the period that follows', () => {
  test('it counts from the anchor and not from the last end', () => {
    const [start, end] = [new Date('2024-02-29T09:00:00Z'), new Date('2024-03-31T09:00:00Z')];
    expect(followingPeriod(FIRST, RULE, FIRST.end)).toEqual({ epoch: 0, n: 1, start, end, skipped: 0 });
  });

  test('late by less than a period, it still begins where the last one ended (N7)', () => {
    const late = new Date(FIRST.end.getTime() + 20 * DAY);
    expect(followingPeriod(FIRST, RULE, late)).toMatchObject({ n: 1, start: FIRST.end, skipped: 0 });
  });

  test('after seventy days only the current one is entered, and the skipped ones are counted (N7)', () => {
    const [start, end] = [new Date('2024-04-30T09:00:00Z'), new Date('2024-05-31T09:00:00Z')];
    const late = new Date(FIRST.end.getTime() + 70 * DAY);
    expect(followingPeriod(FIRST, RULE, late)).toEqual({ epoch: 0, n: 3, start, end, skipped: 2 });
  });

  test('whenever one looks, it holds the present instant or is the very next, and is entered once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 36 }), fc.integer({ min: 0, max: 4_000 * DAY }), (periodNumber, lateMs) => {
        const { end } = periodOf({ ...RULE, n: periodNumber });
        const now = new Date(end.getTime() + lateMs);
        const { n, start, end: periodEnd, skipped } = followingPeriod({ epoch: 2, n: periodNumber, end }, RULE, now);
        expect(start <= now && now < periodEnd).toBe(true);
        expect(n).toBe(periodNumber + 1 + skipped);
        expect({ start, end: periodEnd }).toEqual(periodOf({ ...RULE, n }));
        const next = renewed({ epoch: 2, n, start, end: periodEnd });
        expect(next).toMatchObject({ epoch: 2, periodNumber: n, nextActionAt: periodEnd });
      }),
      { numRuns: 300 },
    );
  });

  test('a new epoch begins at its instant, with an anchor of its own (B5)', () => {
    const at = new Date('2024-03-10T15:30:07.500Z');
    expect(firstPeriod(0, at, RULE, at)).toEqual({
      epoch: 1,
      n: 0,
      start: new Date('2024-03-10T15:30:07Z'),
      end: new Date('2024-04-10T15:30:07Z'),
      skipped: 0,
    });
  });

  test('a new epoch that nobody opened for longer than its first period begins where the present one would have (N7)', () => {
    const period = firstPeriod(0, new Date('2024-03-10T15:00:00Z'), RULE, new Date('2024-05-20T00:00:00Z'));
    expect(period).toMatchObject({ epoch: 1, n: 0, start: new Date('2024-05-10T15:00:00Z'), skipped: 2 });
  });
});

describe('what a period costs', () => {
  const price = { id: 'a', amountMinor: 800n, currency: 'USD', intervalUnit: 'month', taxBehavior: 'exclusive' } as const;
  const period = { ...FIRST, start: new Date('2024-01-31T09:00:00Z') };
  const coupon = {
    id: 'c',
    code: 'QUARTER',
    percentOffBps: 2_500,
    amountsOff: null,
    durationPeriods: 2,
    intervalUnits: ['month'],
    redeemBy: null,
    maxRedemptions: null,
  };

  test('it is the price, less the coupon, then tax, then what the customer has with us (T3, P7)', () => {
    const quote = quoteRenewal({ price, period, running: { coupon, periodsLeft: 1 }, ratePpm: 200_000, balanceMinor: 100n });
    expect(quote.line).toMatchObject({ netMinor: 600n, discountMinor: 200n, taxMinor: 120n });
    expect(quote.sums).toMatchObject({ totalMinor: 720n, creditAppliedMinor: 100n, dueMinor: 620n, settlement: 'charge' });
    expect(quote.coupon).toBe(coupon);
  });

  test('a coupon that is used up takes nothing off, and is not used again (V10)', () => {
    const quote = quoteRenewal({ price, period, running: { coupon, periodsLeft: 0 }, ratePpm: 0, balanceMinor: 0n });
    expect(quote).toMatchObject({ sums: { dueMinor: 800n }, coupon: null });
  });
});

describe('what a payment does', () => {
  const row = { status: 'active', epoch: 0, periodNumber: 4 } as const;

  test.each(['active', 'past_due', 'trialing', 'paused'] as const)('it opens the period it is for: of %s', (status) => {
    expect(isRenewedBy({ ...row, status }, { epoch: 0, n: 5 })).toBe(true);
    expect(isRenewedBy({ ...row, status }, { epoch: 1, n: 0 })).toBe(true);
  });

  test('it opens no period that is current already or past, or of a subscription that has ended or not begun', () => {
    expect(isRenewedBy(row, { epoch: 0, n: 4 })).toBe(false);
    expect(isRenewedBy({ ...row, epoch: 1 }, { epoch: 0, n: 5 })).toBe(false);
    expect(isRenewedBy(row, { epoch: 2, n: 0 })).toBe(false);
    for (const status of ['canceled', 'unpaid', 'incomplete'] as const)
      expect(isRenewedBy({ ...row, status }, { epoch: 0, n: 5 })).toBe(false);
  });

  test('unpaid, benefits go on for seven days after the period, and never end before what was paid', () => {
    const periodEnd = new Date('2024-02-29T09:00:00Z');
    expect(unpaid({ periodEnd, entitledUntil: periodEnd }).entitledUntil).toEqual(new Date('2024-03-07T09:00:00Z'));
    const paidThrough = new Date('2024-06-01T00:00:00Z');
    expect(unpaid({ periodEnd, entitledUntil: paidThrough }).entitledUntil).toEqual(paidThrough);
  });
});

describe('a renewal that ends without money', () => {
  const now = new Date('2024-02-29T09:00:00Z');

  test('declined, it stays owed and the customer is past due', () => {
    expect(renewalEnd('declined', { isOver: false, pause: null, now })).toEqual({
      intent: 'retry_wait',
      isVoid: false,
      subscription: 'past_due',
    });
  });

  test('surely not carried out, it is tried again a quarter of an hour later', () => {
    const again = new Date('2024-02-29T09:15:00Z');
    expect(renewalEnd('not_executed', { isOver: false, pause: null, now })).toEqual({
      intent: 'retry_wait',
      isVoid: false,
      subscription: { again },
    });
  });

  test('declined at the end of a pause, the pause goes on, and it is tried again after a day, after three, and then not by itself (V9)', () => {
    const resumesAt = now;
    const again = (failedCount: number) => renewalEnd('declined', { isOver: false, pause: { resumesAt, failedCount }, now });
    const ended = { intent: 'failed', isVoid: true };
    expect(again(1)).toEqual({ ...ended, subscription: { again: new Date('2024-03-01T09:00:00Z') } });
    expect(again(2)).toEqual({ ...ended, subscription: { again: new Date('2024-03-03T09:00:00Z') } });
    expect(again(3)).toEqual({ ...ended, subscription: { again: null } });
  });

  test('never sent, as it could not be charged as it stood, it is billed anew', () => {
    expect(renewalEnd('canceled', { isOver: false, pause: null, now })).toEqual({
      intent: 'canceled',
      isVoid: true,
      subscription: { again: now },
    });
  });

  test('it is tried again with a method, without an object at the provider, and five times at most', () => {
    const facts = { hasMethod: true, hasObject: false, attempts: 4 };
    expect(mayTryAgain(facts)).toBe(true);
    expect(mayTryAgain({ ...facts, attempts: 5 })).toBe(false);
    expect(mayTryAgain({ ...facts, hasMethod: false })).toBe(false);
    expect(mayTryAgain({ ...facts, hasObject: true })).toBe(false);
  });

  test('given up, or of a subscription that is over, it is owed no more', () => {
    expect(renewalEnd('canceled', { isOver: true, pause: null, now })).toEqual({
      intent: 'canceled',
      isVoid: true,
      subscription: null,
    });
    expect(renewalEnd('declined', { isOver: true, pause: null, now })).toEqual({
      intent: 'failed',
      isVoid: true,
      subscription: null,
    });
    expect(renewalEnd('not_executed', { isOver: true, pause: null, now })).toEqual({
      intent: 'failed',
      isVoid: true,
      subscription: null,
    });
  });
});

describe('what holds a run back', () => {
  test('a fifth and fifty above the plan is the most', () => {
    expect(exceedsPlan(1_000, 1_249, 1)).toBe(false);
    expect(exceedsPlan(1_000, 1_250, 1)).toBe(true);
    expect(exceedsPlan(0, 0, 50)).toBe(false);
    expect(exceedsPlan(0, 0, 51)).toBe(true);
  });

  test('renewals of one instant spread evenly over the window, each always alike', () => {
    const window = 4 * 3_600_000;
    const ids = fc.sample(fc.uuid({ version: 7 }), { numRuns: 4_000, seed: 1 });
    const hours = ids.map((id) => Math.floor(spreadOf(id, window) / 3_600_000));
    for (const hour of [0, 1, 2, 3]) {
      const share = hours.filter((one) => one === hour).length / ids.length;
      expect(Math.abs(share - 0.25)).toBeLessThan(0.05);
    }
    expect(ids.map((id) => spreadOf(id, window))).toEqual(ids.map((id) => spreadOf(id, window)));
    expect(spreadOf(ids[0] ?? '', 0)).toBe(0);
  });
});
