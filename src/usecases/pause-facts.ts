import { pausesOf, type PauseFacts } from '../domain/subscription/pause.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { listStatuses, type PriceRow, type SubscriptionRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** A subscription's row as the facts that pausing and going on look at. @param price the one that its next period is charged at */
export async function pauseFacts(
  uow: UnitOfWork,
  row: SubscriptionRow,
  price: PriceRow,
  hasMethod: boolean,
): Promise<PauseFacts> {
  const events = await listStatuses(uow, row);
  return {
    // Column checks: one of these words.
    status: row.status as SubscriptionStatus,
    hold: row.hold as PauseFacts['hold'],
    version: row.version,
    cancelAtPeriodEnd: row.cancelAtPeriodEnd,
    pauseAtPeriodEnd: row.pauseAtPeriodEnd,
    hasPendingChange: row.pendingPriceId !== null,
    isGift: row.giftId !== null,
    periodEnd: row.periodEnd,
    hasMethod,
    zone: row.zone,
    epoch: row.epoch,
    // Column checks: a tier's price has a unit and a count.
    interval: { unit: price.intervalUnit as 'month', count: price.intervalCount ?? 1 },
    pauses: pausesOf(events.map(({ status, at }) => ({ status: status as SubscriptionStatus, at }))),
  };
}
