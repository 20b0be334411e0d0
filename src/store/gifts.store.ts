/** Gifts, which belong to their giver. */
import { bucketOf } from '../domain/ids.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const USE_PERIOD = statement<[number, string], never>(
  'use_gift_period',
  'update gift set periods_used = periods_used + 1 where bucket = $1 and id = $2 and periods_used < periods',
);

/** A period that a gift pays has begun: only the rest may go back to its buyer (rules V11). */
export async function usePrepaidPeriod(uow: UnitOfWork, giftId: string): Promise<void> {
  await uow.run(USE_PERIOD, [bucketOf(giftId), giftId]);
}
