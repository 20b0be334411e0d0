import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId } from '../../src/domain/ids.js';
import { CATALOGUE } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type TestGraph } from './graph.js';

let graph: TestGraph;
beforeAll(async () => {
  graph = await startGraph();
});
afterAll(() => graph.stop());

const price = (name: keyof typeof CATALOGUE.prices): string => publicId('price', CATALOGUE.prices[name]);

test('tiers on sale are listed lowest rank first, without retired ones and those in preparation', async () => {
  const answer = await graph.ask(null, '{ tiers { key } }');
  expect(answer).toEqual({ data: { tiers: [{ key: 'basic' }, { key: 'plus' }] } });
});

test('retired tiers are listed where asked for, and have no price on sale', async () => {
  const answer = await graph.ask(null, '{ tiers(includeRetired: true) { key status prices { id } } }');
  expect(at(answer, 'tiers', 0)).toEqual({ key: 'old', status: 'RETIRED', prices: [] });
});

test('a tier is found by its id or its key, and exactly one must be given', async () => {
  const id = publicId('tier', CATALOGUE.tiers.plus);
  expect(
    await graph.ask(
      null,
      `{ a: tier(id: "${id}") { key } b: tier(key: "plus") { id features { key kind } } c: tier(key: "next") { id } }`,
    ),
  ).toEqual({
    data: {
      a: { key: 'plus' },
      b: {
        id,
        features: [
          { key: 'longer_posts', kind: 'LIMIT' },
          { key: 'no_ads', kind: 'BOOLEAN' },
        ],
      },
      c: null,
    },
  });
  expect(codesOf(await graph.ask(null, '{ tier { key } }'))).toEqual(['BAD_USER_INPUT']);
  expect(codesOf(await graph.ask(null, `{ tier(id: "${id}", key: "plus") { key } }`))).toEqual(['BAD_USER_INPUT']);
});

test('without a country the prices that hold in any country are listed, and a replaced price is not on sale', async () => {
  const answer = await graph.ask(
    null,
    '{ tier(key: "plus") { prices { id amount { amountMinor currency decimal } interval isOnSale } } }',
  );
  expect(at(answer, 'tier', 'prices')).toEqual([
    {
      id: price('plusMonthEuro'),
      amount: { amountMinor: 750, currency: 'EUR', decimal: '7.50' },
      interval: 'MONTH',
      isOnSale: true,
    },
    { id: price('plusMonth'), amount: { amountMinor: 800, currency: 'USD', decimal: '8.00' }, interval: 'MONTH', isOnSale: true },
    { id: price('plusYear'), amount: { amountMinor: 8000, currency: 'USD', decimal: '80.00' }, interval: 'YEAR', isOnSale: true },
  ]);
});

test("a country's own price is listed instead of the one for any country, where there is one", async () => {
  const answer = await graph.ask(
    null,
    '{ tier(key: "plus") { de: prices(country: "DE", interval: MONTH) { id } fr: prices(country: "FR", currency: "EUR") { id } } }',
  );
  expect(at(answer, 'tier')).toEqual({
    de: [{ id: price('plusMonthEuroGermany') }, { id: price('plusMonth') }],
    fr: [{ id: price('plusMonthEuro') }],
  });
});

test('products on sale are paged, and one without a price is not among them', async () => {
  const page =
    'nodes { key unlocks { key } prices { id amount { decimal } product { key } } } pageInfo { hasNextPage endCursor }';
  const first = await graph.ask(null, `{ products(first: 1) { ${page} } }`);
  expect(at(first, 'products', 'nodes')).toEqual([
    {
      key: 'sticker',
      unlocks: null,
      prices: [{ id: price('sticker'), amount: { decimal: '300' }, product: { key: 'sticker' } }],
    },
  ]);
  const after = at(first, 'products', 'pageInfo', 'endCursor');
  const second = await graph.ask(null, `query ($after: String) { products(first: 1, after: $after) { ${page} } }`, { after });
  expect(at(second, 'products', 'nodes', 0, 'key')).toBe('badge');
  expect(at(second, 'products', 'pageInfo', 'hasNextPage')).toBe(false);
});

test('a tier added after the start is found as soon as a row refers to it', async () => {
  const tierId = '01950000-0000-7000-8000-000000000099';
  await graph.database.ownerPool.query(
    "insert into tier (id, key, name, description, rank, status) values ($1, 'new', 'New', 'New', 40, 'active')",
    [tierId],
  );
  await graph.rows.customer('nina');
  const id = await graph.rows.subscription('nina', { id: CATALOGUE.prices.plusMonth, tierId });
  const answer = await graph.ask({ userId: 'nina' }, `{ userSubscription(id: "${publicId('sub', id)}") { tier { key } } }`);
  expect(at(answer, 'userSubscription', 'tier')).toEqual({ key: 'new' });
});
