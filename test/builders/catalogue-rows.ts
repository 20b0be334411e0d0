import type pg from 'pg';

/** A small catalogue: tiers basic < plus (one retired, one in preparation), monthly prices in USD and one for Germany, one product. */
export const CATALOGUE = {
  tiers: {
    basic: '01950000-0000-7000-8000-000000000001',
    plus: '01950000-0000-7000-8000-000000000002',
    old: '01950000-0000-7000-8000-000000000003',
    next: '01950000-0000-7000-8000-000000000004',
  },
  prices: {
    basicMonth: '01950000-0000-7000-8000-000000000011',
    plusMonth: '01950000-0000-7000-8000-000000000012',
    plusMonthEuro: '01950000-0000-7000-8000-000000000013',
    plusMonthEuroGermany: '01950000-0000-7000-8000-000000000014',
    plusYear: '01950000-0000-7000-8000-000000000015',
    plusMonthUntilFebruary: '01950000-0000-7000-8000-000000000016',
    oldMonth: '01950000-0000-7000-8000-000000000017',
    badge: '01950000-0000-7000-8000-000000000018',
    sticker: '01950000-0000-7000-8000-000000000019',
  },
  products: {
    badge: '01950000-0000-7000-8000-000000000021',
    sticker: '01950000-0000-7000-8000-000000000022',
    notYet: '01950000-0000-7000-8000-000000000023',
  },
} as const;

/** The price of a subscription, with its tier. */
export const BASIC = { id: CATALOGUE.prices.basicMonth, tierId: CATALOGUE.tiers.basic };
export const PLUS = { id: CATALOGUE.prices.plusMonth, tierId: CATALOGUE.tiers.plus };

/** Writes the catalogue into an empty database. */
export async function insertCatalogue(pool: pg.Pool): Promise<void> {
  const { tiers, prices, products } = CATALOGUE;
  await pool.query(`
    insert into provider_account values (1, 'stripe', 'local', 'Test GmbH', '2026-01-01T00:00:00Z') on conflict do nothing;
    insert into feature values
      ('no_ads', 'No advertisements', 'Reads without advertisements', 'boolean'),
      ('longer_posts', 'Longer posts', 'Characters of a post', 'limit'),
      ('badge', 'Badge', 'A badge on the profile', 'boolean');
    insert into tier (id, key, name, description, rank, status) values
      ('${tiers.basic}', 'basic', 'Basic', 'The small one', 10, 'active'),
      ('${tiers.plus}', 'plus', 'Plus', 'The large one', 20, 'active'),
      ('${tiers.old}', 'old', 'Old', 'No longer sold', 5, 'retired'),
      ('${tiers.next}', 'next', 'Next', 'In preparation', 30, 'draft');
    insert into tier_feature values
      ('${tiers.basic}', 'no_ads', null),
      ('${tiers.basic}', 'longer_posts', 1000),
      ('${tiers.plus}', 'no_ads', null),
      ('${tiers.plus}', 'longer_posts', 10000);
    insert into product values
      ('${products.badge}', 'badge', 'Badge', 'A badge', 'badge'),
      ('${products.sticker}', 'sticker', 'Sticker', 'A sticker', null),
      ('${products.notYet}', 'not_yet', 'Not yet', 'Without a price', null);
    insert into price (id, tier_id, product_id, interval_unit, interval_count, country, currency, amount, tax_behavior, accepted_kinds, valid_from, valid_to) values
      ('${prices.basicMonth}', '${tiers.basic}', null, 'month', 1, 'ZZ', 'USD', 400, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.plusMonthUntilFebruary}', '${tiers.plus}', null, 'month', 1, 'ZZ', 'USD', 700, 'inclusive', '{card}', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
      ('${prices.plusMonth}', '${tiers.plus}', null, 'month', 1, 'ZZ', 'USD', 800, 'inclusive', '{card}', '2026-02-01T00:00:00Z', null),
      ('${prices.plusMonthEuro}', '${tiers.plus}', null, 'month', 1, 'ZZ', 'EUR', 750, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.plusMonthEuroGermany}', '${tiers.plus}', null, 'month', 1, 'DE', 'EUR', 699, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.plusYear}', '${tiers.plus}', null, 'year', 1, 'ZZ', 'USD', 8000, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.oldMonth}', '${tiers.old}', null, 'month', 1, 'ZZ', 'USD', 300, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.badge}', null, '${products.badge}', null, null, 'ZZ', 'USD', 500, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null),
      ('${prices.sticker}', null, '${products.sticker}', null, null, 'ZZ', 'JPY', 300, 'inclusive', '{card}', '2026-01-01T00:00:00Z', null)`);
}
