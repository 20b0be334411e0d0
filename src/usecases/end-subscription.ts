import { changeSubscription, loadSubscription } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { dropRenewal } from './drop-renewal.js';

/** Why a subscription ended, as kept on its row. */
export type EndReason = 'customer' | 'period_end' | 'trial_over' | 'gift_over' | 'pause_over' | 'refunded' | 'dispute';

/** What was planned for the end of the period loses its meaning when the subscription is to end. */
export const NO_PLANS = { pauseAtPeriodEnd: false, resumesAt: null, pendingPriceId: null } as const;

const ENDED = new Set(['canceled', 'unpaid', 'incomplete_expired']);

/** Ends a subscription now: no access from here on, nothing more is charged. Does nothing to one that has ended. */
export async function endSubscription(
  uow: UnitOfWork,
  cashier: Cashier,
  subscriptionId: string,
  reason: EndReason,
  cause: string,
  data?: Record<string, unknown>,
): Promise<void> {
  const subscription = await loadSubscription(uow, subscriptionId);
  if (!subscription || ENDED.has(subscription.status)) return;
  await changeSubscription(uow, subscription, {
    kind: 'canceled',
    cause,
    ...(data === undefined ? {} : { data }),
    set: {
      status: 'canceled',
      endedAt: uow.now,
      canceledAt: subscription.canceledAt ?? uow.now,
      entitledUntil: subscription.entitledUntil < uow.now ? subscription.entitledUntil : uow.now,
      endReason: reason,
      cancelAtPeriodEnd: false,
      ...NO_PLANS,
      // A hold keeps from access that is paid for; there is none any more.
      hold: 'none',
      nextActionAt: null,
      leaseUntil: null,
    },
  });
  await dropRenewal(uow, cashier, subscriptionId);
}
