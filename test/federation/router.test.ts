import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSubgraphSchema, type GraphQLResolverMap } from '@apollo/subgraph';
import { getResolversFromSchema } from '@graphql-tools/utils';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildSchema, findBreakingChanges, isObjectType, parse, print, visit, type GraphQLSchema, type NameNode } from 'graphql';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { isRecord } from '../../src/graphql/admission.js';
import { startGraphServer, type GraphServer } from '../../src/graphql/server.js';
import { composeSupergraph, makeRouter, type RouterOptions, type Subgraph } from '../../src/graphql/supergraph.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { Secret } from '../../src/platform/secret.js';
import { Cursors } from '../../src/resolvers/cursor.js';
import { makeReads } from '../../src/resolvers/loaders/reads.js';
import { referenceResolvers } from '../../src/resolvers/references.js';
import { POSTS_TYPE_DEFS, startPostsStandIn } from '../../src/sandbox/posts/server.js';
import { startUsersStandIn, USERS_TYPE_DEFS } from '../../src/sandbox/users/server.js';
import { feedReads } from '../../src/store/feed.reads.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';
import { FeedHub } from '../../src/subscriptions/hub.js';
import { PLUS } from '../builders/catalogue-rows.js';
import { checker } from '../graphql/small-graph.js';
import { NOW, startGraph, type TestGraph } from '../resolvers/graph.js';
import { ToldReader } from '../support/told-reader.js';

const secret = new Secret('the secret of the router and the subgraph');
let graph: TestGraph;
let server: GraphServer;
let users: { url: string; stop(): Promise<void> };
let posts: { url: string; stop(): Promise<void> };
let reader: ToldReader;
let hub: FeedHub;
let url: string;
const routers: ReturnType<typeof makeRouter>[] = [];
const clock = { now: () => new Date() };
/** What only the newer of two releases has. */
const NEW_TYPES = ['Subscription', 'PaymentStatusUpdate', 'MonetizationUpdate', 'MonetizationChangeType', 'StreamItemType'];
const withoutNew = ({ name }: { name: NameNode }): null | undefined => (NEW_TYPES.includes(name.value) ? null : undefined);
/** The contract of a release before this one, which had no live updates yet. */
const PREVIOUS_SDL = print(
  visit(parse(buildGraphSchema().sdl), {
    OperationTypeDefinition: ({ type }) => withoutNew(type),
    ObjectTypeDefinition: withoutNew,
    EnumTypeDefinition: withoutNew,
  }),
);
/** Directives of federation are known to the composer alone. */
const LENIENT = { assumeValidSDL: true };

beforeAll(async () => {
  graph = await startGraph();
  reader = new ToldReader({
    connection: pgConfig(graph.database.options),
    maxConnections: 4,
    statementTimeoutMs: 10_000,
    usesNamedStatements: true,
  });
  const reads = feedReads(graph.reader);
  hub = new FeedHub({ readEnds: (userIds) => reads.readEnds(userIds), lookEveryMs: 20, report: () => undefined });
  hub.start();
  server = await serve(buildGraphSchema().schema);
  users = await startUsersStandIn({ port: 0, tokens: checker });
  posts = await startPostsStandIn({ port: 0 });
  url = await route({ subgraphs: subgraphs(), secret });
});
afterAll(async () => {
  for (const router of routers) await router.stop();
  await posts.stop();
  await users.stop();
  await server.stop(0);
  await hub.stop();
  await reader.close();
  await graph.stop();
});

/** Our subgraph with this schema, over the database of these tests. */
function serve(schema: GraphQLSchema): Promise<GraphServer> {
  return startGraphServer({
    schema,
    makeContext: ({ actor, requestId, isRouter }) => ({
      ...graph.contextFor(null),
      actor,
      requestId,
      isRouter,
      clock,
      reads: makeReads(reader, graph.catalogue, new Cursors('secret of these tests'), { now: () => NOW }),
    }),
    checker,
    feed: { hub, reads: feedReads(graph.reader), cursors: new FeedCursors(secret) },
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
      routerSecrets: [secret],
      corsOrigins: { origins: [], includesLoopback: false },
      callbackAllowlist: [],
    },
  });
}

/** Starts a router; answers with its address. */
async function route(options: Omit<RouterOptions, 'liveMode' | 'url'>): Promise<string> {
  const router = makeRouter({ ...options, liveMode: 'ws', url: 'http://127.0.0.1' });
  routers.push(router);
  await once(router.server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(router.server.address() as AddressInfo).port}/graphql`;
}

function subgraphs(ours: Partial<Subgraph> = {}): Subgraph[] {
  const { sdl } = buildGraphSchema();
  return [
    { name: 'monetization', sdl, url: `${server.url}/graphql`, hasLiveUpdates: true, ...ours },
    { name: 'users', sdl: USERS_TYPE_DEFS, url: `${users.url}/graphql`, hasLiveUpdates: false },
    { name: 'posts', sdl: POSTS_TYPE_DEFS, url: `${posts.url}/graphql`, hasLiveUpdates: false },
  ];
}

async function ask(query: string, headers: Record<string, string> = {}, at = url): Promise<unknown> {
  const response = await fetch(at, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

const as = (user: string): Record<string, string> => ({ authorization: `Bearer ${user}` });

test('a page of one user is answered by two subgraphs', async () => {
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

test.each(['header', 'signature'] as const)('the router proves itself by its %s', async (provesBy) => {
  const at = await route({ subgraphs: subgraphs(), secret, provesBy });
  const answer = await ask('{ posts(first: 1) { author { id displayTier { key } } } }', {}, at);
  expect(answer).toEqual({ data: { posts: [{ author: { id: 'u1', displayTier: null } }] } });
});

test('a router with another secret is refused the entities, and tells so', async () => {
  const at = await route({ subgraphs: subgraphs(), secret: new Secret('another secret') });
  const answer = (await ask('{ posts(first: 1) { author { displayTier { key } } } }', {}, at)) as {
    errors: { extensions: { code: string } }[];
  };
  expect(answer.errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
});

test('a hundred people of a feed are one call and one statement, whatever their number', async () => {
  for (const userId of ['u2', 'u100']) {
    await graph.rows.customer(userId);
    await graph.rows.subscription(userId, PLUS);
  }
  const query = (first: number) => `{ posts(first: ${first}) { title author { id handle displayTier { key } } } }`;
  const asked: string[][] = [];
  for (const first of [1, 100]) {
    reader.names.length = 0;
    const { data } = (await ask(query(first), as('u1'))) as {
      data: { posts: { author: { id: string; handle: string; displayTier: { key: string } | null } }[] };
    };
    expect(data.posts).toHaveLength(first);
    expect(data.posts.flatMap(({ author }) => (author.displayTier ? [author] : []))).toEqual(
      ['u2', 'u100'].slice(0, first === 100 ? 2 : 0).map((id) => ({ id, handle: `@${id}`, displayTier: { key: 'plus' } })),
    );
    asked.push([...reader.names]);
  }
  expect(asked).toEqual([['display_tiers'], ['display_tiers']]);
});

test('another subgraph computes with the features that a user has paid for, and with nobody else’s', async () => {
  await graph.rows.customer('u3');
  await graph.rows.subscription('u3', PLUS);
  const own = (await ask('{ viewer { featureKeys postLengthLimit } }', as('u3'))) as {
    data: { viewer: { featureKeys: string[]; postLengthLimit: number } };
  };
  expect(own.data.viewer.featureKeys).not.toHaveLength(0);
  expect(own.data.viewer.postLengthLimit).toBe(500 + 500 * own.data.viewer.featureKeys.length);
  reader.names.length = 0;
  const { data } = (await ask('{ posts(first: 100) { author { id postLengthLimit } } }', as('u3'))) as {
    data: { posts: { author: { id: string; postLengthLimit: number | null } }[] };
  };
  const told = data.posts.filter(({ author }) => author.postLengthLimit !== null);
  expect(told).toEqual([{ author: { id: 'u3', postLengthLimit: own.data.viewer.postLengthLimit } }]);
  expect(reader.names.toSorted()).toEqual(['entitled_subscriptions', 'grants_in_force']);
});

describe('while a release rolls out', () => {
  let old: GraphServer;
  let balancer: Balancer;
  beforeAll(async () => {
    old = await serve(withTheFieldsOf(PREVIOUS_SDL, buildGraphSchema().schema));
    balancer = await new Balancer([old.url, server.url]).start();
  });
  afterAll(async () => {
    balancer.stop();
    await old.stop(0);
  });

  test('the release before this one lacks something that this one has, and has nothing that this one lacks', () => {
    const [before, now] = [buildSchema(PREVIOUS_SDL, LENIENT), buildSchema(buildGraphSchema().sdl, LENIENT)];
    expect(findBreakingChanges(before, now)).toEqual([]);
    expect(findBreakingChanges(now, before)).not.toEqual([]);
  });

  test('old and new answer alike behind one supergraph, which is still the old one', async () => {
    const at = await route({
      subgraphs: subgraphs({ sdl: PREVIOUS_SDL, url: `${balancer.url}/graphql` }),
      secret,
    });
    await graph.rows.customer('roller');
    const subscriptionId = await graph.rows.subscription('roller', PLUS);
    await graph.rows.transaction('roller', { subscription_id: subscriptionId });
    const query = `{ viewer { handle featureKeys currentSubscription { status tier { name } }
      transactions(first: 5) { nodes { status } } } posts(first: 3) { author { handle displayTier { key } } } }`;
    const answers: unknown[] = [];
    for (let turn = 0; turn < 6; turn += 1) answers.push(await ask(query, as('roller'), at));
    expect(answers[0]).toMatchObject({ data: { viewer: { currentSubscription: { tier: { name: 'Plus' } } } } });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(balancer.served.every((count) => count > 0)).toBe(true);
  });

  test('a page begun at one goes on at the other', async () => {
    await graph.rows.customer('reader');
    for (let count = 0; count < 3; count += 1) await graph.rows.transaction('reader', {});
    const page = async (at: string, after: string | null) => {
      const { data } = (await ask(
        `{ viewer { transactions(first: 1${after ? `, after: "${after}"` : ''}) { nodes { id } pageInfo { endCursor } } } }`,
        as('reader'),
        `${at}/graphql`,
      )) as { data: { viewer: { transactions: { nodes: { id: string }[]; pageInfo: { endCursor: string } } } } };
      return data.viewer.transactions;
    };
    const first = await page(old.url, null);
    const second = await page(server.url, first.pageInfo.endCursor);
    const third = await page(old.url, second.pageInfo.endCursor);
    expect(new Set([first, second, third].map(({ nodes }) => nodes[0]?.id)).size).toBe(3);
  });
});

/** What the builder of a subgraph adds by itself: the router's fields, and federation's own types and directives. */
function isAdded({ name }: { name: NameNode }): boolean {
  return name.value.startsWith('_') || name.value.includes('__');
}

/** A server of an earlier SDL, by the resolvers of today: it can do what both have. */
function withTheFieldsOf(sdl: string, schema: GraphQLSchema): GraphQLSchema {
  const drop = (node: { name: NameNode }): null | undefined => (isAdded(node) ? null : undefined);
  const typeDefs = visit(parse(sdl), {
    DirectiveDefinition: ({ name }) => (name.value === 'cacheControl' ? undefined : null),
    FieldDefinition: drop,
    ScalarTypeDefinition: drop,
    ObjectTypeDefinition: drop,
    UnionTypeDefinition: drop,
    EnumTypeDefinition: drop,
  });
  const known = buildSchema(sdl, LENIENT);
  const kept: Record<string, unknown> = {};
  for (const [name, resolvers] of Object.entries(getResolversFromSchema(schema))) {
    const type = known.getType(name);
    if (!type || name.startsWith('_')) continue;
    kept[name] = resolvers;
    if (!isRecord(resolvers) || !isObjectType(type)) continue;
    const own = Object.entries(resolvers).filter(([field]) => field in type.getFields() && !field.startsWith('_'));
    const [, byReference] = Object.entries(referenceResolvers).find(([entity]) => entity === name) ?? [];
    kept[name] = { ...Object.fromEntries(own), ...(byReference && { __resolveReference: byReference }) };
  }
  return buildSubgraphSchema([{ typeDefs, resolvers: kept as GraphQLResolverMap<unknown> }]);
}

/** Gives each request to the next of its servers. */
class Balancer {
  /** Requests so far, by server. */
  readonly served: number[];
  readonly #server: Server;
  #turn = 0;

  constructor(targets: readonly string[]) {
    this.served = targets.map(() => 0);
    this.#server = createServer((request, response) => {
      const at = this.#turn++ % targets.length;
      this.served[at] = (this.served[at] ?? 0) + 1;
      const { method, headers } = request;
      const onward = httpRequest(new URL(request.url ?? '/', targets[at]), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return this;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

test('what does not fit together is named', () => {
  const [ours] = subgraphs();
  const clash = {
    name: 'users',
    url: 'http://x/graphql',
    hasLiveUpdates: false,
    sdl: USERS_TYPE_DEFS.replace('id: ID!', 'id: Int!'),
  };
  expect(() => composeSupergraph(ours ? [ours, clash] : [])).toThrow(/do not compose/);
});
