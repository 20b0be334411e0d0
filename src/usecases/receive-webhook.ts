import { keyBucket } from '../platform/json.js';
import { gather } from '../platform/gather.js';
import { storeWebhooks, type NewWebhook } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, newId, BATCH } from './cashier.js';

/** Events kept by one statement at most; a rush of payments brings three each. */
const MOST_AT_ONCE = 100;

/** Checks and keeps an event of the provider; nothing else happens here, so that the answer comes at once. */
export const receiveWebhook = (
  cashier: Cashier,
): ((rawBody: Uint8Array, headers: Readonly<Record<string, string | undefined>>) => Promise<'stored' | 'refused'>) => {
  const keep = gather<NewWebhook, boolean>(async (webhooks) => {
    const from = { providerAccountId: cashier.provider.accountId, source: 'push' } as const;
    const added = await inTx(cashier.tx, BATCH, (uow) => storeWebhooks(uow, webhooks, from));
    return webhooks.map(({ id }) => added.has(id));
  }, MOST_AT_ONCE);
  return async (rawBody, headers) => {
    const event = cashier.provider.openEvent(rawBody, headers, cashier.tx.clock.now());
    if (event === null) {
      cashier.events.webhook('forged');
      return 'refused';
    }
    const isNew = await keep({ id: newId(cashier, 'whe', keyBucket(event.eventId)), event, rawBody: Buffer.from(rawBody) });
    cashier.events.webhook(isNew ? 'stored' : 'known');
    return 'stored';
  };
};
