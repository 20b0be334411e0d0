import type { Coupon as PublishedCoupon } from '../domain/catalogue/coupon.js';
import { invariant } from '../domain/invariant.js';
import { idTimeMs, publicId } from '../domain/ids.js';
import type { Catalogue, CatalogueFeature, CataloguePrice, CatalogueProduct, CatalogueTier } from '../store/catalogue.reads.js';
import { presentMoney } from './present-money.js';
import type { Coupon } from './types/coupon.js';
import type { Feature } from './types/feature.js';
import type { Product, ProductPrice } from './types/product.js';
import type { Tier, TierPrice } from './types/tier.js';
import { upper } from './words.js';

/** Tiers as they are shown, by row, as long as the catalogue has the row: a feed asks for the same few a hundred times over. */
const PRESENTED = new WeakMap<CatalogueTier, Tier>();

/** A tier as the graph shows it. */
export function presentTier(row: CatalogueTier): Tier {
  let tier = PRESENTED.get(row);
  if (!tier) {
    tier = makeTier(row);
    PRESENTED.set(row, tier);
  }
  return tier;
}

function makeTier(row: CatalogueTier): Tier {
  return {
    __typename: 'Tier',
    row,
    id: publicId('tier', row.id),
    key: row.key,
    name: row.name,
    description: row.description,
    rank: row.rank,
    status: upper(row.status),
    createdAt: new Date(idTimeMs(row.id)),
  };
}

/** A price of a tier as the graph shows it; whether it is on sale depends on the instant. */
export function presentTierPrice(row: CataloguePrice, catalogue: Catalogue, at: Date): TierPrice {
  const { intervalUnit, intervalCount } = row;
  invariant(intervalUnit !== null && intervalCount !== null, 'the price of a tier has an interval', { priceId: row.id });
  return {
    __typename: 'TierPrice',
    row,
    id: publicId('price', row.id),
    amount: presentMoney(row.amount, row.currency),
    interval: upper(intervalUnit),
    intervalCount,
    taxBehavior: upper(row.taxBehavior),
    trialDays: row.trialDays,
    acceptedPaymentMethods: row.acceptedKinds.map(upper),
    isOnSale: catalogue.isForSale(row, at),
  };
}

/** A feature as the graph shows it. */
export function presentFeature(row: CatalogueFeature): Feature {
  return { __typename: 'Feature', key: row.key, name: row.name, description: row.description, kind: upper(row.kind) };
}

/** A coupon as the graph shows it. @param currency of the fixed amount; null: the first of those it has, by name */
export function presentCoupon(coupon: PublishedCoupon, currency: string | null): Coupon {
  const amounts = coupon.amountsOff ?? {};
  const shown = currency ?? Object.keys(amounts).toSorted()[0];
  const minor = shown === undefined ? undefined : amounts[shown];
  return {
    __typename: 'Coupon',
    id: publicId('cpn', coupon.id),
    code: coupon.code,
    percentOffBasisPoints: coupon.percentOffBps,
    amountOff: shown === undefined || minor === undefined ? null : presentMoney(minor, shown),
    durationPeriods: coupon.durationPeriods,
    redeemBy: coupon.redeemBy,
  };
}

/** A product as the graph shows it. */
export function presentProduct(row: CatalogueProduct): Product {
  return {
    __typename: 'Product',
    row,
    id: publicId('prod', row.id),
    key: row.key,
    name: row.name,
    description: row.description,
  };
}

/** A price of a product as the graph shows it; whether it is on sale depends on the instant. */
export function presentProductPrice(row: CataloguePrice, catalogue: Catalogue, at: Date): ProductPrice {
  return {
    __typename: 'ProductPrice',
    row,
    id: publicId('price', row.id),
    amount: presentMoney(row.amount, row.currency),
    isOnSale: catalogue.isForSale(row, at),
  };
}
