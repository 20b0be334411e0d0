/** The first unit of work of every payment: what is owed and the decision to collect it, written and committed before any call. */
import type { PaymentIntentId, PaymentMethodId, TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { SAFETY_NET_MS } from '../domain/payment/schedule.js';
import { insertFirstAttempt } from '../store/payments.store.js';
import type { PaymentMethodRow } from '../store/payment-methods.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { chargeKey, chargeRequest, fingerprintOf } from './charge-request.js';
import { issueInvoice, type InvoicePlan } from './issue-invoice.js';

/** A payment about to be begun: the invoice, of which something is due, and how it is collected. */
export interface PaymentPlan extends InvoicePlan {
  intentId: PaymentIntentId;
  /** Id of the attempt and of its line of the user's history. */
  transactionId: TransactionId;
  method: PaymentMethodRow;
  customerObjectId: string;
  returnUrl: string;
}

/** Writes the invoice with its postings, the intent, the attempt and the pending transaction. */
export async function beginPayment(uow: UnitOfWork, cashier: Cashier, plan: PaymentPlan): Promise<void> {
  const { id, transactionId, userId, currency } = plan;
  const { provider, env } = cashier;
  const amountMinor = plan.sums.dueMinor;
  invariant(amountMinor > 0n, 'a payment collects something', { id });
  await issueInvoice(uow, cashier, plan);
  const request = chargeRequest({
    idempotencyKey: chargeKey(env, transactionId),
    amountMinor,
    currency,
    customerObjectId: plan.customerObjectId,
    methodObjectId: plan.method.providerObjectId,
    isOffSession: false,
    returnUrl: plan.returnUrl,
    intentId: plan.intentId,
    invoiceId: id,
  });
  await insertFirstAttempt(uow, {
    intentId: plan.intentId,
    id: transactionId,
    userId,
    invoiceId: id,
    subscriptionId: 'subscriptionId' in plan.for ? plan.for.subscriptionId : null,
    purchaseId: plan.for.kind === 'purchase' ? plan.for.purchaseId : null,
    amountMinor,
    currency,
    providerAccountId: provider.accountId,
    // The id of a payment method row names nothing else.
    paymentMethodId: plan.method.id as PaymentMethodId,
    idempotencyKey: request.idempotencyKey,
    returnUrl: plan.returnUrl,
    requestFingerprint: fingerprintOf(request),
    nextActionAt: new Date(uow.now.getTime() + SAFETY_NET_MS),
  });
}
