/** Subscriptions: their states, access, and the customer's verbs. */

export type SubscriptionStatus =
  | 'incomplete'
  | 'incomplete_expired'
  | 'trialing'
  | 'active'
  | 'past_due'
  | 'paused'
  | 'canceled'
  | 'unpaid';

/** Allowed moves of a subscription (rules S4); an end has none: coming back is a new subscription. */
export const SUBSCRIPTION_MOVES = {
  incomplete: ['active', 'incomplete_expired'],
  incomplete_expired: [],
  trialing: ['active', 'past_due', 'paused', 'canceled'],
  active: ['active', 'past_due', 'paused', 'canceled'],
  past_due: ['active', 'canceled', 'unpaid', 'paused'],
  paused: ['active', 'canceled'],
  canceled: [],
  unpaid: [],
} as const satisfies Record<SubscriptionStatus, readonly SubscriptionStatus[]>;

/** Whether a subscription may go from one status to another. */
export function mayMoveSubscription(from: SubscriptionStatus, to: SubscriptionStatus): boolean {
  const targets: readonly SubscriptionStatus[] = SUBSCRIPTION_MOVES[from];
  return targets.includes(to);
}

/** Whether it has ended for good. The others are live: a user has at most one in each group of tiers. */
export function hasEnded(status: SubscriptionStatus): boolean {
  return SUBSCRIPTION_MOVES[status].length === 0;
}

/** Access goes on this long after a paid period that will renew, so that nobody loses it while the renewal is processed. */
export const SLACK_MS = 6 * 3_600_000;

/** What access depends on, by state (rules S1). */
export type EntitlementFacts =
  | { status: 'incomplete' | 'incomplete_expired'; periodStart: Date }
  | { status: 'trialing'; trialEndsAt: Date; hasMethod: boolean; endsAtTrialEnd: boolean }
  | { status: 'active'; periodEnd: Date; endsAtPeriodEnd: boolean }
  /** `periodEnd`: paid through. `dueAt`: of the renewal that is not paid. `graceDays`: the tier's. */
  | { status: 'past_due'; periodEnd: Date; dueAt: Date; graceDays: number }
  | { status: 'paused'; pausedAt: Date }
  | { status: 'canceled' | 'unpaid'; endedAt: Date };

/**
 * Until when the benefits hold (rules S1): the one place that says so. An unpaid subscription has none, so its start is the answer;
 * what renews has some slack, which is never paid time.
 */
export function entitledUntilFor(facts: EntitlementFacts): Date {
  switch (facts.status) {
    case 'incomplete':
    case 'incomplete_expired':
      return facts.periodStart;
    case 'trialing':
      return facts.hasMethod && !facts.endsAtTrialEnd ? withSlack(facts.trialEndsAt) : facts.trialEndsAt;
    case 'active':
      return facts.endsAtPeriodEnd ? facts.periodEnd : withSlack(facts.periodEnd);
    case 'past_due': {
      const graceEnd = new Date(facts.dueAt.getTime() + facts.graceDays * DAY_MS);
      return graceEnd > facts.periodEnd ? graceEnd : facts.periodEnd;
    }
    case 'paused':
      return facts.pausedAt;
    case 'canceled':
    case 'unpaid':
      return facts.endedAt;
  }
}

const DAY_MS = 86_400_000;

function withSlack(end: Date): Date {
  return new Date(end.getTime() + SLACK_MS);
}

/** Whether the benefits hold now. */
export function isEntitled(row: { entitledUntil: Date; hold: 'none' | 'dispute' | 'fraud' }, now: Date): boolean {
  return now < row.entitledUntil && row.hold === 'none';
}

/** What cancelling looks at. */
export interface SubscriptionFacts {
  status: SubscriptionStatus;
  version: number;
  cancelAtPeriodEnd: boolean;
  periodEnd: Date;
}

/** A refusal of a verb on one subscription. */
export interface SubscriptionRefused {
  kind: 'refused';
  code: 'INVALID_STATE' | 'STALE_VERSION';
  message: string;
  field: string[] | null;
}

/**
 * - `give_up`: the first payment is still open; the provider cancels it first, and what it says decides.
 * - `at_period_end`: benefits to the end of the period, then it ends; taken back by resuming.
 * - `now`: it ends and the benefits with it.
 * - `unchanged`: it was to end so already.
 */
export type CancelDecision =
  | { kind: 'give_up' }
  | { kind: 'at_period_end'; endsAt: Date; entitledUntil: Date }
  | { kind: 'now'; endedAt: Date; entitledUntil: Date }
  | { kind: 'unchanged' }
  | SubscriptionRefused;

/** Decides a customer's cancel (rules V6). Refuses STALE_VERSION and, for what has ended, INVALID_STATE. */
export function decideCancel(
  subscription: SubscriptionFacts,
  asked: { immediately: boolean; expectedVersion: number | null; now: Date },
): CancelDecision {
  const stale = refuseStale(subscription, asked.expectedVersion);
  if (stale !== null) return stale;
  const endNow: CancelDecision = { kind: 'now', endedAt: asked.now, entitledUntil: asked.now };
  switch (subscription.status) {
    case 'incomplete':
      return { kind: 'give_up' };
    case 'trialing':
    case 'active':
      // A period that is over without being renewed has no end to wait for.
      if (asked.immediately || asked.now >= subscription.periodEnd) return endNow;
      if (subscription.cancelAtPeriodEnd) return { kind: 'unchanged' };
      return { kind: 'at_period_end', endsAt: subscription.periodEnd, entitledUntil: subscription.periodEnd };
    case 'past_due':
    case 'paused':
      return endNow;
    case 'incomplete_expired':
    case 'canceled':
    case 'unpaid':
      return {
        kind: 'refused',
        code: 'INVALID_STATE',
        message: 'The subscription has ended.',
        field: ['input', 'subscriptionId'],
      };
  }
}

function refuseStale(subscription: SubscriptionFacts, expectedVersion: number | null): SubscriptionRefused | null {
  if (expectedVersion === null || expectedVersion === subscription.version) return null;
  const message = `The subscription is at version ${subscription.version}, not ${expectedVersion}.`;
  return { kind: 'refused', code: 'STALE_VERSION', message, field: ['input', 'expectedVersion'] };
}
