import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import WebSocket from 'ws';
import { publicId, type PaymentMethodId, type PriceId, type SubscriptionId, type TransactionId } from '../../src/domain/ids.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { startGraphServer, type GraphServer } from '../../src/graphql/server.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { Secret } from '../../src/platform/secret.js';
import { Cursors } from '../../src/resolvers/cursor.js';
import { Reads } from '../../src/resolvers/loaders/reads.js';
import { Catalogue } from '../../src/store/catalogue.reads.js';
import { feedReads } from '../../src/store/feed.reads.js';
import { Reader } from '../../src/store/reader.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';
import { FeedHub } from '../../src/subscriptions/hub.js';
import type { Actor } from '../../src/usecases/contract.js';
import { checker } from '../graphql/small-graph.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

interface Item {
  type: string;
  sequence: number;
  cursor: string;
  change: string | null;
  subscription: { id: string; status: string; cancelAtPeriodEnd: boolean } | null;
  transaction: { id: string; status: string } | null;
  invoice: { id: string; status: string } | null;
  paymentMethod: { id: string; status: string; isDefault: boolean } | null;
  featureKeys: string[] | null;
}
type Results = AsyncIterableIterator<unknown>;

const EVERYTHING = `subscription ($types: [MonetizationChangeType!], $after: String, $heartbeatSeconds: Int) {
  monetizationUpdates(types: $types, after: $after, heartbeatSeconds: $heartbeatSeconds) {
    type sequence cursor change occurredAt subscription { id status cancelAtPeriodEnd } transaction { id status } invoice { id status }
    paymentMethod { id status isDefault } featureKeys } }`;
const PAYMENTS = `subscription ($after: String) { paymentStatusChanged(after: $after) { type sequence cursor transaction { id status } } }`;
/** What premium gives, by the catalogue. */
let features: string[];

let world: World;
let reader: Reader;
let hub: FeedHub;
let server: GraphServer;
let premium: PriceId;
const clients: Client[] = [];

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  features = (
    await world.query<{ key: string }>(
      "select feature_key as key from tier_feature f join tier t on t.id = f.tier_id where t.key = 'premium' order by 1",
    )
  ).map(({ key }) => key);
  reader = new Reader({
    connection: pgConfig(world.db.options),
    maxConnections: 4,
    statementTimeoutMs: 5_000,
    usesNamedStatements: true,
  });
  const catalogue = await Catalogue.load(reader);
  const reads = feedReads(reader);
  hub = new FeedHub({ readEnds: (userIds) => reads.readEnds(userIds), lookEveryMs: 20, report: () => undefined });
  hub.start();
  server = await startGraphServer({
    schema: buildGraphSchema().schema,
    makeContext: ({ actor, requestId, isRouter }) => ({
      actor,
      requestId,
      isRouter,
      commands: world.commands,
      reads: new Reads(reader, catalogue, new Cursors('secret'), world.clock),
      clock: world.clock,
      replay: { isReplay: false },
      publishableKeys: { stripe: null, paypal: null, plaid: null },
    }),
    checker,
    feed: { hub, reads, cursors: new FeedCursors(new Secret('secret')) },
    machineClock: { now: () => new Date() },
    random: new SystemRandom(),
    log: pino({ level: 'silent' }),
    registry: new Registry(),
    settings: {
      host: '127.0.0.1',
      port: 0,
      environment: 'production',
      hasRateLimits: false,
      trustedProxies: [],
      hasLoadShedding: false,
      trustedDocuments: 'off',
      hasShortPath: true,
      routerSecrets: [],
      corsOrigins: { origins: [], includesLoopback: false },
      callbackAllowlist: [],
    },
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
});
afterAll(async () => {
  await server.stop(0);
  await hub.stop();
  await reader.close();
  await world.stop();
});

function connect(actor: Actor): Client {
  const client = createClient({
    url: `${server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { token: actor.userId },
  });
  clients.push(client);
  return client;
}

function stream(actor: Actor, variables: Record<string, unknown> = {}, query = EVERYTHING): Results {
  return connect(actor).iterate({ query, variables });
}

async function take(from: Results): Promise<Item> {
  const { value } = (await from.next()) as { value: { data?: Record<string, Item> | null; errors?: unknown } };
  const [item] = Object.values(value?.data ?? {});
  if (!item) throw new Error(JSON.stringify(value));
  return item;
}

async function refusalOf(from: Results): Promise<unknown> {
  const { value } = (await from.next()) as { value: { errors: { extensions: { code: string } }[] } };
  return value.errors[0]?.extensions.code;
}

/** Everything that has happened to the user, from the beginning, as one who was away the whole time is told. */
async function toldTo(actor: Actor, variables: Record<string, unknown> = {}, query = EVERYTHING): Promise<Item[]> {
  const [row] = await world.query<{ last: bigint }>('select feed_seq as last from customer where user_id = $1', [actor.userId]);
  const wanted = variables['types'] as string[] | undefined;
  const [count] = await world.query<{ n: number }>(
    `select count(*)::int as n from feed_entry where user_id = $1 and seq <= $2 and ($3::text[] is null or change = any($3))`,
    [actor.userId, row?.last, wanted?.map((one) => one.toLowerCase()) ?? null],
  );
  const items = stream(actor, { after: new FeedCursors(new Secret('secret')).write(actor.userId, 0n), ...variables }, query);
  expect(await take(items)).toMatchObject({ type: 'READY', sequence: 0 });
  const told: Item[] = [];
  while (told.length < (count?.n ?? 0)) told.push(await take(items));
  return told;
}

const subscribe = (actor: Actor) =>
  world.commands.subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

test('everything that a first payment changes is told in its order, each with its object as it is now', async () => {
  const ana = someUser('ana');
  const live = stream(ana);
  expect(await take(live)).toMatchObject({ type: 'READY', sequence: 0, change: null, subscription: null, featureKeys: null });
  await withCard(world, ana);
  const added = await take(live);
  expect(added).toMatchObject({ type: 'CHANGE', sequence: 1, change: 'PAYMENT_METHOD', paymentMethod: { status: 'ACTIVE' } });
  const isDefault = await take(live);
  expect(isDefault).toMatchObject({ change: 'PAYMENT_METHOD', paymentMethod: { id: added.paymentMethod?.id, isDefault: true } });
  const { subscriptionId, transactionId } = await subscribe(ana);
  const items: Item[] = [];
  while (!items.some(({ featureKeys }) => featureKeys !== null)) items.push(await take(live));
  expect(items.map(({ change }) => change)).toEqual([
    'SUBSCRIPTION',
    'INVOICE',
    'PAYMENT_STATUS',
    'INVOICE',
    'PAYMENT_STATUS',
    'SUBSCRIPTION',
    'ENTITLEMENTS',
  ]);
  expect(items.map(({ sequence }) => sequence)).toEqual([3, 4, 5, 6, 7, 8, 9]);
  const subscription = { id: publicId('sub', subscriptionId ?? '') };
  expect(items[3]).toMatchObject({ invoice: { status: 'PAID' }, subscription, transaction: null, featureKeys: null });
  expect(items[4]).toMatchObject({
    transaction: { id: publicId('txn', transactionId ?? ''), status: 'SUCCEEDED' },
    subscription,
  });
  expect(items[5]).toMatchObject({ subscription: { ...subscription, status: 'ACTIVE' }, invoice: null, paymentMethod: null });
  expect(items[6]).toMatchObject({ featureKeys: features, subscription: null });
});

test('a client that was away is told what it missed from its cursor on, and only the kinds it asks for, which leave gaps', async () => {
  const ben = await withCard(world, someUser('ben'));
  await subscribe(ben);
  const all = await toldTo(ben);
  expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, at) => at + 1));
  const invoices = all.filter(({ change }) => change === 'INVOICE' || change === 'ENTITLEMENTS');
  expect(invoices.length).toBe(3);
  expect(await toldTo(ben, { types: ['INVOICE', 'ENTITLEMENTS'] })).toEqual(invoices);
  const rest = stream(ben, { after: all[4]?.cursor });
  expect(await take(rest)).toMatchObject({ type: 'READY', sequence: 5 });
  expect(await take(rest)).toEqual(all[5]);
});

test('a stream of payments gives payments alone, whatever else changes, and each stands in the feed of everything at the same place', async () => {
  const cyd = await withCard(world, someUser('cyd'));
  await subscribe(cyd);
  const everything = await toldTo(cyd);
  const payments = everything.filter(({ change }) => change === 'PAYMENT_STATUS');
  const items = stream(cyd, { after: new FeedCursors(new Secret('secret')).write(cyd.userId, 0n) }, PAYMENTS);
  expect(await take(items)).toMatchObject({ type: 'READY' });
  for (const { type, sequence, cursor, transaction } of payments)
    expect(await take(items)).toEqual({ type, sequence, cursor, transaction });
});

test('ending with the period, a refund, and another card are told with what they change', async () => {
  const dan = await withCard(world, someUser('dan'));
  const { subscriptionId, transactionId } = await subscribe(dan);
  const live = stream(dan, { types: ['SUBSCRIPTION', 'ENTITLEMENTS', 'PAYMENT_METHOD', 'INVOICE'] });
  await take(live);
  await world.commands.cancelSubscription(dan, {
    subscriptionId: subscriptionId as SubscriptionId,
    immediately: false,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  expect(await take(live)).toMatchObject({ change: 'SUBSCRIPTION', subscription: { status: 'ACTIVE', cancelAtPeriodEnd: true } });
  // The six hours after the period are gone; the features are the same.
  expect(await take(live)).toMatchObject({ change: 'ENTITLEMENTS', featureKeys: features });
  await world.commands.refund(someStaff('finance'), {
    transactionId: transactionId as TransactionId,
    amount: null,
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  expect(await take(live)).toMatchObject({ change: 'SUBSCRIPTION', subscription: { status: 'CANCELED' } });
  expect(await take(live)).toMatchObject({ change: 'ENTITLEMENTS', featureKeys: [] });
  const [first] = await world.query<{ id: PaymentMethodId }>('select id from payment_method where user_id = $1', [dan.userId]);
  await withCard(world, dan, 'pm_card_mastercard');
  expect((await take(live)).change).toBe('PAYMENT_METHOD');
  expect(await take(live)).toMatchObject({ change: 'PAYMENT_METHOD', paymentMethod: { isDefault: true } });
  if (!first) throw new Error('a card is on file');
  await world.commands.removePaymentMethod(dan, { paymentMethodId: first.id });
  expect(await take(live)).toMatchObject({
    change: 'PAYMENT_METHOD',
    paymentMethod: { id: publicId('pm', first.id), status: 'REMOVED' },
  });
});

test('a payment that fails tells that its invoice is void and its subscription is over; another user hears nothing of it', async () => {
  const [eve, fay] = [
    await withCard(world, someUser('eve'), 'pm_card_chargeCustomerFail'),
    await withCard(world, someUser('fay')),
  ];
  const others = stream(fay);
  const { sequence } = await take(others);
  await subscribe(eve);
  const told = (await toldTo(eve, { types: ['SUBSCRIPTION', 'INVOICE', 'ENTITLEMENTS'] })).slice(-2);
  expect(told).toMatchObject([
    { change: 'INVOICE', invoice: { status: 'VOID' } },
    { change: 'SUBSCRIPTION', subscription: { status: 'INCOMPLETE_EXPIRED' } },
  ]);
  await subscribe(fay);
  expect(await take(others)).toMatchObject({ sequence: sequence + 1, change: 'SUBSCRIPTION' });
});

test('cursors, heartbeats and the number of streams are held as for payments, and both kinds count together', async () => {
  const [gus, hal] = [someUser('gus'), someUser('hal')];
  const { cursor } = await take(stream(gus));
  expect(await refusalOf(stream(hal, { after: cursor }))).toBe('CURSOR_INVALID');
  expect(await refusalOf(stream(hal, { after: 'forged' }))).toBe('CURSOR_INVALID');
  expect(await refusalOf(stream(hal, { heartbeatSeconds: 14 }))).toBe('BAD_USER_INPUT');
  const client = connect(hal);
  const open = [EVERYTHING, PAYMENTS].flatMap((query) => Array.from({ length: 5 }, () => client.iterate({ query })));
  for (const items of open) expect(await take(items)).toMatchObject({ type: 'READY' });
  expect(await refusalOf(stream(hal))).toBe('OPERATION_TOO_COMPLEX');
  expect(await refusalOf(stream(hal, {}, PAYMENTS))).toBe('OPERATION_TOO_COMPLEX');
});
