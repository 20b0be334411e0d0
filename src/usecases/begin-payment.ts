/** The first unit of work of every payment: what is owed and the decision to collect it, written and committed before any call. */
import {
  type InvoiceId,
  type PaymentIntentId,
  type PaymentMethodId,
  type PriceId,
  type PurchaseId,
  type SubscriptionId,
  type TransactionId,
} from '../domain/ids.js';
import { invoiceFinalized } from '../domain/ledger/journals.js';
import { SAFETY_NET_MS } from '../domain/payment/schedule.js';
import { insertInvoice, type NewInvoice } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import { insertFirstAttempt } from '../store/payments.store.js';
import type { PaymentMethodRow } from '../store/payment-methods.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { chargeKey, chargeRequest, fingerprintOf } from './charge-request.js';

/** A payment about to be begun. */
export interface PaymentPlan {
  ids: { invoice: InvoiceId; intent: PaymentIntentId; transaction: TransactionId };
  userId: string;
  amountMinor: bigint;
  currency: string;
  priceId: PriceId;
  description: string;
  method: PaymentMethodRow;
  customerObjectId: string;
  returnUrl: string;
  for: NewInvoice['for'];
  subscriptionId: SubscriptionId | null;
  purchaseId: PurchaseId | null;
}

/** Writes the invoice with its posting, the intent, the attempt and the pending transaction. */
export async function beginPayment(uow: UnitOfWork, cashier: Cashier, plan: PaymentPlan): Promise<void> {
  const { ids, userId, currency, amountMinor } = plan;
  const { provider, env } = cashier;
  await insertInvoice(uow, {
    id: ids.invoice,
    userId,
    currency,
    netMinor: amountMinor,
    priceId: plan.priceId,
    description: plan.description,
    for: plan.for,
  });
  await postJournal(uow, {
    sourceId: ids.invoice,
    movements: invoiceFinalized({ kind: plan.for.kind, netMinor: amountMinor, taxMinor: 0n, currency }),
    userId,
    invoiceId: ids.invoice,
    effectiveAt: uow.now,
    providerAccountId: provider.accountId,
  });
  const request = chargeRequest({
    idempotencyKey: chargeKey(env, ids.transaction),
    amountMinor,
    currency,
    customerObjectId: plan.customerObjectId,
    methodObjectId: plan.method.providerObjectId,
    isOffSession: false,
    returnUrl: plan.returnUrl,
    intentId: ids.intent,
    invoiceId: ids.invoice,
  });
  await insertFirstAttempt(uow, {
    intentId: ids.intent,
    id: ids.transaction,
    userId,
    invoiceId: ids.invoice,
    subscriptionId: plan.subscriptionId,
    purchaseId: plan.purchaseId,
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
