/** Our subgraph beside others behind one door: composition and a router, for trying out and for tests. In production the platform's own router stands here. */
import { createServer, type Server } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { MemPubSub } from '@graphql-hive/pubsub';
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
  /** Whether it serves subscriptions, on the same path. */
  hasLiveUpdates: boolean;
}

/** The supergraph's SDL. @throws OneLineError naming each thing that does not fit together */
export function composeSupergraph(subgraphs: readonly Subgraph[]): string {
  const { supergraphSdl, errors } = composeServices(subgraphs.map(({ name, sdl, url }) => ({ name, url, typeDefs: parse(sdl) })));
  if (supergraphSdl) return supergraphSdl;
  throw new OneLineError(`The subgraphs do not compose: ${(errors ?? []).map(({ message }) => message).join('; ')}`);
}

/**
 * How live updates come from the subgraph to the router: by graphql-transport-ws, as server-sent events, or by callback, posted by the
 * subgraph to an address of the router.
 */
export const LIVE_MODES = ['ws', 'sse', 'http-callback'] as const;
export type LiveMode = (typeof LIVE_MODES)[number];

/** Where the router takes callbacks; what the subgraph's SUBSCRIPTION_CALLBACK_ALLOWLIST must allow. */
export const CALLBACK_PATH = '/callback';

/** What a router is made of. */
export interface RouterOptions {
  subgraphs: readonly Subgraph[];
  /** Shown to the subgraphs as proof; null where they ask for none. */
  secret: Secret | null;
  /** How it shows the secret: in a header, or by a signature over each operation. */
  provesBy?: 'header' | 'signature';
  liveMode: LiveMode;
  /** Where the router is reached, for callbacks, e.g. http://127.0.0.1:4100. */
  url: string;
  /** Silence of a callback after which the router gives the stream up, milliseconds. */
  callbackSilenceMs?: number;
}

/** As Hive Gateway has it. */
const CALLBACK_SILENCE_MS = 50_000;

/**
 * A router on Node's own HTTP server, not yet listening. The user's token and the request id travel on to the subgraphs, on a
 * WebSocket in its first message. Clients get live updates as server-sent events.
 */
export function makeRouter(options: RouterOptions): { server: Server; stop(): Promise<void> } {
  const { subgraphs, secret, provesBy = 'header', liveMode } = options;
  const proof = secret && provesBy === 'header' ? { [ROUTER_HEADER]: secret.reveal() } : {};
  const runtime = createGatewayRuntime({
    supergraph: composeSupergraph(subgraphs),
    logging: false,
    landingPage: false,
    graphiql: false,
    maskedErrors: false, // the subgraphs have masked theirs
    propagateHeaders: {
      fromClientToSubgraphs: ({ request }) => ({ ...headersOf(request, ['authorization', 'x-request-id']), ...proof }),
    },
    ...(secret && provesBy === 'signature' && { hmacSignature: { secret: secret.reveal() } }),
    ...(liveMode === 'http-callback' && { pubsub: new MemPubSub(), webhooks: true }),
    transportEntries: Object.fromEntries(
      subgraphs
        .filter(({ hasLiveUpdates }) => hasLiveUpdates)
        .map(({ name, url }) => [name, { options: { subscriptions: liveUpdates(options, new URL(url).pathname) } }]),
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

interface LiveTransport {
  kind: string;
  location: string;
  headers?: [string, string][];
  options?: object;
}

function liveUpdates({ liveMode, url, callbackSilenceMs = CALLBACK_SILENCE_MS }: RouterOptions, location: string): LiveTransport {
  const token = '{context.headers.authorization}';
  if (liveMode === 'sse') return { kind: 'http', location };
  // A connection of a user who has left is closed at once: one is kept per token, so another user's stream cannot take it over.
  if (liveMode === 'ws') return { kind: 'ws', location, options: { connectionParams: { token }, lazyCloseTimeout: 0 } };
  return {
    kind: 'http-callback',
    location,
    headers: [['authorization', token]],
    options: { public_url: `${url}${CALLBACK_PATH}`, path: CALLBACK_PATH, heartbeat_interval: callbackSilenceMs },
  };
}

function headersOf(request: Request, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (request.headers.get(name) === null ? [] : [[name, request.headers.get(name) ?? '']])),
  );
}
