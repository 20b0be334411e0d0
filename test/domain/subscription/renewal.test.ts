import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideRenewal,
  exceedsPlan,
  isRenewedBy,
  mayTryAgain,
  renewalEnd,
  renewed,
  spreadOf,
  unpaid,
  type RenewalFacts,
} from '../../../src/domain/subscription/renewal.js';
import { periodOf } from '../../../src/domain/time/periods.js';

const RULE = { anchorLocal: '2024-01-31T09:00:00', zone: 'UTC', unit: 'month', count: 1 } as const;
const DAY = 86_400_000;

/** A subscription in its first period, on the instant at which that ends. */
function due(change: Partial<RenewalFacts> = {}): RenewalFacts {
  const { end } = periodOf({ ...RULE, n: 0 });
  return {
    status: 'active',
    hold: 'none',
    cancelAtPeriodEnd: false,
    pauseAtPeriodEnd: false,
    periodNumber: 0,
    periodEnd: end,
    rule: RULE,
    amountMinor: 800n,
    hasMethod: true,
    now: end,
    ...change,
  };
}

describe('what falls due', () => {
  test('at the end of a period the next one is billed, from the anchor and not from the last end', () => {
    expect(decideRenewal(due())).toEqual({
      kind: 'bill',
      period: { number: 1, start: new Date('2024-02-29T09:00:00Z'), end: new Date('2024-03-31T09:00:00Z'), skipped: 0 },
    });
  });

  test('a moment before the end of the period nothing is due (N2)', () => {
    const { periodEnd } = due();
    expect(decideRenewal(due({ now: new Date(periodEnd.getTime() - 1) }))).toEqual({ kind: 'nothing_due' });
  });

  test.each([
    { status: 'past_due' },
    { status: 'canceled' },
    { status: 'paused' },
    { status: 'incomplete' },
    { cancelAtPeriodEnd: true },
    { pauseAtPeriodEnd: true },
  ] as const)('nothing is due of a subscription that does not renew: %j', (change) => {
    expect(decideRenewal(due(change))).toEqual({ kind: 'nothing_due' });
  });

  test('while money is in dispute nobody is charged', () => {
    const { now } = due();
    expect(decideRenewal(due({ hold: 'dispute' }))).toEqual({ kind: 'wait', until: new Date(now.getTime() + DAY) });
  });

  test('without a method the period is owed and nobody is asked (N5)', () => {
    expect(decideRenewal(due({ hasMethod: false }))).toMatchObject({ kind: 'past_due', reason: 'METHOD_MISSING' });
  });

  test('late by less than a period, the period still begins where the last one ended (N7)', () => {
    const { periodEnd } = due();
    const late = decideRenewal(due({ now: new Date(periodEnd.getTime() + 20 * DAY) }));
    expect(late).toMatchObject({ kind: 'bill', period: { number: 1, start: periodEnd, skipped: 0 } });
  });

  test('after seventy days only the current period is billed, and the skipped ones are counted (N7)', () => {
    const { periodEnd } = due();
    const decision = decideRenewal(due({ now: new Date(periodEnd.getTime() + 70 * DAY) }));
    expect(decision).toEqual({
      kind: 'bill',
      period: { number: 3, start: new Date('2024-04-30T09:00:00Z'), end: new Date('2024-05-31T09:00:00Z'), skipped: 2 },
    });
  });

  test('whenever one looks, what is billed holds the present instant or is the very next, and is billed once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 36 }), fc.integer({ min: 0, max: 4_000 * DAY }), (periodNumber, lateMs) => {
        const { end } = periodOf({ ...RULE, n: periodNumber });
        const now = new Date(end.getTime() + lateMs);
        const decision = decideRenewal(due({ periodNumber, periodEnd: end, now }));
        if (decision.kind !== 'bill') throw new Error(decision.kind);
        const { number, start, end: periodEnd, skipped } = decision.period;
        expect(start <= now && now < periodEnd).toBe(true);
        expect(number).toBe(periodNumber + 1 + skipped);
        expect({ start, end: periodEnd }).toEqual(periodOf({ ...RULE, n: number }));
        const next = renewed(decision.period);
        expect(decideRenewal(due({ periodNumber: next.periodNumber, periodEnd: next.periodEnd, now }))).toEqual({
          kind: 'nothing_due',
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe('what a payment does', () => {
  const row = { status: 'active', epoch: 0, periodNumber: 4 } as const;

  test('it opens the period it is for', () => {
    expect(isRenewedBy(row, { epoch: 0, number: 5 })).toBe(true);
    expect(isRenewedBy({ ...row, status: 'past_due' }, { epoch: 0, number: 5 })).toBe(true);
  });

  test('it opens no period that is current already, of another epoch, or of a subscription that has ended', () => {
    expect(isRenewedBy(row, { epoch: 0, number: 4 })).toBe(false);
    expect(isRenewedBy(row, { epoch: 1, number: 5 })).toBe(false);
    expect(isRenewedBy({ ...row, status: 'canceled' }, { epoch: 0, number: 5 })).toBe(false);
    expect(isRenewedBy({ ...row, status: 'unpaid' }, { epoch: 0, number: 5 })).toBe(false);
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
    expect(renewalEnd('declined', { isOver: false, now })).toEqual({
      intent: 'retry_wait',
      isVoid: false,
      subscription: 'past_due',
    });
  });

  test('surely not carried out, it is tried again a quarter of an hour later', () => {
    const again = new Date('2024-02-29T09:15:00Z');
    expect(renewalEnd('not_executed', { isOver: false, now })).toEqual({
      intent: 'retry_wait',
      isVoid: false,
      subscription: { again },
    });
  });

  test('never sent, as it could not be charged as it stood, it is billed anew', () => {
    expect(renewalEnd('canceled', { isOver: false, now })).toEqual({
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
    expect(renewalEnd('canceled', { isOver: true, now })).toEqual({ intent: 'canceled', isVoid: true, subscription: null });
    expect(renewalEnd('declined', { isOver: true, now })).toEqual({ intent: 'failed', isVoid: true, subscription: null });
    expect(renewalEnd('not_executed', { isOver: true, now })).toEqual({ intent: 'failed', isVoid: true, subscription: null });
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
