/** Pausing and going on (rules V9). A pause begins where a paid period ends, so nothing is given back and nothing is billed for it. */
import { reanchored, type OpenedPeriod } from '../time/periods.js';
import { entitledUntilFor, hasEnded, type SubscriptionRefused, type SubscriptionStatus } from './subscription.js';

/** What pausing and going on look at. */
export interface PauseFacts {
  status: SubscriptionStatus;
  hold: 'none' | 'dispute' | 'fraud';
  version: number;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  hasPendingChange: boolean;
  isGift: boolean;
  /** At the end of the trial, if it is one. */
  periodEnd: Date;
  hasMethod: boolean;
  zone: string;
  epoch: number;
  interval: { unit: 'week' | 'month' | 'year'; count: number };
  /** Pauses that were, and the one that is; `endedAt` null: it lasts. */
  pauses: readonly { startedAt: Date; endedAt: Date | null }[];
}

const DAY_MS = 86_400_000;

/** How long and how often a subscription may be paused (rules V9; `daysAhead` is the contract's). */
export const PAUSE_LIMITS = { daysAhead: 90, pauses: 2, days: 180, withinDays: 365 } as const;

export type PauseDecision =
  /** It begins at the end of the period. `endsAt`: if it has no end by then, the subscription ends (rules S4). */
  | { kind: 'at_period_end'; startsAt: Date; resumesAt: Date | null; endsAt: Date | null; entitledUntil: Date }
  | { kind: 'refused'; code: 'INVALID_STATE' | 'INVALID_INPUT' | 'RATE_LIMITED'; message: string; field: string[] | null };

/**
 * Decides a pause (rules V9). Refuses INVALID_STATE unless active without any flag, INVALID_INPUT for an end that is not in the
 * 90 days after it begins, RATE_LIMITED beyond two pauses or 180 days of pause in 365.
 */
export function decidePause(subscription: PauseFacts, asked: { resumesAt: Date | null; now: Date }): PauseDecision {
  const { periodEnd: startsAt } = subscription;
  const { resumesAt, now } = asked;
  const obstacle = obstacleOf(subscription, now);
  if (obstacle !== null) return { kind: 'refused', code: 'INVALID_STATE', message: obstacle, field: ['input', 'subscriptionId'] };
  const field = ['input', 'resumesAt'];
  if (resumesAt !== null && resumesAt <= startsAt) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'A pause ends after the period that is paid.', field };
  }
  if (resumesAt !== null && resumesAt.getTime() > startsAt.getTime() + PAUSE_LIMITS.daysAhead * DAY_MS) {
    const message = `A pause ends within ${PAUSE_LIMITS.daysAhead} days, or has no end.`;
    return { kind: 'refused', code: 'INVALID_INPUT', message, field };
  }
  const { count, usedMs } = recentPauses(subscription.pauses, startsAt);
  if (count >= PAUSE_LIMITS.pauses) {
    const message = `A subscription is paused at most ${PAUSE_LIMITS.pauses} times in ${PAUSE_LIMITS.withinDays} days.`;
    return { kind: 'refused', code: 'RATE_LIMITED', message, field: null };
  }
  const leftMs = PAUSE_LIMITS.days * DAY_MS - usedMs;
  if (leftMs <= 0 || (resumesAt !== null && resumesAt.getTime() - startsAt.getTime() > leftMs)) {
    const message = `A subscription is paused at most ${PAUSE_LIMITS.days} days in ${PAUSE_LIMITS.withinDays}.`;
    return { kind: 'refused', code: 'RATE_LIMITED', message, field };
  }
  const endsAt = resumesAt === null ? new Date(startsAt.getTime() + leftMs) : null;
  return { kind: 'at_period_end', startsAt, resumesAt, endsAt, entitledUntil: startsAt };
}

function obstacleOf(subscription: PauseFacts, now: Date): string | null {
  if (hasEnded(subscription.status)) return 'The subscription has ended.';
  if (subscription.status !== 'active') return 'Only an active subscription is paused.';
  if (subscription.hold !== 'none') return 'The subscription is held while a payment is disputed.';
  if (subscription.cancelAtPeriodEnd) return 'The subscription is to end: resume it first.';
  if (subscription.pauseAtPeriodEnd) return 'The subscription is to be paused already.';
  if (subscription.hasPendingChange) return 'A change waits for the end of the period: drop it first.';
  if (subscription.isGift) return 'A gift is not paused.';
  return now >= subscription.periodEnd ? 'The period is over and being renewed: ask again when it is.' : null;
}

/** A change of a subscription's status, as its events tell it. */
export interface StatusEvent {
  status: SubscriptionStatus;
  at: Date;
}

/** The pauses that a subscription has had, from its events in their order (rules V9 counts them). */
export function pausesOf(events: readonly StatusEvent[]): { startedAt: Date; endedAt: Date | null }[] {
  const pauses: { startedAt: Date; endedAt: Date | null }[] = [];
  for (const { status, at } of events) {
    const last = pauses.at(-1);
    const isPaused = last?.endedAt === null;
    if (status === 'paused' && !isPaused) pauses.push({ startedAt: at, endedAt: null });
    else if (status !== 'paused' && isPaused) last.endedAt = at;
  }
  return pauses;
}

/** Pauses that began in the 365 days before an instant, and how long of these days was paused. */
function recentPauses(pauses: PauseFacts['pauses'], before: Date): { count: number; usedMs: number } {
  const from = before.getTime() - PAUSE_LIMITS.withinDays * DAY_MS;
  const spans = pauses.map(({ startedAt, endedAt }) => ({ start: startedAt.getTime(), end: (endedAt ?? before).getTime() }));
  const usedMs = spans.reduce((all, { start, end }) => all + Math.max(end - Math.max(start, from), 0), 0);
  return { count: spans.filter(({ start }) => start >= from).length, usedMs };
}

export type ResumptionDecision =
  /** Nothing has happened yet: the flag is taken back, and the subscription renews. */
  | { kind: 'flag_cleared'; flag: 'cancel' | 'pause'; entitledUntil: Date }
  /**
   * Out of a pause: a full period from now, with a new anchor, is charged first; active once it is paid. The paused time is never
   * billed (rules V9, B5).
   */
  | { kind: 'charge_first'; anchorLocal: string; period: OpenedPeriod }
  | SubscriptionRefused;

/**
 * Decides going on, whatever it is taken back from: a cancellation or a pause that has not taken effect, or a pause that lasts.
 * Refuses STALE_VERSION, and INVALID_STATE where there is nothing to take back.
 */
export function decideResumption(
  subscription: PauseFacts,
  asked: { expectedVersion: number | null; now: Date },
): ResumptionDecision {
  const { status, version, periodEnd } = subscription;
  const { now, expectedVersion } = asked;
  if (expectedVersion !== null && expectedVersion !== version) {
    const message = `The subscription is at version ${version}, not ${expectedVersion}.`;
    return { kind: 'refused', code: 'STALE_VERSION', message, field: ['input', 'expectedVersion'] };
  }
  const refused = (message: string): SubscriptionRefused => ({
    kind: 'refused',
    code: 'INVALID_STATE',
    message,
    field: ['input', 'subscriptionId'],
  });
  if (hasEnded(status)) return refused('The subscription has ended.');
  if (status === 'paused') {
    if (subscription.hold !== 'none') return refused('The subscription is held while a payment is disputed.');
    return {
      kind: 'charge_first',
      ...reanchored(subscription.epoch, now, { zone: subscription.zone, ...subscription.interval }),
    };
  }
  const runs = (status === 'active' || status === 'trialing') && now < periodEnd;
  const flag = subscription.cancelAtPeriodEnd ? 'cancel' : subscription.pauseAtPeriodEnd ? 'pause' : null;
  if (!runs || flag === null) return refused('The subscription has no cancellation or pause to take back.');
  const entitledUntil =
    status === 'trialing'
      ? entitledUntilFor({ status, trialEndsAt: periodEnd, hasMethod: subscription.hasMethod, endsAtTrialEnd: false })
      : // A cancellation that is taken back uncovers a pause that was planned before it.
        entitledUntilFor({ status, periodEnd, endsAtPeriodEnd: flag === 'cancel' && subscription.pauseAtPeriodEnd });
  return { kind: 'flag_cleared', flag, entitledUntil };
}

/** Days after the end of a pause at which its charge, if it failed, is tried again; then it waits for the customer (rules V9). */
export const RESUME_RETRY_DAYS = [1, 3] as const;

/** When the charge that ends a pause is tried again; null: not by itself. @param failedCount tries that failed so far, at least 1 */
export function nextResumeTry(resumesAt: Date, failedCount: number): Date | null {
  const days = RESUME_RETRY_DAYS[failedCount - 1];
  return days === undefined ? null : new Date(resumesAt.getTime() + days * DAY_MS);
}
