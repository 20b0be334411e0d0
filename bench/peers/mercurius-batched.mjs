// Mercurius given the gateway's own reader: the same statements, batched across requests, and the catalogue in memory.
import Fastify from 'fastify';
import { mercuriusFederationPlugin } from '@mercuriusjs/federation';
import { displayTiers } from '../../dist/src/store/customers.reads.js';
import { Reader } from '../../dist/src/store/reader.js';
import { currentSubscriptions } from '../../dist/src/store/subscriptions.reads.js';
import { transactionsDown } from '../../dist/src/store/transactions.reads.js';
import { connection, makePool, page, port, presentSubscription, presentTier, SDL } from './rows.mjs';

const reader = new Reader({ connection, maxConnections: 8, statementTimeoutMs: 5_000, usesNamedStatements: true });
const pool = makePool();
const tiers = new Map((await pool.query('select id, key, name, rank from tier')).rows.map((row) => [row.id, presentTier(row)]));
await pool.end();

const EVERYTHING = {
  below: null,
  above: null,
  kinds: null,
  statuses: null,
  providerAccountIds: null,
  subscriptionId: null,
  minAmount: null,
};
const shownTier = (rows) => rows.map(({ tierId }) => tiers.get(tierId)).sort((a, b) => b.rank - a.rank)[0] ?? null;
const resolvers = {
  Query: { viewer: (_source, _args, { userId }) => ({ id: userId }) },
  User: {
    __resolveReference: ({ id }) => ({ id }),
    currentSubscription: async ({ id }) => {
      const row = await reader.rowOf(currentSubscriptions, id);
      return row ? presentSubscription(row) : null;
    },
    displayTier: async ({ id: userId }) => {
      const rows = await reader.rowsOf(displayTiers, { userId, at: new Date() });
      return shownTier(rows);
    },
    transactions: async ({ id: userId }, { first }) => {
      const rows = await reader.rowsOf(transactionsDown, { ...EVERYTHING, userId, limitCount: first + 1 });
      return page(userId, rows, first);
    },
  },
  UserSubscription: { tier: ({ tierId }) => tiers.get(tierId) },
};
const app = Fastify({ logger: false });
app.register(mercuriusFederationPlugin, {
  schema: SDL,
  resolvers,
  jit: 1,
  context: (request) => ({ userId: request.headers['x-user-id'] }),
});
await app.listen({ port, host: '127.0.0.1' });
