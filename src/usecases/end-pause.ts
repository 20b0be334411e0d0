/** How a pause ends, or stays, when the period that was charged to end it is paid or not (rules V9, B5). */
import type { PriceId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { nextResumeTry } from '../domain/subscription/pause.js';
import { resumed } from '../domain/subscription/renewal.js';
import { countFailedResumptions, type InvoiceRow, requireInvoicedPrice } from '../store/invoices.store.js';
import type { TransactionCause } from '../store/payments.store.js';
import { changeSubscription, loadTierPrice, type PriceRow, type SubscriptionRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** The payment that ends a pause has succeeded: the subscription is active from the start of the period that was paid. */
export async function endPausePaid(
  uow: UnitOfWork,
  subscription: SubscriptionRow,
  invoice: InvoiceRow,
  period: { epoch: number; number: number; start: Date; end: Date },
  cause: TransactionCause,
): Promise<void> {
  // The id of a price's row names a price.
  const priceId = (await requireInvoicedPrice(uow, invoice.id)) as PriceId;
  const found = await loadTierPrice(uow, priceId);
  invariant(found !== null, 'a period is at a price of a tier', { priceId });
  await endPause(uow, subscription, period, found.price, cause);
}

/**
 * The payment that was to end a pause has failed: it stays paused. One that we made by ourselves is made again a day and three days after the pause
 * was to end, and then the customer is waited for (rules V9).
 */
export async function stayPaused(uow: UnitOfWork, subscription: SubscriptionRow, isOffSession: boolean): Promise<void> {
  if (!isOffSession || subscription.resumesAt === null) return;
  const failedCount = await countFailedResumptions(uow, subscription.id, subscription.epoch + 1);
  await changeSubscription(uow, subscription, {
    kind: 'resume_failed',
    cause: 'retry',
    set: { nextActionAt: nextResumeTry(subscription.resumesAt, failedCount) },
  });
}

/** The first period of a new epoch is paid, and the pause is over. */
export async function endPause(
  uow: UnitOfWork,
  subscription: SubscriptionRow,
  period: { epoch: number; number: number; start: Date; end: Date },
  price: PriceRow,
  cause: TransactionCause,
): Promise<void> {
  invariant(price.tierId !== null, 'a subscription is at a price of a tier', { priceId: price.id });
  await changeSubscription(uow, subscription, {
    kind: 'resumed',
    cause,
    set: {
      ...resumed(period, subscription.zone),
      priceId: price.id,
      tierId: price.tierId,
      // What was charged is what waited, or it waited in vain.
      pendingPriceId: null,
    },
  });
}
