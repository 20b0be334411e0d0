import { lockCustomer } from '../store/customers.store.js';
import { listDueSubscriptions, loadSubscription } from '../store/subscriptions.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, own, SYSTEM } from './cashier.js';
import { endSubscription } from './end-subscription.js';

/** Ends the subscriptions whose paid period is over and that were to end with it. @returns how many were looked at */
export async function endDueSubscriptions(cashier: Cashier, buckets: number[], limit: number): Promise<number> {
  const due = await inTx(cashier.tx, SYSTEM, (uow) => listDueSubscriptions(uow, buckets, limit));
  for (const { id, userId } of due) {
    await inTx(cashier.tx, own(userId), async (uow) => {
      await lockCustomer(uow, userId);
      // Read again under the lock: the customer may have taken the cancellation back meanwhile.
      const subscription = await loadSubscription(uow, id);
      const isDue = subscription?.cancelAtPeriodEnd && subscription.nextActionAt !== null && subscription.nextActionAt <= uow.now;
      if (isDue) await endSubscription(uow, cashier, id, 'period_end', 'timeout');
    });
  }
  return due.length;
}
