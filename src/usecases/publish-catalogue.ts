/**
 * Publishes the catalogue file: one transaction, as the tables' owner, that may be repeated and run by several at once. What is
 * sold changes by changing the file and publishing it again; who has subscribed keeps the price pinned then.
 */
import type pg from 'pg';
import { z } from 'zod';
import {
  checkCatalogue,
  planCoupons,
  planPrices,
  planTaxRates,
  type Catalogue,
  type PricedSubject,
} from '../domain/catalogue/catalogue.js';
import { ANY_COUNTRY } from '../domain/catalogue/price.js';
import { chartRows } from '../domain/ledger/chart.js';
import { CURRENCIES } from '../domain/money/currency.js';
import { DIGITAL } from '../domain/tax/tax.js';
import { OneLineError } from '../platform/one-line-error.js';
import {
  addCoupons,
  addLedgerAccounts,
  addPrices,
  addTaxRates,
  announceCatalogue,
  endCoupons,
  endPrices,
  identitiesOf,
  lockCatalogue,
  readCoupons,
  readIdentities,
  readPrices,
  readTaxRates,
  writeSubjects,
} from '../store/catalogue.store.js';

/** The file cannot be published: a line for each reason. */
export class CatalogueRefused extends OneLineError {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'CatalogueRefused';
  }
}

/** What one run changed. */
export interface PublishedCatalogue {
  pricesAdded: number;
  /** Prices whose end was moved. */
  pricesEnded: number;
  couponsAdded: number;
  /** Coupons whose last moment to be claimed was moved. */
  couponsEnded: number;
  taxRatesAdded: number;
  ledgerAccountsAdded: number;
}

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const minorUnits = z.int().transform(BigInt);
const taxBehavior = z.enum(['inclusive', 'exclusive']);
const priceOfFile = z.strictObject({
  id: z.string(),
  country: z.string().default(ANY_COUNTRY),
  currency: z.string(),
  /** Minor units, e.g. 800 for 8.00 USD. */
  amount: minorUnits,
  taxBehavior: taxBehavior.optional(),
  acceptedKinds: z.array(z.string()).optional(),
  validFrom: instant.optional(),
  validTo: instant.nullable().default(null),
});
const interval = z.enum(['week', 'month', 'year']);
const tierPriceOfFile = priceOfFile.extend({ interval, intervalCount: z.int().default(1), trialDays: z.int().default(0) });

const couponOfFile = z.strictObject({
  id: z.string(),
  code: z.string(),
  /** Hundredths of a percent: 2500 is 25 %. */
  percentOffBps: z.int().nullable().default(null),
  /** Minor units by currency. */
  amountsOff: z.record(z.string(), minorUnits).nullable().default(null),
  /** Invoiced periods for which it works; left out: all. */
  durationPeriods: z.int().nullable().default(null),
  intervals: z.array(interval),
  redeemBy: instant.nullable().default(null),
  maxRedemptions: z.int().nullable().default(null),
});

const taxRateOfFile = z.strictObject({
  country: z.string(),
  region: z.string().min(1).nullable().default(null),
  taxCode: z.string().default(DIGITAL),
  validFrom: z.iso.date(),
  /** Parts per million: 200000 is 20 %. */
  ratePpm: z.int(),
});

/** `validFrom`, `acceptedKinds` and `taxBehavior` at the top hold for every price that has none of its own. */
const catalogueFile = z.strictObject({
  validFrom: instant,
  acceptedKinds: z.array(z.string()),
  taxBehavior,
  providerAccounts: z.array(
    z.strictObject({
      id: z.int().min(1).max(20_000),
      provider: z.enum(['stripe', 'paypal', 'plaid']),
      region: z.string().min(1),
      legalEntity: z.string().min(1),
      activeSince: instant,
    }),
  ),
  features: z.array(
    z.strictObject({ key: z.string(), kind: z.enum(['boolean', 'limit']), name: z.string().min(1), description: z.string() }),
  ),
  tiers: z.array(
    z.strictObject({
      id: z.string(),
      key: z.string(),
      group: z.string(),
      name: z.string().min(1),
      description: z.string(),
      rank: z.int(),
      status: z.enum(['draft', 'active', 'retired']),
      /** true: unlocked; a number: unlocked up to it; 'unlimited'. */
      features: z.record(z.string(), z.union([z.literal(true), z.literal('unlimited'), minorUnits])),
      prices: z.array(tierPriceOfFile),
    }),
  ),
  products: z.array(
    z.strictObject({
      id: z.string(),
      key: z.string(),
      name: z.string().min(1),
      description: z.string(),
      unlocks: z.string().nullable(),
      prices: z.array(priceOfFile),
    }),
  ),
  coupons: z.array(couponOfFile).default([]),
  taxRates: z.array(taxRateOfFile).default([]),
});

/** Reads the text of a catalogue file. @throws CatalogueRefused when it is not one, or not one that may be published */
export function readCatalogue(text: string): Catalogue {
  const parsed = catalogueFile.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new CatalogueRefused(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'The file'}: ${issue.message}`));
  }
  const file = parsed.data;
  const completed = ({ amount, ...price }: z.infer<typeof priceOfFile>) => ({
    ...price,
    intervalUnit: null,
    intervalCount: null,
    trialDays: 0,
    amountMinor: amount,
    taxBehavior: price.taxBehavior ?? file.taxBehavior,
    acceptedKinds: price.acceptedKinds ?? file.acceptedKinds,
    validFrom: price.validFrom ?? file.validFrom,
  });
  const catalogue: Catalogue = {
    providerAccounts: file.providerAccounts,
    features: file.features,
    tiers: file.tiers.map((tier) => ({
      ...tier,
      features: Object.entries(tier.features).map(([key, value]) => ({ key, limit: typeof value === 'bigint' ? value : null })),
      prices: tier.prices.map(({ interval: intervalUnit, intervalCount, trialDays, ...price }) => ({
        ...completed(price),
        intervalUnit,
        intervalCount,
        trialDays,
      })),
    })),
    products: file.products.map((product) => ({ ...product, prices: product.prices.map(completed) })),
    coupons: file.coupons.map(({ intervals, ...coupon }) => ({ ...coupon, intervalUnits: intervals })),
    taxRates: file.taxRates,
  };
  const problems = checkCatalogue(catalogue);
  if (problems.length > 0) throw new CatalogueRefused(problems);
  return catalogue;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CatalogueRefused([`The file is not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/**
 * Publishes a catalogue that `readCatalogue` has read, and completes the chart of accounts for every currency sold.
 * @param client a connection of the tables' owner, with no transaction open
 * @throws CatalogueRefused, with nothing changed, when it would change what must stay: a price, a key, a group, a kind, a provider
 */
export async function publishCatalogue(client: pg.ClientBase, catalogue: Catalogue, now: Date): Promise<PublishedCatalogue> {
  await client.query('begin');
  try {
    const published = await publishInTransaction(client, catalogue, now);
    await client.query('commit');
    return published;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function publishInTransaction(client: pg.ClientBase, catalogue: Catalogue, now: Date): Promise<PublishedCatalogue> {
  await lockCatalogue(client);
  const subjects = [...catalogue.tiers, ...catalogue.products];
  const wanted: PricedSubject[] = subjects.flatMap((subject) =>
    subject.prices.map((price) => ({ subjectId: subject.id, price })),
  );
  const plan = planPrices(await readPrices(client), wanted, now);
  const coupons = planCoupons(await readCoupons(client), catalogue.coupons, now);
  const taxRates = planTaxRates(await readTaxRates(client), catalogue.taxRates);
  const problems = [
    ...changedIdentities(await readIdentities(client), catalogue),
    ...plan.problems,
    ...coupons.problems,
    ...taxRates.problems,
  ];
  if (problems.length > 0) throw new CatalogueRefused(problems);
  await writeSubjects(client, catalogue);
  await endPrices(client, plan.ended);
  await addPrices(client, plan.added);
  await endCoupons(client, coupons.ended);
  await addCoupons(client, coupons.added);
  await addTaxRates(client, taxRates.added);
  const currencies = [...CURRENCIES.values()].filter((currency) => currency.isSold);
  const chart = chartRows(
    currencies,
    catalogue.providerAccounts.map((account) => account.id),
  );
  const ledgerAccountsAdded = await addLedgerAccounts(client, chart);
  await announceCatalogue(client);
  return {
    pricesAdded: plan.added.length,
    pricesEnded: plan.ended.length,
    couponsAdded: coupons.added.length,
    couponsEnded: coupons.ended.length,
    taxRatesAdded: taxRates.added.length,
    ledgerAccountsAdded,
  };
}

function changedIdentities(published: ReadonlyMap<string, string>, catalogue: Catalogue): string[] {
  return identitiesOf(catalogue).flatMap(([id, identity]) => {
    const old = published.get(id);
    return old === undefined || old === identity ? [] : [`${id} is published as ${old} and may not become ${identity}.`];
  });
}
