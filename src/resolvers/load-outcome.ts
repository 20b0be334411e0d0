import type { PaymentMethodId, PurchaseId, SubscriptionId, TransactionId } from '../domain/ids.js';
import type { GraphContext } from './context.js';
import { presentPaymentMethod, presentPurchase, presentSubscription, presentTransaction } from './present-account.js';
import type { PaymentMethod } from './types/payment-method.js';
import type { Purchase } from './types/purchase.js';
import type { Transaction } from './types/transaction.js';
import type { UserSubscription } from './types/user-subscription.js';

/** The objects that a command named by id, read afresh for the user it was for; null where it named none. */

/** The subscription of an answer. */
export async function loadSubscription(
  userId: string,
  id: SubscriptionId | null,
  context: GraphContext,
): Promise<UserSubscription | null> {
  const row = id && (await context.reads.subscriptionOf(userId, id));
  return row && presentSubscription(row);
}

/** The transaction of an answer. */
export async function loadTransaction(
  userId: string,
  id: TransactionId | null,
  context: GraphContext,
): Promise<Transaction | null> {
  const row = id && (await context.reads.transactionOf(userId, id));
  return row && presentTransaction(row);
}

/** The purchase of an answer. */
export async function loadPurchase(userId: string, id: PurchaseId | null, context: GraphContext): Promise<Purchase | null> {
  const row = id && (await context.reads.purchaseOf(userId, id));
  return row && presentPurchase(row);
}

/** The payment method of an answer. */
export async function loadPaymentMethod(
  userId: string,
  id: PaymentMethodId | null,
  context: GraphContext,
): Promise<PaymentMethod | null> {
  const row = id && (await context.reads.paymentMethodOf(userId, id));
  return row && presentPaymentMethod(row);
}
