import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { idTimeMs, publicId } from '../../src/domain/ids.js';
import { keyBucket } from '../../src/platform/json.js';
import type { SearchMade } from '../../src/usecases/contract.js';
import { PLUS } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type TestGraph } from './graph.js';

const SUE = { userId: 'sue', scopes: ['support'] };
const SEARCH = `query ($filter: TransactionSearchInput!, $first: Int, $after: String) {
  searchTransactions(filter: $filter, first: $first, after: $after) { nodes { id user { id } } edges { cursor } pageInfo { hasNextPage endCursor } } }`;
const MARCH = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z' };

let graph: TestGraph;
/** Names of transactions by their public ids. */
const names = new Map<string, string>();
const ids: Record<string, string> = {};
let searches: SearchMade[];

beforeAll(async () => {
  graph = await startGraph();
  const { rows } = graph;
  const kept = (name: string, id: string): string => {
    names.set(publicId('txn', id), name);
    ids[name] = id;
    return id;
  };
  for (const user of ['ana', 'ben', 'cyd']) await rows.customer(user);
  const subscriptionId = await rows.subscription('ana', PLUS);
  const charge = kept("ana's charge", await rows.charge('ana', { subscriptionId }));
  kept("ben's failure", await rows.transaction('ben', { status: 'failed', amount: 300 }));
  kept("ana's refund", await rows.refund('ana', charge, 100));
  kept("cyd's euros", await rows.transaction('cyd', { currency: 'EUR', amount: 5_000 }));
  const [intent] = (
    await graph.database.ownerPool.query('select payment_intent_id as id from payment_attempt where id = $1', [charge])
  ).rows as { id: string }[];
  for (const [object, kind, id] of [
    ['pi_1', 'payment_intent', intent?.id],
    ['ch_1', 'charge', charge],
    ['re_1', 'refund', ids["ana's refund"]],
    ['cus_method', 'payment_method', charge],
  ])
    await graph.database.ownerPool.query(
      'insert into provider_ref (bucket, object_id, provider_account_id, kind, id) values ($1, $2, 1, $3, $4)',
      [keyBucket(object ?? ''), object, kind, id],
    );
});
afterAll(() => graph.stop());

async function ask(filter: Record<string, unknown>, page: Record<string, unknown> = {}, asker = SUE) {
  searches = [];
  return graph.ask(
    asker,
    SEARCH,
    { filter: { created: MARCH, ...filter }, ...page },
    {
      auditSearch: async (_actor, search) => void searches.push(search),
    },
  );
}

async function found(filter: Record<string, unknown> = {}): Promise<unknown[]> {
  const answer = await ask(filter);
  expect(answer.errors).toBeUndefined();
  return (at(answer, 'searchTransactions', 'nodes') as { id: string }[]).map(({ id }) => names.get(id));
}

const createdAt = (name: string): string => new Date(idTimeMs(ids[name] ?? '')).toISOString();

test('staff find the transactions of everybody, newest first, in a span of time', async () => {
  expect(await found()).toEqual(["cyd's euros", "ana's refund", "ben's failure", "ana's charge"]);
  expect(await found({ created: { from: createdAt("ben's failure"), to: createdAt("cyd's euros") } })).toEqual([
    "ana's refund",
    "ben's failure",
  ]);
  expect(await found({ created: { from: '2025-12-01T00:00:00Z', to: '2026-03-01T00:00:00Z' } })).toEqual([]);
});

test('every condition narrows the search: a user, kind, state, amount, span and an id at the provider', async () => {
  expect(await found({ userId: 'ana' })).toEqual(["ana's refund", "ana's charge"]);
  expect(await found({ userId: "no user's" })).toEqual([]);
  expect(await found({ filter: { kinds: ['REFUND'] } })).toEqual(["ana's refund"]);
  expect(await found({ filter: { statuses: ['FAILED'] }, userId: 'ben' })).toEqual(["ben's failure"]);
  expect(await found({ filter: { statuses: ['FAILED'] }, userId: 'ana' })).toEqual([]);
  expect(await found({ filter: { minAmount: { amountMinor: 1_000, currency: 'EUR' } } })).toEqual(["cyd's euros"]);
  expect(await found({ filter: { created: { from: createdAt("cyd's euros"), to: MARCH.to } } })).toEqual(["cyd's euros"]);
  expect(await found({ filter: { providers: ['PAYPAL'] } })).toEqual([]);
  expect(await found({ providerReference: 'pi_1' })).toEqual(["ana's charge"]);
  expect(await found({ providerReference: 'ch_1', userId: 'ana' })).toEqual(["ana's charge"]);
  expect(await found({ providerReference: 'ch_1', userId: 'ben' })).toEqual([]);
  expect(await found({ providerReference: 're_1' })).toEqual(["ana's refund"]);
  expect(await found({ providerReference: 're_1', filter: { kinds: ['CHARGE'] } })).toEqual([]);
  expect(await found({ providerReference: 'cus_method' })).toEqual([]);
  expect(await found({ providerReference: 'pi_unknown' })).toEqual([]);
});

test('a search is paged, and a cursor is good for the same search of the same person', async () => {
  const one = await ask({}, { first: 3 });
  expect(at(one, 'searchTransactions', 'nodes')).toHaveLength(3);
  expect(at(one, 'searchTransactions', 'pageInfo')).toMatchObject({ hasNextPage: true });
  const after = at(one, 'searchTransactions', 'pageInfo', 'endCursor');
  const two = await ask({}, { first: 3, after });
  expect((at(two, 'searchTransactions', 'nodes') as { id: string }[]).map(({ id }) => names.get(id))).toEqual(["ana's charge"]);
  expect(codesOf(await ask({ userId: 'ana' }, { after }))).toEqual(['CURSOR_INVALID']);
  expect(codesOf(await ask({}, { after }, { userId: 'fin', scopes: ['finance'] }))).toEqual(['CURSOR_INVALID']);
});

test('a search spans at most 92 days', async () => {
  const span = (from: string, to: string) => ask({ created: { from, to } });
  expect((await span('2026-01-01T00:00:00Z', '2026-04-03T00:00:00Z')).errors).toBeUndefined();
  expect(codesOf(await span('2026-01-01T00:00:00Z', '2026-04-03T00:00:00.001Z'))).toEqual(['BAD_USER_INPUT']);
  expect(codesOf(await span('2026-03-02T00:00:00Z', '2026-03-02T00:00:00Z'))).toEqual(['BAD_USER_INPUT']);
  expect(searches).toEqual([]);
});

test('each search is told to the audit log with what was asked and whose transactions are shown, before they are', async () => {
  await ask({ filter: { kinds: ['CHARGE'] } });
  expect(searches).toEqual([
    { userId: null, asked: expect.stringContaining('"kinds":["CHARGE"]'), shownUserIds: ['cyd', 'ben', 'ana'] },
  ]);
  await ask({ userId: 'ben' });
  expect(searches).toMatchObject([{ userId: 'ben', shownUserIds: ['ben'] }]);
  const broken = await graph.ask(
    SUE,
    SEARCH,
    { filter: { created: MARCH } },
    {
      auditSearch: async () => {
        throw new Error('the audit log can not be written');
      },
    },
  );
  expect(broken.data).toBeNull();
});
