import type { Slot } from '../platform/slots.js';
import type { ForEach } from '../platform/repeat.js';
import type { Messenger } from '../ports/messenger.js';
import { claimNotices, keepNotice } from '../store/notices.store.js';
import { inTx } from '../store/unit-of-work.js';
import { SYSTEM, type Cashier } from './cashier.js';

/** A notice that its carrier did not take is tried again after this. */
const AGAIN_MS = 5 * 60_000;

/**
 * Tells customers what is due, outside any transaction. Told twice is possible, after a crash between the two, under the same id; called sent
 * without having been taken is not (rules C2). What ended meanwhile is told nothing. @returns whether there may be more
 */
export async function sendNotices(
  cashier: Cashier,
  messenger: Messenger,
  buckets: Slot,
  limit: number,
  forEach: ForEach,
): Promise<{ claimed: number; failures: unknown[] }> {
  const claimed = await inTx(cashier.tx, SYSTEM, (uow) =>
    claimNotices(uow, buckets, limit, new Date(uow.now.getTime() + AGAIN_MS)),
  );
  const failures: unknown[] = [];
  await forEach(claimed, async ({ isWanted, bucket, ...notice }) => {
    try {
      const messageId = isWanted ? await messenger.send(notice) : null;
      await inTx(cashier.tx, SYSTEM, (uow) => keepNotice(uow, { bucket, id: notice.id }, messageId));
    } catch (error) {
      failures.push(error);
    }
  });
  return { claimed: claimed.length, failures };
}
