import type { SubscriptionId } from '../domain/ids.js';
import { decideResume } from '../domain/subscription/subscription.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeSubscription, loadSubscription } from '../store/subscriptions.store.js';
import { factsOf, notFound } from './cancel-subscription.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, ResumeSubscriptionCommand, SubscriptionAnswer } from './contract.js';
import { runCommand } from './run-command.js';

/** Takes back a cancellation that has not taken effect. Refusals: NOT_FOUND, STALE_VERSION, INVALID_STATE. */
export const resumeSubscription =
  (cashier: Cashier) =>
  async (actor: Actor, command: ResumeSubscriptionCommand): Promise<SubscriptionAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const { subscriptionId } = command;
    const { resultId, refusals, isReplay } = await runCommand<SubscriptionId>(cashier, {
      scope: own(userId),
      operation: 'resumeSubscription',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: subscriptionId,
      work: async (uow) => {
        await lockCustomer(uow, userId);
        const subscription = await loadSubscription(uow, subscriptionId);
        if (subscription?.userId !== userId) return [notFound()];
        const decision = decideResume(factsOf(subscription), { expectedVersion: command.expectedVersion, now: uow.now });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field, { subscriptionId })];
        await changeSubscription(uow, subscription, {
          kind: 'resumed',
          cause: 'user',
          set: {
            cancelAtPeriodEnd: false,
            canceledAt: null,
            entitledUntil: decision.entitledUntil,
            nextActionAt: subscription.periodEnd,
          },
        });
        return [];
      },
    });
    return { subscriptionId: resultId, refusals, isReplay };
  };
