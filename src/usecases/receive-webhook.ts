import type { WebhookEventId } from '../domain/ids.js';
import { keyBucket } from '../platform/json.js';
import { gather } from '../platform/gather.js';
import { storeWebhooks, type NewWebhook, type WebhookSource } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, newId, BATCH } from './cashier.js';

/** Events kept by one statement at most; a rush of payments brings three each. */
const MOST_AT_ONCE = 100;

/** Checks and keeps an event of the provider; nothing else happens here, so that the answer comes at once. */
export const receiveWebhook = (
  cashier: Cashier,
): ((rawBody: Uint8Array, headers: Readonly<Record<string, string | undefined>>) => Promise<'stored' | 'refused'>) => {
  const keep = gather<NewWebhook, boolean>(async (webhooks) => {
    const added = await keepEvents(cashier, webhooks, 'push');
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

/** Keeps events that the provider sent or listed. @returns the ids of those that were not known */
export async function keepEvents(
  cashier: Cashier,
  webhooks: readonly NewWebhook[],
  source: WebhookSource['source'],
): Promise<Set<WebhookEventId>> {
  const { accountId, successEvents } = cashier.provider;
  const from = { providerAccountId: accountId, source, successTypes: successEvents };
  const added = await inTx(cashier.tx, BATCH, (uow) => storeWebhooks(uow, webhooks, from));
  for (const { id, event } of webhooks) if (event.objectKind === 'other' && added.has(id)) cashier.events.webhook('ignored');
  return added;
}
