import { expect, test } from '@jest/globals';
import { ATTEMPT_MOVES, type AttemptStatus } from '../../../src/domain/payment/attempt.js';
import {
  consequencesOfCancel,
  decideCancelAgainstRenewal,
  decideWithdrawal,
  type WithdrawalFacts,
} from '../../../src/domain/subscription/cancel.js';
import { aLine } from '../../builders/lifecycle-facts.js';

const half = new Date('2025-02-14T09:00:00Z');
const atOnce = { kind: 'now' as const, endedAt: half, entitledUntil: half };
const active = { status: 'active' as const, lines: [aLine()], currency: 'USD' };
const nothing = { voidsOpenInvoice: false, dropsScheduled: false, refundsLateSuccess: false, clearsPlans: false, refunds: [] };

test('canceling at the end of the period gives nothing back and drops what was planned (V6)', () => {
  const later = { kind: 'at_period_end' as const, endsAt: half, entitledUntil: half };
  expect(consequencesOfCancel(active, later, 'full')).toEqual({ ...nothing, clearsPlans: true });
  expect(consequencesOfCancel(active, { kind: 'unchanged' }, 'full')).toEqual(nothing);
});

test.each([
  ['none', []],
  ['prorated', [{ position: 0, netMinor: 500n, taxMinor: 0n }]],
  ['full', [{ position: 0, netMinor: 1_000n, taxMinor: 0n }]],
] as const)('canceling at once gives back what was asked: %s (V6)', (asked, refunds) => {
  expect(consequencesOfCancel(active, atOnce, asked).refunds).toEqual(refunds);
});

test('canceling in a pause, or when the period is over, gives nothing back of a period that was used (V6)', () => {
  expect(consequencesOfCancel({ ...active, status: 'paused' }, atOnce, 'full').refunds).toEqual([]);
  const over = { ...atOnce, endedAt: new Date('2025-02-28T09:00:00Z') };
  expect(consequencesOfCancel(active, over, 'full').refunds).toEqual([]);
});

test('of a changed period a prorated refund is of the line that runs, and a full one of all that is left (P2, F1)', () => {
  const lines = [
    aLine({ creditedNetMinor: 600n }),
    aLine({ start: new Date('2025-02-12T09:00:00Z'), netMinor: 1_600n, priceId: 'premium' }),
  ];
  expect(consequencesOfCancel({ ...active, lines }, atOnce, 'prorated').refunds).toEqual([
    { position: 1, netMinor: 1_400n, taxMinor: 0n },
  ]);
  expect(consequencesOfCancel({ ...active, lines }, atOnce, 'full').refunds).toEqual([
    { position: 0, netMinor: 400n, taxMinor: 0n },
    { position: 1, netMinor: 1_600n, taxMinor: 0n },
  ]);
});

test('canceling what is past due voids the invoice, drops the retries and gives nothing back of a period never paid (V6, D8, P3)', () => {
  const pastDue = { status: 'past_due' as const, lines: [aLine({ isPaid: false })], currency: 'USD' };
  expect(consequencesOfCancel(pastDue, atOnce, 'full')).toEqual({
    voidsOpenInvoice: true,
    dropsScheduled: true,
    refundsLateSuccess: true,
    clearsPlans: true,
    refunds: [],
  });
});

const boundaryAt = new Date('2026-03-01T00:00:00Z');
const before = new Date(boundaryAt.getTime() - 1);

test.each<[AttemptStatus | null, string]>([
  [null, 'drop'],
  ['created', 'drop'],
  ['declined', 'drop'],
  ['canceled', 'drop'],
  ['not_executed', 'drop'],
  ['late_failed', 'drop'],
  ['sent', 'await_and_refund'],
  ['unknown', 'await_and_refund'],
  ['requires_action', 'await_and_refund'],
  ['processing', 'await_and_refund'],
  ['succeeded', 'await_and_refund'],
])('a cancellation that came before the boundary meets a renewal that is %s: %s (V7)', (attempt, race) => {
  expect(decideCancelAgainstRenewal(before, boundaryAt, attempt)).toBe(race);
});

test('a cancellation that came at the boundary or later leaves the new period standing (V7)', () => {
  for (const attempt of Object.keys(ATTEMPT_MOVES) as AttemptStatus[]) {
    expect(decideCancelAgainstRenewal(boundaryAt, boundaryAt, attempt)).toBe('stands');
  }
});

const withdrawal: WithdrawalFacts = {
  status: 'active',
  country: 'DE',
  firstPurchaseAt: new Date('2025-01-31T09:00:00Z'),
  isUsed: true,
  lines: [aLine({ taxMinor: 190n, ratePpm: 190_000 })],
  currency: 'USD',
  now: new Date('2025-02-07T09:00:00Z'),
};

test('a consumer who withdraws gets the unused share back, or all of it if nothing was used (V8)', () => {
  expect(decideWithdrawal(withdrawal)).toEqual({
    kind: 'now',
    endedAt: withdrawal.now,
    refunds: [{ position: 0, netMinor: 750n, taxMinor: 143n }],
  });
  expect(decideWithdrawal({ ...withdrawal, isUsed: false })).toMatchObject({
    refunds: [{ position: 0, netMinor: 1_000n, taxMinor: 190n }],
  });
});

test.each<[string, Partial<WithdrawalFacts>]>([
  ['on the fifteenth day', { now: new Date('2025-02-14T09:00:00Z') }],
  ['in a country without the right', { country: 'US' }],
  ['from what has ended', { status: 'canceled' }],
  ['from what is not paid', { lines: [aLine({ isPaid: false })] }],
])('nobody withdraws %s (V8)', (_, more) => {
  expect(decideWithdrawal({ ...withdrawal, ...more })).toMatchObject({ kind: 'refused', code: 'INVALID_STATE' });
});
