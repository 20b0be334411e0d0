/** Rows of the catalogue as the facts that deciding about prices looks at. */
import type { RankedPrice, TargetPrice } from '../domain/subscription/change-tier.js';
import type { PriceRow, TierRow } from '../store/subscriptions.store.js';

/** A tier's price as it is compared with another, and billed. */
export function rankedPrice({ price, tier }: { price: PriceRow; tier: TierRow }): RankedPrice {
  return {
    id: price.id,
    amountMinor: price.amount,
    currency: price.currency,
    // Column checks: one of these words, and a tier's price has an interval.
    intervalUnit: price.intervalUnit as RankedPrice['intervalUnit'],
    intervalCount: price.intervalCount ?? 1,
    taxBehavior: price.taxBehavior as RankedPrice['taxBehavior'],
    tierGroup: tier.tierGroup,
    rank: tier.rank,
  };
}

/** A tier's price as somebody may want to go to it. */
export function targetPrice(found: { price: PriceRow; tier: TierRow }): TargetPrice {
  const { price, tier } = found;
  return {
    ...rankedPrice(found),
    country: price.country,
    validFrom: price.validFrom,
    validTo: price.validTo,
    // Column check: one of these words.
    status: tier.status as TargetPrice['status'],
    acceptedKinds: price.acceptedKinds,
  };
}
