import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideRefund,
  decideRefundFact,
  isWithinAgentLimit,
  REFUND_MOVES,
  refundEndsSubscription,
  refundTransactionStatusOf,
  SUPPORT_REFUND_LIMIT,
  type RefundAsked,
  type RefundEndFacts,
  type RefundStatus,
} from '../../../src/domain/refund/refund.js';
import { refundableAmount } from '../../../src/domain/refund/refundable.js';

const usd = (minor: bigint) => ({ minor, currency: 'USD' });
const charge = (more: Partial<RefundAsked> = {}): RefundAsked => ({
  status: 'succeeded',
  amountMinor: 100n,
  currency: 'USD',
  refunds: [],
  disputes: [],
  notedMinor: 0n,
  asked: null,
  ...more,
});
const given = (amountMinor: bigint, status: RefundStatus = 'succeeded') => ({ status, amountMinor });

test.each<[string, Partial<RefundAsked>, bigint]>([
  ['all of it by default', {}, 100n],
  ['the amount asked', { asked: usd(60n) }, 60n],
  ['the rest by default', { refunds: [given(60n)] }, 40n],
  ['what went to the balance by notes is not given back again', { notedMinor: 30n }, 70n],
  ['a canceled refund does not count', { refunds: [given(70n, 'canceled')], asked: usd(100n) }, 100n],
  ['a refund that failed counts, since the customer was given credit for it', { refunds: [given(60n, 'failed')] }, 40n],
  ['a won dispute does not count', { disputes: [{ status: 'won', amountMinor: 100n, isWithdrawn: true }] }, 100n],
  ['an inquiry may be refunded in full', { disputes: [{ status: 'inquiry', amountMinor: 100n, isWithdrawn: false }] }, 100n],
  [
    'a closed dispute that took a part leaves the rest',
    { disputes: [{ status: 'closed', amountMinor: 30n, isWithdrawn: true }] },
    70n,
  ],
])('approved: %s', (_, more, minor) => {
  expect(decideRefund(charge(more))).toEqual({ kind: 'approved', amount: usd(minor) });
});

test.each<[string, Partial<RefundAsked>, string]>([
  ['nothing', { asked: usd(0n) }, 'INVALID_INPUT'],
  ['less than nothing', { asked: usd(-1n) }, 'INVALID_INPUT'],
  ['another currency', { asked: { minor: 10n, currency: 'EUR' } }, 'INVALID_INPUT'],
  ['a fraction of the step', { currency: 'KWD', asked: { minor: 15n, currency: 'KWD' } }, 'INVALID_INPUT'],
  ['a declined charge', { status: 'declined' }, 'INVALID_STATE'],
  ['a charge still processing', { status: 'processing' }, 'INVALID_STATE'],
  ['a returned debit', { status: 'late_failed' }, 'INVALID_STATE'],
  ['an open dispute', { disputes: [{ status: 'open', amountMinor: 10n, isWithdrawn: true }] }, 'INVALID_STATE'],
  ['a dispute under review', { disputes: [{ status: 'under_review', amountMinor: 10n, isWithdrawn: true }] }, 'INVALID_STATE'],
  ['a lost dispute', { disputes: [{ status: 'lost', amountMinor: 10n, isWithdrawn: true }] }, 'INVALID_STATE'],
  [
    'a part while the bank inquires',
    { asked: usd(50n), disputes: [{ status: 'inquiry', amountMinor: 100n, isWithdrawn: false }] },
    'INVALID_STATE',
  ],
  ['more than the charge', { asked: usd(101n) }, 'REFUND_EXCEEDS_CHARGE'],
  ['more than is left', { asked: usd(60n), refunds: [given(60n, 'created')] }, 'REFUND_EXCEEDS_CHARGE'],
  ['what notes have given to the balance', { notedMinor: 50n, asked: usd(51n) }, 'REFUND_EXCEEDS_CHARGE'],
  ['the rest of nothing', { refunds: [given(100n)] }, 'REFUND_EXCEEDS_CHARGE'],
  [
    'again what became credit when its refund failed',
    { refunds: [given(60n, 'failed')], asked: usd(60n) },
    'REFUND_EXCEEDS_CHARGE',
  ],
])('refused: %s', (_, more, code) => {
  expect(decideRefund(charge(more))).toMatchObject({ kind: 'refused', code });
});

test('however many refunds are asked for one after another, they never exceed the charge', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: 10_000n }),
      fc.array(fc.option(fc.bigInt({ min: -5n, max: 12_000n })), { maxLength: 20 }),
      (amountMinor, asks) => {
        const refunds: { status: RefundStatus; amountMinor: bigint }[] = [];
        for (const minor of asks) {
          const decided = decideRefund(charge({ amountMinor, refunds, asked: minor === null ? null : usd(minor) }));
          if (decided.kind === 'approved') refunds.push(given(decided.amount.minor, 'sent'));
        }
        const sum = refunds.reduce((total, r) => total + r.amountMinor, 0n);
        return sum <= amountMinor && sum + refundableAmount(charge({ amountMinor, refunds })) === amountMinor;
      },
    ),
  );
});

test('nothing of a charge that did not succeed can be refunded', () => {
  expect(refundableAmount(charge({ status: 'requires_action' }))).toBe(0n);
});

test.each<{ current: RefundStatus; told: 'pending' | 'succeeded' | 'failed' | 'canceled'; decision: string }>`
  current        | told           | decision
  ${'sent'}      | ${'succeeded'} | ${'succeeded'}
  ${'unknown'}   | ${'pending'}   | ${'pending'}
  ${'pending'}   | ${'succeeded'} | ${'succeeded'}
  ${'sent'}      | ${'canceled'}  | ${'canceled'}
  ${'pending'}   | ${'canceled'}  | ${'failed'}
  ${'succeeded'} | ${'failed'}    | ${'failed'}
  ${'succeeded'} | ${'pending'}   | ${'nothing'}
  ${'failed'}    | ${'succeeded'} | ${'nothing'}
  ${'succeeded'} | ${'succeeded'} | ${'nothing'}
  ${'created'}   | ${'succeeded'} | ${'nothing'}
  ${'canceled'}  | ${'succeeded'} | ${'late'}
  ${'canceled'}  | ${'failed'}    | ${'nothing'}
`('a $current refund told $told: $decision', ({ current, told, decision }) => {
  const decided = decideRefundFact(current, told, current !== 'sent');
  expect(decided.kind === 'apply' ? decided.to : decided.kind).toBe(decision);
});

test('every state of a refund can be reached, and the history shows each by one of its own words', () => {
  const seen = new Set<RefundStatus>(['created']);
  for (const status of seen) for (const next of REFUND_MOVES[status]) seen.add(next);
  expect(seen.size).toBe(Object.keys(REFUND_MOVES).length);
  expect([...seen].map((status) => [status, refundTransactionStatusOf(status)])).toEqual([
    ['created', 'pending'],
    ['sent', 'pending'],
    ['canceled', 'canceled'],
    ['unknown', 'unknown'],
    ['pending', 'processing'],
    ['succeeded', 'succeeded'],
    ['failed', 'failed'],
  ]);
});

const end: RefundEndFacts = {
  chargeMinor: 100n,
  refunds: [given(100n)],
  reason: 'requested',
  isEndAsked: false,
  isCurrentPeriod: true,
};

test.each<[string, Partial<RefundEndFacts>, boolean]>([
  ['all of the current period', {}, true],
  ['all of it in two parts', { refunds: [given(60n), given(40n, 'pending')] }, true],
  ['all of it, but the provider has not accepted it', { refunds: [given(100n, 'unknown')] }, false],
  ['a part', { refunds: [given(60n)] }, false],
  ['a part, with the wish to end', { refunds: [given(60n)], isEndAsked: true }, true],
  ['a part, for suspected fraud', { refunds: [given(60n)], reason: 'fraudulent' }, true],
  ['all of an older period', { isCurrentPeriod: false }, false],
  ['the duplicate of another charge', { reason: 'duplicate' }, false],
])('a refund of %s ends the subscription: %#', (_, more, ends) => {
  expect(refundEndsSubscription({ ...end, ...more })).toBe(ends);
});

test('an agent refunds up to about 100 US dollars, finance any amount, others nothing', () => {
  const support = new Set(['monetization:support']);
  expect(isWithinAgentLimit(support, usd(10_000n))).toBe(true);
  expect(isWithinAgentLimit(support, usd(10_001n))).toBe(false);
  expect(isWithinAgentLimit(support, { minor: 15_000n, currency: 'JPY' })).toBe(true);
  expect(isWithinAgentLimit(support, { minor: 1n, currency: 'CHF' })).toBe(false);
  expect(isWithinAgentLimit(new Set(['monetization:finance']), usd(10n ** 9n))).toBe(true);
  expect(isWithinAgentLimit(new Set(['monetization:ops']), usd(1n))).toBe(false);
});

test('there is a limit for every currency of the catalogue', () => {
  const file: unknown = JSON.parse(readFileSync('data/catalogue.json', 'utf8'));
  const currencies = new Set(JSON.stringify(file).match(/(?<="currency":")[A-Z]{3}/g));
  expect([...currencies].filter((code) => !SUPPORT_REFUND_LIMIT.has(code))).toEqual([]);
});
