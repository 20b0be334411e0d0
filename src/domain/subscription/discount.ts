/** Until when a coupon reduces what a subscription costs (rules V10). */
import { boundary, reanchored, type OpenedPeriod, type PeriodRule } from '../time/periods.js';
import type { SubscriptionStatus } from './subscription.js';

/** What is looked at. */
export interface DiscountFacts {
  status: SubscriptionStatus;
  /** The present period; of a trial the trial. */
  period: OpenedPeriod;
  rule: PeriodRule;
  /** Periods that a gift has paid: nothing is invoiced for them. */
  prepaidPeriods: number;
  /** End of a pause; null: none is set. */
  resumesAt: Date | null;
  /** Periods still to be invoiced with it; null: all. */
  periodsLeft: number | null;
}

/** When it stops, if all goes on as it is: the end of the last period that is invoiced with it. null: that is not known, or never. */
export function discountEndsAt(facts: DiscountFacts): Date | null {
  const { status, period, rule, periodsLeft } = facts;
  if (periodsLeft === null) return null;
  // The periods that count begin anew at the end of a trial or a pause (rules B5).
  const anewAt = status === 'trialing' ? period.end : status === 'paused' ? facts.resumesAt : null;
  if (anewAt !== null)
    return boundary({ ...rule, anchorLocal: reanchored(period.epoch, anewAt, rule).anchorLocal, n: periodsLeft });
  if (status === 'paused') return null;
  const more = facts.prepaidPeriods + periodsLeft;
  // The stored end stands, whatever the zone's rules have become since (rules B4).
  return more === 0 ? period.end : boundary({ ...rule, n: period.n + 1 + more });
}
