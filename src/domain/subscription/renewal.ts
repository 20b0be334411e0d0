/** Renewals: which period a subscription enters, what it costs, and what its row says afterwards. Who wins at its end is for due.ts to say. */
import { couponForNextPeriod, type Coupon, type RunningCoupon } from '../catalogue/coupon.js';
import { composeInvoice, type InvoiceSums } from '../invoice/invoice.js';
import type { InvoiceLine } from '../invoice/line.js';
import { boundary, periodNumberAt, reanchored, type OpenedPeriod, type PeriodRule } from '../time/periods.js';
import { nextResumeTry, PAUSE_LIMITS } from './pause.js';
import { periodLine, type BilledPrice } from './proration.js';
import { entitledUntilFor, mayMoveSubscription, type SubscriptionStatus } from './subscription.js';

/** Days through which the benefits go on while a renewal is unpaid (rules S, PAST_DUE). */
const GRACE_DAYS = 7;
/** A subscription whose money is in dispute is looked at again after this; it is not charged meanwhile. */
const HELD_WAIT_MS = 86_400_000;

/** The period that a subscription enters next. */
export interface DuePeriod extends OpenedPeriod {
  /** Periods that nobody is charged for, as we were away longer than they lasted (rules N7). */
  skipped: number;
}

/** The period that follows, starting where the last one ended (B4); after an outage longer than it, the one that holds now (N7). */
export function followingPeriod(last: Omit<OpenedPeriod, 'start'>, rule: PeriodRule, now: Date): DuePeriod {
  const next = last.n + 1;
  const n = Math.max(periodNumberAt(rule, now), next);
  const start = n === next ? last.end : boundary({ ...rule, n });
  return { epoch: last.epoch, n, start, end: boundary({ ...rule, n: n + 1 }), skipped: n - next };
}

/**
 * The first period of a new epoch (B5): after a trial, out of a pause, at another interval. After an outage longer than it, it begins where
 * the one that holds now would have.
 */
export function firstPeriod(epoch: number, at: Date, rule: Omit<PeriodRule, 'anchorLocal'>, now: Date): DuePeriod {
  const { anchorLocal, period } = reanchored(epoch, at, rule);
  const skipped = Math.max(periodNumberAt({ ...rule, anchorLocal }, now), 0);
  const start = skipped === 0 ? period.start : boundary({ ...rule, anchorLocal, n: skipped });
  return { ...reanchored(epoch, start, rule).period, skipped };
}

/** What a period costs when nobody asks for it: its line, and what of it is charged. Amounts in minor units. */
export interface RenewalQuote {
  line: InvoiceLine;
  sums: InvoiceSums;
  /** The coupon that took something off, of which a period is used up; null: none. */
  coupon: Coupon | null;
}

/** Price, less the coupon, then tax at the rate of the period's start, then the balance (rules T3, T4, P7, V10). */
export function quoteRenewal(facts: {
  price: BilledPrice;
  period: OpenedPeriod;
  running: RunningCoupon | null;
  ratePpm: number;
  balanceMinor: bigint;
}): RenewalQuote {
  const { price, period } = facts;
  const coupon = couponForNextPeriod(facts.running);
  const line = periodLine(price, period, coupon, facts.ratePpm);
  return { line, sums: composeInvoice([line], price.currency, facts.balanceMinor), coupon };
}

/** When a subscription whose money is in dispute is looked at again. */
export function afterHold(now: Date): Date {
  return new Date(now.getTime() + HELD_WAIT_MS);
}

/** When a pause without an end has lasted too long (rules S4). */
export function pauseOver(startedAt: Date): Date {
  return new Date(startedAt.getTime() + PAUSE_LIMITS.days * 86_400_000);
}

/** When the attempt goes out: some time after the period began, the same for a subscription each time (rules N2). */
export function spreadOf(subscriptionId: string, windowMs: number): number {
  // The last digits of an id are random, so they spread evenly and need no hash.
  return windowMs === 0 ? 0 : Number.parseInt(subscriptionId.slice(-12), 16) % windowMs;
}

/** Columns of a subscription whose period was paid. */
export interface RenewedColumns {
  status: 'active';
  epoch: number;
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  entitledUntil: Date;
  nextActionAt: Date;
}

/** The row after its period was paid: the period is the current one, and its end the next look. */
export function renewed(period: OpenedPeriod): RenewedColumns {
  return {
    status: 'active',
    epoch: period.epoch,
    periodNumber: period.n,
    periodStart: period.start,
    periodEnd: period.end,
    entitledUntil: entitledUntilFor({ status: 'active', periodEnd: period.end, endsAtPeriodEnd: false }),
    // The spread is added to the attempt, not to this.
    nextActionAt: period.end,
  };
}

/** The row while its renewal is unpaid: benefits for the days of grace, never shorter than what was paid (rules S). */
export function unpaid(row: { periodEnd: Date; entitledUntil: Date }): {
  status: 'past_due';
  entitledUntil: Date;
  nextActionAt: null;
} {
  const { periodEnd } = row;
  const graceEnd = entitledUntilFor({ status: 'past_due', periodEnd, dueAt: periodEnd, graceDays: GRACE_DAYS });
  return { status: 'past_due', entitledUntil: graceEnd > row.entitledUntil ? graceEnd : row.entitledUntil, nextActionAt: null };
}

/**
 * Whether a payment for this period moves the subscription on. Not one that has ended (the money goes back), nor for a period that is
 * already current or past.
 */
export function isRenewedBy(
  row: { status: SubscriptionStatus; epoch: number; periodNumber: number },
  period: Pick<OpenedPeriod, 'epoch' | 'n'>,
): boolean {
  const goesOn = mayMoveSubscription(row.status, 'active') && row.status !== 'incomplete';
  return goesOn && (period.epoch === row.epoch ? period.n > row.periodNumber : period.epoch === row.epoch + 1);
}

/** Share of what was planned for an hour that a run may exceed it by, and the least it may: then it stops itself. */
const OVER_PLAN = 1.2;
const OVER_PLAN_LEAST = 50;

/** Whether charging so many more would leave what was planned for the hour behind (a bug must not run through a million cards). */
export function exceedsPlan(planned: number, charged: number, more: number): boolean {
  return charged + more > planned * OVER_PLAN + OVER_PLAN_LEAST;
}

/** Most by which a worker's clock and the database's may differ while charges go out, milliseconds. */
export const MOST_CLOCK_SKEW_MS = 30_000;

/** Wait before an attempt that was surely not carried out is made again. */
const AGAIN_MS = 15 * 60_000;

/**
 * What becomes of the rest when a renewal's attempt ends without money. A decline leaves it owed and the customer past due; what was never carried
 * out is tried again; nothing is owed for a subscription that is over, or for a period given up. A pause that could not be paid for goes on.
 */
export function renewalEnd(
  to: 'declined' | 'not_executed' | 'canceled',
  facts: {
    isOver: boolean;
    /** It would have ended a pause: when the pause was to end, and how often its charge has failed, this time included; null: it is none. */
    pause: { resumesAt: Date; failedCount: number } | null;
    now: Date;
  },
): { intent: 'retry_wait' | 'canceled' | 'failed'; isVoid: boolean; subscription: 'past_due' | { again: Date | null } | null } {
  const { isOver, pause, now } = facts;
  // Never sent, as it could not be charged as it stood: it is billed anew, as things stand now.
  if (to === 'canceled') return { intent: 'canceled', isVoid: true, subscription: isOver ? null : { again: now } };
  if (isOver) return { intent: 'failed', isVoid: true, subscription: null };
  if (pause !== null && to === 'declined')
    return { intent: 'failed', isVoid: true, subscription: { again: nextResumeTry(pause.resumesAt, pause.failedCount) } };
  if (to === 'declined') return { intent: 'retry_wait', isVoid: false, subscription: 'past_due' };
  return { intent: 'retry_wait', isVoid: false, subscription: { again: new Date(now.getTime() + AGAIN_MS) } };
}

/** As many attempts that were surely not carried out as one period has; more would be a fault that trying again does not mend. */
const MOST_ATTEMPTS = 5;

/**
 * Whether a period whose last attempt was surely not carried out is tried again. Not without a method, nor where an object has appeared at
 * the provider after all: then the customer is past due, and is never left as if paid.
 */
export function mayTryAgain(facts: { hasMethod: boolean; hasObject: boolean; attempts: number }): boolean {
  return facts.hasMethod && !facts.hasObject && facts.attempts < MOST_ATTEMPTS;
}
