/** The catalogue's tables, coupons and tax rates with them, and the chart of accounts: written by one command, as their owner, and only read by all others. */
import type pg from 'pg';
import type { Catalogue, PricedSubject } from '../domain/catalogue/catalogue.js';
import type { Coupon } from '../domain/catalogue/coupon.js';
import type { ChartRow } from '../domain/ledger/chart.js';
import type { TaxRate } from '../domain/tax/tax.js';

/** Lets one publisher at a time compare and write; readers go on. */
export async function lockCatalogue(client: pg.ClientBase): Promise<void> {
  await client.query('lock table price in share row exclusive mode');
}

const READ_PRICES = `
select id, coalesce(tier_id, product_id) as "subjectId", interval_unit as "intervalUnit", interval_count as "intervalCount",
  country, currency, amount::text as "amountMinor", tax_behavior as "taxBehavior", trial_days as "trialDays",
  accepted_kinds as "acceptedKinds", valid_from as "validFrom", valid_to as "validTo"
from price`;

type PriceRow = Omit<PricedSubject['price'], 'amountMinor'> & { subjectId: string; amountMinor: string };

/** The channel on which gateways are told, at the commit, that the catalogue is another one. */
export const CATALOGUE_CHANNEL = 'catalogue_changed';

/** Tells every gateway to read the catalogue again, once this transaction is committed. */
export async function announceCatalogue(client: pg.ClientBase): Promise<void> {
  await client.query("select pg_notify($1, '')", [CATALOGUE_CHANNEL]);
}

/** Whether nothing was ever published. */
export async function isCatalogueEmpty(client: pg.ClientBase): Promise<boolean> {
  const { rowCount } = await client.query('select from tier limit 1');
  return rowCount === 0;
}

/** Every price ever published. */
export async function readPrices(client: pg.ClientBase): Promise<PricedSubject[]> {
  const { rows } = await client.query<PriceRow>(READ_PRICES);
  return rows.map(({ subjectId, amountMinor, ...price }) => ({
    subjectId,
    price: { ...price, amountMinor: BigInt(amountMinor) },
  }));
}

const READ_IDENTITIES = `
select id::text, 'tier ' || key || ' of group ' || tier_group as identity from tier
union all select id::text, 'product ' || key from product
union all select 'provider account ' || id, 'account at ' || provider from provider_account
union all select 'feature ' || key, 'feature of kind ' || kind from feature`;

/** What each published row is for good, by its id; as `identitiesOf` words it. */
export async function readIdentities(client: pg.ClientBase): Promise<Map<string, string>> {
  const { rows } = await client.query<{ id: string; identity: string }>(READ_IDENTITIES);
  return new Map(rows.map(({ id, identity }) => [id, identity]));
}

/** What each row of a catalogue would be for good, by its id. */
export function identitiesOf({ tiers, products, providerAccounts, features }: Catalogue): [id: string, identity: string][] {
  return [
    ...tiers.map(({ id, key, group }): [string, string] => [id, `tier ${key} of group ${group}`]),
    ...products.map(({ id, key }): [string, string] => [id, `product ${key}`]),
    ...providerAccounts.map(({ id, provider }): [string, string] => [`provider account ${id}`, `account at ${provider}`]),
    ...features.map(({ key, kind }): [string, string] => [`feature ${key}`, `feature of kind ${kind}`]),
  ];
}

const WRITE_ACCOUNTS = `
insert into provider_account (id, provider, region, legal_entity, active_since)
select id, provider, region, legal_entity, active_since
from jsonb_to_recordset($1) as r (id smallint, provider text, region text, legal_entity text, active_since timestamptz)
on conflict (id) do update set region = excluded.region, legal_entity = excluded.legal_entity, active_since = excluded.active_since`;

const WRITE_FEATURES = `
insert into feature (key, name, description, kind)
select key, name, description, kind from jsonb_to_recordset($1) as r (key text, name text, description text, kind text)
on conflict (key) do update set name = excluded.name, description = excluded.description`;

const WRITE_TIERS = `
insert into tier (id, key, tier_group, name, description, rank, status)
select id, key, "group", name, description, rank, status
from jsonb_to_recordset($1) as r (id uuid, key text, "group" text, name text, description text, rank int, status text)
on conflict (id) do update set name = excluded.name, description = excluded.description, rank = excluded.rank, status = excluded.status`;

/** A tier that the file no longer has is not sold any more; those who have it keep it. */
const RETIRE_TIERS = `
update tier set status = 'retired'
where status <> 'retired' and id not in (select id from jsonb_to_recordset($1) as r (id uuid))`;

const WRITE_TIER_FEATURES = `
insert into tier_feature (tier_id, feature_key, limit_value)
select tier_id, feature_key, limit_value from jsonb_to_recordset($1) as r (tier_id uuid, feature_key text, limit_value bigint)
on conflict (tier_id, feature_key) do update set limit_value = excluded.limit_value`;

/** Of the file's tiers alone: a tier that the file no longer has keeps what it gave. */
const REMOVE_TIER_FEATURES = `
delete from tier_feature f
where f.tier_id in (select id from jsonb_to_recordset($1) as r (id uuid))
  and (f.tier_id, f.feature_key) not in (select tier_id, feature_key from jsonb_to_recordset($2) as r (tier_id uuid, feature_key text))`;

const WRITE_PRODUCTS = `
insert into product (id, key, name, description, unlocks)
select id, key, name, description, unlocks
from jsonb_to_recordset($1) as r (id uuid, key text, name text, description text, unlocks text)
on conflict (id) do update set name = excluded.name, description = excluded.description, unlocks = excluded.unlocks`;

/** Writes everything but prices: what is new is added, what is there takes the file's words. */
export async function writeSubjects(client: pg.ClientBase, catalogue: Catalogue): Promise<void> {
  const accounts = catalogue.providerAccounts.map(({ id, provider, region, legalEntity, activeSince }) => {
    return { id, provider, region, legal_entity: legalEntity, active_since: activeSince };
  });
  const tierFeatures = catalogue.tiers.flatMap((tier) =>
    tier.features.map(({ key, limit }) => ({ tier_id: tier.id, feature_key: key, limit_value: limit?.toString() ?? null })),
  );
  const tiers = catalogue.tiers.map(({ id, key, group, name, description, rank, status }) => {
    return { id, key, group, name, description, rank, status };
  });
  const products = catalogue.products.map(({ id, key, name, description, unlocks }) => ({ id, key, name, description, unlocks }));
  await client.query(WRITE_ACCOUNTS, [JSON.stringify(accounts)]);
  await client.query(WRITE_FEATURES, [JSON.stringify(catalogue.features)]);
  await client.query(WRITE_TIERS, [JSON.stringify(tiers)]);
  await client.query(RETIRE_TIERS, [JSON.stringify(tiers)]);
  await client.query(REMOVE_TIER_FEATURES, [JSON.stringify(tiers), JSON.stringify(tierFeatures)]);
  await client.query(WRITE_TIER_FEATURES, [JSON.stringify(tierFeatures)]);
  await client.query(WRITE_PRODUCTS, [JSON.stringify(products)]);
}

const END_PRICES = `
update price p set valid_to = r.valid_to from jsonb_to_recordset($1) as r (id uuid, valid_to timestamptz) where p.id = r.id`;

/** Moves the ends of prices. Before new ones are added, or the two would overlap. */
export async function endPrices(client: pg.ClientBase, ends: readonly { id: string; validTo: Date | null }[]): Promise<void> {
  await client.query(END_PRICES, [JSON.stringify(ends.map(({ id, validTo }) => ({ id, valid_to: validTo })))]);
}

const ADD_PRICES = `
insert into price (id, tier_id, product_id, interval_unit, interval_count, country, currency, amount, tax_behavior, trial_days,
  accepted_kinds, valid_from, valid_to)
select r.id, t.id, p.id, interval_unit, interval_count, country, currency, amount, tax_behavior, trial_days, accepted_kinds, valid_from, valid_to
from jsonb_to_recordset($1) as r (id uuid, subject_id uuid, interval_unit text, interval_count smallint, country text, currency text,
  amount bigint, tax_behavior text, trial_days smallint, accepted_kinds text[], valid_from timestamptz, valid_to timestamptz)
left join tier t on t.id = r.subject_id left join product p on p.id = r.subject_id`;

/** Adds prices. */
export async function addPrices(client: pg.ClientBase, added: readonly PricedSubject[]): Promise<void> {
  const rows = added.map(({ subjectId, price }) => ({
    id: price.id,
    subject_id: subjectId,
    interval_unit: price.intervalUnit,
    interval_count: price.intervalCount,
    country: price.country,
    currency: price.currency,
    amount: price.amountMinor.toString(),
    tax_behavior: price.taxBehavior,
    trial_days: price.trialDays,
    accepted_kinds: price.acceptedKinds,
    valid_from: price.validFrom,
    valid_to: price.validTo,
  }));
  await client.query(ADD_PRICES, [JSON.stringify(rows)]);
}

const READ_COUPONS = `
select id, code, percent_off_bps as "percentOffBps", amounts_off as "amountsOff", duration_periods as "durationPeriods",
  interval_units as "intervalUnits", redeem_by as "redeemBy", max_redemptions as "maxRedemptions"
from coupon`;

/** Every coupon ever published. */
export async function readCoupons(client: pg.ClientBase): Promise<Coupon[]> {
  const { rows } = await client.query<CouponColumns>(READ_COUPONS);
  return rows.map(couponOf);
}

/** A coupon as its row is read, by whatever driver. */
export type CouponColumns = Omit<Coupon, 'amountsOff'> & { amountsOff: Record<string, number> | null };

/** A coupon from its row. */
export function couponOf({ amountsOff, ...coupon }: CouponColumns): Coupon {
  const amounts = Object.entries(amountsOff ?? {}).map(([currency, minor]): [string, bigint] => [currency, BigInt(minor)]);
  return { ...coupon, amountsOff: amountsOff && Object.fromEntries(amounts) };
}

const ADD_COUPONS = `
insert into coupon (id, code, percent_off_bps, amounts_off, duration_periods, interval_units, redeem_by, max_redemptions)
select id, code, percent_off_bps, amounts_off, duration_periods, interval_units, redeem_by, max_redemptions
from jsonb_to_recordset($1) as r (id uuid, code text, percent_off_bps int, amounts_off jsonb, duration_periods smallint,
  interval_units text[], redeem_by timestamptz, max_redemptions int)`;

/** The counter of a coupon that may be claimed so often and no more. */
const ADD_COUPON_USAGE = `
insert into coupon_usage (bucket, coupon_id, max_redemptions)
select id_bucket(id), id, max_redemptions from jsonb_to_recordset($1) as r (id uuid, max_redemptions int)
where max_redemptions is not null`;

/** Adds coupons, with the counters of limited ones. */
export async function addCoupons(client: pg.ClientBase, added: readonly Coupon[]): Promise<void> {
  const rows = added.map((coupon) => ({
    id: coupon.id,
    code: coupon.code,
    percent_off_bps: coupon.percentOffBps,
    amounts_off:
      coupon.amountsOff && Object.fromEntries(Object.entries(coupon.amountsOff).map(([one, minor]) => [one, Number(minor)])),
    duration_periods: coupon.durationPeriods,
    interval_units: coupon.intervalUnits,
    redeem_by: coupon.redeemBy,
    max_redemptions: coupon.maxRedemptions,
  }));
  await client.query(ADD_COUPONS, [JSON.stringify(rows)]);
  await client.query(ADD_COUPON_USAGE, [JSON.stringify(rows)]);
}

const END_COUPONS = `
update coupon c set redeem_by = r.redeem_by from jsonb_to_recordset($1) as r (id uuid, redeem_by timestamptz) where c.id = r.id`;

/** Moves the last moments at which coupons may be claimed. */
export async function endCoupons(client: pg.ClientBase, ends: readonly { id: string; redeemBy: Date | null }[]): Promise<void> {
  await client.query(END_COUPONS, [JSON.stringify(ends.map(({ id, redeemBy }) => ({ id, redeem_by: redeemBy })))]);
}

const READ_TAX_RATES = `
select country, nullif(region, '') as region, tax_code as "taxCode", valid_from::text as "validFrom", rate_ppm as "ratePpm" from tax_rate`;

/** Every tax rate ever published. */
export async function readTaxRates(client: pg.ClientBase): Promise<TaxRate[]> {
  return (await client.query<TaxRate>(READ_TAX_RATES)).rows;
}

const ADD_TAX_RATES = `
insert into tax_rate (country, region, tax_code, valid_from, rate_ppm)
select country, coalesce(region, ''), tax_code, valid_from, rate_ppm
from jsonb_to_recordset($1) as r (country text, region text, tax_code text, valid_from date, rate_ppm int)`;

/** Adds tax rates. */
export async function addTaxRates(client: pg.ClientBase, added: readonly TaxRate[]): Promise<void> {
  const rows = added.map(({ country, region, taxCode, validFrom, ratePpm }) => {
    return { country, region, tax_code: taxCode, valid_from: validFrom, rate_ppm: ratePpm };
  });
  await client.query(ADD_TAX_RATES, [JSON.stringify(rows)]);
}

const ADD_LEDGER_ACCOUNTS = `
insert into ledger_account (id, code, class, currency, provider_account_id)
select id, code, class, currency, provider_account_id
from jsonb_to_recordset($1) as r (id int, code text, class text, currency text, provider_account_id smallint)
on conflict (id) do nothing`;

/** Adds the accounts that are missing; those that are there never change. Answers how many were added. */
export async function addLedgerAccounts(client: pg.ClientBase, chart: readonly ChartRow[]): Promise<number> {
  const rows = chart.map(({ providerAccountId, ...row }) => ({ ...row, provider_account_id: providerAccountId }));
  const { rowCount } = await client.query(ADD_LEDGER_ACCOUNTS, [JSON.stringify(rows)]);
  return rowCount ?? 0;
}
