/**
 * Renewals: when a subscription falls due, what is billed for it, and what its row says afterwards. All instants are UTC; amounts do not occur
 * here: a renewal costs what the pinned price says.
 */
import { invariant } from '../invariant.js';
import { anchorLocalOf, boundary, periodNumberAt, type PeriodRule } from '../time/periods.js';
import { entitledUntilFor, type SubscriptionStatus } from './subscription.js';

/** Days through which the benefits go on while a renewal is unpaid (rules S, PAST_DUE). */
const GRACE_DAYS = 7;
/** A subscription whose money is in dispute is looked at again after this; it is not charged meanwhile. */
const HELD_WAIT_MS = 86_400_000;

/** What the decision looks at, read under the customer's lock. */
export interface RenewalFacts {
  status: SubscriptionStatus;
  hold: 'none' | 'dispute' | 'fraud';
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  /** Number of the period that is paid, in its epoch. */
  periodNumber: number;
  /** End of that period. */
  periodEnd: Date;
  rule: PeriodRule;
  /** The price's amount, minor units. */
  amountMinor: bigint;
  /** A usable method: the subscription's own, else the customer's default (rules N5). */
  hasMethod: boolean;
  now: Date;
}

/** The period a renewal pays. */
export interface DuePeriod {
  number: number;
  start: Date;
  end: Date;
  /** Periods that nobody is charged for, as we were away longer than they lasted (rules N7). */
  skipped: number;
}

/**
 * - `bill`: the period is owed; an attempt goes out for it.
 * - `past_due`: it is owed and there is no way to charge it.
 * - `wait`: not now.
 * - `nothing_due`: a stale look; nothing happens (rules N2).
 */
export type RenewalDecision =
  | { kind: 'bill'; period: DuePeriod }
  | { kind: 'past_due'; period: DuePeriod; reason: 'METHOD_MISSING' }
  | { kind: 'wait'; until: Date }
  | { kind: 'nothing_due' };

/** Decides what a due subscription is billed for (rules N2, N5, N7). */
export function decideRenewal(facts: RenewalFacts): RenewalDecision {
  const { now, periodEnd } = facts;
  const isRenewing = facts.status === 'active' && !facts.cancelAtPeriodEnd && !facts.pauseAtPeriodEnd;
  if (!isRenewing || now < periodEnd) return { kind: 'nothing_due' };
  if (facts.hold !== 'none') return { kind: 'wait', until: new Date(now.getTime() + HELD_WAIT_MS) };
  invariant(facts.amountMinor > 0n, 'what renews costs something', { facts });
  const period = duePeriod(facts);
  return facts.hasMethod ? { kind: 'bill', period } : { kind: 'past_due', period, reason: 'METHOD_MISSING' };
}

/** The period that follows, starting where the last one ended (B4); after an outage longer than it, the one that holds now. */
function duePeriod({ rule, periodNumber, periodEnd, now }: RenewalFacts): DuePeriod {
  const next = periodNumber + 1;
  const number = Math.max(periodNumberAt(rule, now), next);
  const start = number === next ? periodEnd : boundary({ ...rule, n: number });
  return { number, start, end: boundary({ ...rule, n: number + 1 }), skipped: number - next };
}

/** When the attempt goes out: some time after the period began, the same for a subscription each time (rules N2). */
export function spreadOf(subscriptionId: string, windowMs: number): number {
  // The last digits of an id are random, so they spread evenly and need no hash.
  return windowMs === 0 ? 0 : Number.parseInt(subscriptionId.slice(-12), 16) % windowMs;
}

/** Columns of a subscription whose period was paid. */
export interface RenewedColumns {
  status: 'active';
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  entitledUntil: Date;
  nextActionAt: Date;
}

/** The row after its period was paid: the period is the current one, and its end the next look. */
export function renewed(period: { number: number; start: Date; end: Date }): RenewedColumns {
  return {
    status: 'active',
    periodNumber: period.number,
    periodStart: period.start,
    periodEnd: period.end,
    entitledUntil: entitledUntilFor({ status: 'active', periodEnd: period.end, endsAtPeriodEnd: false }),
    // The spread is added to the attempt, not to this.
    nextActionAt: period.end,
  };
}

/** Columns of a subscription that goes on after a pause. */
export interface ResumedColumns extends RenewedColumns {
  epoch: number;
  anchorLocal: string;
  pauseAtPeriodEnd: false;
  resumesAt: null;
}

/** The row after the period that ends a pause was paid: a new epoch, whose anchor is the start of that period (rules B5). */
export function resumed(period: { epoch: number; number: number; start: Date; end: Date }, zone: string): ResumedColumns {
  return {
    ...renewed(period),
    epoch: period.epoch,
    anchorLocal: anchorLocalOf(period.start, zone),
    pauseAtPeriodEnd: false,
    resumesAt: null,
  };
}

/** Whether a payment for this period ends the pause of a subscription: it is the first of the next epoch. */
export function isResumedBy(
  row: { status: SubscriptionStatus; epoch: number },
  period: { epoch: number; number: number },
): boolean {
  return row.status === 'paused' && period.epoch === row.epoch + 1 && period.number === 0;
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
 * already current.
 */
export function isRenewedBy(
  row: { status: SubscriptionStatus; epoch: number; periodNumber: number },
  period: { epoch: number; number: number },
): boolean {
  return (row.status === 'active' || row.status === 'past_due') && row.epoch === period.epoch && row.periodNumber < period.number;
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
 * out is tried again; nothing is owed for a subscription that is over, or for a period given up.
 */
export function renewalEnd(
  to: 'declined' | 'not_executed' | 'canceled',
  facts: { isOver: boolean; now: Date },
): { intent: 'retry_wait' | 'canceled' | 'failed'; isVoid: boolean; subscription: 'past_due' | { again: Date } | null } {
  // Never sent, as it could not be charged as it stood: it is billed anew, as things stand now.
  if (to === 'canceled') return { intent: 'canceled', isVoid: true, subscription: facts.isOver ? null : { again: facts.now } };
  if (facts.isOver) return { intent: 'failed', isVoid: true, subscription: null };
  if (to === 'declined') return { intent: 'retry_wait', isVoid: false, subscription: 'past_due' };
  return { intent: 'retry_wait', isVoid: false, subscription: { again: new Date(facts.now.getTime() + AGAIN_MS) } };
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
