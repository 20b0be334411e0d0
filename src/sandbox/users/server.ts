/**
 * Stand-in of the platform's users subgraph: it owns User, whose id our subgraph extends with subscriptions and payments.
 * It believes in every user id, so that a sandbox needs no sign-up.
 */
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginInlineTraceDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { buildSubgraphSchema } from '@apollo/subgraph';
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify';
import Fastify from 'fastify';
import { parse } from 'graphql';
import { listenOn } from '../../platform/http-listen.js';

/** The subgraph's SDL, for composition. */
export const USERS_TYPE_DEFS = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable"])

"A person on the platform."
type User @key(fields: "id") {
  id: ID!
  "The name others see, e.g. @ana."
  handle: String!
}

type Query {
  "The user whose token the request carries; null without one."
  viewer: User @shareable
}
`;

const USER_ID_FORM = /^[A-Za-z0-9_-]{1,64}$/;

interface User {
  id: string;
  handle: string;
}

interface Context {
  userId: string | null;
}

/** Whoever this token belongs to, or nobody. */
export interface TokenReader {
  verify(token: string): { userId: string } | null | Promise<{ userId: string } | null>;
}

function userOf(id: string): User | null {
  return USER_ID_FORM.test(id) ? { id, handle: `@${id}` } : null;
}

/**
 * Serves the subgraph on 127.0.0.1 under /graphql, and /healthz beside it.
 * @param options.port 0: any free one
 * @throws OneLineError when the port is taken
 */
export async function startUsersStandIn(options: {
  port: number;
  tokens: TokenReader;
}): Promise<{ url: string; stop(): Promise<void> }> {
  const app = Fastify();
  const resolvers = {
    User: { __resolveReference: ({ id }: { id: string }) => userOf(id) },
    Query: { viewer: (_root: unknown, _args: unknown, { userId }: Context) => userId && userOf(userId) },
  };
  const schema = buildSubgraphSchema([{ typeDefs: parse(USERS_TYPE_DEFS), resolvers }]);
  const apollo = new ApolloServer<Context>({
    schema,
    introspection: true,
    plugins: [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginInlineTraceDisabled(), fastifyApolloDrainPlugin(app)],
  });
  await apollo.start();
  await app.register(fastifyApollo(apollo), {
    context: async (request) => {
      const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
      const believed = token ? await options.tokens.verify(token) : null;
      return { userId: believed?.userId ?? null };
    },
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  try {
    const url = await listenOn(app, { host: '127.0.0.1', port: options.port, setting: 'USERS_PORT' });
    return { url, stop: () => apollo.stop() };
  } catch (error) {
    await apollo.stop();
    throw error;
  }
}
