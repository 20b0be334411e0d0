/**
 * The graph on the network: one HTTP server, one path, four ways in (HTTP, server-sent events, WebSocket, a router's callback). Each request passes the same
 * doors in the same order: card data, token, limits, validation, execution.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import type { GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { Registry } from 'prom-client';
import { findCardNumber, redactCardNumbers } from '../platform/card-data.js';
import { ClientAddresses } from '../platform/client-address.js';
import { listenByManyDoors } from '../platform/http-listen.js';
import type { Logger } from '../platform/log.js';
import type { Settings } from '../platform/settings.js';
import { readUnreadBody } from '../platform/unread-body.js';
import type { Clock } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import type { GraphContext } from '../resolvers/context.js';
import type { FeedReads } from '../store/feed.reads.js';
import type { FeedCursors } from '../subscriptions/feed-cursor.js';
import type { FeedHub } from '../subscriptions/hub.js';
import type { LiveContext } from '../subscriptions/open-stream.js';
import type { Actor } from '../usecases/contract.js';
import { Admission, type Caller } from './admission.js';
import { makeApollo } from './apollo.js';
import { CALLBACK_LIMITS, CallbackTransport, type CallbackLimits } from './callback-transport.js';
import type { TokenChecker } from './callers.js';
import { formatError, RETRY_AFTER_S } from './errors.js';
import { FieldUsage } from './field-usage.js';
import { graphMetrics } from './graph-metrics.js';
import { BODY_LIMIT, BUDGET_MS, GRAPH_PATH, originHeaders, serveHttp, type HttpTransport } from './http-transport.js';
import { LiveOperations } from './live-operations.js';
import { LoadGate, type LoadBounds } from './load-gate.js';
import { refuseWhenFull } from './overload-door.js';
import { PersistedQueries } from './persisted-queries.js';
import { RateLimits } from './rate-limits.js';
import { RequestScope } from './request-scope.js';
import { RouterProof } from './router-proof.js';
import { ShortPath } from './short-path.js';
import { SOCKET_TIMINGS, SocketTransport, type SocketTimings } from './socket-transport.js';
import { TrustedDocuments } from './trusted-documents.js';

/** A request id as clients may give it. */
const REQUEST_ID_FORM = /^[A-Za-z0-9_-]{8,64}$/;
/** Answers of the short path for each one that is compared with Apollo Server's. */
const COMPARE_EVERY = 10_000;
/** For how long a request may come in, and a connection stay without one, milliseconds. */
const CONNECTION_LIMITS = { requestTimeout: 30_000, keepAliveTimeout: 72_000 };
/** How long live clients have to take their last item, milliseconds. */
const GOODBYE_MS = 2_000;
/** How long running requests may go on after the end has been asked for, milliseconds. */
const CLOSE_GRACE_MS = 5_000;

/** What the graph is served with. */
export interface GraphServerOptions {
  schema: GraphQLSchema;
  /** A context for one request, or for one item of a stream. */
  makeContext: (request: { actor: Actor | null; requestId: string; isRouter: boolean }) => GraphContext;
  checker: TokenChecker;
  /** Live updates: who waits for whom, where they read, and the cursors they hand out. */
  feed: { hub: FeedHub; reads: FeedReads; cursors: FeedCursors };
  /** The machine's: the life of a token and what may be asked for in a time are no billing time. */
  machineClock: Clock;
  /** Spreads what must not happen all at once. */
  random: Random;
  log: Logger;
  registry: Registry;
  /** Port 0 takes a free one. In production: no introspection, nothing but subscriptions over WebSocket. */
  settings: Pick<
    Settings,
    | 'host'
    | 'port'
    | 'environment'
    | 'hasRateLimits'
    | 'trustedProxies'
    | 'hasLoadShedding'
    | 'hasShortPath'
    | 'trustedDocuments'
    | 'routerSecrets'
    | 'corsOrigins'
    | 'callbackAllowlist'
  >;
  /** Documents that clients were built with, by id; none where the list is not used. */
  trustedDocuments?: ReadonlyMap<string, string>;
  /** More routes on the same server: webhooks, health, metrics, playground. */
  addRoutes?: (app: FastifyInstance) => void;
  /** Told of every error behind INTERNAL_SERVER_ERROR, for the count of bugs. */
  countFault?: (cause: unknown) => void;
  /** Each so-many-th answer of the short path is compared with Apollo Server's. Without it: one in 10,000, in production. */
  compareEvery?: number;
  /** Shorter ones for tests. */
  socketTimings?: SocketTimings;
  callbackLimits?: CallbackLimits;
  budgetMs?: { query: number; mutation: number };
  loadBounds?: LoadBounds;
}

/** A graph that is being served. */
export interface GraphServer {
  /** Where it listens, e.g. http://127.0.0.1:4000. */
  url: string;
  /** Whether it is on its way out. */
  isDraining(): boolean;
  /** Whether it refuses some requests because it has more to do than it can. */
  isOverloaded(): boolean;
  /** Sends live clients away over `drainMs`, lets running requests finish, and closes. */
  stop(drainMs: number): Promise<void>;
}

/** Serves the graph. @throws OneLineError when the address cannot be had */
export async function startGraphServer(options: GraphServerOptions): Promise<GraphServer> {
  const { schema, checker, machineClock, log, feed, settings } = options;
  const isProduction = settings.environment === 'production';
  const origins = settings.corsOrigins;
  const addresses = new ClientAddresses(settings.trustedProxies);
  const gate = new LoadGate({
    isOn: settings.hasLoadShedding,
    registry: options.registry,
    ...(options.loadBounds && { bounds: options.loadBounds }),
  });
  const requestIdOf = ({ headers }: IncomingMessage): string => requestIdFrom(headers['x-request-id']);
  const door = {
    gate,
    isGuarded: isGraphUrl,
    requestIdOf,
    originHeadersOf: ({ headers }: IncomingMessage) => originHeaders(origins, headers.origin),
  };
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    genReqId: requestIdOf,
    forceCloseConnections: 'idle',
    serverFactory: (handler) => createServer(CONNECTION_LIMITS, refuseWhenFull(door, handler)),
  });
  let sockets: SocketTransport | null = null;
  const metrics = graphMetrics(options.registry, {
    openStreams: () => feed.hub.openStreams,
    openSockets: () => sockets?.openSockets ?? 0,
    unsentBytes: () => sockets?.unsentBytes ?? 0,
  });
  const format = (error: unknown, requestId: string): GraphQLFormattedError =>
    formatError(error, requestId, {
      redact: redactCardNumbers,
      count: (code) => metrics.errors.inc({ code }),
      report: (cause, where) => {
        options.countFault?.(cause);
        log.error({ err: cause, ...where }, 'an operation failed');
      },
    });
  const reportCardData = (surface: string, path: string): void => {
    metrics.cardDataBlocked.inc({ surface });
    log.warn({ surface, path }, 'a request with card data was refused');
  };
  const makeContext = ({ actor, requestId }: Caller, isRouter: boolean): GraphContext =>
    options.makeContext({ actor, requestId, isRouter });
  const makeLiveContext = (caller: Caller, isRouter: boolean): LiveContext =>
    Object.assign(makeContext(caller, isRouter), {
      live: {
        ...feed,
        machineClock,
        expiresAt: caller.expiresAt ?? machineClock.now(),
        report: (error: unknown) => log.error({ err: error }, 'the feed could not be read'),
        countSent: (type: string) => metrics.feedItems.inc({ type }),
      },
    });
  const trusted = new TrustedDocuments({
    mode: settings.trustedDocuments,
    documents: options.trustedDocuments ?? new Map(),
    count: () => metrics.untrusted.inc(),
    report: (documentId) => log.warn({ documentId }, 'a document is not in the list of trusted documents'),
  });
  const admission = new Admission({
    schema,
    trusted,
    rateLimits: settings.hasRateLimits ? new RateLimits(machineClock) : null,
    routerProof: settings.routerSecrets.length === 0 ? null : new RouterProof(settings.routerSecrets),
    countRefused: (limit) => metrics.refusedByLimit.inc({ limit }),
  });
  const live = new LiveOperations({
    schema,
    makeContext: makeLiveContext,
    allowsIntrospection: !isProduction,
    allowsEverything: !isProduction,
  });
  const persisted = new PersistedQueries((id) => trusted.find(id));
  const scope = new RequestScope();
  // Made first: it takes the resolvers as they are before Apollo Server wraps them.
  const shortPath = new ShortPath({
    schema,
    isOn: settings.hasShortPath,
    compareEvery: options.compareEvery ?? (isProduction ? COMPARE_EVERY : null),
    count: (outcome) => metrics.shortPath.inc({ outcome }),
    reportDifference: (query) =>
      log.error({ query: redactCardNumbers(query) }, 'the short path answered otherwise than the executor'),
  });
  const apollo = makeApollo({ schema, persisted, scope, allowsIntrospection: !isProduction, logger: log, format });
  await apollo.start();

  const callbacks =
    settings.callbackAllowlist.length === 0
      ? null
      : new CallbackTransport({
          allowlist: settings.callbackAllowlist,
          live,
          metrics,
          format,
          limits: options.callbackLimits ?? CALLBACK_LIMITS,
        });

  let isDraining = false;
  const timings = options.socketTimings ?? SOCKET_TIMINGS;
  const http: HttpTransport = {
    apollo,
    shortPath,
    admission,
    checker,
    makeContext,
    live,
    callbacks,
    persisted,
    trusted,
    scope,
    metrics,
    gate,
    fieldUsage: new FieldUsage(schema, options.registry),
    addresses,
    origins,
    format,
    reportCardData,
    isDraining: () => isDraining,
    budgetMs: options.budgetMs ?? BUDGET_MS,
    slowReaderMs: timings.slowReaderMs,
  };
  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onError', ({ raw }) => readUnreadBody(raw));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'Not found' }));
  app.setErrorHandler((error, request, reply) => {
    const status = hasStatus(error) ? error.statusCode : 500;
    if (status >= 500) log.error({ err: error, requestId: request.id }, 'a request failed');
    return reply.code(status).send({ error: status >= 500 ? 'Internal error' : 'Bad request' });
  });
  serveHttp(app, http);
  options.addRoutes?.(app);

  const webSockets = new SocketTransport({
    admission,
    checker,
    live,
    metrics,
    machineClock,
    addresses,
    origins,
    format,
    reportCardData,
    makeRequestId: randomUUID,
    timings,
  });
  sockets = webSockets;
  app.server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined); // a client that leaves during the handshake
    if (!isGraphUrl(request.url ?? '')) socket.end(emptyAnswer('404 Not Found'));
    else if (gate.isFull) {
      gate.countRefused();
      socket.end(emptyAnswer('503 Service Unavailable', `Retry-After: ${RETRY_AFTER_S}`));
    } else webSockets.upgrade(request, socket, head);
  });
  const { url, closeDoors } = await listenByManyDoors(app, { host: settings.host, port: settings.port, setting: 'PORT' });
  return {
    url,
    isDraining: () => isDraining,
    isOverloaded: () => gate.isRefusing,
    stop: async (drainMs) => {
      isDraining = true;
      webSockets.beginDrain();
      await feed.hub.drain({ spreadMs: drainMs, limitMs: GOODBYE_MS, random: options.random });
      webSockets.endDrain();
      await callbacks?.stop(GOODBYE_MS);
      const overdue = new AbortController();
      void delay(CLOSE_GRACE_MS, undefined, { signal: overdue.signal }).then(
        () => {
          webSockets.stop();
          app.server.closeAllConnections();
        },
        () => undefined,
      );
      closeDoors();
      await app.close();
      overdue.abort();
      webSockets.stop();
      gate.stop();
      await apollo.stop();
    },
  };
}

/** Whether a request is for the graph. */
function isGraphUrl(url: string): boolean {
  return url.startsWith(GRAPH_PATH) && (url.length === GRAPH_PATH.length || url[GRAPH_PATH.length] === '?');
}

/** The client's id where it has the right form; else a new one. Never one that could be a card number: it is echoed and logged. */
function requestIdFrom(header: string | string[] | undefined): string {
  const isUsable = typeof header === 'string' && REQUEST_ID_FORM.test(header) && !findCardNumber(header, 'loose');
  return isUsable ? header : randomUUID();
}

/** The whole answer to a request for an upgrade that is not given. */
function emptyAnswer(status: string, ...headers: string[]): string {
  return [`HTTP/1.1 ${status}`, ...headers, 'Connection: close', 'Content-Length: 0', '', ''].join('\r\n');
}

function hasStatus(error: unknown): error is { statusCode: number } {
  return typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number';
}
