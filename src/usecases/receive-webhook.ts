import { keyBucket } from '../platform/json.js';
import { storeWebhook } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, newId, SYSTEM } from './cashier.js';

/** Checks and keeps an event of the provider; nothing else happens here, so that the answer comes at once. */
export const receiveWebhook =
  (cashier: Cashier) =>
  async (rawBody: Uint8Array, headers: Readonly<Record<string, string | undefined>>): Promise<'stored' | 'refused'> => {
    const event = cashier.provider.openEvent(rawBody, headers, cashier.tx.clock.now());
    if (event === null) {
      cashier.events.webhook('forged');
      return 'refused';
    }
    const isNew = await inTx(cashier.tx, SYSTEM, (uow) =>
      storeWebhook(uow, {
        id: newId(cashier, 'whe', keyBucket(event.eventId)),
        event,
        providerAccountId: cashier.provider.accountId,
        source: 'push',
        rawBody: Buffer.from(rawBody),
      }),
    );
    cashier.events.webhook(isNew ? 'stored' : 'known');
    return 'stored';
  };
