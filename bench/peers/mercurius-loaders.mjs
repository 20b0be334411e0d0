// Mercurius as its manual has it: graphql-jit from the second request on, loaders that batch within a request, prepared statements.
import Fastify from 'fastify';
import { mercuriusFederationPlugin } from '@mercuriusjs/federation';
import { bucketOf, makePool, page, port, presentSubscription, presentTier, SDL } from './rows.mjs';

const pool = makePool();
const run = async (name, text, values) => (await pool.query({ name, text, values })).rows;
const byKey = (rows, key) => new Map(rows.map((row) => [row[key], row]));
const buckets = (ids) => [...new Set(ids.map(bucketOf))];

const SUBSCRIPTIONS = `select id, user_id as "userId", tier_id as "tierId", status from subscription
  where bucket = any($1::smallint[]) and user_id = any($2::text[]) and status in ('trialing', 'active', 'past_due', 'paused')`;
const TIERS = 'select id, key, name, rank from tier where id = any($1::uuid[])';
const TRANSACTIONS = `select id, kind, status, amount, currency, statement_descriptor as "statementDescriptor", settled_at as "settledAt"
  from transaction where bucket = $1 and user_id = $2 order by id desc limit $3`;
const SHOWN = `select c.user_id as "userId", t.id, t.key, t.name, t.rank
  from customer c join subscription s on s.bucket = c.bucket and s.user_id = c.user_id join tier t on t.id = s.tier_id
  where c.bucket = any($1::smallint[]) and c.user_id = any($2::text[]) and c.shows_tier and s.entitled_until > $3 and s.hold = 'none' order by t.rank`;

const opts = { cache: false };
const loaders = {
  User: {
    currentSubscription: {
      opts,
      loader: async (queries) => {
        const ids = queries.map(({ obj }) => obj.id);
        const found = byKey(await run('subscriptions', SUBSCRIPTIONS, [buckets(ids), ids]), 'userId');
        return ids.map((id) => (found.has(id) ? presentSubscription(found.get(id)) : null));
      },
    },
    displayTier: {
      opts,
      loader: async (queries) => {
        const ids = queries.map(({ obj }) => obj.id);
        const found = byKey(await run('shown', SHOWN, [buckets(ids), ids, new Date()]), 'userId');
        return ids.map((id) => presentTier(found.get(id) ?? null));
      },
    },
    transactions: {
      opts,
      loader: (queries) =>
        Promise.all(
          queries.map(async ({ obj, params: { first } }) =>
            page(obj.id, await run('transactions', TRANSACTIONS, [bucketOf(obj.id), obj.id, first + 1]), first),
          ),
        ),
    },
  },
  UserSubscription: {
    tier: {
      opts,
      loader: async (queries) => {
        const ids = queries.map(({ obj }) => obj.tierId);
        const found = byKey(await run('tiers', TIERS, [ids]), 'id');
        return ids.map((id) => presentTier(found.get(id)));
      },
    },
  },
};
const resolvers = {
  Query: { viewer: (_source, _args, { userId }) => ({ id: userId }) },
  User: { __resolveReference: ({ id }) => ({ id }) },
};
const app = Fastify({ logger: false });
app.register(mercuriusFederationPlugin, {
  schema: SDL,
  resolvers,
  loaders,
  jit: 1,
  context: (request) => ({ userId: request.headers['x-user-id'] }),
});
await app.listen({ port, host: '127.0.0.1' });
