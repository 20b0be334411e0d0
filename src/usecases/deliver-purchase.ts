import { bucketOf } from '../domain/ids.js';
import { completePurchase, insertGrant } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { newId, type Cashier } from './cashier.js';

/** Hands a paid purchase over: it is completed, and what its product unlocks is granted. */
export async function deliverPurchase(
  uow: UnitOfWork,
  cashier: Cashier,
  purchase: { id: string; userId: string },
): Promise<void> {
  const unlocks = await completePurchase(uow, purchase.id);
  if (unlocks === null) return;
  await insertGrant(uow, {
    id: newId(cashier, 'txn', bucketOf(purchase.id)),
    userId: purchase.userId,
    featureKey: unlocks,
    purchaseId: purchase.id,
  });
}
