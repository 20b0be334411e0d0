/**
 * Stand-in of the platform's posts subgraph: it shows what another team builds on this one. How long a post of a user may be depends on
 * the features that the user has paid for, which it does not know itself: it requires `User.featureKeys`, and the router brings them.
 */
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginInlineTraceDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { buildSubgraphSchema } from '@apollo/subgraph';
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify';
import Fastify from 'fastify';
import { parse } from 'graphql';
import { listenOn } from '../../platform/http-listen.js';

/** The subgraph's SDL, for composition. */
export const POSTS_TYPE_DEFS = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external", "@requires", "@authenticated"])

"Something a person wrote."
type Post @key(fields: "id") {
  id: ID!
  title: String!
  author: User!
}

type User @key(fields: "id") {
  id: ID!
  featureKeys: [String!] @external
  "Characters that a post of this person may have; null where the features of this person are not for the caller."
  postLengthLimit: Int @requires(fields: "featureKeys") @authenticated
}

type Query {
  "Newest first, by many people."
  posts(first: Int! = 20): [Post!]!
}
`;

/** Most posts in one answer. */
const POSTS_LIMIT = 100;
/** Characters of a post without any feature, and for each feature besides. */
const LENGTH = { base: 500, perFeature: 500 } as const;

interface Post {
  id: string;
  title: string;
  author: { id: string };
}

/** The posts that there are: each by another user, u1, u2, u3 and so on. */
function listPosts(count: number): Post[] {
  return Array.from({ length: Math.min(Math.max(count, 0), POSTS_LIMIT) }, (_, index) => ({
    id: String(index + 1),
    title: `Post ${index + 1}`,
    author: { id: `u${index + 1}` },
  }));
}

/** @param featureKeys as the router brings them; null: not for this caller */
function postLengthLimit(featureKeys: readonly string[] | null | undefined): number | null {
  return featureKeys ? LENGTH.base + LENGTH.perFeature * featureKeys.length : null;
}

/**
 * Serves the subgraph on 127.0.0.1 under /graphql, and /healthz beside it.
 * @param options.port 0: any free one
 * @throws OneLineError when the port is taken
 */
export async function startPostsStandIn(options: { port: number }): Promise<{ url: string; stop(): Promise<void> }> {
  const app = Fastify();
  const resolvers = {
    User: {
      __resolveReference: (reference: { id: string; featureKeys?: string[] | null }) => reference,
      postLengthLimit: ({ featureKeys }: { featureKeys?: string[] | null }) => postLengthLimit(featureKeys),
    },
    Post: { __resolveReference: ({ id }: { id: string }) => listPosts(POSTS_LIMIT).find((post) => post.id === id) ?? null },
    Query: { posts: (_root: unknown, { first }: { first: number }) => listPosts(first) },
  };
  const schema = buildSubgraphSchema([{ typeDefs: parse(POSTS_TYPE_DEFS), resolvers }]);
  const apollo = new ApolloServer({
    schema,
    introspection: true,
    plugins: [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginInlineTraceDisabled(), fastifyApolloDrainPlugin(app)],
  });
  await apollo.start();
  await app.register(fastifyApollo(apollo));
  app.get('/healthz', async () => ({ status: 'ok' }));
  try {
    const url = await listenOn(app, { host: '127.0.0.1', port: options.port, setting: 'POSTS_PORT' });
    return { url, stop: () => apollo.stop() };
  } catch (error) {
    await apollo.stop();
    throw error;
  }
}
