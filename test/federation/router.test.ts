import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { startGraphServer, type GraphServer } from '../../src/graphql/server.js';
import { composeSupergraph, makeRouter, type Subgraph } from '../../src/graphql/supergraph.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { Secret } from '../../src/platform/secret.js';
import { startUsersStandIn, USERS_TYPE_DEFS } from '../../src/sandbox/users/server.js';
import { feedReads } from '../../src/store/feed.reads.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';
import { FeedHub } from '../../src/subscriptions/hub.js';
import { PLUS } from '../builders/catalogue-rows.js';
import { checker } from '../graphql/small-graph.js';
import { startGraph, type TestGraph } from '../resolvers/graph.js';
import { FeedWriter } from '../subscriptions/feed.js';

const secret = new Secret('the secret of the router and the subgraph');
let graph: TestGraph;
let server: GraphServer;
let users: { url: string; stop(): Promise<void> };
let router: ReturnType<typeof makeRouter>;
let hub: FeedHub;
let url: string;
const clock = { now: () => new Date() };

beforeAll(async () => {
  graph = await startGraph();
  const reads = feedReads(graph.reader);
  hub = new FeedHub({ readEnds: (userIds) => reads.readEnds(userIds), lookEveryMs: 20, report: () => undefined });
  hub.start();
  server = await startGraphServer({
    schema: buildGraphSchema().schema,
    makeContext: ({ actor, requestId, isRouter }) => ({ ...graph.contextFor(null), actor, requestId, isRouter, clock }),
    checker,
    feed: { hub, reads, cursors: new FeedCursors(secret) },
    machineClock: clock,
    log: pino({ level: 'silent' }),
    registry: new Registry(),
    settings: {
      host: '127.0.0.1',
      port: 0,
      environment: 'production',
      hasRateLimits: false,
      hasShortPath: true,
      routerSecrets: [secret],
      corsOrigins: { origins: [], includesLoopback: false },
    },
  });
  users = await startUsersStandIn({ port: 0, tokens: checker });
  router = makeRouter({ subgraphs: subgraphs(), secret });
  await once(router.server.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(router.server.address() as AddressInfo).port}/graphql`;
});
afterAll(async () => {
  await router.stop();
  await users.stop();
  await server.stop(0);
  await hub.stop();
  await graph.stop();
});

function subgraphs(): Subgraph[] {
  return [
    { name: 'monetization', sdl: buildGraphSchema().sdl, url: `${server.url}/graphql`, hasLiveUpdates: true },
    { name: 'users', sdl: USERS_TYPE_DEFS, url: `${users.url}/graphql`, hasLiveUpdates: false },
  ];
}

async function ask(query: string, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

test('a page of one user is answered by both subgraphs', async () => {
  await graph.rows.customer('ana');
  const subscriptionId = await graph.rows.subscription('ana', PLUS);
  await graph.rows.transaction('ana', { subscription_id: subscriptionId });
  const answer = await ask(
    '{ viewer { handle currentSubscription { tier { name } } transactions(first: 5) { nodes { status } } } }',
    {
      authorization: 'Bearer ana',
    },
  );
  expect(answer).toEqual({
    data: {
      viewer: {
        handle: '@ana',
        currentSubscription: { tier: { name: 'Plus' } },
        transactions: { nodes: [{ status: 'SUCCEEDED' }] },
      },
    },
  });
});

test('without a token there is no viewer, and the catalogue all the same', async () => {
  expect(await ask('{ viewer { handle } }')).toEqual({ data: { viewer: null } });
  expect(await ask('{ tiers { key } }')).toMatchObject({
    data: { tiers: expect.arrayContaining([{ key: expect.any(String) }]) },
  });
});

test('the subgraph refuses entities to whoever is not the router', async () => {
  const body = JSON.stringify({ query: '{ _service { sdl } }' });
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect(response.status).toBe(403);
});

test('live updates reach their user through the router, and go on where they were left', async () => {
  const feed = new FeedWriter(graph.database.ownerPool);
  const follow = async (after: string | null) => {
    const query = 'subscription($after: String) { paymentStatusChanged(after: $after) { type sequence cursor } }';
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer live' },
      body: JSON.stringify({ query, variables: { after } }),
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    return itemsOf(response);
  };
  const first = await follow(null);
  expect((await first.next()).value).toMatchObject({ type: 'READY', sequence: 0 });
  await feed.add('live');
  const { value: change } = await first.next();
  expect(change).toMatchObject({ type: 'CHANGE', sequence: 1 });
  await first.return(undefined);
  await feed.add('live');
  const second = await follow(change?.cursor ?? null);
  expect((await second.next()).value).toMatchObject({ type: 'READY', sequence: 1 });
  expect((await second.next()).value).toMatchObject({ type: 'CHANGE', sequence: 2 });
  await second.return(undefined);
});

interface Item {
  type: string;
  sequence: number;
  cursor: string;
}

async function* itemsOf(response: Response): AsyncGenerator<Item, undefined> {
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk as Uint8Array);
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.+)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (!data) continue;
      const answer = JSON.parse(data) as { data?: { paymentStatusChanged: Item } };
      if (!answer.data) throw new Error(data);
      yield answer.data.paymentStatusChanged;
    }
  }
  return undefined;
}

test('what does not fit together is named', () => {
  const [ours, theirs] = subgraphs();
  const clash = {
    ...theirs,
    name: 'users',
    url: 'http://x/graphql',
    hasLiveUpdates: false,
    sdl: USERS_TYPE_DEFS.replace('id: ID!', 'id: Int!'),
  };
  expect(() => composeSupergraph(ours ? [ours, clash] : [])).toThrow(/do not compose/);
});
