/**
 * What is due of a subscription, and who wins when several things are due at the same instant. Decided under the customer's lock
 * from the row as it is then, so a job that was queued before something changed finds nothing to do (rules N2, X).
 */
import { decidePrepaid } from './gift.js';
import { hasEnded, type SubscriptionStatus } from './subscription.js';

/** What is looked at. */
export interface DueFacts {
  status: SubscriptionStatus;
  hold: 'none' | 'dispute' | 'fraud';
  /** We renew it, or a provider's own engine does: one writer (rules X2). */
  renewedBy: 'us' | 'provider';
  periodStart: Date;
  /** Of a trial its end; of a pause where it began. */
  periodEnd: Date;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  hasPendingChange: boolean;
  /** The invoice of a change waits for its payment. */
  hasOpenChange: boolean;
  resumesAt: Date | null;
  /** When a pause without an end has lasted too long; null: it has an end, or there is none. */
  pauseEndsAt: Date | null;
  prepaidPeriods: number;
  isGift: boolean;
  isOptedIn: boolean;
}

/** A first payment that is not finished by then has failed (rules S). */
export const INCOMPLETE_MS = 23 * 3_600_000;

/**
 * - `expire`: the first payment is cancelled at the provider, whose word decides, and then the subscription has never been.
 * - `settle_change`: a change waits for its payment beyond the period it was for: it is cancelled at the provider first; then the
 *   period is looked at again.
 * - `end_trial`: decided by `decideTrialEnd`.
 * - `use_prepaid`: the next period is opened and paid by a gift.
 * - `renew`: the next period is opened and charged; `appliesChange`: at the price that waited.
 * - `retry`: the campaign after a failed renewal decides.
 * - `held`: a dispute runs, so nothing is charged and nothing ends.
 */
export type Due =
  | { kind: 'nothing' | 'expire' | 'settle_change' | 'end_trial' | 'pause' | 'resume' | 'retry' | 'held' }
  | { kind: 'end'; at: Date; endReason: 'customer' | 'gift_over' | 'pause_over' }
  | { kind: 'use_prepaid'; prepaidPeriodsLeft: number }
  | { kind: 'renew'; appliesChange: boolean };

/**
 * What is due now. A period is half open: at its end the next one has begun, and what was asked before the end wins over it, in this
 * order: cancel, a gift that is over, a hold, a change still unpaid, pause, a gift's period, a change that waited, renewal.
 */
export function decideDue(facts: DueFacts, now: Date): Due {
  const { status, periodEnd } = facts;
  if (hasEnded(status)) return { kind: 'nothing' };
  switch (status) {
    case 'incomplete':
      return { kind: now.getTime() >= facts.periodStart.getTime() + INCOMPLETE_MS ? 'expire' : 'nothing' };
    case 'trialing':
      return { kind: now < periodEnd ? 'nothing' : facts.hold === 'none' || facts.cancelAtPeriodEnd ? 'end_trial' : 'held' };
    case 'past_due':
      return { kind: 'retry' };
    case 'paused':
      return dueOfPause(facts, now);
    default:
      return now < periodEnd ? { kind: 'nothing' } : dueAtPeriodEnd(facts);
  }
}

function dueAtPeriodEnd(facts: DueFacts): Due {
  if (facts.cancelAtPeriodEnd) return { kind: 'end', at: facts.periodEnd, endReason: 'customer' };
  const prepaid = decidePrepaid(facts);
  if (prepaid.kind === 'end') return { kind: 'end', at: facts.periodEnd, endReason: 'gift_over' };
  if (facts.hold !== 'none') return { kind: 'held' };
  if (facts.hasOpenChange) return { kind: 'settle_change' };
  if (facts.pauseAtPeriodEnd) return { kind: 'pause' };
  if (prepaid.kind === 'prepaid') return { kind: 'use_prepaid', prepaidPeriodsLeft: prepaid.prepaidPeriodsLeft };
  if (facts.renewedBy !== 'us') return { kind: 'nothing' };
  return { kind: 'renew', appliesChange: facts.hasPendingChange };
}

function dueOfPause(facts: DueFacts, now: Date): Due {
  if (facts.hold !== 'none') return { kind: 'held' };
  if (facts.resumesAt !== null && now >= facts.resumesAt) return { kind: 'resume' };
  if (facts.pauseEndsAt !== null && now >= facts.pauseEndsAt)
    return { kind: 'end', at: facts.pauseEndsAt, endReason: 'pause_over' };
  return { kind: 'nothing' };
}
