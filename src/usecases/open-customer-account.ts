import { keyBucket } from '../platform/json.js';
import { insertAuditEntry } from '../store/audit.store.js';
import { hasCustomer } from '../store/customers.store.js';
import { inTx } from '../store/unit-of-work.js';
import { newId, staff, type Cashier } from './cashier.js';
import type { Actor } from './contract.js';

/** Writes down that staff looked at a user's account. @returns whether the user has one here */
export const openCustomerAccount =
  (cashier: Cashier) =>
  async (actor: Actor, userId: string): Promise<boolean> =>
    inTx(cashier.tx, staff(actor), async (uow) => {
      await insertAuditEntry(uow, {
        id: newId(cashier, 'aud', keyBucket(userId)),
        actor: actor.userId,
        actingFor: userId,
        action: 'account.read',
        objectId: userId,
        reason: null,
        requestId: actor.requestId,
      });
      return hasCustomer(uow, userId);
    });
