import { ANY_COUNTRY, isOnSale } from '../domain/catalogue/price.js';
import type { Coupon } from '../domain/catalogue/coupon.js';
import { couponOf, type CouponColumns } from './catalogue.store.js';
import type { Reader } from './reader.js';
import { statement } from './statement.js';

/** Something a tier or a product unlocks. */
export interface CatalogueFeature {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly kind: 'boolean' | 'limit';
}

/** A level of membership. */
export interface CatalogueTier {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly rank: number;
  readonly status: 'draft' | 'active' | 'retired';
  /** null limit: unlimited, or a feature without one. */
  readonly features: readonly { readonly featureKey: string; readonly limit: bigint | null }[];
}

/** Something bought once. */
export interface CatalogueProduct {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly description: string;
  /** Key of a feature. */
  readonly unlocks: string | null;
}

/** What a tier or a product costs; never edited, only replaced. */
export interface CataloguePrice {
  readonly id: string;
  /** Set for a tier's price, as are the interval's unit and count. */
  readonly tierId: string | null;
  readonly productId: string | null;
  readonly intervalUnit: 'week' | 'month' | 'year' | null;
  readonly intervalCount: number | null;
  /** ISO 3166-1, or ZZ for any country. */
  readonly country: string;
  readonly currency: string;
  /** Minor units. */
  readonly amount: bigint;
  readonly taxBehavior: 'inclusive' | 'exclusive';
  readonly trialDays: number;
  readonly acceptedKinds: readonly ('card' | 'paypal' | 'bank_account')[];
  readonly validFrom: Date;
  readonly validTo: Date | null;
}

/** Which of a tier's prices to list; null for "any", but no country means the prices that hold in any country. */
export interface PriceFilter {
  readonly currency: string | null;
  readonly country: string | null;
  readonly interval: 'week' | 'month' | 'year' | null;
}

const allFeatures = statement<[], CatalogueFeature>(
  'all_features',
  'select key, name, description, kind from feature order by key',
);
const allTiers = statement<[], Omit<CatalogueTier, 'features'>>(
  'all_tiers',
  'select id, key, name, description, rank, status from tier order by rank, key',
);
const allTierFeatures = statement<[], { tierId: string; featureKey: string; limit: bigint | null }>(
  'all_tier_features',
  'select tier_id as "tierId", feature_key as "featureKey", limit_value as "limit" from tier_feature order by feature_key',
);
const allProducts = statement<[], CatalogueProduct>(
  'all_products',
  'select id, key, name, description, unlocks from product order by id desc',
);
const allPrices = statement<[], CataloguePrice>(
  'all_prices',
  `select id, tier_id as "tierId", product_id as "productId", interval_unit as "intervalUnit", interval_count as "intervalCount",
     country, currency, amount, tax_behavior as "taxBehavior", trial_days as "trialDays", accepted_kinds as "acceptedKinds",
     valid_from as "validFrom", valid_to as "validTo"
   from price
   order by currency, interval_unit, interval_count, id`,
);

const allCoupons = statement<[], CouponColumns>(
  'all_coupons',
  `select id, code, percent_off_bps as "percentOffBps", amounts_off as "amountsOff", duration_periods as "durationPeriods",
     interval_units as "intervalUnits", redeem_by as "redeemBy", max_redemptions as "maxRedemptions"
   from coupon`,
);

interface Contents {
  features: ReadonlyMap<string, CatalogueFeature>;
  tiers: ReadonlyMap<string, CatalogueTier>;
  products: ReadonlyMap<string, CatalogueProduct>;
  prices: ReadonlyMap<string, CataloguePrice>;
  coupons: ReadonlyMap<string, Coupon>;
}

/**
 * Tiers, products, prices and features, all in memory: few, seldom changed, read by every request. The caller reloads it when another one
 * is published, and every 30 seconds in case it was not told; a stale price does no harm, because a buyer's expected amount is compared with the stored one.
 */
export class Catalogue {
  #contents: Contents;
  #readCount = 0;

  private constructor(
    private readonly reader: Reader,
    contents: Contents,
  ) {
    this.#contents = contents;
  }

  /** Reads the whole catalogue. @throws the driver's error. */
  static async load(reader: Reader): Promise<Catalogue> {
    return new Catalogue(reader, await read(reader));
  }

  /** Reads it again; requests see the old one until the new one is whole. @throws the driver's error, and keeps the old one. */
  async reload(): Promise<void> {
    this.#readCount += 1;
    const turn = this.#readCount;
    const contents = await read(this.reader);
    if (turn === this.#readCount) this.#contents = contents; // else one that was begun later knows better
  }

  /** A tier in whatever state; null when there is none. */
  tier(id: string): CatalogueTier | null {
    return this.#contents.tiers.get(id) ?? null;
  }

  /** A tier by its machine name; null when there is none. */
  tierByKey(key: string): CatalogueTier | null {
    return [...this.#contents.tiers.values()].find((tier) => tier.key === key) ?? null;
  }

  /** Tiers on sale, and retired ones where asked for, lowest rank first. */
  tiers(options: { includesRetired: boolean }): CatalogueTier[] {
    return [...this.#contents.tiers.values()].filter(
      (tier) => tier.status === 'active' || (options.includesRetired && tier.status === 'retired'),
    );
  }

  /** A product; null when there is none. */
  product(id: string): CatalogueProduct | null {
    return this.#contents.products.get(id) ?? null;
  }

  /** Products that have a price on sale at the instant, newest first. */
  productsOnSale(at: Date): CatalogueProduct[] {
    return [...this.#contents.products.values()].filter((product) => this.productPrices(product.id, null, at).length > 0);
  }

  /** A price, on sale or not; null when there is none. */
  price(id: string): CataloguePrice | null {
    return this.#contents.prices.get(id) ?? null;
  }

  /** A coupon, whether it can still be claimed or not; null when there is none. */
  coupon(id: string): Coupon | null {
    return this.#contents.coupons.get(id) ?? null;
  }

  /** A feature; null when there is none. */
  feature(key: string): CatalogueFeature | null {
    return this.#contents.features.get(key) ?? null;
  }

  /** Prices of a tier on sale at the instant: for each currency and interval the country's own, else the one for any country. */
  tierPrices(tierId: string, filter: PriceFilter, at: Date): CataloguePrice[] {
    const found = new Map<string, CataloguePrice>();
    for (const price of this.#contents.prices.values()) {
      if (price.tierId !== tierId || !this.isForSale(price, at)) continue;
      if (filter.currency !== null && price.currency !== filter.currency) continue;
      if (filter.interval !== null && price.intervalUnit !== filter.interval) continue;
      if (price.country !== ANY_COUNTRY && price.country !== filter.country) continue;
      const slot = `${price.currency} ${price.intervalUnit} ${price.intervalCount}`;
      if (price.country !== ANY_COUNTRY || !found.has(slot)) found.set(slot, price);
    }
    return [...found.values()];
  }

  /** Prices of a product on sale at the instant. */
  productPrices(productId: string, currency: string | null, at: Date): CataloguePrice[] {
    return [...this.#contents.prices.values()].filter(
      (price) =>
        price.productId === productId &&
        price.country === ANY_COUNTRY &&
        isOnSale(price, at) &&
        (currency === null || price.currency === currency),
    );
  }

  /** Whether new subscriptions and purchases may use the price at the instant: it holds then, and its tier is on sale. */
  isForSale(price: CataloguePrice, at: Date): boolean {
    return isOnSale(price, at) && (price.tierId === null || this.tier(price.tierId)?.status === 'active');
  }
}

async function read(reader: Reader): Promise<Contents> {
  const [features, tiers, tierFeatures, products, prices, coupons] = await Promise.all([
    reader.query(allFeatures, []),
    reader.query(allTiers, []),
    reader.query(allTierFeatures, []),
    reader.query(allProducts, []),
    reader.query(allPrices, []),
    reader.query(allCoupons, []),
  ]);
  return {
    features: new Map(features.map((feature) => [feature.key, feature])),
    tiers: new Map(
      tiers.map((tier) => [tier.id, { ...tier, features: tierFeatures.filter((given) => given.tierId === tier.id) }]),
    ),
    products: new Map(products.map((product) => [product.id, product])),
    prices: new Map(prices.map((price) => [price.id, price])),
    coupons: new Map(coupons.map((coupon) => [coupon.id, couponOf(coupon)])),
  };
}
