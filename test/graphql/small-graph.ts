import { buildSubgraphSchema } from '@apollo/subgraph';
import { GraphQLError, parse } from 'graphql';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { BelievedToken, TokenChecker } from '../../src/graphql/callers.js';
import { startGraphServer, type GraphServer, type GraphServerOptions } from '../../src/graphql/server.js';
import { SystemRandom } from '../../src/platform/random.js';
import { Secret } from '../../src/platform/secret.js';
import { Forbidden } from '../../src/usecases/forbidden.js';
import type { GraphContext } from '../../src/resolvers/context.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';
import { FeedHub } from '../../src/subscriptions/hub.js';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@cost", "@listSize"])';

/** A graph with one field for each way a request can go. */
export const SMALL_SDL = `
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
  enum CacheControlScope { PUBLIC PRIVATE }
  type Query {
    whoami: String
    echo(text: String): String
    viewer: User
    tiers: [Tier!]! @cacheControl(maxAge: 300, scope: PUBLIC) @listSize(assumedSize: 10)
    items(first: Int, last: Int): ItemConnection! @listSize(slicingArguments: ["first", "last"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)
    fails(how: String!): String
    failsHard(how: String!): String!
    hangs: String
    slow: String
    mayHang: String
    opens: Boolean
  }
  type Mutation {
    subscribe(input: VerbInput!): Payload! @cost(weight: 50)
    removePaymentMethod(input: VerbInput!): Payload!
    startPaymentMethodSetup(input: VerbInput!): Payload! @cost(weight: 20)
    hangs: String
    slow: String
  }
  input VerbInput { idempotencyKey: String, note: String, list: [Int!] }
  type Payload { ok: Boolean, replay: Boolean }
  type Subscription { count(to: Int!): Int! beats: Int! blocks: String! breaks: Int! }
  type User { id: ID! handle: String friend: User items(first: Int): ItemConnection! @listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20) }
  type Tier @key(fields: "id") @cacheControl(maxAge: 300, scope: PUBLIC) { id: ID! name: String perks: [Perk!]! @listSize(assumedSize: 30) }
  type Perk @cost(weight: 2) { key: String }
  type ItemConnection { edges: [ItemEdge!]! nodes: [Item!]! }
  type ItemEdge { cursor: String node: Item! }
  type Item { id: ID! owner: User price: Int @cost(weight: 3) }
`;

/** Errors as libraries and the database throw them, each with something that must not be seen. */
const FAILURES: Record<string, () => Error> = {
  plain: () => new Error('select * from secret_table at /srv/app/secret.ts sk_live_secret'),
  forbidden: () => new Forbidden('Above the limit.'),
  forbiddenField: () => new GraphQLError('Not for you.', { extensions: { code: 'FORBIDDEN' } }),
  unauthenticated: () => new GraphQLError('Sign in.', { extensions: { code: 'UNAUTHENTICATED' } }),
  badInput: () => new GraphQLError('first must be at most 100.', { extensions: { code: 'BAD_USER_INPUT' } }),
  away: () => Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED', syscall: 'connect' }),
  shutdown: () => Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }),
  wrapped: () => Object.assign(new Error('QueryFailedError'), { driverError: Object.assign(new Error('x'), { code: '08006' }) }),
  canceled: () => Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' }),
  constraint: () => Object.assign(new Error('duplicate key value violates unique constraint "secret_key"'), { code: '23505' }),
  provider: () => Object.assign(new Error('Invalid API Key provided: sk_test_****secret'), { type: 'StripeAuthenticationError' }),
  coded: () =>
    new GraphQLError('own code of a library: secret', { extensions: { code: 'SOMETHING_ELSE', stacktrace: ['at secret.ts'] } }),
};

async function* beats(): AsyncGenerator<{ beats: number }> {
  for (let beat = 1; ; beat += 1) {
    yield { beats: beat };
    await new Promise(() => undefined);
  }
}

/** 1 MiB an item, more than any network buffers. */
async function* blocks(): AsyncGenerator<{ blocks: string }> {
  blockStreams.open += 1;
  try {
    for (;;) {
      blockStreams.blocks += 1;
      yield { blocks: 'x'.repeat(1024 * 1024) };
    }
  } finally {
    blockStreams.open -= 1;
  }
}
/** Streams of blocks that have not ended, and the blocks that were made for all together. */
export const blockStreams = { open: 0, blocks: 0 };

async function* breaks(): AsyncGenerator<{ breaks: number }> {
  yield { breaks: 1 };
  throw new Error('secret cause');
}

async function* countTo(to: number): AsyncGenerator<{ count: number }> {
  for (let count = 1; count <= to; count += 1) yield { count };
}

/** What `slow` waits for, and how often it was begun; of the server started last. */
let slow = { released: Promise.withResolvers<string>(), runs: 0 };
const beSlow = (): Promise<string> => {
  slow.runs += 1;
  return slow.released.promise;
};

const fail = (_source: unknown, { how }: { how: string }): never => {
  throw FAILURES[how]?.() ?? new Error(how);
};

export const smallSchema = buildSubgraphSchema([
  {
    typeDefs: parse(`${LINK}\n${SMALL_SDL}`),
    resolvers: {
      Query: {
        whoami: (_source: unknown, _args: unknown, context: GraphContext) => context.actor?.userId ?? null,
        echo: (_source: unknown, { text }: { text: string }) => text,
        viewer: () => ({ id: '1', handle: 'ana' }),
        tiers: () => [{ id: 'a', name: 'Plus' }],
        items: () => ({ edges: [], nodes: [] }),
        fails: fail,
        failsHard: fail,
        hangs: () => new Promise(() => undefined),
        slow: beSlow,
        mayHang: (_source: unknown, _args: unknown, context: object) =>
          'isSlow' in context && context.isSlow ? new Promise(() => undefined) : 'no',
        opens: (_source: unknown, _args: unknown, context: GraphContext) =>
          context.commands.openCustomerAccount({ userId: 'sue', scopes: new Set(), requestId: 'r' }, 'ana'),
      },
      Mutation: {
        subscribe: (_source: unknown, _args: unknown, context: GraphContext) => {
          context.replay.isReplay = true;
          return { ok: true };
        },
        removePaymentMethod: () => ({ ok: true }),
        startPaymentMethodSetup: () => ({ ok: true }),
        hangs: () => new Promise(() => undefined),
        slow: beSlow,
      },
      Subscription: {
        count: { subscribe: (_source: unknown, { to }: { to: number }) => countTo(to) },
        beats: { subscribe: () => beats() },
        blocks: { subscribe: () => blocks() },
        breaks: { subscribe: () => breaks() },
      },
      Tier: { __resolveReference: ({ id }: { id: string }) => ({ id, name: `Tier ${id}` }) },
    },
  },
]);

/** Believes tokens of the form `<user>` or `<user>.<scope>.<scope>`, for an hour; not `bad`. `short` expires in a moment. */
export const checker: TokenChecker = {
  verify: async (token): Promise<BelievedToken | null> => {
    const [userId = '', ...scopes] = token.split('.');
    if (userId === 'bad') return null;
    const lifeMs = userId.startsWith('short') ? 300 : 3_600_000;
    return {
      userId,
      scopes: new Set(scopes.map((scope) => `monetization:${scope}`)),
      residence: { country: null, zone: null },
      expiresAt: new Date(Date.now() + lifeMs),
    };
  },
};

const SETTINGS: GraphServerOptions['settings'] = {
  host: '127.0.0.1',
  port: 0,
  environment: 'production',
  hasRateLimits: false,
  trustedProxies: [],
  hasLoadShedding: false,
  trustedDocuments: 'off',
  hasShortPath: true,
  routerSecrets: [],
  corsOrigins: { origins: ['https://app.example'], includesLoopback: false },
  callbackAllowlist: [],
};

interface SmallOptions extends Partial<Omit<GraphServerOptions, 'settings'>> {
  settings?: Partial<GraphServerOptions['settings']>;
}

/** A running server of the small graph. */
export interface SmallServer extends GraphServer {
  registry: Registry;
  logged: string[];
  hub: FeedHub;
  /** Lets everything that asked for `slow` be answered. */
  release(): void;
  /** How often `slow` was begun. */
  slowRuns(): number;
  post(body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export async function startSmallServer({ settings, ...options }: SmallOptions = {}): Promise<SmallServer> {
  const held = { released: Promise.withResolvers<string>(), runs: 0 };
  slow = held;
  const registry = options.registry ?? new Registry();
  const logged: string[] = [];
  const hub = new FeedHub({ readEnds: async () => new Map(), lookEveryMs: 1_000, report: () => undefined });
  const server = await startGraphServer({
    schema: smallSchema,
    makeContext: ({ actor, requestId, isRouter }) => contextOf(actor, requestId, isRouter),
    checker,
    feed: {
      hub,
      reads: { readEnd: async () => 0n, readEnds: async () => new Map(), listAfter: async () => [] },
      cursors: new FeedCursors(new Secret('secret')),
    },
    machineClock: { now: () => new Date() },
    random: new SystemRandom(),
    log: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
    registry,
    settings: { ...SETTINGS, ...settings },
    ...options,
  });
  return {
    ...server,
    registry,
    logged,
    hub,
    release: () => held.released.resolve('done'),
    slowRuns: () => held.runs,
    post: (body, headers = {}) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
  };
}

/** The small graph reads nothing else from its context. */
export function contextOf(actor: GraphContext['actor'], requestId: string, isRouter: boolean): GraphContext {
  return { actor, requestId, isRouter, commands: {}, replay: { isReplay: false } } as GraphContext;
}
