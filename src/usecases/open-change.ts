/** A change of tier that waits for its payment: given up at the provider, whose word decides. */
import type { SubscriptionId, TransactionId } from '../domain/ids.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeIntent, loadLatestAttempt, loadLiveIntent } from '../store/payments.store.js';
import { loadOpenChange } from '../store/tier-changes.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { endNeverSent } from './apply-payment-fact.js';
import { own, type Cashier } from './cashier.js';
import { resolvePayment } from './resolve-payment.js';
import { readPayment } from './send-payment.js';

/**
 * Marks the payment of a change as no longer wanted; one that was never sent ends here, and its invoice is void. The customer's lock is held.
 * @returns the payment that the provider must be asked about; null when nothing waits any more
 */
export async function giveUpOpenChange(uow: UnitOfWork, cashier: Cashier, subscriptionId: string): Promise<TransactionId | null> {
  const invoice = await loadOpenChange(uow, subscriptionId);
  const intent = invoice && (await loadLiveIntent(uow, invoice.id));
  const attempt = intent && (await loadLatestAttempt(uow, intent.id));
  if (!intent || !attempt) return null;
  if (intent.cancelRequestedAt === null) await changeIntent(uow, intent, { cancelRequestedAt: uow.now });
  // The id of an attempt is that of its transaction.
  const id = attempt.id as TransactionId;
  if (attempt.status !== 'created') return id;
  const payment = await readPayment(uow, id);
  if (payment) await endNeverSent(uow, cashier, payment, 'user');
  return null;
}

/**
 * Gives up the change of a subscription that waits for its payment: its period is over, or the customer wants it no more. The provider
 * cancels it, or says that it was paid, and then that goes back. Safe to repeat, and does nothing where no change waits.
 * @returns whether nothing waits any more; else the payment is being settled by somebody else, or its outcome is not known yet: ask again
 */
export async function settleOpenChange(cashier: Cashier, ref: { id: SubscriptionId; userId: string }): Promise<boolean> {
  const open = await inTx(cashier.tx, own(ref.userId), async (uow) => {
    await lockCustomer(uow, ref.userId);
    return giveUpOpenChange(uow, cashier, ref.id);
  });
  if (open === null) return true;
  await resolvePayment(cashier, { id: open, userId: ref.userId }, 'asked');
  return inTx(cashier.tx, own(ref.userId), async (uow) => (await loadOpenChange(uow, ref.id)) === null);
}
