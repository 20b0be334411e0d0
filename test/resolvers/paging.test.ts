import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId } from '../../src/domain/ids.js';
import { BASIC, CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
const BEN = { userId: 'ben' };

let graph: TestGraph;
/** Ana's charges, newest first, as public ids. */
let charges: string[];
let subscriptionId: string;

beforeAll(async () => {
  graph = await startGraph();
  const { rows } = graph;
  await rows.customer('ana');
  await rows.customer('ben');
  subscriptionId = await rows.subscription('ana', PLUS);
  const ids = [];
  for (let i = 1; i <= 7; i++)
    ids.push(await rows.transaction('ana', { amount: i * 100, subscription_id: i % 2 === 0 ? subscriptionId : null }));
  charges = ids.reverse().map((id) => publicId('txn', id));
  await rows.transaction('ben');
});
afterAll(() => graph.stop());

const PAGE = 'edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const LIST = `query ($first: Int, $after: String, $last: Int, $before: String, $filter: TransactionFilter) {
  viewer { transactions(first: $first, after: $after, last: $last, before: $before, filter: $filter) { ${PAGE} } } }`;

interface Page {
  ids: string[];
  start: unknown;
  end: unknown;
  next: unknown;
  previous: unknown;
}

async function page(variables: Record<string, unknown>): Promise<Page> {
  const answer = await graph.ask(ANA, LIST, variables);
  expect(answer.errors).toBeUndefined();
  const nodes = at(answer, 'viewer', 'transactions', 'nodes') as { id: string }[];
  const info = (name: string): unknown => at(answer, 'viewer', 'transactions', 'pageInfo', name);
  return {
    ids: nodes.map((node) => node.id),
    start: info('startCursor'),
    end: info('endCursor'),
    next: info('hasNextPage'),
    previous: info('hasPreviousPage'),
  };
}

test('a list is walked forward page by page, newest first, each item once', async () => {
  const one = await page({ first: 3 });
  expect(one).toMatchObject({ ids: charges.slice(0, 3), next: true, previous: false });
  const two = await page({ first: 3, after: one.end });
  expect(two).toMatchObject({ ids: charges.slice(3, 6), next: true, previous: true });
  const three = await page({ first: 3, after: two.end });
  expect(three).toMatchObject({ ids: charges.slice(6), next: false, previous: true });
});

test('a list is walked backward page by page, each page in the order of the list', async () => {
  const last = await page({ last: 3 });
  expect(last).toMatchObject({ ids: charges.slice(4), next: false, previous: true });
  const before = await page({ last: 3, before: last.start });
  expect(before).toMatchObject({ ids: charges.slice(1, 4), next: true, previous: true });
  const start = await page({ last: 3, before: before.start });
  expect(start).toMatchObject({ ids: charges.slice(0, 1), next: true, previous: false });
});

test('what is inserted while a list is walked neither repeats nor hides an item', async () => {
  const one = await page({ first: 3 });
  const inserted = publicId('txn', await graph.rows.transaction('ana', { amount: 100 }));
  const two = await page({ first: 3, after: one.end });
  expect(two.ids).toEqual(charges.slice(3, 6));
  const back = await page({ last: 10, before: two.start });
  expect(back.ids).toEqual([inserted, ...charges.slice(0, 3)]);
  charges.unshift(inserted);
});

test('a page is 20 items when no size is given, and at most 100', async () => {
  const { ids } = await page({});
  expect(ids).toEqual(charges);
  for (const wrong of [{ first: 0 }, { first: -1 }, { first: 101 }, { last: 101 }, { first: 1, last: 1 }]) {
    expect(codesOf(await graph.ask(ANA, LIST, wrong))).toEqual(['BAD_USER_INPUT']);
  }
});

test('an empty page has no cursors', async () => {
  const empty = await page({ filter: { kinds: ['REFUND'] } });
  expect(empty).toEqual({ ids: [], start: null, end: null, next: false, previous: false });
});

test('a cursor of another user, of another filter, of another list, or a forged one is refused', async () => {
  const { end } = await page({ first: 2 });
  expect(codesOf(await graph.ask(BEN, LIST, { after: end }))).toEqual(['CURSOR_INVALID']);
  expect(codesOf(await graph.ask(ANA, LIST, { after: end, filter: { kinds: ['CHARGE'] } }))).toEqual(['CURSOR_INVALID']);
  expect(
    codesOf(
      await graph.ask(ANA, 'query ($after: String) { viewer { purchases(after: $after) { nodes { id } } } }', { after: end }),
    ),
  ).toEqual(['CURSOR_INVALID']);
  const text = Buffer.from(String(end), 'base64url');
  const changed = Buffer.from(text);
  changed[20] = (changed[20] ?? 0) ^ 1;
  for (const forged of [
    changed.toString('base64url'),
    text.subarray(0, -1).toString('base64url'),
    '',
    'x',
    '....',
    'A'.repeat(5_000),
  ]) {
    expect(codesOf(await graph.ask(ANA, LIST, { after: forged }))).toEqual(['CURSOR_INVALID']);
  }
});

test('a cursor is good for the same list with the same filter, given as a variable or written out', async () => {
  const filter = { kinds: ['CHARGE'], minAmount: { amountMinor: 300, currency: 'USD' } };
  const { end } = await page({ first: 2, filter });
  const written = await graph.ask(
    ANA,
    'query ($after: String) { viewer { transactions(after: $after, filter: { kinds: [CHARGE], minAmount: { amountMinor: 300, currency: "USD" } }) { nodes { amount { amountMinor } } } } }',
    { after: end },
  );
  expect(at(written, 'viewer', 'transactions', 'nodes')).toEqual(
    [500, 400, 300].map((amountMinor) => ({ amount: { amountMinor } })),
  );
});

test('every condition of a filter narrows the list', async () => {
  const carl = { userId: 'carl' };
  await graph.rows.customer('carl');
  const plan = await graph.rows.subscription('carl', PLUS);
  const first = await graph.rows.transaction('carl', { amount: 100, status: 'failed' });
  const refund = await graph.rows.transaction('carl', { kind: 'refund', amount: 100, original_id: first });
  const euro = await graph.rows.transaction('carl', { amount: 900, currency: 'EUR', subscription_id: plan });
  const name = new Map(
    [
      [first, 'first'],
      [refund, 'refund'],
      [euro, 'euro'],
    ].map(([id, label]) => [publicId('txn', id ?? ''), label]),
  );
  const createdAt = async (id: string): Promise<unknown> =>
    at(await graph.ask(carl, `{ transaction(id: "${publicId('txn', id)}") { createdAt } }`), 'transaction', 'createdAt');
  const listed = async (filter: Record<string, unknown>): Promise<unknown[]> => {
    const answer = await graph.ask(carl, LIST, { filter });
    return (at(answer, 'viewer', 'transactions', 'nodes') as { id: string }[]).map((node) => name.get(node.id));
  };
  expect(await listed({})).toEqual(['euro', 'refund', 'first']);
  expect(await listed({ kinds: ['REFUND', 'DISPUTE'] })).toEqual(['refund']);
  expect(await listed({ kinds: [] })).toEqual([]);
  expect(await listed({ statuses: ['FAILED'] })).toEqual(['first']);
  expect(await listed({ providers: ['STRIPE'] })).toEqual(['euro', 'refund', 'first']);
  expect(await listed({ providers: ['PAYPAL'] })).toEqual([]);
  expect(await listed({ subscriptionId: publicId('sub', plan) })).toEqual(['euro']);
  expect(await listed({ subscriptionId: publicId('sub', subscriptionId) })).toEqual([]);
  expect(await listed({ subscriptionId: 'no id' })).toEqual([]);
  expect(await listed({ minAmount: { amountMinor: 100, currency: 'EUR' } })).toEqual(['euro']);
  expect(await listed({ created: { from: await createdAt(first), to: await createdAt(euro) } })).toEqual(['refund', 'first']);
  expect(
    await listed({ created: { from: await createdAt(refund), to: '2027-01-01T00:00:00+02:00' }, kinds: ['CHARGE'] }),
  ).toEqual(['euro']);
  expect(
    codesOf(await graph.ask(carl, LIST, { filter: { created: { from: '2026-03-02T00:00:00Z', to: '2026-03-02T00:00:00Z' } } })),
  ).toEqual(['BAD_USER_INPUT']);
});

test('subscriptions are paged and narrowed by their state, and their own transactions are listed with them', async () => {
  await graph.rows.customer('dora');
  const ended = { status: 'canceled', ended_at: '2026-03-02T00:00:00Z', entitled_until: '2026-03-02T00:00:00Z' };
  const first = await graph.rows.subscription('dora', BASIC, ended);
  const second = await graph.rows.subscription('dora', BASIC, ended);
  const third = await graph.rows.subscription('dora', PLUS);
  await graph.rows.transaction('dora', { subscription_id: first });
  const latest = await graph.rows.transaction('dora', { subscription_id: third });
  const dora = { userId: 'dora' };
  const list = async (args: string): Promise<unknown> =>
    at(await graph.ask(dora, `{ viewer { subscriptions${args} { nodes { id } } } }`), 'viewer', 'subscriptions', 'nodes');
  const ids = (...all: string[]): unknown => all.map((id) => ({ id: publicId('sub', id) }));
  expect(await list('')).toEqual(ids(third, second, first));
  expect(await list('(last: 2)')).toEqual(ids(second, first));
  expect(await list('(statuses: [CANCELED], first: 1)')).toEqual(ids(second));
  const own = await graph.ask(
    dora,
    '{ viewer { currentSubscription { id latestTransaction { id } transactions { nodes { id } } } } }',
  );
  expect(at(own, 'viewer', 'currentSubscription')).toEqual({
    id: publicId('sub', third),
    latestTransaction: { id: publicId('txn', latest) },
    transactions: { nodes: [{ id: publicId('txn', latest) }] },
  });
});

test('purchases are paged, each with its price and payment', async () => {
  await graph.rows.customer('emil');
  const first = await graph.rows.purchase('emil', CATALOGUE.prices.badge);
  const second = await graph.rows.purchase('emil', CATALOGUE.prices.badge, { quantity: 2, status: 'pending_payment' });
  const charge = await graph.rows.transaction('emil', { purchase_id: second, status: 'pending', amount: 1_000 });
  const emil = { userId: 'emil' };
  const query =
    'query ($after: String) { viewer { purchases(first: 1, after: $after) { nodes { id quantity status price { product { key } } transaction { id status } user { id } } pageInfo { endCursor } } } }';
  const one = await graph.ask(emil, query);
  expect(at(one, 'viewer', 'purchases', 'nodes')).toEqual([
    {
      id: publicId('pur', second),
      quantity: 2,
      status: 'PENDING_PAYMENT',
      price: { product: { key: 'badge' } },
      transaction: { id: publicId('txn', charge), status: 'PENDING' },
      user: { id: 'emil' },
    },
  ]);
  const two = await graph.ask(emil, query, { after: at(one, 'viewer', 'purchases', 'pageInfo', 'endCursor') });
  expect(at(two, 'viewer', 'purchases', 'nodes')).toMatchObject([{ id: publicId('pur', first), transaction: null }]);
});
