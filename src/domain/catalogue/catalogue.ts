/** What is sold, as its file says it: what must hold of it, and what publishing it changes. */
import { isUuid } from '../ids.js';
import { currencyOf, decimalText, isMultipleOfStep, STRIPE_MAXIMUM } from '../money/currency.js';
import { ANY_COUNTRY } from './price.js';

/** A merchant account of ours at a provider. */
export interface CatalogueAccount {
  id: number;
  provider: 'stripe' | 'paypal' | 'plaid';
  region: string;
  legalEntity: string;
  activeSince: Date;
}

/** Something a tier or product unlocks. */
export interface CatalogueFeature {
  key: string;
  kind: 'boolean' | 'limit';
  name: string;
  description: string;
}

/** A price of a tier (with an interval) or of a product (without). Immutable but for its end. */
export interface CataloguePrice {
  id: string;
  intervalUnit: 'week' | 'month' | 'year' | null;
  intervalCount: number | null;
  /** ISO 3166 code, or ZZ for any country. */
  country: string;
  currency: string;
  amountMinor: bigint;
  taxBehavior: 'inclusive' | 'exclusive';
  /** Kinds of payment method it may be paid with. */
  acceptedKinds: readonly string[];
  validFrom: Date;
  /** null: no end is set. */
  validTo: Date | null;
}

/** A tier with what it unlocks: `limit` is null for a feature without one and for an unlimited one. */
export interface CatalogueTier {
  id: string;
  key: string;
  group: string;
  name: string;
  description: string;
  rank: number;
  status: 'draft' | 'active' | 'retired';
  features: readonly { key: string; limit: bigint | null }[];
  prices: readonly CataloguePrice[];
}

/** Something bought once. */
export interface CatalogueProduct {
  id: string;
  key: string;
  name: string;
  description: string;
  unlocks: string | null;
  prices: readonly CataloguePrice[];
}

/** The whole catalogue. */
export interface Catalogue {
  providerAccounts: readonly CatalogueAccount[];
  features: readonly CatalogueFeature[];
  tiers: readonly CatalogueTier[];
  products: readonly CatalogueProduct[];
}

const KEY_FORM = /^[a-z][a-z0-9_]{0,49}$/;
const COUNTRY_FORM = /^[A-Z]{2}$/;
const METHOD_KINDS: readonly string[] = ['card', 'paypal', 'bank_account'];

/** What is wrong with a catalogue, a line each; none when it may be published. */
export function checkCatalogue(catalogue: Catalogue): string[] {
  const { providerAccounts, features, tiers, products } = catalogue;
  const prices = [...tiers, ...products].flatMap((subject) => subject.prices);
  return [
    ...repeated(
      'provider account',
      providerAccounts.map((account) => String(account.id)),
    ),
    ...repeated(
      'feature',
      features.map((feature) => feature.key),
    ),
    ...repeated(
      'tier',
      tiers.map((tier) => tier.key),
    ),
    ...repeated(
      'product',
      products.map((product) => product.key),
    ),
    ...repeated(
      'id',
      [...tiers, ...products, ...prices].map((row) => row.id),
    ),
    ...[...features, ...tiers, ...products]
      .filter((row) => !KEY_FORM.test(row.key))
      .map((row) => `Key ${row.key} has a wrong form.`),
    ...[...tiers, ...products, ...prices]
      .filter((row) => !isUuidV7(row.id))
      .map((row) => `Id ${row.id} is not a UUIDv7 in lower case.`),
    ...tiers.flatMap((tier) => checkTier(tier, features)),
    ...checkRanks(tiers),
    ...products
      .filter(({ unlocks }) => unlocks !== null && !features.some((feature) => feature.key === unlocks))
      .map((product) => `Product ${product.key} unlocks ${product.unlocks}, which is no feature.`),
    ...prices.flatMap(checkPrice),
    ...[...tiers, ...products].flatMap((subject) => checkOverlaps(subject.key, subject.prices)),
  ];
}

function repeated(what: string, keys: readonly string[]): string[] {
  return [...new Set(keys.filter((key, i) => keys.indexOf(key) !== i))].map(
    (key) => `The ${what} ${key} is there more than once.`,
  );
}

function isUuidV7(id: string): boolean {
  return isUuid(id) && id[14] === '7';
}

function checkTier(tier: CatalogueTier, features: readonly CatalogueFeature[]): string[] {
  return tier.features.flatMap(({ key, limit }) => {
    const feature = features.find((candidate) => candidate.key === key);
    if (feature === undefined) return [`Tier ${tier.key} has ${key}, which is no feature.`];
    if (feature.kind === 'boolean' && limit !== null) return [`Tier ${tier.key} sets a limit for ${key}, which has none.`];
    return limit !== null && limit <= 0n ? [`Tier ${tier.key} sets a limit for ${key} that is not positive.`] : [];
  });
}

/** In a group no two tiers have the same rank, and a higher one includes at least as much. */
function checkRanks(tiers: readonly CatalogueTier[]): string[] {
  return tiers.flatMap((low) =>
    tiers
      .filter(
        (high) =>
          high !== low &&
          high.group === low.group &&
          high.rank >= low.rank &&
          high.status !== 'retired' &&
          low.status !== 'retired',
      )
      .flatMap((high) => {
        if (high.rank === low.rank) return [`Tiers ${low.key} and ${high.key} have the same rank.`];
        const missing = low.features.filter((feature) => !includes(high, feature));
        return missing.map(({ key }) => `Tier ${high.key} gives less of ${key} than ${low.key}, which has a lower rank.`);
      }),
  );
}

function includes(tier: CatalogueTier, { key, limit }: { key: string; limit: bigint | null }): boolean {
  const own = tier.features.find((feature) => feature.key === key);
  return own !== undefined && (own.limit === null || (limit !== null && own.limit >= limit));
}

function checkPrice(price: CataloguePrice): string[] {
  const currency = currencyOf(price.currency);
  if (currency === null || !currency.isSold) return [`Price ${price.id} is in ${price.currency}, which is not sold.`];
  const problems: string[] = [];
  const money = { minor: price.amountMinor, currency: price.currency };
  if (price.amountMinor <= 0n) problems.push('is not positive: what is free needs no price');
  if (price.amountMinor > STRIPE_MAXIMUM) problems.push('is more than one payment can take');
  if (!isMultipleOfStep(money))
    problems.push(`is not a multiple of ${decimalText({ ...money, minor: currency.step })} ${price.currency}`);
  const minimum = currency.stripeMinimum ?? 0n;
  if (price.amountMinor > 0n && price.amountMinor < minimum)
    problems.push(`is less than ${decimalText({ ...money, minor: minimum })} ${price.currency}`);
  if (price.intervalCount !== null && (!Number.isInteger(price.intervalCount) || price.intervalCount < 1))
    problems.push('has an interval of no length');
  if (!COUNTRY_FORM.test(price.country)) problems.push(`has no country code but ${price.country}`);
  if (price.validTo !== null && price.validTo <= price.validFrom) problems.push('ends before it begins');
  const unknownKinds = price.acceptedKinds.filter((kind) => !METHOD_KINDS.includes(kind));
  if (price.acceptedKinds.length === 0 || unknownKinds.length > 0)
    problems.push(`accepts no or unknown kinds of payment method: ${unknownKinds.join(', ')}`);
  return problems.map((problem) => `Price ${price.id} ${problem}.`);
}

/** At any instant there is at most one price for a subject, interval, country and currency. */
function checkOverlaps(subjectKey: string, prices: readonly CataloguePrice[]): string[] {
  return prices.flatMap((a, i) =>
    prices
      .slice(i + 1)
      .filter((b) => offerOf(a) === offerOf(b) && startsBeforeEnd(a, b) && startsBeforeEnd(b, a))
      .map((b) => `Prices ${a.id} and ${b.id} of ${subjectKey} are on sale at the same time.`),
  );
}

function offerOf({ intervalUnit, intervalCount, country, currency }: CataloguePrice): string {
  return [intervalUnit, intervalCount, country === ANY_COUNTRY ? '' : country, currency].join('/');
}

function startsBeforeEnd(a: CataloguePrice, b: CataloguePrice): boolean {
  return b.validTo === null || a.validFrom < b.validTo;
}

/** A published price with what it is for. */
export interface PricedSubject {
  /** Id of the tier or product. */
  subjectId: string;
  price: CataloguePrice;
}

/** What publishing does to prices. */
export interface PricePlan {
  added: PricedSubject[];
  /** Prices whose end moves: to the file's, or to now for those the file no longer has. */
  ended: { id: string; validTo: Date | null }[];
  /** Why nothing may be published, a line each. */
  problems: string[];
}

/**
 * Compares what is published with what the file says. Prices are immutable, since subscriptions are pinned to them: anything
 * but the end of a price that differs is a problem, and so is a price that comes back after its end.
 */
export function planPrices(published: readonly PricedSubject[], wanted: readonly PricedSubject[], now: Date): PricePlan {
  const plan: PricePlan = { added: [], ended: [], problems: [] };
  const byId = new Map(published.map((row) => [row.price.id, row]));
  for (const row of wanted) {
    const old = byId.get(row.price.id);
    if (old === undefined) {
      plan.added.push(row);
      continue;
    }
    byId.delete(row.price.id);
    const changed = changedField(old, row);
    if (changed !== null) {
      plan.problems.push(`Price ${row.price.id} is published and may not change its ${changed}: make a new price instead.`);
    } else if (!sameEnd(old.price.validTo, row.price.validTo)) {
      if (old.price.validTo !== null && old.price.validTo <= now) {
        plan.problems.push(
          `Price ${row.price.id} ended at ${old.price.validTo.toISOString()} and stays so: make a new price instead.`,
        );
      } else {
        plan.ended.push({ id: row.price.id, validTo: row.price.validTo });
      }
    }
  }
  for (const { price } of byId.values()) {
    // A price that never came on sale ends where it begins.
    const end = price.validFrom > now ? price.validFrom : now;
    if (price.validTo === null || price.validTo > end) plan.ended.push({ id: price.id, validTo: end });
  }
  return plan;
}

function changedField(old: PricedSubject, row: PricedSubject): string | null {
  const [a, b] = [old.price, row.price];
  if (old.subjectId !== row.subjectId) return 'tier or product';
  if (a.amountMinor !== b.amountMinor) return 'amount';
  if (a.currency !== b.currency) return 'currency';
  if (a.intervalUnit !== b.intervalUnit || a.intervalCount !== b.intervalCount) return 'interval';
  if (a.country !== b.country) return 'country';
  if (a.taxBehavior !== b.taxBehavior) return 'tax behaviour';
  if (a.acceptedKinds.join() !== b.acceptedKinds.join()) return 'kinds of payment method';
  return a.validFrom.getTime() === b.validFrom.getTime() ? null : 'start';
}

function sameEnd(a: Date | null, b: Date | null): boolean {
  return a?.getTime() === b?.getTime();
}
