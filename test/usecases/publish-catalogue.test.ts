import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { pgConfig } from '../../src/platform/database-options.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const FILE = readFileSync('data/catalogue.json', 'utf8');
const now = new Date('2026-02-10T12:00:00Z');
const later = new Date('2026-02-11T12:00:00Z');

interface FileOf {
  tiers: {
    key: string;
    rank: number;
    features: Record<string, unknown>;
    prices: { id: string; amount: number; currency: string }[];
  }[];
  products: { key: string; prices: unknown[] }[];
  coupons: { code: string; redeemBy?: string; maxRedemptions?: number; percentOffBps?: number }[];
  taxRates: object[];
  [more: string]: unknown;
}

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase();
  client = new pg.Client(pgConfig(database.options));
  await client.connect();
});

afterEach(async () => {
  for (const table of [
    'coupon_usage',
    'coupon',
    'tax_rate',
    'tier_feature',
    'price',
    'product',
    'tier',
    'feature',
    'ledger_account',
    'provider_account',
  ]) {
    await client.query(`delete from ${table}`);
  }
});

afterAll(async () => {
  await client?.end();
  await database?.drop();
});

function changed(change: (file: FileOf) => void): string {
  const file = JSON.parse(FILE) as FileOf;
  change(file);
  return JSON.stringify(file);
}

async function publish(text = FILE, at = now) {
  return await publishCatalogue(client, readCatalogue(text), at);
}

async function count(sql: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${sql}`);
  return rows[0]?.n ?? 0;
}

test('everything in the file can be bought afterwards, in seven currencies', async () => {
  const published = await publish();
  expect(published).toMatchObject({ pricesAdded: 65, couponsAdded: 3, taxRatesAdded: 0 });
  expect(await count('tier')).toBe(3);
  expect(await count('product')).toBe(3);
  expect(await count('feature')).toBe(10);
  expect(await count(`price where tier_id is not null and interval_unit = 'month'`)).toBe(21);
  expect(await count(`price where currency = 'KWD' and amount % 10 = 0`)).toBe(9);
  expect(await count(`tier_feature where limit_value is null and feature_key = 'scheduled_posts'`)).toBe(1);
});

test('there is a ledger account for every code, currency and merchant account', async () => {
  const { ledgerAccountsAdded } = await publish();
  expect(await count('ledger_account')).toBe(ledgerAccountsAdded);
  const { rows } = await client.query(
    'select id, code, currency, provider_account_id from ledger_account where id in (84001, 184002) order by id',
  );
  expect(rows).toEqual([
    { id: 84_001, code: 'customer_receivable', currency: 'USD', provider_account_id: null },
    { id: 184_002, code: 'provider_clearing', currency: 'USD', provider_account_id: 1 },
  ]);
});

test('publishing twice changes nothing', async () => {
  await publish();
  expect(await publish(FILE, later)).toEqual({
    pricesAdded: 0,
    pricesEnded: 0,
    couponsAdded: 0,
    couponsEnded: 0,
    taxRatesAdded: 0,
    ledgerAccountsAdded: 0,
  });
});

test('several publishers at once add everything once', async () => {
  const others = await Promise.all([database.ownerPool.connect(), database.ownerPool.connect()]);
  try {
    const all = await Promise.all([client, ...others].map((each) => publishCatalogue(each, readCatalogue(FILE), now)));
    expect(all.map((published) => published.pricesAdded).sort((a, b) => a - b)).toEqual([0, 0, 65]);
  } finally {
    for (const other of others) other.release();
  }
});

test('a price whose amount was changed is refused in one line, and nothing else is published', async () => {
  await publish();
  const edited = changed((file) => {
    const [tier] = file.tiers;
    if (tier?.prices[0]) tier.prices[0].amount = 301;
    file.products.pop();
  });
  await expect(publish(edited)).rejects.toThrow(
    /^Price \S+ is published and may not change its amount: make a new price instead\.$/,
  );
  expect(await count('price where valid_to is not null')).toBe(0);
});

test('a price that left the file is on sale no more from now on, and stays so', async () => {
  await publish();
  const shorter = changed((file) => file.tiers[0]?.prices.shift());
  expect(await publish(shorter, later)).toMatchObject({ pricesAdded: 0, pricesEnded: 1 });
  const { rows } = await client.query<{ valid_to: Date }>('select valid_to from price where valid_to is not null');
  expect(rows).toEqual([{ valid_to: later }]);
  expect(await publish(shorter, new Date('2026-02-12T00:00:00Z'))).toMatchObject({ pricesEnded: 0 });
  await expect(publish(FILE, new Date('2026-02-12T00:00:00Z'))).rejects.toThrow('stays so: make a new price instead');
});

test('a new price takes the place of one that is ended in the same file', async () => {
  await publish();
  const replaced = changed((file) => {
    const price = file.tiers[0]?.prices[0];
    if (price) Object.assign(price, { id: '01941f29-7c00-7000-8000-000000000001', amount: 350, validFrom: later.toISOString() });
  });
  expect(await publish(replaced, later)).toMatchObject({ pricesAdded: 1, pricesEnded: 1 });
  const { rows } = await client.query(
    `select amount::text from price where tier_id = (select id from tier where key = 'basic') and interval_unit = 'month' and currency = 'USD' and valid_to is null`,
  );
  expect(rows).toEqual([{ amount: '350' }]);
});

test('a tier that left the file is retired, and words and limits follow the file', async () => {
  await publish();
  const edited = changed((file) => {
    file.tiers = file.tiers.filter((tier) => tier.key !== 'basic');
    const [premium] = file.tiers;
    if (premium) delete premium.features['video_minutes'];
  });
  await publish(edited, later);
  expect(await count(`tier where key = 'basic' and status = 'retired'`)).toBe(1);
  expect(
    await count(`tier_feature f join tier t on t.id = f.tier_id where t.key = 'premium' and f.feature_key = 'video_minutes'`),
  ).toBe(0);
  expect(await count(`tier_feature f join tier t on t.id = f.tier_id where t.key = 'basic'`)).toBe(6);
});

test('what is published keeps its key', async () => {
  await publish();
  const renamed = changed((file) => {
    if (file.products[0]) file.products[0].key = 'other_pack';
  });
  await expect(publish(renamed)).rejects.toThrow('is published as product theme_pack and may not become product other_pack');
});

test('coupons are published with a counter for each that is limited, and one that left the file can be claimed no more', async () => {
  await publish();
  const { rows } = await client.query(
    'select c.code, c.interval_units, u.redeemed, u.max_redemptions from coupon c left join coupon_usage u on u.coupon_id = c.id order by 1',
  );
  expect(rows).toEqual([
    { code: 'FIVEOFF', interval_units: ['month', 'year'], redeemed: null, max_redemptions: null },
    { code: 'FOUNDER50', interval_units: ['month', 'year'], redeemed: 0, max_redemptions: 1_000 },
    { code: 'WELCOME25', interval_units: ['month'], redeemed: null, max_redemptions: null },
  ]);
  const fewer = changed((file) => (file.coupons = file.coupons.filter(({ code }) => code !== 'FIVEOFF')));
  expect(await publish(fewer, later)).toMatchObject({ couponsAdded: 0, couponsEnded: 1 });
  expect(await count(`coupon where code = 'FIVEOFF' and redeem_by = '${later.toISOString()}'`)).toBe(1);
  expect(await publish(fewer, later)).toMatchObject({ couponsEnded: 0 });
});

test('a published coupon may change nothing but its end', async () => {
  await publish();
  const dearer = changed((file) => Object.assign(file.coupons[0] ?? {}, { percentOffBps: 2_000 }));
  await expect(publish(dearer)).rejects.toThrow('Coupon WELCOME25 is published and may change nothing but its end');
});

test('a tax rate rules from its day on, and stays as it was published', async () => {
  const taxed = (...taxRates: object[]) => changed((file) => (file.taxRates = taxRates));
  const first = { country: 'DE', validFrom: '2026-01-01', ratePpm: 190_000 };
  expect(await publish(taxed(first))).toMatchObject({ taxRatesAdded: 1 });
  const next = { ...first, validFrom: '2027-01-01', ratePpm: 160_000 };
  expect(await publish(taxed(first, next))).toMatchObject({ taxRatesAdded: 1 });
  const { rows } = await client.query(
    'select country, region, tax_code, valid_from::text, rate_ppm from tax_rate order by valid_from',
  );
  expect(rows).toEqual([
    { country: 'DE', region: '', tax_code: 'digital', valid_from: '2026-01-01', rate_ppm: 190_000 },
    { country: 'DE', region: '', tax_code: 'digital', valid_from: '2027-01-01', rate_ppm: 160_000 },
  ]);
  await expect(publish(taxed({ ...first, ratePpm: 200_000 }))).rejects.toThrow('is published as 190000');
});

test.each<[string, string, RegExp]>([
  ['no JSON', '{', /not JSON/],
  ['an unknown field', changed((file) => Object.assign(file, { more: 1 })), /more/],
  [
    'a fraction of a cent',
    changed((file) => Object.assign(file.tiers[0]?.prices[0] ?? {}, { amount: 3.5 })),
    /tiers\.0\.prices\.0\.amount/,
  ],
  ['a rank that gives less', changed((file) => Object.assign(file.tiers[2] ?? {}, { rank: 0 })), /gives less of/],
])('a file with %s is refused', (_, text, reason) => {
  expect(() => readCatalogue(text)).toThrow(reason);
});
