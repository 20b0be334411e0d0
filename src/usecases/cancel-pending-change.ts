import { decideDropPending } from '../domain/subscription/change-tier.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import type { SubscriptionId } from '../domain/ids.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeSubscription, loadSubscription } from '../store/subscriptions.store.js';
import { loadOpenChange } from '../store/tier-changes.store.js';
import { beginInTx } from '../store/unit-of-work.js';
import { notFound } from './cancel-subscription.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, ChangeTierAnswer, Refusal } from './contract.js';
import { giveUpChange } from './drop-renewal.js';
import { paymentOfChange, settleOpenChange } from './open-change.js';

/**
 * Drops a change that waits: for the end of the period, or for its payment, which the provider cancels first. It has no key: dropping twice is
 * dropping once. Refusals: NOT_FOUND, INVALID_STATE where none waits.
 */
export const cancelPendingChange =
  (cashier: Cashier) =>
  async (actor: Actor, { subscriptionId }: { subscriptionId: SubscriptionId }): Promise<ChangeTierAnswer> => {
    const { userId } = actor;
    const { refusals, transactionId } = await beginInTx(cashier.tx, own(userId), async (uow) => {
      const refused = (one: Refusal) => ({ refusals: [one], transactionId: null });
      await lockCustomer(uow, userId);
      const subscription = await loadSubscription(uow, subscriptionId);
      if (subscription?.userId !== userId) return refused(notFound());
      const decision = decideDropPending({
        // Column check: one of these words.
        status: subscription.status as SubscriptionStatus,
        hasPendingChange: subscription.pendingPriceId !== null,
        hasOpenChange: (await loadOpenChange(uow, subscriptionId)) !== null,
      });
      if (decision.kind === 'refused') {
        return refused(refusal(decision.code, decision.message, decision.field, { subscriptionId }));
      }
      if (subscription.pendingPriceId !== null) {
        await changeSubscription(uow, subscription, {
          kind: 'change_dropped',
          cause: 'user',
          set: { pendingPriceId: null },
          data: { to: subscription.pendingPriceId, reason: 'customer' },
        });
      }
      await giveUpChange(uow, cashier, subscriptionId);
      return { refusals: [], transactionId: await paymentOfChange(uow, subscriptionId) };
    });
    if (transactionId !== null) await settleOpenChange(cashier, { id: subscriptionId, userId });
    return { subscriptionId: refusals.length > 0 ? null : subscriptionId, transactionId, refusals, isReplay: false };
  };
