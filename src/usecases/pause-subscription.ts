import type { PriceId, SubscriptionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { decidePause } from '../domain/subscription/pause.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeSubscription, loadSubscription, loadTierPrice } from '../store/subscriptions.store.js';
import { notFound } from './cancel-subscription.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, PauseSubscriptionCommand, SubscriptionAnswer } from './contract.js';
import { pauseFacts } from './pause-facts.js';
import { runCommand } from './run-command.js';

/** Plans a pause, from the end of the paid period on. Refusals: NOT_FOUND, and those of decidePause. */
export const pauseSubscription =
  (cashier: Cashier) =>
  async (actor: Actor, command: PauseSubscriptionCommand): Promise<SubscriptionAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const { subscriptionId } = command;
    const { resultId, refusals, isReplay } = await runCommand<SubscriptionId>(cashier, {
      scope: own(userId),
      operation: 'pauseSubscription',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: subscriptionId,
      work: async (uow) => {
        await lockCustomer(uow, userId);
        const subscription = await loadSubscription(uow, subscriptionId);
        if (subscription?.userId !== userId) return [notFound()];
        // The id of a price's row names a price.
        const found = await loadTierPrice(uow, subscription.priceId as PriceId);
        invariant(found !== null, 'a subscription is at a price of a tier', { subscriptionId });
        const facts = await pauseFacts(uow, subscription, found.price, true);
        const decision = decidePause(facts, { resumesAt: command.resumesAt, now: uow.now });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field, { subscriptionId })];
        await changeSubscription(uow, subscription, {
          kind: 'pause_requested',
          cause: 'user',
          set: { pauseAtPeriodEnd: true, resumesAt: decision.resumesAt, entitledUntil: decision.entitledUntil },
        });
        return [];
      },
    });
    return { subscriptionId: resultId, refusals, isReplay };
  };
