/**
 * Moving a subscription to another price (rules V4, V5). `quoteChange` is the one function that says what a change costs: the
 * preview shows its answer and the change charges it, so the two cannot differ.
 */
import { couponForNextPeriod, type Coupon, type RunningCoupon } from '../catalogue/coupon.js';
import { NO_SUCH_PRICE, refuseMethod, refuseUnsold, type MethodFacts, type OfferedPrice } from '../catalogue/price.js';
import { composeInvoice, type InvoiceSums } from '../invoice/invoice.js';
import { creditableOf, type InvoiceLine, type LineCredit, type PastLine } from '../invoice/line.js';
import { compareAnnual, compareLength } from '../metrics/recurring.js';
import { STRIPE_MAXIMUM } from '../money/currency.js';
import { reanchored, type OpenedPeriod } from '../time/periods.js';
import { coveringLine, periodLine, restLine, settleChange, type BilledPrice } from './proration.js';
import { hasEnded, type SubscriptionStatus } from './subscription.js';

/** A price with its tier, as a change compares it. */
export interface RankedPrice extends BilledPrice {
  tierGroup: string;
  rank: number;
  intervalCount: number;
}

/** The price a change goes to. */
export type TargetPrice = RankedPrice & Omit<OfferedPrice, 'amount'>;

/** What a change looks at, read under the customer's lock. Amounts in minor units. */
export interface ChangeFacts {
  subscription: {
    status: SubscriptionStatus;
    hold: 'none' | 'dispute' | 'fraud';
    version: number;
    cancelAtPeriodEnd: boolean;
    pauseAtPeriodEnd: boolean;
    /** Its present period was paid by a gift. */
    isPrepaid: boolean;
    zone: string;
    epoch: number;
    periodStart: Date;
    periodEnd: Date;
  };
  current: RankedPrice;
  /** null: no such price, or it is a product's. */
  target: TargetPrice | null;
  /** Lines of the present period, in the order in which they were invoiced. */
  lines: readonly PastLine[];
  /** The coupon that the present period was invoiced with. */
  periodCoupon: Coupon | null;
  running: RunningCoupon | null;
  /** Where the customer lives; null: not known. */
  country: string | null;
  /** Rate for the target at the moment of the charge (rules T4). */
  ratePpm: number;
  /** What we owe the customer in this currency; negative: what the customer owes us. */
  balanceMinor: bigint;
  /** A change before this one waits for its payment. */
  hasOpenChange: boolean;
  /** Changes that were paid in the present period. */
  paidChangesCount: number;
  /** The method that would be charged, and whether the request names it. */
  method: MethodFacts | null;
  isMethodAsked: boolean;
}

export type ChangeTiming = 'now' | 'period_end';

/** What is asked of a change. */
export interface ChangeAsked {
  /** null: now for an upgrade, at the end of the period for a downgrade. */
  timing: ChangeTiming | null;
  expectedVersion: number | null;
  now: Date;
}

/** A refusal of a change; `field` is the path of the offending input field. */
export interface ChangeRefused {
  kind: 'refused';
  code:
    | 'INVALID_INPUT'
    | 'NOT_FOUND'
    | 'NOT_FOR_SALE'
    | 'INVALID_STATE'
    | 'STALE_VERSION'
    | 'RATE_LIMITED'
    | 'PRICE_CHANGED'
    | 'PAYMENT_METHOD_UNUSABLE';
  message: string;
  field: string[] | null;
}

/** A change at once. Until what is due is paid the old tier stays as it is (rules V4). */
export interface ChangeNow {
  kind: 'now';
  /** The price it goes to; a price never changes, so the id stands for its amount too (rules T1). */
  priceId: string;
  isUpgrade: boolean;
  /** The second that both prices are counted from (rules P2). */
  prorationAt: Date;
  lines: InvoiceLine[];
  sums: InvoiceSums;
  credit: LineCredit;
  /** The credit goes to the customer's balance by a note, in the unit of work that opens the invoice. */
  isCreditNote: boolean;
  /** A new anchor, for a change of interval: a period is invoiced and uses one of a coupon's; null: the period stays (rules B5). */
  anchor: { anchorLocal: string; period: OpenedPeriod } | null;
}

/**
 * - `at_period_end`: it waits, may be taken back, and is replaced by the next; nothing is due now.
 * - `in_trial`: at once, for nothing; the trial ends when it would have (rules V3).
 * - `at_resume`: it waits until a paused subscription goes on.
 */
export type ChangeQuote =
  | ChangeNow
  | { kind: 'at_period_end'; priceId: string; isUpgrade: boolean; effectiveAt: Date }
  | { kind: 'in_trial'; priceId: string; isUpgrade: boolean; effectiveAt: Date }
  | { kind: 'at_resume'; priceId: string; isUpgrade: boolean }
  | ChangeRefused;

/** Most changes that may be paid in one period (rules V4). */
export const MAX_PAID_CHANGES = 5;

/** A change that was not paid by then is dropped: its invoice is voided, and the old tier stays (rules V4). */
export const CHANGE_PAYABLE_MS = 23 * 3_600_000;

/** What a change would cost, or why it may not be made. The first reason in the order of the code is the refusal. */
export function quoteChange(facts: ChangeFacts, asked: ChangeAsked): ChangeQuote {
  return quoteAt(facts, asked, asked.now);
}

function quoteAt(facts: ChangeFacts, asked: ChangeAsked, prorationAt: Date): ChangeQuote {
  const { subscription, current, target } = facts;
  const { now, expectedVersion } = asked;
  if (expectedVersion !== null && expectedVersion !== subscription.version) {
    const message = `The subscription is at version ${subscription.version}, not ${expectedVersion}.`;
    return { kind: 'refused', code: 'STALE_VERSION', message, field: ['input', 'expectedVersion'] };
  }
  if (target === null) return { kind: 'refused', ...NO_SUCH_PRICE, field: PRICE_FIELD };
  const unsold = refuseTarget(current, target, { country: facts.country, now });
  if (unsold !== null) return unsold;
  const isUpgrade = defaultTiming(current, target) === 'now';
  const { status } = subscription;
  if (hasEnded(status)) return refuseState('The subscription has ended.');
  if (status === 'incomplete') return refuseState('The first payment of the subscription is not finished.');
  if (status === 'past_due') return refuseState('Pay what is due first.');
  if (subscription.hold !== 'none') return refuseState('The subscription is held while a payment is disputed.');
  if (subscription.cancelAtPeriodEnd) return refuseState('The subscription is to end: resume it first.');
  if (status === 'paused') return { kind: 'at_resume', priceId: target.id, isUpgrade };
  if (now >= subscription.periodEnd) return refuseState('The period is over and being renewed: ask again when it is.');
  if (status === 'trialing') return { kind: 'in_trial', priceId: target.id, isUpgrade, effectiveAt: now };
  if (subscription.isPrepaid) return refuseState('A gift pays this period: change when it is used up.');
  // Whatever is asked now would be undone when that one is paid.
  if (facts.hasOpenChange) return refuseState('Another change waits for its payment.');
  if ((asked.timing ?? (isUpgrade ? 'now' : 'period_end')) === 'period_end') {
    return { kind: 'at_period_end', priceId: target.id, isUpgrade, effectiveAt: subscription.periodEnd };
  }
  return quoteNow(facts, target, isUpgrade, prorationAt);
}

function quoteNow(facts: ChangeFacts, target: TargetPrice, isUpgrade: boolean, prorationAt: Date): ChangeNow | ChangeRefused {
  const { subscription, current } = facts;
  if (facts.paidChangesCount >= MAX_PAID_CHANGES) {
    const message = `A tier may be changed ${MAX_PAID_CHANGES} times in a period; at its end it may be changed again.`;
    return { kind: 'refused', code: 'RATE_LIMITED', message, field: null };
  }
  const at = new Date(Math.floor(prorationAt.getTime() / 1_000) * 1_000);
  const old = coveringLine(facts.lines, at);
  if (old !== null && !old.isPaid) return refuseState('The payment of the period is not finished.');
  const isSameInterval = sameInterval(current, target);
  if (!isSameInterval && subscription.pauseAtPeriodEnd) {
    // The pause was planned for the end of this period, and its end counted from there.
    return refuseState('The subscription is to be paused: go on first, or change at the end of the period.');
  }
  const { zone, epoch } = subscription;
  const anchor = isSameInterval ? null : reanchored(epoch, at, { zone, unit: target.intervalUnit, count: target.intervalCount });
  const period = { start: subscription.periodStart, end: subscription.periodEnd };
  const newLine =
    anchor === null
      ? restLine(target, at, period, facts.periodCoupon, facts.ratePpm)
      : periodLine(target, anchor.period, couponForNextPeriod(facts.running), facts.ratePpm);
  const { lines, credit, isCreditNote } = settleChange(old, newLine, at, target.currency);
  const note = isCreditNote ? credit.netMinor + credit.taxMinor : 0n;
  const sums = composeInvoice(lines, target.currency, facts.balanceMinor + note);
  if (sums.dueMinor > STRIPE_MAXIMUM) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'It costs more than one payment can take.', field: PRICE_FIELD };
  }
  const unusable = sums.dueMinor > 0n ? refuseMethod(facts.method, facts.isMethodAsked, target.acceptedKinds) : null;
  if (unusable !== null) {
    return { kind: 'refused', code: 'PAYMENT_METHOD_UNUSABLE', message: unusable.message, field: unusable.field };
  }
  return { kind: 'now', priceId: target.id, isUpgrade, prorationAt: at, lines, sums, credit, isCreditNote, anchor };
}

/** A quote that the customer was shown; the id that names it carries this, signed. */
export interface ShownQuote {
  subscriptionVersion: number;
  timing: ChangeTiming | null;
  quotedAt: Date;
  /** A digest of what `quoteKey` gave. */
  digest: string;
}

/** How long a quote holds (the contract's `quoteId`). */
export const QUOTE_HOLDS_MS = 10 * 60_000;

/** A text that two quotes share only when they are the same in every amount and instant. */
export function quoteKey(quote: Exclude<ChangeQuote, ChangeRefused>): string {
  return JSON.stringify(quote, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/**
 * A change by a quote that was shown: exactly its amounts, counted from its second, or PRICE_CHANGED when the quote is over or
 * anything it was made of has moved since: version, price, coupon, tax, balance (rules V5). Other refusals as `quoteChange`.
 * @param digestOf makes the digest of a key, as it was made for the quote
 */
export function confirmChange(
  shown: ShownQuote,
  facts: ChangeFacts,
  { now, expectedVersion, digestOf }: { now: Date; expectedVersion: number | null; digestOf: (key: string) => string },
): ChangeQuote {
  const refused = (message: string): ChangeRefused => ({
    kind: 'refused',
    code: 'PRICE_CHANGED',
    message,
    field: ['input', 'quoteId'],
  });
  const ageMs = now.getTime() - shown.quotedAt.getTime();
  if (ageMs < 0 || ageMs >= QUOTE_HOLDS_MS) return refused('The quote no longer holds: fetch a new one.');
  if (shown.subscriptionVersion !== facts.subscription.version) {
    return refused('The subscription has changed since the quote: fetch a new one.');
  }
  const quote = quoteAt(facts, { timing: shown.timing, expectedVersion, now }, shown.quotedAt);
  if (quote.kind === 'refused') return quote;
  const fresh = quote.kind === 'in_trial' ? { ...quote, effectiveAt: shown.quotedAt } : quote;
  return digestOf(quoteKey(fresh)) === shown.digest
    ? fresh
    : refused('The amounts are no longer those of the quote: fetch a new one.');
}

/**
 * When a change takes effect unless the customer says otherwise (rules V4): at once for a higher rank (within a rank: a higher
 * price a year) at the same interval, and for a longer interval at the same or a higher rank; else at the end of the period.
 */
export function defaultTiming(current: RankedPrice, target: RankedPrice): ChangeTiming {
  if (sameInterval(current, target)) {
    const order = target.rank - current.rank || compareAnnual(yearly(target), yearly(current));
    return order > 0 ? 'now' : 'period_end';
  }
  const isLonger = compareLength(intervalOf(target), intervalOf(current)) >= 0;
  return isLonger && target.rank >= current.rank ? 'now' : 'period_end';
}

/** What a change that waited does when its time comes: it is dropped when its price is no longer sold (rules V4). Who has moved since keeps what was chosen. */
export function decidePendingChange(
  current: RankedPrice,
  target: TargetPrice | null,
  now: Date,
): { kind: 'take_effect' } | { kind: 'drop'; reason: 'price_gone' } {
  const isGone = target === null || refuseTarget(current, target, { country: null, now }) !== null;
  return isGone ? { kind: 'drop', reason: 'price_gone' } : { kind: 'take_effect' };
}

/** Decides dropping a change that waits for the end of the period, or for its payment. Refuses INVALID_STATE where none does. */
export function decideDropPending(subscription: {
  status: SubscriptionStatus;
  hasPendingChange: boolean;
  hasOpenChange: boolean;
}): { kind: 'dropped' } | ChangeRefused {
  if (hasEnded(subscription.status)) return refuseState('The subscription has ended.');
  return subscription.hasPendingChange || subscription.hasOpenChange ? { kind: 'dropped' } : refuseState('No change waits.');
}

/** What a change whose payment succeeded meets, read under the customer's lock. */
export interface PaidChangeFacts {
  subscription: { status: SubscriptionStatus; epoch: number; periodEnd: Date };
  /** The time it was invoiced for. */
  invoice: { epoch: number; periodEnd: Date };
  /** The line that its invoice gives back a part of, as it stands now; null: it gives nothing back. */
  old: PastLine | null;
  /** That part. */
  credit: LineCredit;
}

/**
 * Whether a change that was paid takes effect, which may be 23 hours after it was asked for: the subscription must still run the period
 * that was paid for, and what was given back in its price must still be there, for a refund may have come between (rules P3, P6). Else
 * its payment goes back and the old tier stays.
 */
export function decidePaidChange({
  subscription,
  invoice,
  old,
  credit,
}: PaidChangeFacts): { kind: 'take_effect'; opensPeriod: boolean } | { kind: 'give_back' } {
  const opensPeriod = invoice.epoch === subscription.epoch + 1;
  const isOfPeriod = invoice.epoch === subscription.epoch && invoice.periodEnd.getTime() === subscription.periodEnd.getTime();
  const left = old === null ? { netMinor: 0n, taxMinor: 0n } : creditableOf(old);
  const isCreditLeft = credit.netMinor <= left.netMinor && credit.taxMinor <= left.taxMinor;
  if (subscription.status !== 'active' || !(opensPeriod || isOfPeriod) || !isCreditLeft) return { kind: 'give_back' };
  return { kind: 'take_effect', opensPeriod };
}

const PRICE_FIELD = ['input', 'newPriceId'];

function refuseTarget(
  current: RankedPrice,
  target: TargetPrice,
  to: { country: string | null; now: Date },
): ChangeRefused | null {
  const refused = (code: ChangeRefused['code'], message: string): ChangeRefused => ({
    kind: 'refused',
    code,
    message,
    field: PRICE_FIELD,
  });
  const unsold = refuseUnsold(target, to);
  if (unsold !== null) return { kind: 'refused', ...unsold, field: PRICE_FIELD };
  if (target.tierGroup !== current.tierGroup) return refused('INVALID_INPUT', 'The price is of another group of tiers.');
  // A subscription's currency is fixed for its life (rules M8).
  if (target.currency !== current.currency) return refused('NOT_FOR_SALE', `The subscription is in ${current.currency}.`);
  if (target.id === current.id) return refused('INVALID_INPUT', 'The subscription has this price already.');
  return null;
}

function refuseState(message: string): ChangeRefused {
  return { kind: 'refused', code: 'INVALID_STATE', message, field: ['input', 'subscriptionId'] };
}

function sameInterval(a: RankedPrice, b: RankedPrice): boolean {
  return a.intervalUnit === b.intervalUnit && a.intervalCount === b.intervalCount;
}

function intervalOf({ intervalUnit, intervalCount }: RankedPrice): { unit: RankedPrice['intervalUnit']; count: number } {
  return { unit: intervalUnit, count: intervalCount };
}

function yearly(price: RankedPrice): { unit: RankedPrice['intervalUnit']; count: number; amountMinor: bigint } {
  return { ...intervalOf(price), amountMinor: price.amountMinor };
}
