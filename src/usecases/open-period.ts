/** A period that is paid, or owes nothing, is entered: the one place where a subscription moves on. */
import type { PriceId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isRenewedBy, renewed } from '../domain/subscription/renewal.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { anchorLocalOf, type OpenedPeriod } from '../domain/time/periods.js';
import { useCouponPeriod } from '../store/coupons.store.js';
import {
  changeSubscription,
  loadTierPrice,
  type SubscriptionChange,
  type SubscriptionRow,
} from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** What a period was invoiced as. */
export interface InvoicedPeriod {
  period: OpenedPeriod;
  priceId: string;
  /** The coupon that reduced it, of which it uses up a period; null: none. */
  couponId: string | null;
}

/**
 * Moves a subscription to a period that was invoiced to it: dates, and where it was invoiced at another price the tier with it. A new epoch has
 * its anchor at the period's start (rules B5). @returns false where nobody wants the period any more, so that its money must go back
 */
export async function openPeriod(
  uow: UnitOfWork,
  subscription: SubscriptionRow,
  { period, priceId, couponId }: InvoicedPeriod,
  cause: string,
): Promise<boolean> {
  // Column check: one of these words.
  const status = subscription.status as SubscriptionStatus;
  const { epoch, periodNumber } = subscription;
  if (!isRenewedBy({ status, epoch, periodNumber }, period)) return false;
  const isAnew = period.epoch !== epoch;
  const isOther = priceId !== subscription.priceId;
  await changeSubscription(uow, subscription, {
    kind: kindOf(status),
    cause,
    set: {
      ...renewed(period),
      ...(isAnew
        ? { anchorLocal: anchorLocalOf(period.start, subscription.zone), pauseAtPeriodEnd: false, resumesAt: null }
        : {}),
      ...(isOther ? await tierOf(uow, priceId) : {}),
      ...(subscription.pendingPriceId === priceId ? { pendingPriceId: null } : {}),
    },
    ...(isOther ? { data: { fromPriceId: subscription.priceId, toPriceId: priceId } } : {}),
  });
  if (couponId !== null) await useCouponPeriod(uow, subscription.id, couponId);
  return true;
}

function kindOf(status: SubscriptionStatus): SubscriptionChange['kind'] {
  if (status === 'trialing') return 'converted';
  return status === 'paused' ? 'resumed' : 'renewed';
}

async function tierOf(uow: UnitOfWork, priceId: string): Promise<{ tierId: string; priceId: string }> {
  // The price of an invoice's line names nothing else.
  const found = await loadTierPrice(uow, priceId as PriceId);
  invariant(found !== null, 'a period is of a tier', { priceId });
  return { tierId: found.tier.id, priceId };
}
