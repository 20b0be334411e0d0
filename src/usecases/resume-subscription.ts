import { bucketOf, type PriceId, type SubscriptionId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { decideResumption } from '../domain/subscription/pause.js';
import { lockCaller } from '../store/customers.store.js';
import { changeSubscription, loadSubscription, loadTierPrice } from '../store/subscriptions.store.js';
import { payAndAnswer } from './answer-payment.js';
import { beginResume } from './begin-resume.js';
import { notFound } from './cancel-subscription.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, ResumeSubscriptionAnswer, ResumeSubscriptionCommand } from './contract.js';
import { pauseFacts } from './pause-facts.js';
import { chargedMethod } from './subscribe.js';
import { runCommand } from './run-command.js';

/**
 * Goes on: takes back a cancellation or a pause that has not taken effect, or ends a pause, for which a period is charged first. Refusals:
 * NOT_FOUND, STALE_VERSION, INVALID_STATE; of the charge PAYMENT_METHOD_UNUSABLE and PAYMENT_DECLINED.
 */
export const resumeSubscription =
  (cashier: Cashier) =>
  async (actor: Actor, command: ResumeSubscriptionCommand): Promise<ResumeSubscriptionAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const { subscriptionId, expectedVersion } = command;
    const chargeId = newId(cashier, 'txn', bucketOf(subscriptionId));
    const end = await runCommand<SubscriptionId | TransactionId>(cashier, {
      scope: own(userId),
      operation: 'resumeSubscription',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: subscriptionId,
      work: async (uow) => {
        const customer = await lockCaller(uow, actor);
        const subscription = await loadSubscription(uow, subscriptionId);
        if (subscription?.userId !== userId) return [notFound()];
        if (subscription.status === 'paused') {
          const begun = await beginResume(uow, cashier, customer, subscription, { expectedVersion, transactionId: chargeId });
          if ('refused' in begun) return [begun.refused];
          return begun.transactionId === null ? [] : { type: 'charge', id: begun.transactionId };
        }
        // The id of a price's row names a price.
        const found = await loadTierPrice(uow, subscription.priceId as PriceId);
        invariant(found !== null, 'a subscription is at a price of a tier', { subscriptionId });
        const hasMethod = (await chargedMethod(uow, subscription, customer.defaultPaymentMethodId)) !== null;
        const facts = await pauseFacts(uow, subscription, found.price, hasMethod);
        const decision = decideResumption(facts, { expectedVersion, now: uow.now });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field, { subscriptionId })];
        invariant(decision.kind === 'flag_cleared', 'what is not paused has something to take back', { subscriptionId });
        await changeSubscription(uow, subscription, {
          kind: 'resumed',
          cause: 'user',
          set: {
            ...(decision.flag === 'cancel'
              ? { cancelAtPeriodEnd: false, canceledAt: null }
              : { pauseAtPeriodEnd: false, resumesAt: null }),
            entitledUntil: decision.entitledUntil,
            nextActionAt: subscription.periodEnd,
          },
        });
        return [];
      },
    });
    const { resultId, resultType, refusals, isReplay } = end;
    if (resultId === null) return { subscriptionId: null, transactionId: null, refusals, isReplay };
    if (resultType !== 'charge') return { subscriptionId, transactionId: null, refusals, isReplay };
    // A result of this type is a charge.
    const transactionId = resultId as TransactionId;
    const declines = await payAndAnswer(cashier, userId, transactionId, isReplay);
    return { subscriptionId, transactionId, refusals: declines, isReplay };
  };
