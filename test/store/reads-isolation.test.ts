import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as catalogueReads from '../../src/store/catalogue.reads.js';
import * as customerReads from '../../src/store/customers.reads.js';
import * as entitlementReads from '../../src/store/entitlements.reads.js';
import * as giftReads from '../../src/store/gifts.reads.js';
import * as invoiceReads from '../../src/store/invoices.reads.js';
import * as paymentMethodReads from '../../src/store/payment-methods.reads.js';
import * as purchaseReads from '../../src/store/purchases.reads.js';
import { keyedStatement, type KeyedStatement } from '../../src/store/reader.js';
import * as planReads from '../../src/store/subscription-plans.reads.js';
import * as subscriptionReads from '../../src/store/subscriptions.reads.js';
import * as transactionReads from '../../src/store/transactions.reads.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { NOW, startGraph, type TestGraph } from '../resolvers/graph.js';

const USERS = ['ana', 'ben'] as const;
type User = (typeof USERS)[number];

interface Account {
  subscription: string;
  method: string;
  purchase: string;
  charge: string;
  gift: string;
  invoice: string;
}

let graph: TestGraph;
let accounts: Record<User, Account>;

beforeAll(async () => {
  graph = await startGraph();
  accounts = { ana: await account('ana'), ben: await account('ben') };
});
afterAll(() => graph.stop());

async function account(user: User): Promise<Account> {
  const { rows } = graph;
  await rows.customer(user);
  const subscription = await rows.subscription(user, PLUS);
  const purchase = await rows.purchase(user, CATALOGUE.prices.badge);
  const invoice = await rows.invoice(user, { subscriptionId: subscription });
  const charge = await rows.charge(user, { subscriptionId: subscription }, { transaction: { invoice_id: invoice } });
  await rows.refund(user, charge, 100);
  await rows.dispute(user, charge, 100);
  await rows.grant(user, 'badge');
  const gift = await rows.gift(user, CATALOGUE.prices.plusMonth);
  await rows.charge(user, { giftId: gift });
  return { gift, invoice, subscription, method: await rows.method(user), purchase, charge };
}

/** Statements for objects by id: each is asked for ana's and ben's object, by ana and by ben. */
const BY_ID: Record<string, keyof Account> = {
  subscriptionsById: 'subscription',
  subscriptionPlans: 'subscription',
  transactionsById: 'charge',
  latestCharges: 'subscription',
  reversalsOf: 'charge',
  reversalFacts: 'charge',
  transactionEvents: 'charge',
  attemptsById: 'charge',
  paymentMethodsById: 'method',
  purchasesById: 'purchase',
  giftsById: 'gift',
  giftCharges: 'gift',
  invoicesById: 'invoice',
  invoiceLines: 'invoice',
  chargesOfInvoices: 'invoice',
};

const stretch = (userId: string): object => ({
  userId,
  below: null,
  above: null,
  limitCount: 10,
  statuses: null,
  kinds: null,
  providerAccountIds: null,
  subscriptionId: null,
  minAmount: null,
});

/** Statements for what a user has: how a key is made of a user. */
const BY_USER: Record<string, (userId: string) => unknown> = {
  currentSubscriptions: (userId) => userId,
  paymentMethodsOnFile: (userId) => userId,
  subscriptionsDown: stretch,
  subscriptionsUp: stretch,
  transactionsDown: stretch,
  transactionsUp: stretch,
  purchasesDown: stretch,
  giftsDown: stretch,
  invoicesDown: stretch,
  entitledSubscriptions: (userId) => ({ userId, at: NOW }),
  grantsInForce: (userId) => ({ userId, at: NOW }),
  displayTiers: (userId) => ({ userId, at: NOW }),
};

/** Statements that give anybody's rows, after an audit entry. */
const FOR_STAFF = ['transactionsForStaff', 'grantsForStaff'];

type AnyKeyed = KeyedStatement<unknown, { o: number }>;

const statements = new Map<string, AnyKeyed>();
for (const module of [
  catalogueReads,
  customerReads,
  entitlementReads,
  giftReads,
  invoiceReads,
  paymentMethodReads,
  purchaseReads,
  planReads,
  subscriptionReads,
  transactionReads,
]) {
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === 'object' && 'columns' in value) statements.set(name, value as AnyKeyed);
  }
}

test('every statement for many keys is in this test', () => {
  expect([...statements.keys()].sort()).toEqual([...Object.keys(BY_ID), ...Object.keys(BY_USER), ...FOR_STAFF].sort());
});

async function rowsOf(name: string, keys: unknown[]): Promise<(object & { userId?: unknown })[][]> {
  const statement = statements.get(name);
  if (!statement) throw new Error(`no statement ${name}`);
  return Promise.all(keys.map((key) => graph.reader.rowsOf(statement, key)));
}

test.each(Object.keys(BY_ID))('%s gives each viewer the own rows and never those of another in the same batch', async (name) => {
  const id = (user: User): string => accounts[user][BY_ID[name] ?? 'charge'];
  const key = (userId: User, of: User): unknown => ({ id: id(of), userId });
  const [own, others, mine, theirs] = await rowsOf(name, [
    key('ana', 'ana'),
    key('ana', 'ben'),
    key('ben', 'ben'),
    key('ben', 'ana'),
  ]);
  expect(own?.length).toBeGreaterThan(0);
  expect(mine?.length).toBe(own?.length);
  expect(others).toEqual([]);
  expect(theirs).toEqual([]);
  for (const row of own ?? []) if (row.userId !== undefined) expect(row.userId).toBe('ana');
});

test.each(Object.keys(BY_USER))(
  '%s gives each user the own rows, also in one batch and for a user of whom nothing is known',
  async (name) => {
    const key = BY_USER[name] ?? ((userId: string): unknown => userId);
    const [ana, nobody, ben] = await rowsOf(name, [key('ana'), key('nobody'), key('ben')]);
    const [alone] = await rowsOf(name, [key('ana')]);
    expect(ana?.length).toBeGreaterThan(0);
    expect(nobody).toEqual([]);
    expect(ben?.length).toBe(ana?.length);
    expect(ana).toEqual(alone);
    for (const row of ana ?? []) if (row.userId !== undefined) expect(row.userId).toBe('ana');
    for (const row of ben ?? []) if (row.userId !== undefined) expect(row.userId).toBe('ben');
  },
);

test('keys asked for at the same time travel together and each asker gets the own rows', async () => {
  const { charge } = accounts.ana;
  const asked = Array.from({ length: 300 }, (_, i) => {
    const userId = i % 2 === 0 ? 'ana' : 'ben';
    return graph.reader.rowsOf(transactionReads.transactionsById, { id: charge, userId });
  });
  const answers = await Promise.all(asked);
  expect(answers.map((rows) => rows.length)).toEqual(answers.map((_, i) => (i % 2 === 0 ? 1 : 0)));
});

test('a key that the database refuses fails alone, and the others of its batch are answered', async () => {
  const good = graph.reader.rowsOf(transactionReads.transactionsById, { id: accounts.ana.charge, userId: 'ana' });
  const bad = graph.reader.rowsOf(transactionReads.transactionsById, { id: 'not a uuid', userId: 'ana' });
  await expect(bad).rejects.toThrow();
  expect(await good).toHaveLength(1);
});

test('the reading role may not write', async () => {
  await expect(graph.reader.query({ name: 'try_to_write', text: "update customer set zone = 'UTC'" }, [])).rejects.toThrow(
    /permission denied/,
  );
});

test('amounts beyond the safe integers come back exactly', async () => {
  const huge = await graph.rows.transaction('ana', { amount: '9007199254740993' });
  const rows = await graph.reader.rowsOf(transactionReads.transactionsById, { id: huge, userId: 'ana' });
  expect(rows[0]?.amount).toBe(9007199254740993n);
});

test('keys reach the database as they are, whatever stands in them', async () => {
  const echo = keyedStatement<
    { text: string | null; amount: bigint; at: Date },
    { o: number; text: string | null; amount: bigint; at: Date }
  >(
    'echo_keys',
    'select k.o::int as o, k.text, k.amount, k.at from unnest($1::text[], $2::bigint[], $3::timestamptz[]) with ordinality as k(text, amount, at, o)',
    (keys) => [keys.map(({ text }) => text), keys.map(({ amount }) => amount), keys.map(({ at }) => at)],
  );
  const texts = ['', 'null', 'NULL', null, '"', '\\', 'a"b\\"c', '{1,2}', 'a, b', ' ', "'", '\n\t', 'é\u{1f600}', '}'];
  const keys = texts.map((text, at) => ({
    text,
    amount: -9_223_372_036_854_775_808n + BigInt(at),
    at: new Date(at * 86_400_001),
  }));
  const rows = await Promise.all(keys.map((key) => graph.reader.rowOf(echo, key)));
  expect(rows.map((row) => row && { text: row.text, amount: row.amount, at: row.at })).toEqual(keys);
});

test('instants come back to the millisecond, whatever their year and fraction', async () => {
  const told = keyedStatement<string, { o: number; at: Date }>(
    'told_instants',
    'select k.o::int as o, k.at from unnest($1::timestamptz[]) with ordinality as k(at, o)',
    (keys) => [[...keys]],
  );
  const texts = [
    '2026-11-27T18:05:09Z',
    '2026-11-27T18:05:09.5Z',
    '2026-11-27T23:59:59.999Z',
    '2024-02-29T00:00:00.12Z',
    '1969-12-31T23:59:59.040Z',
    '0099-03-01T00:00:00.001Z',
    '0100-03-01T00:00:00.001Z',
    '9999-12-31T23:59:59.999Z',
    '2026-03-01T01:30:00.285+05:30',
  ];
  const rows = await Promise.all(texts.map((text) => graph.reader.rowOf(told, text)));
  expect(rows.map((row) => row?.at.toISOString())).toEqual(texts.map((text) => new Date(text).toISOString()));
  const finer = await graph.reader.rowOf(told, '2026-11-27T18:05:09.123987Z');
  expect(finer?.at.toISOString()).toBe('2026-11-27T18:05:09.123Z');
});

test('a slow batch holds up neither the next ones nor their answers', async () => {
  const slow = keyedStatement<number, { o: number }>(
    'slow_for_one',
    'select k.o::int as o, pg_sleep(k.seconds)::text from unnest($1::float8[]) with ordinality as k(seconds, o)',
    (keys) => [[...keys]],
  );
  const order: string[] = [];
  const first = graph.reader.rowsOf(slow, 1).then(() => order.push('slow'));
  await graph.reader.rowsOf(purchaseReads.purchasesById, { id: accounts.ana.purchase, userId: 'ana' });
  const second = graph.reader.rowsOf(slow, 0).then(() => order.push('quick'));
  await Promise.all([first, second]);
  expect(order).toEqual(['quick', 'slow']);
});
