/** What customers are told before they are charged, and what may not happen while they were not told (rules 8: C2, C3). */
import { compareLength, type Interval } from '../metrics/recurring.js';

const DAY_MS = 86_400_000;

export type NoticeKind = 'trial_ending' | 'renewal' | 'price_rise' | 'yearly_reminder' | 'card_expiring';

/** A notice as it is planned. */
export interface PlannedNotice {
  kind: NoticeKind;
  dueAt: Date;
}

/** A notice as it was kept. It counts as sent only with the mail provider's id of it (rules C2). */
export interface KeptNotice extends PlannedNotice {
  sentAt: Date | null;
  messageId: string | null;
}

/** Days before the event at which it is told; a trial of a week or less is told of at its start and a day before its end. */
export const NOTICE_DAYS = {
  trial_ending: [8, 4],
  renewal: [20],
  price_rise: [28, 8],
  card_expiring: [30, 7],
} as const satisfies Partial<Record<NoticeKind, readonly number[]>>;

/** A trial of no more days is told of otherwise. */
const SHORT_TRIAL_DAYS = 7;

/** The notices that a trial, or a first price that ends, needs. */
export function trialNotices(startsAt: Date, endsAt: Date): PlannedNotice[] {
  const isShort = endsAt.getTime() - startsAt.getTime() <= SHORT_TRIAL_DAYS * DAY_MS;
  const wanted = isShort ? [startsAt, daysBefore(endsAt, 1)] : NOTICE_DAYS.trial_ending.map((days) => daysBefore(endsAt, days));
  // Of a trial of one day the two are one.
  const times = new Set(wanted.map((dueAt) => Math.max(dueAt.getTime(), startsAt.getTime())));
  return [...times].map((dueAt) => ({ kind: 'trial_ending', dueAt: new Date(dueAt) }));
}

/** The notice of a renewal: only of intervals of half a year and more. */
export function renewalNotices(interval: Interval, dueAt: Date): PlannedNotice[] {
  if (compareLength(interval, { unit: 'month', count: 6 }) < 0) return [];
  return NOTICE_DAYS.renewal.map((days) => ({ kind: 'renewal', dueAt: daysBefore(dueAt, days) }));
}

/** The notices that a higher price, or another change of terms, needs. */
export function riseNotices(effectiveAt: Date): PlannedNotice[] {
  return NOTICE_DAYS.price_rise.map((days) => ({ kind: 'price_rise', dueAt: daysBefore(effectiveAt, days) }));
}

/** The notices of a card that will have expired when the next payment is due; none of one that will not. */
export function cardExpiryNotices(expiresAt: Date, nextDueAt: Date): PlannedNotice[] {
  if (expiresAt > nextDueAt) return [];
  return NOTICE_DAYS.card_expiring.map((days) => ({ kind: 'card_expiring', dueAt: daysBefore(nextDueAt, days) }));
}

/** Once a year everybody is told the amount and how to cancel. @param lastAt the last reminder, or the beginning */
export function yearlyReminder(lastAt: Date): PlannedNotice {
  const dueAt = new Date(lastAt);
  dueAt.setUTCFullYear(lastAt.getUTCFullYear() + 1);
  return { kind: 'yearly_reminder', dueAt };
}

/** Whether all planned notices of an event are proven sent, each early enough: later than so many days before it is not sent (rules C2). */
export function areProvenSent(
  planned: readonly PlannedNotice[],
  kept: readonly KeptNotice[],
  eventAt: Date,
  leastDays: number,
): boolean {
  const latest = daysBefore(eventAt, leastDays);
  return planned.every(({ kind, dueAt }) =>
    kept.some(
      (notice) =>
        notice.kind === kind &&
        notice.dueAt.getTime() === dueAt.getTime() &&
        notice.messageId !== null &&
        notice.sentAt !== null &&
        notice.sentAt <= latest,
    ),
  );
}

/** A rise that is told later than this before it is charged is not charged (Visa: 7 days before). */
export const LEAST_RISE_DAYS = 7;

/** What a higher or lower price for a running subscription looks at. Amounts in minor units of one currency. */
export interface MigrationFacts {
  oldMinor: bigint;
  newMinor: bigint;
  /** Start of the first period at the new price. */
  effectiveAt: Date;
  notices: readonly KeptNotice[];
  /** Highest rise that the catalogue announced, basis points; null: none. */
  announcedCapBps: number | null;
  /** null: no answer. */
  isOptedIn: boolean | null;
}

/** `keep_old`: the customer was not told in time, so the old price is charged and a person is alerted. */
export type MigrationDecision = { kind: 'new_price' | 'keep_old' | 'cancel_at_period_end' };

/**
 * Which price a period is charged at when its price is to move (rules C2, C3, N6): a fall at once; a rise only when it was told
 * in time; one of more than 100 %, or beyond what the catalogue announced, only with a yes, else the subscription ends with the
 * period before it.
 */
export function decideMigration(facts: MigrationFacts): MigrationDecision {
  const { oldMinor, newMinor, effectiveAt } = facts;
  if (newMinor <= oldMinor) return { kind: 'new_price' };
  const capBps = BigInt(Math.min(facts.announcedCapBps ?? HIGHEST_RISE_BPS, HIGHEST_RISE_BPS));
  const needsYes = (newMinor - oldMinor) * 10_000n > oldMinor * capBps;
  if (needsYes && facts.isOptedIn !== true) return { kind: 'cancel_at_period_end' };
  const isTold = areProvenSent(riseNotices(effectiveAt), facts.notices, effectiveAt, LEAST_RISE_DAYS);
  return { kind: isTold ? 'new_price' : 'keep_old' };
}

/** 100 %. */
const HIGHEST_RISE_BPS = 10_000;

function daysBefore(instant: Date, days: number): Date {
  return new Date(instant.getTime() - days * DAY_MS);
}
