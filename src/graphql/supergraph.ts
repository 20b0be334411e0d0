/** Our subgraph beside others behind one door: composition and a router, for trying out and for tests. In production the platform's own router stands here. */
import { createServer, type Server } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { OneLineError } from '../platform/one-line-error.js';
import type { Secret } from '../platform/secret.js';
import { ROUTER_HEADER } from './router-proof.js';

/** A subgraph as the composer and the router know it. */
export interface Subgraph {
  name: string;
  sdl: string;
  /** Where it answers, e.g. http://127.0.0.1:4000/graphql. */
  url: string;
  /** Whether it serves subscriptions (graphql-transport-ws on the same path). */
  hasLiveUpdates: boolean;
}

/** The supergraph's SDL. @throws OneLineError naming each thing that does not fit together */
export function composeSupergraph(subgraphs: readonly Subgraph[]): string {
  const { supergraphSdl, errors } = composeServices(subgraphs.map(({ name, sdl, url }) => ({ name, url, typeDefs: parse(sdl) })));
  if (supergraphSdl) return supergraphSdl;
  throw new OneLineError(`The subgraphs do not compose: ${(errors ?? []).map(({ message }) => message).join('; ')}`);
}

/** What a router is made of. */
export interface RouterOptions {
  subgraphs: readonly Subgraph[];
  /** Shown to the subgraphs as proof; null where they ask for none. */
  secret: Secret | null;
}

/**
 * A router on Node's own HTTP server, not yet listening. The user's token and the request id travel on to the subgraphs, on the
 * WebSocket for live updates in its first message. Clients get live updates as server-sent events.
 */
export function makeRouter({ subgraphs, secret }: RouterOptions): { server: Server; stop(): Promise<void> } {
  const proof = secret && { [ROUTER_HEADER]: secret.reveal() };
  const runtime = createGatewayRuntime({
    supergraph: composeSupergraph(subgraphs),
    logging: false,
    landingPage: false,
    graphiql: false,
    maskedErrors: false, // the subgraphs have masked theirs
    propagateHeaders: {
      fromClientToSubgraphs: ({ request }) => ({ ...headersOf(request, ['authorization', 'x-request-id']), ...proof }),
    },
    transportEntries: Object.fromEntries(
      subgraphs
        .filter(({ hasLiveUpdates }) => hasLiveUpdates)
        .map(({ name, url }) => [name, { options: { subscriptions: liveUpdates(new URL(url).pathname) } }]),
    ),
  });
  const server = createServer((request, response) => void runtime(request, response));
  return {
    server,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await runtime[Symbol.asyncDispose]();
    },
  };
}

function liveUpdates(path: string): { kind: string; location: string; options: object } {
  // A connection of a user who has left is closed at once: one is kept per token, so another user's stream cannot take it over.
  return {
    kind: 'ws',
    location: path,
    options: { connectionParams: { token: '{context.headers.authorization}' }, lazyCloseTimeout: 0 },
  };
}

function headersOf(request: Request, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (request.headers.get(name) === null ? [] : [[name, request.headers.get(name) ?? '']])),
  );
}
