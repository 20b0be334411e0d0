import type { SubscriptionId, TransactionId } from '../domain/ids.js';
import { decideCancel, type SubscriptionFacts, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import { lockCaller } from '../store/customers.store.js';
import { changeIntent, loadFirstCharge } from '../store/payments.store.js';
import { changeSubscription, loadSubscription, type SubscriptionRow } from '../store/subscriptions.store.js';
import { loadOpenChange } from '../store/tier-changes.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { endNeverSent } from './apply-payment-fact.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, CancelSubscriptionCommand, Refusal, SubscriptionAnswer } from './contract.js';
import { giveUpChange } from './drop-renewal.js';
import { endSubscription, NO_PLANS } from './end-subscription.js';
import { settleOpenChange } from './open-change.js';
import { resolvePayment } from './resolve-payment.js';
import { runCommand } from './run-command.js';
import { readPayment } from './send-payment.js';
import { sendRefund } from './send-refund.js';
import { giveBackWithdrawn } from './withdraw.js';

/**
 * Ends a subscription: at the end of the paid period, or at once; one whose first payment is still open is given up, which the provider
 * confirms first. At once in the first days, a consumer who may withdraw gets the unused share back (rules V8). Refusals: NOT_FOUND, STALE_VERSION, INVALID_STATE.
 */
export const cancelSubscription =
  (cashier: Cashier) =>
  async (actor: Actor, command: CancelSubscriptionCommand): Promise<SubscriptionAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const { subscriptionId } = command;
    let refunds: TransactionId[] = [];
    const end = await runCommand<SubscriptionId>(cashier, {
      scope: own(userId),
      operation: 'cancelSubscription',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: subscriptionId,
      work: async (uow) => {
        refunds = [];
        const customer = await lockCaller(uow, actor);
        const subscription = await loadSubscription(uow, subscriptionId);
        if (subscription?.userId !== userId) return [notFound()];
        const decision = decideCancel(factsOf(subscription), {
          immediately: command.immediately,
          expectedVersion: command.expectedVersion,
          now: uow.now,
        });
        const data = { reason: command.reason, comment: command.comment };
        switch (decision.kind) {
          case 'refused':
            return [refusal(decision.code, decision.message, decision.field, { subscriptionId })];
          case 'unchanged':
            return [];
          case 'at_period_end':
            await changeSubscription(uow, subscription, {
              kind: 'cancel_requested',
              cause: 'user',
              set: {
                cancelAtPeriodEnd: true,
                // Cancel wins over what was planned (rules S, V6).
                ...NO_PLANS,
                canceledAt: uow.now,
                entitledUntil: decision.entitledUntil,
                nextActionAt: decision.endsAt,
                pendingPriceId: null,
              },
              data,
            });
            await giveUpChange(uow, cashier, subscriptionId);
            return [];
          case 'now':
            refunds = await giveBackWithdrawn(uow, cashier, customer.country, subscription);
            await endSubscription(uow, cashier, subscriptionId, 'customer', 'user', data);
            return [];
          case 'give_up':
            await askToCancelPayment(uow, cashier, subscriptionId);
            return [];
        }
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId !== null) {
      await giveUpOpenPayment(cashier, userId, resultId);
      await settleGivenUpChange(cashier, userId, resultId);
    }
    for (const id of refunds) await sendRefund(cashier, { id, userId });
    return { subscriptionId: refusals.length > 0 ? null : resultId, refusals, isReplay };
  };

/** Marks the open payment as no longer wanted; one that was never sent ends here. */
async function askToCancelPayment(uow: UnitOfWork, cashier: Cashier, subscriptionId: SubscriptionId): Promise<void> {
  const transactionId = await loadFirstCharge(uow, subscriptionId);
  const payment = transactionId === null ? null : await readPayment(uow, transactionId);
  if (!payment) return;
  if (payment.intent.cancelRequestedAt === null) await changeIntent(uow, payment.intent, { cancelRequestedAt: uow.now });
  const marked = await readPayment(uow, payment.attempt.id);
  if (marked?.attempt.status === 'created') await endNeverSent(uow, cashier, marked, 'user');
}

/** Has the provider cancel what was given up; what can not be settled now, the worker settles. */
async function giveUpOpenPayment(cashier: Cashier, userId: string, subscriptionId: SubscriptionId): Promise<void> {
  const open = await inTx(cashier.tx, own(userId), async (uow) => {
    const id = await loadFirstCharge(uow, subscriptionId);
    const payment = id === null ? null : await readPayment(uow, id);
    return id !== null && payment?.intent.cancelRequestedAt != null && payment.attempt.nextActionAt !== null ? id : null;
  });
  if (open !== null) await resolvePayment(cashier, { id: open, userId }, 'asked');
}

/** The same for a change of tier: nothing is asked for where none waits. */
async function settleGivenUpChange(cashier: Cashier, userId: string, id: SubscriptionId): Promise<void> {
  const waits = await inTx(cashier.tx, own(userId), async (uow) => (await loadOpenChange(uow, id)) !== null);
  if (waits) await settleOpenChange(cashier, { id, userId });
}

/** A subscription's row as the facts that cancelling looks at. */
function factsOf(row: SubscriptionRow): SubscriptionFacts {
  return {
    // Column check: one of these words.
    status: row.status as SubscriptionStatus,
    version: row.version,
    cancelAtPeriodEnd: row.cancelAtPeriodEnd,
    periodEnd: row.periodEnd,
  };
}

/** The refusal of a subscription that does not exist, or is not the caller's: the two are not told apart. */
export function notFound(): Refusal {
  return refusal('NOT_FOUND', 'There is no such subscription.', ['input', 'subscriptionId']);
}
