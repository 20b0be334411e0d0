// Apollo Server with TypeORM and DataLoader, as most write it: entities found by their repository, one loader a request and relation.
import 'reflect-metadata';
import { ApolloServer } from '@apollo/server';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { fastifyApolloDrainPlugin, fastifyApolloHandler } from '@as-integrations/fastify';
import DataLoader from 'dataloader';
import Fastify from 'fastify';
import { parse } from 'graphql';
import typeorm from 'typeorm';
import { bucketOf, connection, page, port, presentSubscription, presentTier, SDL } from './rows.mjs';

const { DataSource, EntitySchema, In, MoreThan } = typeorm;
const column = (type, name, more = {}) => ({ type, name, ...more });
const Tier = new EntitySchema({
  name: 'Tier',
  tableName: 'tier',
  columns: {
    id: column('uuid', 'id', { primary: true }),
    key: column('text', 'key'),
    name: column('text', 'name'),
    rank: column('int', 'rank'),
  },
});
const Customer = new EntitySchema({
  name: 'Customer',
  tableName: 'customer',
  columns: {
    bucket: column('smallint', 'bucket', { primary: true }),
    userId: column('text', 'user_id', { primary: true }),
    showsTier: column('boolean', 'shows_tier'),
  },
});
const Subscription = new EntitySchema({
  name: 'Subscription',
  tableName: 'subscription',
  columns: {
    bucket: column('smallint', 'bucket', { primary: true }),
    id: column('uuid', 'id', { primary: true }),
    userId: column('text', 'user_id'),
    tierId: column('uuid', 'tier_id'),
    status: column('text', 'status'),
    hold: column('text', 'hold'),
    entitledUntil: column('timestamptz', 'entitled_until'),
  },
});
const Transaction = new EntitySchema({
  name: 'Transaction',
  tableName: 'transaction',
  columns: {
    bucket: column('smallint', 'bucket', { primary: true }),
    id: column('uuid', 'id', { primary: true }),
    userId: column('text', 'user_id'),
    kind: column('text', 'kind'),
    status: column('text', 'status'),
    amount: column('bigint', 'amount'),
    currency: column('char', 'currency'),
    statementDescriptor: column('text', 'statement_descriptor', { nullable: true }),
    settledAt: column('timestamptz', 'settled_at', { nullable: true }),
  },
});
const { user, ...address } = connection;
const source = await new DataSource({
  type: 'postgres',
  ...address,
  username: user,
  entities: [Tier, Customer, Subscription, Transaction],
  poolSize: 10,
}).initialize();
const [tiers, customers, subscriptions, transactions] = [Tier, Customer, Subscription, Transaction].map((entity) =>
  source.getRepository(entity),
);

const byKey = (rows, key) => new Map(rows.map((row) => [row[key], row]));
const ofUsers = (ids) => ({ bucket: In([...new Set(ids.map(bucketOf))]), userId: In([...ids]) });
const LIVE = In(['trialing', 'active', 'past_due', 'paused']);
const makeLoaders = () => {
  const tier = new DataLoader(async (ids) => {
    const found = byKey(await tiers.findBy({ id: In([...ids]) }), 'id');
    return ids.map((id) => found.get(id) ?? null);
  });
  return {
    tier,
    subscription: new DataLoader(async (ids) => {
      const found = byKey(await subscriptions.findBy({ ...ofUsers(ids), status: LIVE }), 'userId');
      return ids.map((id) => found.get(id) ?? null);
    }),
    shownTierId: new DataLoader(async (ids) => {
      const showing = byKey(await customers.findBy({ ...ofUsers(ids), showsTier: true }), 'userId');
      const entitled = byKey(
        await subscriptions.findBy({ ...ofUsers(ids), entitledUntil: MoreThan(new Date()), hold: 'none' }),
        'userId',
      );
      return ids.map((id) => (showing.has(id) ? (entitled.get(id)?.tierId ?? null) : null));
    }),
  };
};
const resolvers = {
  Query: { viewer: (_source, _args, { userId }) => ({ id: userId }) },
  User: {
    __resolveReference: ({ id }) => ({ id }),
    currentSubscription: async ({ id }, _args, { loaders }) => {
      const row = await loaders.subscription.load(id);
      return row && presentSubscription(row);
    },
    displayTier: async ({ id }, _args, { loaders }) => {
      const tierId = await loaders.shownTierId.load(id);
      return tierId && presentTier(await loaders.tier.load(tierId));
    },
    transactions: async ({ id: userId }, { first }) =>
      page(
        userId,
        await transactions.find({ where: { bucket: bucketOf(userId), userId }, order: { id: 'DESC' }, take: first + 1 }),
        first,
      ),
  },
  UserSubscription: { tier: async ({ tierId }, _args, { loaders }) => presentTier(await loaders.tier.load(tierId)) },
};
const HEADER = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])';
const app = Fastify({ logger: false });
const apollo = new ApolloServer({
  schema: buildSubgraphSchema([{ typeDefs: parse(HEADER + SDL), resolvers }]),
  plugins: [fastifyApolloDrainPlugin(app)],
});
await apollo.start();
app.post(
  '/graphql',
  fastifyApolloHandler(apollo, {
    context: async (request) => ({ userId: request.headers['x-user-id'], loaders: makeLoaders() }),
  }),
);
await app.listen({ port, host: '127.0.0.1' });
