import { expect, test } from '@jest/globals';
import {
  decideCancel,
  entitledUntilFor,
  hasEnded,
  isEntitled,
  mayMoveSubscription,
  SUBSCRIPTION_MOVES,
  type SubscriptionFacts,
  type SubscriptionStatus,
} from '../../../src/domain/subscription/subscription.js';

const now = new Date('2026-02-10T00:00:00Z');
const periodEnd = new Date('2026-03-01T00:00:00Z');
const slackEnd = new Date('2026-03-01T06:00:00Z');
const aSubscription = (more: Partial<SubscriptionFacts> = {}): SubscriptionFacts => ({
  status: 'active',
  version: 3,
  cancelAtPeriodEnd: false,
  periodEnd,
  ...more,
});
const cancel = (
  more: Partial<SubscriptionFacts> = {},
  asked: { immediately?: boolean; expectedVersion?: number; now?: Date } = {},
) => decideCancel(aSubscription(more), { immediately: false, expectedVersion: null, now, ...asked });

test('every state can be reached by subscribing, and what has ended never comes back', () => {
  const seen = new Set<SubscriptionStatus>(['incomplete', 'trialing', 'active']);
  for (const status of seen) for (const next of SUBSCRIPTION_MOVES[status]) seen.add(next);
  expect([...seen].sort()).toEqual(Object.keys(SUBSCRIPTION_MOVES).sort());
  expect([...seen].filter(hasEnded).sort()).toEqual(['canceled', 'incomplete_expired', 'unpaid']);
  expect(mayMoveSubscription('incomplete', 'active')).toBe(true);
  expect(mayMoveSubscription('canceled', 'active')).toBe(false);
});

test('access ends with the paid period when it will not renew, and 6 hours later when it will', () => {
  expect(entitledUntilFor({ status: 'active', periodEnd, endsAtPeriodEnd: false })).toEqual(slackEnd);
  expect(entitledUntilFor({ status: 'active', periodEnd, endsAtPeriodEnd: true })).toEqual(periodEnd);
  expect(entitledUntilFor({ status: 'incomplete', periodStart: now })).toEqual(now);
  expect(entitledUntilFor({ status: 'canceled', endedAt: now })).toEqual(now);
});

test('the benefits of a trial, of what is past due, paused or ended last as the table says (S1)', () => {
  const trial = { status: 'trialing' as const, trialEndsAt: periodEnd, hasMethod: true, endsAtTrialEnd: false };
  expect(entitledUntilFor(trial)).toEqual(slackEnd);
  expect(entitledUntilFor({ ...trial, hasMethod: false })).toEqual(periodEnd);
  expect(entitledUntilFor({ ...trial, endsAtTrialEnd: true })).toEqual(periodEnd);
  const pastDue = { status: 'past_due' as const, periodEnd, dueAt: periodEnd, graceDays: 7 };
  expect(entitledUntilFor(pastDue)).toEqual(new Date('2026-03-08T00:00:00Z'));
  expect(entitledUntilFor({ ...pastDue, dueAt: now, graceDays: 0 })).toEqual(periodEnd);
  expect(entitledUntilFor({ status: 'paused', pausedAt: periodEnd })).toEqual(periodEnd);
  expect(entitledUntilFor({ status: 'unpaid', endedAt: now })).toEqual(now);
});

test('benefits hold until the instant, not at it, and not while there is a hold', () => {
  const row = { entitledUntil: periodEnd, hold: 'none' as const };
  expect(isEntitled(row, new Date(periodEnd.getTime() - 1))).toBe(true);
  expect(isEntitled(row, periodEnd)).toBe(false);
  expect(isEntitled({ ...row, hold: 'dispute' }, now)).toBe(false);
});

test('canceling keeps the benefits to the end of the paid period', () => {
  expect(cancel()).toEqual({ kind: 'at_period_end', endsAt: periodEnd, entitledUntil: periodEnd });
  expect(cancel({ cancelAtPeriodEnd: true })).toEqual({ kind: 'unchanged' });
});

test('canceling immediately ends the benefits now', () => {
  expect(cancel({}, { immediately: true })).toEqual({ kind: 'now', endedAt: now, entitledUntil: now });
  expect(cancel({ cancelAtPeriodEnd: true }, { immediately: true })).toMatchObject({ kind: 'now' });
});

test('canceling when the period is over ends it now', () => {
  expect(cancel({}, { now: periodEnd })).toMatchObject({ kind: 'now', endedAt: periodEnd });
});

test.each<{ status: SubscriptionStatus; kind: string }>`
  status                  | kind
  ${'incomplete'}         | ${'give_up'}
  ${'trialing'}           | ${'at_period_end'}
  ${'past_due'}           | ${'now'}
  ${'paused'}             | ${'now'}
  ${'incomplete_expired'} | ${'refused'}
  ${'canceled'}           | ${'refused'}
  ${'unpaid'}             | ${'refused'}
`('canceling a subscription that is $status: $kind', ({ status, kind }) => {
  expect(cancel({ status })).toMatchObject({ kind });
});

test('acting on an old version is refused before anything else', () => {
  expect(cancel({ status: 'canceled' }, { expectedVersion: 2 })).toMatchObject({ kind: 'refused', code: 'STALE_VERSION' });
  expect(cancel({}, { expectedVersion: 3 })).toMatchObject({ kind: 'at_period_end' });
});
