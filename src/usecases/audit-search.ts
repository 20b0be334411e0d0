import { keyBucket } from '../platform/json.js';
import { insertAuditEntry } from '../store/audit.store.js';
import { inTx } from '../store/unit-of-work.js';
import { newId, staff, type Cashier } from './cashier.js';
import type { Actor, SearchMade } from './contract.js';

/** Longest text of a search that is kept. */
const MOST_CHARS = 2_000;

/** Writes down what staff searched for, and once for each user whose transactions they are about to be shown. */
export const auditSearch =
  (cashier: Cashier) =>
  async (actor: Actor, search: SearchMade): Promise<void> =>
    inTx(cashier.tx, staff(actor), async (uow) => {
      const common = { actor: actor.userId, reason: null, requestId: actor.requestId };
      await insertAuditEntry(uow, {
        ...common,
        id: newId(cashier, 'aud', keyBucket(search.userId ?? actor.userId)),
        actingFor: search.userId,
        action: 'transactions.search',
        objectId: search.asked.slice(0, MOST_CHARS),
      });
      for (const userId of search.shownUserIds) {
        const id = newId(cashier, 'aud', keyBucket(userId));
        await insertAuditEntry(uow, { ...common, id, actingFor: userId, action: 'transactions.read', objectId: userId });
      }
    });
