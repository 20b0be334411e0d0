import { type InvoiceId, type PaymentIntentId, type PaymentMethodId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isEnd, type AttemptStatus } from '../domain/payment/attempt.js';
import { mayTryAgain, unpaid } from '../domain/subscription/renewal.js';
import { insertAttempt, loadLatestAttempt, loadLiveIntent } from '../store/payments.store.js';
import { putOffRenewals, type DueRow } from '../store/renewals.store.js';
import { changeSubscription, loadSubscription } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { newId, type Cashier } from './cashier.js';
import { dropRenewal } from './drop-renewal.js';
import { chargeKey, fingerprintOf, renewalRequest } from './charge-request.js';

/**
 * A further attempt for a period that is billed already, whose last attempt was surely not carried out: a new key for the same decision to
 * collect, as the provider has no object for it. A decline does not come here: when a declined card is tried again is dunning's to say.
 */
export async function retryRenewal(uow: UnitOfWork, cashier: Cashier, row: DueRow, invoiceId: InvoiceId): Promise<void> {
  // Whoever ends the attempt says when the subscription is looked at again.
  await putOffRenewals(uow, [row], null);
  const intent = await loadLiveIntent(uow, invoiceId);
  const last = intent && (await loadLatestAttempt(uow, intent.id));
  if (!intent || !last || intent.status !== 'retry_wait' || !isEnd(last.status as AttemptStatus)) return;
  const { methodId, methodObjectId, customerObjectId } = row;
  const hasMethod = methodId !== null && methodObjectId !== null && customerObjectId !== null;
  if (!hasMethod || !mayTryAgain({ hasMethod, hasObject: last.providerObjectId !== null, attempts: last.number })) {
    const subscription = await loadSubscription(uow, row.id);
    invariant(subscription !== null, 'what renews is there', { id: row.id });
    // A pause that can not be paid for goes on, and waits for the customer.
    if (row.status === 'paused') return dropRenewal(uow, cashier, row.id);
    await changeSubscription(uow, subscription, {
      kind: 'past_due',
      cause: 'renewal',
      set: unpaid(subscription),
      data: { reason: hasMethod ? 'NOT_EXECUTED' : 'METHOD_MISSING' },
    });
    return;
  }
  const id = newId(cashier, 'txn', row.bucket);
  const request = renewalRequest({
    idempotencyKey: chargeKey(cashier.env, id),
    amountMinor: intent.amount,
    currency: intent.currency,
    customerObjectId,
    methodObjectId,
    intentId: intent.id,
    invoiceId,
  });
  invariant(last.cause === 'renewal', 'only renewals are tried again', { id: last.id });
  await insertAttempt(uow, {
    id,
    intentId: intent.id as PaymentIntentId,
    number: last.number + 1,
    userId: row.userId,
    invoiceId,
    subscriptionId: row.id,
    purchaseId: null,
    amountMinor: intent.amount,
    currency: intent.currency,
    providerAccountId: cashier.provider.accountId,
    paymentMethodId: methodId as PaymentMethodId,
    cause: 'renewal',
    idempotencyKey: request.idempotencyKey,
    returnUrl: null,
    requestFingerprint: fingerprintOf(request),
    nextActionAt: uow.now,
  });
}
