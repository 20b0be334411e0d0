/** What is sold, as its file says it: what must hold of it, and what publishing it changes. */
import { isUuid } from '../ids.js';
import { currencyOf, decimalText, isMultipleOfStep, STRIPE_MAXIMUM } from '../money/currency.js';
import type { TaxRate } from '../tax/tax.js';
import { parseCouponCode, type Coupon } from './coupon.js';
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
  /** Days of free trial; 0: none, as for every product. */
  trialDays: number;
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
  coupons: readonly Coupon[];
  taxRates: readonly TaxRate[];
}

const KEY_FORM = /^[a-z][a-z0-9_]{0,49}$/;
const COUNTRY_FORM = /^[A-Z]{2}$/;
/** Longest trial that may be offered. */
const MAX_TRIAL_DAYS = 365;
const METHOD_KINDS: readonly string[] = ['card', 'paypal', 'bank_account'];

/** What is wrong with a catalogue, a line each; none when it may be published. */
export function checkCatalogue(catalogue: Catalogue): string[] {
  const { providerAccounts, features, tiers, products, coupons, taxRates } = catalogue;
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
      [...tiers, ...products, ...prices, ...coupons].map((row) => row.id),
    ),
    ...repeated(
      'coupon',
      coupons.map((coupon) => coupon.code),
    ),
    ...repeated('tax rate', taxRates.map(rateKey)),
    ...[...features, ...tiers, ...products]
      .filter((row) => !KEY_FORM.test(row.key))
      .map((row) => `Key ${row.key} has a wrong form.`),
    ...[...tiers, ...products, ...prices, ...coupons]
      .filter((row) => !isUuidV7(row.id))
      .map((row) => `Id ${row.id} is not a UUIDv7 in lower case.`),
    ...tiers.flatMap((tier) => checkTier(tier, features)),
    ...checkRanks(tiers),
    ...products
      .filter(({ unlocks }) => unlocks !== null && !features.some((feature) => feature.key === unlocks))
      .map((product) => `Product ${product.key} unlocks ${product.unlocks}, which is no feature.`),
    ...prices.flatMap(checkPrice),
    ...coupons.flatMap(checkCoupon),
    ...taxRates.flatMap(checkTaxRate),
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
  if (!Number.isInteger(price.trialDays) || price.trialDays < 0 || price.trialDays > MAX_TRIAL_DAYS)
    problems.push(`has a trial that is not of 0 to ${MAX_TRIAL_DAYS} days`);
  if (!COUNTRY_FORM.test(price.country)) problems.push(`has no country code but ${price.country}`);
  if (price.validTo !== null && price.validTo <= price.validFrom) problems.push('ends before it begins');
  const unknownKinds = price.acceptedKinds.filter((kind) => !METHOD_KINDS.includes(kind));
  if (price.acceptedKinds.length === 0 || unknownKinds.length > 0)
    problems.push(`accepts no or unknown kinds of payment method: ${unknownKinds.join(', ')}`);
  return problems.map((problem) => `Price ${price.id} ${problem}.`);
}

const INTERVAL_UNITS: readonly string[] = ['week', 'month', 'year'];

function checkCoupon(coupon: Coupon): string[] {
  const problems: string[] = [];
  if (parseCouponCode(coupon.code) !== coupon.code) problems.push('has a code of a wrong form: capitals, digits, - and _');
  if ((coupon.percentOffBps === null) === (coupon.amountsOff === null))
    problems.push('takes off neither or both of a share and fixed amounts');
  if (coupon.percentOffBps !== null && (coupon.percentOffBps < 1 || coupon.percentOffBps > 10_000))
    problems.push('takes off a share that is not from 1 to 10000 hundredths of a percent');
  for (const [currency, minor] of Object.entries(coupon.amountsOff ?? {})) {
    if (currencyOf(currency)?.isSold !== true) problems.push(`takes off ${currency}, which is not sold`);
    else if (minor <= 0n || !isMultipleOfStep({ minor, currency })) problems.push(`takes off no possible amount of ${currency}`);
  }
  if (coupon.intervalUnits.length === 0 || coupon.intervalUnits.some((unit) => !INTERVAL_UNITS.includes(unit)))
    problems.push('is for no or unknown intervals');
  if (coupon.durationPeriods !== null && coupon.durationPeriods < 1) problems.push('works for no period');
  if (coupon.maxRedemptions !== null && coupon.maxRedemptions < 1) problems.push('can be claimed by nobody');
  return problems.map((problem) => `Coupon ${coupon.code} ${problem}.`);
}

/** One whole. */
const MILLION_PPM = 1_000_000;

function checkTaxRate(rate: TaxRate): string[] {
  const problems: string[] = [];
  if (!COUNTRY_FORM.test(rate.country)) problems.push('has no country code');
  if (rate.ratePpm < 0 || rate.ratePpm > MILLION_PPM) problems.push('is not from 0 to a million parts per million');
  return problems.map((problem) => `Tax rate ${rateKey(rate)} ${problem}.`);
}

/** What a rate is known by: one rules from its day on until the next of the same place and code. */
function rateKey({ country, region, taxCode, validFrom }: TaxRate): string {
  return `${country}${region === null ? '' : `-${region}`} ${taxCode} from ${validFrom}`;
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
  if (a.trialDays !== b.trialDays) return 'days of trial';
  if (a.acceptedKinds.join() !== b.acceptedKinds.join()) return 'kinds of payment method';
  return a.validFrom.getTime() === b.validFrom.getTime() ? null : 'start';
}

function sameEnd(a: Date | null, b: Date | null): boolean {
  return a?.getTime() === b?.getTime();
}

/** What publishing does to coupons and tax rates. */
export interface AddedTerms<Row> {
  added: Row[];
  /** Why nothing may be published, a line each. */
  problems: string[];
}

/** What publishing does to coupons. */
export interface CouponPlan extends AddedTerms<Coupon> {
  /** Coupons whose last moment to be claimed moves: to the file's, or to now for those the file no longer has. */
  ended: { id: string; redeemBy: Date | null }[];
}

/**
 * Compares coupons that are published with those of the file. Who claimed one keeps it as it was: anything but the last moment to
 * claim it is a problem when it differs.
 */
export function planCoupons(published: readonly Coupon[], wanted: readonly Coupon[], now: Date): CouponPlan {
  const plan: CouponPlan = { added: [], ended: [], problems: [] };
  const byId = new Map(published.map((coupon) => [coupon.id, coupon]));
  const codes = new Set(published.map(({ code }) => code));
  for (const coupon of wanted) {
    const old = byId.get(coupon.id);
    byId.delete(coupon.id);
    if (old === undefined && codes.has(coupon.code))
      plan.problems.push(`The code ${coupon.code} was another coupon's: it stays so.`);
    else if (old === undefined) plan.added.push(coupon);
    else if (termsOf(old) !== termsOf(coupon)) {
      plan.problems.push(`Coupon ${old.code} is published and may change nothing but its end: make a new coupon instead.`);
    } else if (!sameEnd(old.redeemBy, coupon.redeemBy)) plan.ended.push({ id: coupon.id, redeemBy: coupon.redeemBy });
  }
  for (const { id, redeemBy } of byId.values()) {
    if (redeemBy === null || redeemBy > now) plan.ended.push({ id, redeemBy: now });
  }
  return plan;
}

/** Everything of a coupon that stays, as one text. */
function termsOf({ code, percentOffBps, amountsOff, durationPeriods, intervalUnits, maxRedemptions }: Coupon): string {
  const amounts = Object.entries(amountsOff ?? {})
    .map(([currency, minor]) => `${currency} ${minor}`)
    .toSorted();
  return [code, percentOffBps, amounts, durationPeriods, intervalUnits, maxRedemptions].join('|');
}

/**
 * Compares tax rates that are published with those of the file. A rate that is told stays, as invoices name it: a tax ends with a
 * rate of 0 from a later day.
 */
export function planTaxRates(published: readonly TaxRate[], wanted: readonly TaxRate[]): AddedTerms<TaxRate> {
  const plan: AddedTerms<TaxRate> = { added: [], problems: [] };
  const byKey = new Map(published.map((rate) => [rateKey(rate), rate.ratePpm]));
  for (const rate of wanted) {
    const old = byKey.get(rateKey(rate));
    if (old === undefined) plan.added.push(rate);
    else if (old !== rate.ratePpm) {
      plan.problems.push(`Tax rate ${rateKey(rate)} is published as ${old}: add one from a later day instead.`);
    }
  }
  return plan;
}
