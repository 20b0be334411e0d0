import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import WebSocket, { WebSocketServer } from 'ws';
import { publicId } from '../../src/domain/ids.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { startGraphServer, type GraphServer } from '../../src/graphql/server.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { Secret } from '../../src/platform/secret.js';
import { Cursors } from '../../src/resolvers/cursor.js';
import { Reads } from '../../src/resolvers/loaders/reads.js';
import type { GraphContext } from '../../src/resolvers/context.js';
import { feedReads } from '../../src/store/feed.reads.js';
import { Reader } from '../../src/store/reader.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';
import { FeedHub } from '../../src/subscriptions/hub.js';
import { checker } from '../graphql/small-graph.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { FeedWriter } from './feed.js';

interface Item {
  type: string;
  sequence: number;
  cursor: string;
  status: string | null;
  transaction: { id: string } | null;
}

type Results = AsyncIterableIterator<unknown>;

const QUERY = `subscription($after: String, $transactionId: ID, $subscriptionId: ID, $heartbeatSeconds: Int) {
  paymentStatusChanged(after: $after, transactionId: $transactionId, subscriptionId: $subscriptionId, heartbeatSeconds: $heartbeatSeconds) {
    type sequence cursor status previousStatus occurredAt transaction { id } subscription { id } nextAction { type }
  }
}`;

let database: TestDatabase;
let reader: Reader;
let hub: FeedHub;
let feed: FeedWriter;
let server: GraphServer;
const clients: Client[] = [];
const clock = { now: () => new Date() };

beforeAll(async () => {
  database = await testDatabase();
  reader = new Reader({
    connection: pgConfig(database.options),
    maxConnections: 4,
    statementTimeoutMs: 5_000,
    usesNamedStatements: true,
  });
  const reads = feedReads(reader);
  hub = new FeedHub({ readEnds: (userIds) => reads.readEnds(userIds), lookEveryMs: 20, report: () => undefined });
  hub.start();
  feed = new FeedWriter(database.ownerPool);
  server = await startServer(hub);
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
});
afterAll(async () => {
  await server.stop(0);
  await hub.stop();
  await reader.close();
  await database.drop();
});

function startServer(on: FeedHub): Promise<GraphServer> {
  return startGraphServer({
    schema: buildGraphSchema().schema,
    makeContext: ({ actor, requestId, isRouter }) => contextOf(actor, requestId, isRouter),
    checker,
    feed: { hub: on, reads: feedReads(reader), cursors: new FeedCursors(new Secret('secret')) },
    machineClock: clock,
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
}

/** Streams read nothing but transactions and subscriptions. */
function contextOf(actor: GraphContext['actor'], requestId: string, isRouter: boolean): GraphContext {
  const reads = new Reads(reader, {} as Reads['catalogue'], new Cursors('secret'), clock);
  return { actor, requestId, isRouter, reads, clock, replay: { isReplay: false }, publishableKeys: {} } as GraphContext;
}

function stream(userId: string, variables: Record<string, unknown> = {}, url = server.url): Results {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { token: userId },
  });
  clients.push(client);
  return client.iterate({ query: QUERY, variables });
}

async function take(from: Results): Promise<Item> {
  const { value } = (await from.next()) as { value: { data?: { paymentStatusChanged: Item } | null; errors?: unknown } };
  if (!value?.data) throw new Error(JSON.stringify(value));
  return value.data.paymentStatusChanged;
}

async function refusalOf(from: Results): Promise<unknown> {
  const { value } = (await from.next()) as { value: { errors: { extensions: { code: string } }[] } };
  return value.errors[0]?.extensions.code;
}

test('a change is told with its status and its place', async () => {
  const items = stream('ana');
  expect(await take(items)).toMatchObject({ type: 'READY', sequence: 0, status: null, transaction: null });
  await feed.add('ana', { status: 'succeeded' });
  expect(await take(items)).toMatchObject({ type: 'CHANGE', sequence: 1, status: 'SUCCEEDED', previousStatus: 'PENDING' });
});

test("a cursor of another user, a forged one, and filters of a wrong form are refused; another's ids match nothing", async () => {
  const { cursor } = await take(stream('cursor-owner'));
  expect(await refusalOf(stream('cursor-thief', { after: cursor }))).toBe('CURSOR_INVALID');
  expect(await refusalOf(stream('cursor-thief', { after: 'forged' }))).toBe('CURSOR_INVALID');
  expect(await refusalOf(stream('cursor-thief', { transactionId: 'txn_1' }))).toBe('BAD_USER_INPUT');
  expect(await refusalOf(stream('cursor-thief', { subscriptionId: publicId('txn', feed.transactionId('x')) }))).toBe(
    'BAD_USER_INPUT',
  );
  expect(await refusalOf(stream('cursor-thief', { heartbeatSeconds: 14 }))).toBe('BAD_USER_INPUT');
  expect(await refusalOf(stream('cursor-thief', { heartbeatSeconds: 301 }))).toBe('BAD_USER_INPUT');
  const mine = feed.transactionId('filterer');
  const items = stream('filterer', { transactionId: publicId('txn', mine) });
  await take(items);
  await feed.add('filterer');
  await feed.add('filterer', { subjectId: mine });
  expect(await take(items)).toMatchObject({ type: 'CHANGE', sequence: 2 });
});

test('an eleventh stream of one user is refused, on whatever connection', async () => {
  const open = Array.from({ length: 4 }, () => stream('many'));
  for (const items of open) await take(items);
  const client = clients.at(-1);
  const more = Array.from({ length: 6 }, () => client?.iterate({ query: QUERY }));
  for (const items of more) if (items) await take(items);
  expect(await refusalOf(stream('many'))).toBe('OPERATION_TOO_COMPLEX');
  await open[0]?.return?.();
  while (hub.openStreamsOf('many') > 9) await new Promise((resolve) => setImmediate(resolve));
  expect(await take(stream('many'))).toMatchObject({ type: 'READY' });
});

/** A proxy that cuts each connection when the server has sent so many bytes through it. */
async function cuttingProxy(bytes: number): Promise<{ url: string; close(): void }> {
  const { port, hostname } = new URL(server.url);
  const open = new Set<Socket>();
  const proxy = createServer((inner) => {
    const outer = connect(Number(port), hostname);
    let passed = 0;
    for (const socket of [inner, outer]) open.add(socket.on('error', () => undefined));
    inner.pipe(outer);
    outer.on('data', (chunk: Buffer) => {
      inner.write(chunk.subarray(0, Math.max(0, bytes - passed)));
      passed += chunk.length;
      if (passed >= bytes) for (const socket of [inner, outer]) socket.destroy();
    });
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of open) socket.destroy();
      proxy.close();
    },
  };
}

test('a connection that is cut anywhere resumes without a loss and without a double', async () => {
  const COUNT = 8;
  await feed.addMany('cut', COUNT);
  const beginning = new FeedCursors(new Secret('secret')).write('cut', 0n);
  const expected = Array.from({ length: COUNT }, (_, index) => index + 1);
  let cuts = 0;
  for (let bytes = 200; bytes < 3_600; bytes += 97) {
    const proxy = await cuttingProxy(bytes);
    const seen: number[] = [];
    let after = beginning;
    const follow = async (url: string): Promise<void> => {
      const items = stream('cut', { after }, url);
      while (seen.length < COUNT) {
        const item = await take(items);
        after = item.cursor;
        if (item.type === 'CHANGE') seen.push(item.sequence);
      }
    };
    await follow(proxy.url).catch(() => {
      cuts += 1;
      return follow(server.url);
    });
    proxy.close();
    for (const client of clients.splice(0)) await client.dispose();
    expect(seen).toEqual(expected);
  }
  expect(cuts).toBeGreaterThan(20);
});

/** A proxy that cuts its first connection off in place of the message of this number, counted from 0 over both directions. */
async function cuttingAtMessage(index: number): Promise<{ url: string; cuts: () => number; close(): void }> {
  const proxy = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'graphql-transport-ws' });
  await once(proxy, 'listening');
  let connections = 0;
  let cuts = 0;
  proxy.on('connection', (inner) => {
    const isFirst = (connections += 1) === 1;
    let passed = 0;
    const outer = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const opened = once(outer, 'open');
    const pass = (to: WebSocket) => (data: Buffer) => {
      if (isFirst && passed++ === index) {
        cuts += 1;
        for (const socket of [inner, outer]) socket.terminate();
      } else if (to.readyState === WebSocket.OPEN) to.send(data.toString());
    };
    inner.on('message', (data: Buffer) => void opened.then(() => pass(outer)(data)));
    outer.on('message', pass(inner));
    outer.on('close', () => inner.terminate()).on('error', () => undefined);
    inner.on('close', () => outer.close()).on('error', () => undefined);
  });
  return {
    url: `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    cuts: () => cuts,
    close: () => {
      for (const socket of proxy.clients) socket.terminate();
      proxy.close();
    },
  };
}

test("the protocol's own client, cut off in place of any message, gives each change once and in order by itself", async () => {
  const COUNT = 6;
  await feed.addMany('cut-at', COUNT);
  const after = new FeedCursors(new Secret('secret')).write('cut-at', 0n);
  // Before the changes: connection_init, connection_ack, subscribe, READY.
  for (let index = 0; index < 4 + COUNT; index += 1) {
    const proxy = await cuttingAtMessage(index);
    const client = createClient({
      url: proxy.url,
      webSocketImpl: WebSocket,
      connectionParams: { token: 'cut-at' },
      retryWait: () => Promise.resolve(),
    });
    const seen: number[] = [];
    for await (const { data } of client.iterate<{ paymentStatusChanged: Item }>({ query: QUERY, variables: { after } })) {
      const item = data?.paymentStatusChanged;
      if (item?.type === 'CHANGE' && item.sequence > (seen.at(-1) ?? 0)) seen.push(item.sequence);
      if (seen.length === COUNT) break;
    }
    expect(proxy.cuts()).toBe(1);
    expect(seen).toEqual(Array.from({ length: COUNT }, (_, nth) => nth + 1));
    await client.dispose();
    proxy.close();
  }
});

/** Reads events of a stream of server-sent events. */
async function* events(response: Response): AsyncGenerator<{ event: string; data: unknown }> {
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk as Uint8Array);
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [first = '', second = ''] = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      if (first.startsWith('event: '))
        yield { event: first.slice(7), data: second === 'data:' ? null : JSON.parse(second.slice(6)) };
    }
  }
}

test.each(['GET', 'POST'])('the same stream comes as server-sent events by %s', async (method) => {
  const user = `sse-${method}`;
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${user}` };
  const query = 'subscription { paymentStatusChanged { type sequence } }';
  const response =
    method === 'GET'
      ? await fetch(`${server.url}/graphql?query=${encodeURIComponent(query)}`, { headers })
      : await fetch(`${server.url}/graphql`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify({ query }),
        });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  expect(response.headers.get('x-request-id')).toBeTruthy();
  const items = events(response);
  expect((await items.next()).value).toEqual({
    event: 'next',
    data: { data: { paymentStatusChanged: { type: 'READY', sequence: 0 } } },
  });
  await feed.add(user);
  expect((await items.next()).value).toEqual({
    event: 'next',
    data: { data: { paymentStatusChanged: { type: 'CHANGE', sequence: 1 } } },
  });
  expect(hub.openStreamsOf(user)).toBe(1);
  await items.return(undefined);
  while (hub.openStreamsOf(user) > 0) await new Promise((resolve) => setImmediate(resolve));
});

test.each<[string, Record<string, string>, number]>([
  ['subscription { paymentStatusChanged { type } }', {}, 401],
  ['subscription { paymentStatusChanged { type } }', { authorization: 'Bearer bad' }, 401],
  ['subscription { paymentStatusChanged { nothing } }', { authorization: 'Bearer ana' }, 400],
])('server-sent events of %s with %j are refused with %d', async (query, headers, status) => {
  const response = await fetch(`${server.url}/graphql?query=${encodeURIComponent(query)}`, {
    headers: { accept: 'text/event-stream', ...headers },
  });
  expect([response.status, response.headers.get('content-type')]).toEqual([status, 'application/json; charset=utf-8']);
});

test('a server that goes away says RECONNECT, ends every stream, and the cursor works at the next one', async () => {
  const own = new FeedHub({ readEnds: async () => new Map(), lookEveryMs: 1_000, report: () => undefined });
  const going = await startServer(own);
  await feed.addMany('mover', 2);
  const items = stream('mover', {}, going.url);
  expect(await take(items)).toMatchObject({ type: 'READY', sequence: 2 });
  const response = await fetch(
    `${going.url}/graphql?query=${encodeURIComponent('subscription { paymentStatusChanged { type } }')}`,
    {
      headers: { accept: 'text/event-stream', authorization: 'Bearer mover' },
    },
  );
  const sent = events(response);
  await sent.next();
  const next = take(items);
  const stopped = going.stop(0);
  const last = await next;
  expect(last).toMatchObject({ type: 'RECONNECT', sequence: 2 });
  expect((await sent.next()).value).toEqual({ event: 'next', data: { data: { paymentStatusChanged: { type: 'RECONNECT' } } } });
  expect((await sent.next()).value).toEqual({ event: 'complete', data: null });
  await stopped;
  await feed.add('mover');
  const again = stream('mover', { after: last.cursor });
  expect([(await take(again)).type, (await take(again)).sequence]).toEqual(['READY', 3]);
});
