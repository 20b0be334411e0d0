/** A change of tier that waits for its payment: given up at the provider, whose word decides. */
import type { SubscriptionId, TransactionId } from '../domain/ids.js';
import { lockCustomer } from '../store/customers.store.js';
import { loadLatestAttempt, loadLiveIntent } from '../store/payments.store.js';
import { loadOpenChange } from '../store/tier-changes.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { own, type Cashier } from './cashier.js';
import { giveUpChange } from './drop-renewal.js';
import { resolvePayment } from './resolve-payment.js';

/** The payment that a change waits for; null where none waits. */
export async function paymentOfChange(uow: UnitOfWork, subscriptionId: string): Promise<TransactionId | null> {
  const invoice = await loadOpenChange(uow, subscriptionId);
  const intent = invoice && (await loadLiveIntent(uow, invoice.id));
  const attempt = intent && (await loadLatestAttempt(uow, intent.id));
  // The id of an attempt is that of its transaction.
  return attempt && (attempt.id as TransactionId);
}

/**
 * Gives up the change of a subscription that waits for its payment: its customer wants it no more, or its period is over. What was not sent
 * ends here; else the provider cancels it, or says that it was paid, and then that goes back. Safe to repeat, and does nothing where no
 * change waits.
 * @returns whether nothing waits any more; else the payment is being settled by somebody else, or its outcome is not known yet: ask again
 */
export async function settleOpenChange(cashier: Cashier, ref: { id: SubscriptionId; userId: string }): Promise<boolean> {
  const open = await inTx(cashier.tx, own(ref.userId), async (uow) => {
    await lockCustomer(uow, ref.userId);
    await giveUpChange(uow, cashier, ref.id);
    return paymentOfChange(uow, ref.id);
  });
  if (open === null) return true;
  await resolvePayment(cashier, { id: open, userId: ref.userId }, 'asked');
  return inTx(cashier.tx, own(ref.userId), async (uow) => (await loadOpenChange(uow, ref.id)) === null);
}
