import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideDue, INCOMPLETE_MS, type DueFacts } from '../../../src/domain/subscription/due.js';
import {
  mayMoveSubscription,
  SUBSCRIPTION_MOVES,
  type SubscriptionStatus,
} from '../../../src/domain/subscription/subscription.js';
import { aDue } from '../../builders/lifecycle-facts.js';

const periodEnd = new Date('2026-03-01T00:00:00Z');
const before = new Date(periodEnd.getTime() - 1);

test('nothing is due before the period ends, and its renewal when it does (N2)', () => {
  expect(decideDue(aDue({ cancelAtPeriodEnd: true, pauseAtPeriodEnd: true }), before)).toEqual({ kind: 'nothing' });
  expect(decideDue(aDue(), periodEnd)).toEqual({ kind: 'renew', appliesChange: false });
  expect(decideDue(aDue({ hasPendingChange: true }), periodEnd)).toEqual({ kind: 'renew', appliesChange: true });
});

test('of what is due at the same instant the first in this order wins: each is taken away in turn', () => {
  let facts = aDue({
    cancelAtPeriodEnd: true,
    isGift: true,
    hold: 'dispute',
    hasOpenChange: true,
    pauseAtPeriodEnd: true,
    hasPendingChange: true,
  });
  const winners = [decideDue(facts, periodEnd)];
  for (const gone of [
    { cancelAtPeriodEnd: false },
    { prepaidPeriods: 2 },
    { hold: 'none' as const },
    { hasOpenChange: false },
    { pauseAtPeriodEnd: false },
    { prepaidPeriods: 0, isOptedIn: true },
    { hasPendingChange: false },
  ]) {
    facts = { ...facts, ...gone };
    winners.push(decideDue(facts, periodEnd));
  }
  expect(winners).toEqual([
    { kind: 'end', at: periodEnd, endReason: 'customer' },
    { kind: 'end', at: periodEnd, endReason: 'gift_over' },
    { kind: 'held' },
    { kind: 'settle_change' },
    { kind: 'pause' },
    { kind: 'use_prepaid', prepaidPeriodsLeft: 1 },
    { kind: 'renew', appliesChange: true },
    { kind: 'renew', appliesChange: false },
  ]);
});

test('what a provider renews we do not (X2)', () => {
  expect(decideDue(aDue({ renewedBy: 'provider' }), periodEnd)).toEqual({ kind: 'nothing' });
});

test('a first payment that is not finished in 23 hours has failed (S4)', () => {
  const facts = aDue({ status: 'incomplete' });
  const late = facts.periodStart.getTime() + INCOMPLETE_MS;
  expect(decideDue(facts, new Date(late - 1))).toEqual({ kind: 'nothing' });
  expect(decideDue(facts, new Date(late))).toEqual({ kind: 'expire' });
});

test('a trial ends at its end, and waits there while a dispute runs unless it is to end anyway (S4)', () => {
  expect(decideDue(aDue({ status: 'trialing' }), before)).toEqual({ kind: 'nothing' });
  expect(decideDue(aDue({ status: 'trialing' }), periodEnd)).toEqual({ kind: 'end_trial' });
  expect(decideDue(aDue({ status: 'trialing', hold: 'fraud' }), periodEnd)).toEqual({ kind: 'held' });
  expect(decideDue(aDue({ status: 'trialing', hold: 'fraud', cancelAtPeriodEnd: true }), periodEnd)).toEqual({
    kind: 'end_trial',
  });
});

test('a pause goes on until its end, and one without an end for 180 days (V9, S4)', () => {
  const paused = aDue({ status: 'paused', resumesAt: new Date('2026-04-01T00:00:00Z') });
  expect(decideDue(paused, new Date('2026-03-31T23:59:59Z'))).toEqual({ kind: 'nothing' });
  expect(decideDue(paused, new Date('2026-04-01T00:00:00Z'))).toEqual({ kind: 'resume' });
  const pauseEndsAt = new Date('2026-08-28T00:00:00Z');
  const open = aDue({ status: 'paused', pauseEndsAt });
  expect(decideDue(open, new Date(pauseEndsAt.getTime() - 1))).toEqual({ kind: 'nothing' });
  expect(decideDue(open, pauseEndsAt)).toEqual({ kind: 'end', at: pauseEndsAt, endReason: 'pause_over' });
  expect(decideDue({ ...open, hold: 'dispute' }, pauseEndsAt)).toEqual({ kind: 'held' });
});

/** The status that what is due leads to, where it leads to one by itself. */
const LEADS_TO: Partial<Record<string, SubscriptionStatus>> = {
  expire: 'incomplete_expired',
  end: 'canceled',
  pause: 'paused',
  use_prepaid: 'active',
  resume: 'active',
  renew: 'active',
};

test('whatever the facts, what is due is a move that the table of states allows (S4)', () => {
  const facts: fc.Arbitrary<DueFacts> = fc.record({
    status: fc.constantFrom(...(Object.keys(SUBSCRIPTION_MOVES) as SubscriptionStatus[])),
    hold: fc.constantFrom('none' as const, 'dispute' as const, 'fraud' as const),
    renewedBy: fc.constantFrom('us' as const, 'provider' as const),
    periodStart: fc.constant(new Date('2026-02-01T00:00:00Z')),
    periodEnd: fc.constant(periodEnd),
    cancelAtPeriodEnd: fc.boolean(),
    pauseAtPeriodEnd: fc.boolean(),
    hasPendingChange: fc.boolean(),
    hasOpenChange: fc.boolean(),
    resumesAt: fc.constantFrom(null, periodEnd),
    pauseEndsAt: fc.constantFrom(null, periodEnd),
    prepaidPeriods: fc.nat(2),
    isGift: fc.boolean(),
    isOptedIn: fc.boolean(),
  });
  fc.assert(
    fc.property(facts, fc.constantFrom(before, periodEnd, new Date('2027-01-01T00:00:00Z')), (drawn, now) => {
      const due = decideDue(drawn, now);
      const to = LEADS_TO[due.kind];
      const isCharged = due.kind === 'renew' || due.kind === 'resume' || due.kind === 'use_prepaid';
      return (to === undefined || mayMoveSubscription(drawn.status, to)) && !(isCharged && drawn.hold !== 'none');
    }),
    { numRuns: 5_000 },
  );
});
