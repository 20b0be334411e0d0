/**
 * Bugs that other billing systems shipped, each as a test of the rule that keeps it out of here (rules 15). What only a database or a
 * provider can show is with the use cases: two requests without a key (15), dunning after a pending debit (20), counters of retries by
 * card (21).
 */
import { expect, test } from '@jest/globals';
import { decideHold } from '../../src/domain/dispute/dispute.js';
import { decideCreditNotes } from '../../src/domain/invoice/credit-note.js';
import { composeInvoice } from '../../src/domain/invoice/invoice.js';
import { totalOf, unusedOf } from '../../src/domain/invoice/line.js';
import { decimalText, isMultipleOfStep } from '../../src/domain/money/currency.js';
import { decideAttempt } from '../../src/domain/payment/attempt.js';
import { classifyDecline } from '../../src/domain/payment/decline.js';
import { decideDuplicates } from '../../src/domain/payment/duplicate.js';
import { decideRefund, decideRefundFact, refundEndsSubscription } from '../../src/domain/refund/refund.js';
import { consequencesOfCancel } from '../../src/domain/subscription/cancel.js';
import { quoteChange } from '../../src/domain/subscription/change-tier.js';
import { decideDue } from '../../src/domain/subscription/due.js';
import { decidePause, decideResumption } from '../../src/domain/subscription/pause.js';
import { addedQuota, periodLine, restLine, settleChange } from '../../src/domain/subscription/proration.js';
import { decideCancel, mayMoveSubscription } from '../../src/domain/subscription/subscription.js';
import { boundary, periodNumberAt, periodOf } from '../../src/domain/time/periods.js';
import { aChange, aDue, aLine, aPaidLine, aPauseable, aPrice, aTarget } from '../builders/lifecycle-facts.js';

const monthly = { zone: 'UTC', unit: 'month' as const, count: 1 };
const period = { start: new Date('2025-01-31T09:00:00Z'), end: new Date('2025-02-28T09:00:00Z') };
const half = new Date('2025-02-14T09:00:00Z');
const day = (at: Date) => at.toISOString().slice(0, 10);

test('bug 1: the 31st never becomes the 28th for ever, as no date is computed from the last one (B1)', () => {
  const days = [0, 1, 2, 3, 12, 13, 14].map((n) => day(boundary({ ...monthly, anchorLocal: '2024-01-31T09:00:00', n })));
  expect(days).toEqual(['2024-01-31', '2024-02-29', '2024-03-31', '2024-04-30', '2025-01-31', '2025-02-28', '2025-03-31']);
});

test('bug 2: a subscription from the 30th is billed for the right month on the 29th of February (B1)', () => {
  const rule = { ...monthly, anchorLocal: '2024-01-30T00:00:00' };
  expect(periodOf({ ...rule, n: 1 })).toEqual({ start: new Date('2024-02-29T00:00:00Z'), end: new Date('2024-03-30T00:00:00Z') });
  expect(periodNumberAt(rule, new Date('2024-02-28T23:59:59Z'))).toBe(0);
  expect(periodNumberAt(rule, new Date('2024-02-29T00:00:00Z'))).toBe(1);
});

test('bug 3: equal customers are billed at the same time of their day, whichever season they came in (B2, B3)', () => {
  const inWinter = boundary({ ...monthly, anchorLocal: '2025-01-10T09:00:00', zone: 'Europe/Paris', n: 6 });
  const inSummer = boundary({ ...monthly, anchorLocal: '2025-06-10T09:00:00', zone: 'Europe/Paris', n: 1 });
  expect(inWinter).toEqual(inSummer);
  expect(inWinter).toEqual(new Date('2025-07-10T07:00:00Z'));
});

test('bug 4: who came at 23:30 keeps the local day, over the change of clocks (B2)', () => {
  const rule = { ...monthly, anchorLocal: '2024-02-29T23:30:00', zone: 'America/Los_Angeles' };
  expect(boundary({ ...rule, n: 1 })).toEqual(new Date('2024-03-30T06:30:00Z'));
});

test('bug 5: runs on either side of local midnight see the same period, as periods are numbered and not dated (N1)', () => {
  const rule = { ...monthly, anchorLocal: '2025-03-01T00:00:00', zone: 'America/New_York' };
  const midnight = boundary({ ...rule, n: 1 }).getTime();
  expect([0, 3_600_000, 23 * 3_600_000].map((later) => periodNumberAt(rule, new Date(midnight + later)))).toEqual([1, 1, 1]);
  const renewed = aDue({ periodStart: new Date(midnight), periodEnd: boundary({ ...rule, n: 2 }) });
  expect(decideDue(renewed, new Date(midnight + 3_600_000))).toEqual({ kind: 'nothing' });
});

test("bug 6: a second upgrade gives back of the first one's line, neither of its net nor more than the line (P2, P4)", () => {
  const paid = aPaidLine(restLine(aPrice({ amountMinor: 16_00n }), half, period, null, 0));
  const later = new Date('2025-02-21T09:00:00Z');
  const { credit } = settleChange(paid, restLine(aPrice({ amountMinor: 84_00n }), later, period, null, 0), later, 'USD');
  expect(paid.netMinor).toBe(800n);
  expect(credit.netMinor).toBe(400n);
});

test('bug 7: the divisor of a part is the whole period, not what is left of it (P2)', () => {
  expect(restLine(aPrice({ amountMinor: 28_00n }), half, period, null, 0).netMinor).toBe(14_00n);
  expect(unusedOf(aLine({ netMinor: 28_00n }), half, 'USD').netMinor).toBe(14_00n);
});

test('bug 8: ending a discounted subscription gives back what was paid, and nothing twice (P3, P6)', () => {
  const discounted = aPaidLine({ ...aLine(), netMinor: 200n, discountMinor: 800n });
  const once = decideCreditNotes({ lines: [discounted], currency: 'USD', asked: null });
  expect(once).toEqual({ kind: 'approved', notes: [{ position: 0, netMinor: 200n, taxMinor: 0n }] });
  const given = { ...discounted, creditedNetMinor: 200n };
  expect(decideCreditNotes({ lines: [given], currency: 'USD', asked: null })).toMatchObject({ code: 'REFUND_EXCEEDS_CHARGE' });
  const atOnce = { kind: 'now' as const, endedAt: half, entitledUntil: half };
  expect(consequencesOfCancel({ status: 'active', lines: [given], currency: 'USD' }, atOnce, 'full').refunds).toEqual([]);
});

test('bug 9: tax is rounded by the line, so a note for all of an invoice is never a cent off (T3, M7)', () => {
  const lines = [335n, 335n, 335n].map((amountMinor) => aPaidLine(periodLine(aPrice({ amountMinor }), period, null, 190_000)));
  const { totalMinor, taxMinor } = composeInvoice(lines, 'USD', 0n);
  expect(taxMinor).toBe(192n);
  const note = decideCreditNotes({ lines, currency: 'USD', asked: { minor: totalMinor, currency: 'USD' } });
  expect(note).toEqual({
    kind: 'approved',
    notes: [0, 1, 2].map((position) => ({ position, netMinor: 335n, taxMinor: 64n })),
  });
});

test("bug 10: an end that comes before the day's billing gives back nothing of a period that was never invoiced (P3, X1)", () => {
  const over = { kind: 'now' as const, endedAt: period.end, entitledUntil: period.end };
  for (const asked of ['prorated', 'full'] as const) {
    expect(consequencesOfCancel({ status: 'active', lines: [aLine()], currency: 'USD' }, over, asked).refunds).toEqual([]);
  }
});

test('bug 11: an upgrade that is not paid switches nothing, and is settled before the next period is billed at the old price (V4)', () => {
  const open = aDue({ hasOpenChange: true });
  expect(decideDue(open, open.periodEnd)).toEqual({ kind: 'settle_change' });
  expect(decideDue({ ...open, hasOpenChange: false }, open.periodEnd)).toEqual({ kind: 'renew', appliesChange: false });
  expect(quoteChange(aChange({ hasOpenChange: true }), { timing: null, expectedVersion: null, now: half })).toMatchObject({
    code: 'INVALID_STATE',
  });
});

test('bug 12: down and up again refills no quota (P5)', () => {
  const first = addedQuota(100n, 300n, half, period);
  const downAndUp = addedQuota(300n, 100n, half, period) + addedQuota(300n, 300n, half, period);
  expect([first, downAndUp]).toEqual([100n, 0n]);
});

test('bug 13: what is too small for a card is carried to the next invoice, and nobody is suspended for it (M6)', () => {
  const small = composeInvoice([aLine({ netMinor: 12n })], 'USD', 0n);
  expect(small).toMatchObject({ settlement: 'carried', dueMinor: 0n, balanceAfterMinor: -12n });
  expect(composeInvoice([aLine()], 'USD', small.balanceAfterMinor)).toMatchObject({ dueMinor: 1_012n, balanceAfterMinor: 0n });
});

test('bug 14: 500 yen are 500, and a refund of a hundred times as much is refused (M3, F1)', () => {
  expect(decimalText({ minor: 500n, currency: 'JPY' })).toBe('500');
  expect(isMultipleOfStep({ minor: 501n, currency: 'JPY' })).toBe(true);
  const charge = { status: 'succeeded' as const, amountMinor: 500n, refunds: [], disputes: [], notedMinor: 0n, currency: 'JPY' };
  expect(decideRefund({ ...charge, asked: { minor: 50_000n, currency: 'JPY' } })).toMatchObject({
    code: 'REFUND_EXCEEDS_CHARGE',
  });
});

test('bug 16: of two payments of one invoice one is kept, and the other goes back in full and ends nothing (X3, X4)', () => {
  const page = { providerChargeId: 'ch_page', succeededAt: new Date(2_000) };
  const renewal = { providerChargeId: 'ch_renewal', succeededAt: new Date(1_000) };
  expect(decideDuplicates([page, renewal], null)).toEqual({ keptId: 'ch_renewal', refundedIds: ['ch_page'] });
  const back = { chargeMinor: 800n, refunds: [{ status: 'succeeded' as const, amountMinor: 800n }], isCurrentPeriod: true };
  expect(refundEndsSubscription({ ...back, reason: 'duplicate', isEndAsked: false })).toBe(false);
});

test('bug 17: what a provider renews we do not, and what was renewed is not due (X2, N1)', () => {
  const { periodEnd } = aDue();
  expect(decideDue(aDue({ renewedBy: 'provider' }), periodEnd)).toEqual({ kind: 'nothing' });
  const renewed = aDue({ periodStart: periodEnd, periodEnd: new Date('2026-04-01T00:00:00Z') });
  expect(decideDue(renewed, periodEnd)).toEqual({ kind: 'nothing' });
});

test('bug 18: a retry that was queued before the card was fixed finds nothing due, and bills no month early (N2)', () => {
  const recovered = aDue({ periodEnd: new Date('2026-04-01T00:00:00Z') });
  expect(decideDue(recovered, new Date('2026-03-05T00:00:00Z'))).toEqual({ kind: 'nothing' });
});

test('bug 19: what is past due can be canceled, and its retries go with it (V6, D8)', () => {
  const facts = { status: 'past_due' as const, version: 1, cancelAtPeriodEnd: false, periodEnd: period.end };
  const decision = decideCancel(facts, { immediately: false, expectedVersion: null, now: half });
  expect(decision).toMatchObject({ kind: 'now', endedAt: half });
  if (decision.kind === 'refused') throw new Error(decision.message);
  const lines = [aLine({ isPaid: false })];
  expect(consequencesOfCancel({ status: 'past_due', lines, currency: 'USD' }, decision, 'none')).toMatchObject({
    voidsOpenInvoice: true,
    dropsScheduled: true,
    refundsLateSuccess: true,
  });
});

test('bug 21: a code is looked up in its own table only, so a hard decline is never taken for a soft one', () => {
  const none = { code: null, declineCode: null, adviceCode: null, networkDeclineCode: null, networkAdviceCode: null };
  expect(classifyDecline({ ...none, declineCode: 'lost_card', adviceCode: 'try_again_later' })).toBe('HARD_NEVER');
  expect(classifyDecline({ ...none, declineCode: 'generic_decline', networkAdviceCode: '03' })).toBe('HARD_NEVER');
  expect(classifyDecline({ ...none, declineCode: 'generic_decline', networkDeclineCode: '03' })).toBe('SOFT_LATER');
});

test('bug 22: older news does not set a paid subscription back (N9)', () => {
  const fact = { status: 'requires_action' as const, hasPaymentError: false, wasSecretGiven: false, isCancelAsked: false };
  expect(decideAttempt('succeeded', fact).kind).not.toBe('apply');
  expect(mayMoveSubscription('active', 'incomplete')).toBe(false);
  expect(decideRefundFact('succeeded', 'pending', true)).toEqual({ kind: 'nothing' });
});

test('bug 23: two refunds of 60 of a charge of 100 do not both pass, nor a refund beside a chargeback (F1, F4)', () => {
  const asked = { minor: 60n, currency: 'USD' };
  const charge = {
    status: 'succeeded' as const,
    amountMinor: 100n,
    refunds: [],
    disputes: [],
    notedMinor: 0n,
    currency: 'USD',
    asked,
  };
  expect(decideRefund(charge)).toMatchObject({ kind: 'approved' });
  const second = { ...charge, refunds: [{ status: 'created' as const, amountMinor: 60n }] };
  expect(decideRefund(second)).toMatchObject({ code: 'REFUND_EXCEEDS_CHARGE' });
  const contested = { ...charge, disputes: [{ status: 'open' as const, amountMinor: 100n, isWithdrawn: true }] };
  expect(decideRefund(contested)).toMatchObject({ code: 'INVALID_STATE' });
});

test("bug 24: a duplicate's refund ends nothing, a full one of the period ends it, and a dispute stops the renewal (X4, 12, 13)", () => {
  const full = { chargeMinor: 800n, refunds: [{ status: 'pending' as const, amountMinor: 800n }], isEndAsked: false };
  const current = { ...full, isCurrentPeriod: true };
  expect(refundEndsSubscription({ ...current, reason: 'duplicate' })).toBe(false);
  expect(refundEndsSubscription({ ...current, reason: 'requested' })).toBe(true);
  const { hold } = decideHold({ hold: 'none', before: null, status: 'open', isAnyRunning: true });
  expect(decideDue(aDue({ hold }), aDue().periodEnd)).toEqual({ kind: 'held' });
});

test('bug 25: a second pause is refused, the paused time is never billed, and the preview is the invoice (V9, P1, V5)', () => {
  const asked = { resumesAt: new Date('2026-04-01T00:00:00Z'), now: half };
  expect(decidePause(aPauseable({ pauseAtPeriodEnd: true }), asked)).toMatchObject({ code: 'INVALID_STATE' });
  const fiveToMidnight = new Date('2026-04-14T23:55:00Z');
  const resumed = decideResumption(aPauseable({ status: 'paused' }), { expectedVersion: null, now: fiveToMidnight });
  expect(resumed).toMatchObject({
    kind: 'charge_first',
    period: { start: fiveToMidnight, end: new Date('2026-05-14T23:55:00Z') },
  });
  const quote = quoteChange(aChange({ target: aTarget() }), { timing: null, expectedVersion: null, now: half });
  if (quote.kind !== 'now') throw new Error(quote.kind);
  expect(quote.lines.map(totalOf).reduce((all, one) => all + one, 0n)).toBe(quote.sums.totalMinor);
});
