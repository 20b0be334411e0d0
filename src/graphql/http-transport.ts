/** The graph over HTTP: POST, GET for queries, server-sent events and a router's callback for subscriptions, all on one path. */
import type { ApolloServer } from '@apollo/server';
import { HeaderMap } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { ClientAddresses } from '../platform/client-address.js';
import { isListedOrigin, type OriginList } from '../platform/origins.js';
import type { GraphContext } from '../resolvers/context.js';
import { isRecord, readGraphRequest, type Admission, type Admitted, type Caller, type GraphRequest } from './admission.js';
import { asksForCallback, type CallbackTransport } from './callback-transport.js';
import { identify, type TokenChecker } from './callers.js';
import { findCardSurface, readText, type SentText } from './card-guard.js';
import { tagPublicAnswers } from './catalogue-etag.js';
import {
  badRequest,
  cardDataRefused,
  draining,
  formatResult,
  httpOf,
  statusWithoutData,
  timedOut,
  unauthenticated,
  unresolvedOperation,
} from './errors.js';
import type { FieldUsage } from './field-usage.js';
import type { GraphMetrics } from './graph-metrics.js';
import { isTooDeep } from './json-depth.js';
import type { ContextFactory, LiveOperations } from './live-operations.js';
import type { LoadGate } from './load-gate.js';
import { insideGate } from './overload-door.js';
import type { PersistedQueries } from './persisted-queries.js';
import type { RequestState, RequestScope } from './request-scope.js';
import { ROUTER_HEADER } from './router-proof.js';
import type { AdmittedRequest, HttpAnswer, ShortPath } from './short-path.js';
import { streamEvents } from './sse-transport.js';
import type { TrustedDocuments } from './trusted-documents.js';

/** Where the graph is served. */
export const GRAPH_PATH = '/graphql';
/** Largest request body, bytes. */
export const BODY_LIMIT = 256 * 1024;
/** How long an operation may take before its client is told so, milliseconds. */
export const BUDGET_MS = { query: 10_000, mutation: 30_000 } as const;

/** In which clients say what they are. */
const CLIENT_HEADER = 'apollographql-client-name';

/** Keys that could reach an object's prototype; left out of what is read. */
const POLLUTING_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
/** What a text has in it that has such a key; an escape may stand for any of their letters. */
const POLLUTING_TEXT = /__proto__|constructor|prototype|\\u/;

/** What the transport is made of. */
export interface HttpTransport {
  apollo: ApolloServer<GraphContext>;
  shortPath: ShortPath;
  admission: Admission;
  checker: TokenChecker;
  makeContext: ContextFactory;
  live: LiveOperations;
  /** null: the callback protocol is off. */
  callbacks: CallbackTransport | null;
  persisted: PersistedQueries;
  trusted: TrustedDocuments;
  scope: RequestScope;
  metrics: GraphMetrics;
  gate: LoadGate;
  fieldUsage: FieldUsage;
  addresses: ClientAddresses;
  /** Pages besides our own that may call. */
  origins: OriginList;
  isDraining: () => boolean;
  budgetMs: { query: number; mutation: number };
  /** How long a stream's client may take nothing, milliseconds. */
  slowReaderMs: number;
  /** Formats an error for the client and counts it. */
  format: (error: unknown, requestId: string) => GraphQLFormattedError;
  /** Told the surface alone when card data was met. */
  reportCardData: (surface: string, path: string) => void;
}

/** Serves the graph on `app`. */
export function serveHttp(app: FastifyInstance, transport: HttpTransport): void {
  void app.register(async (graph) => {
    graph.removeAllContentTypeParsers();
    graph.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_LIMIT }, (_request, body, done) =>
      done(isTooDeep(String(body)) ? badRequest(400, 'The request is nested too deep.') : null, body),
    );
    graph.setErrorHandler((error, request, reply) => {
      const isTooBig = isRecord(error) && error['statusCode'] === 413;
      const isBroken = isRecord(error) && typeof error['statusCode'] === 'number' && error['statusCode'] < 500;
      const known =
        error instanceof GraphQLError ? error : isTooBig ? badRequest(413, 'The request is too big: at most 256 KiB.') : null;
      return refuse(transport, request, reply, known ?? (isBroken ? badRequest(400, 'The request could not be read.') : error));
    });
    graph.addHook('onRequest', (request, reply, done) => {
      void reply.headers(originHeaders(transport.origins, request.headers.origin));
      done();
    });
    tagPublicAnswers(graph);
    graph.options(GRAPH_PATH, async (_request, reply) => reply.code(204).send());
    const handler = insideGate(transport.gate, (request, reply) => answer(transport, request, reply));
    graph.route({ method: ['GET', 'POST'], url: GRAPH_PATH, handler });
  });
}

async function answer(transport: HttpTransport, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const startedMs = performance.now();
  const { metrics } = transport;
  const sent = typeof request.body === 'string' ? readText(request.body) : null;
  const surface = findCardSurface({ url: request.url, headers: request.headers, body: sent });
  if (surface) {
    transport.reportCardData(surface, GRAPH_PATH);
    throw cardDataRefused();
  }
  if (transport.isDraining()) throw draining();
  const caller = await identify(transport.checker, {
    authorization: request.headers.authorization,
    routerHeader: headerOf(request, ROUTER_HEADER),
    address: transport.addresses.of(request.socket.remoteAddress, request.headers['x-forwarded-for']),
    requestId: request.id,
  });
  const body = sent && isJson(request) ? transport.trusted.expand(jsonOf(sent)) : undefined;
  const read = readRequest(transport, request, body);
  const asked = read instanceof Promise ? await read : read;
  const admitted = asked ? transport.admission.admit(asked, caller) : null;
  if (admitted) transport.fieldUsage.count(admitted.document, headerOf(request, CLIENT_HEADER));
  if (asked && admitted && request.method === 'POST' && asksForCallback(request.headers.accept)) {
    if (!transport.callbacks) throw badRequest(400, 'Delivery by callback is off here (SUBSCRIPTION_CALLBACK_ALLOWLIST).');
    const result = await transport.callbacks.open(asked, admitted, caller);
    return reply.header('cache-control', 'no-store').type('application/json; charset=utf-8').send(JSON.stringify(result));
  }
  if (asked && admitted?.kind === 'subscription') {
    if (!(request.headers.accept ?? '').includes('text/event-stream')) {
      throw badRequest(
        400,
        'Subscriptions are served by WebSocket (graphql-transport-ws) or server-sent events (Accept: text/event-stream).',
      );
    }
    return answerWithStream(transport, asked, admitted, caller, reply);
  }
  const kind = admitted?.kind ?? 'query';
  const operation = new HttpOperation(transport, request, caller, admitted, body);
  const answered = await withinBudget(
    transport.budgetMs[kind === 'mutation' ? 'mutation' : 'query'],
    operation.isAdmittedPost() ? transport.shortPath.answer(operation) : operation.answerInFull(),
  );
  metrics.operations.inc({ kind, transport: 'http', outcome: answered.outcome });
  metrics.operationSeconds.observe({ kind }, (performance.now() - startedMs) / 1000);
  for (const [name, value] of answered.headers) void reply.header(name, value);
  void reply.code(answered.status);
  return reply.send(answered.body);
}

/** A request that is to be answered at once, by whichever path. */
class HttpOperation {
  readonly #transport: HttpTransport;
  readonly #request: FastifyRequest;
  readonly #caller: Caller;
  readonly admitted: Admitted | null;
  readonly body: unknown;

  constructor(transport: HttpTransport, request: FastifyRequest, caller: Caller, admitted: Admitted | null, body: unknown) {
    this.#transport = transport;
    this.#request = request;
    this.#caller = caller;
    this.admitted = admitted;
    this.body = body;
  }

  isAdmittedPost(): this is AdmittedRequest {
    return this.admitted !== null && this.#request.method === 'POST';
  }

  get accept(): string | undefined {
    return this.#request.headers.accept;
  }

  /** Whether the cost is to be told. */
  get wantsExtensions(): boolean {
    return headerOf(this.#request, 'x-cost') === '1';
  }

  makeContext(): GraphContext {
    return this.#transport.makeContext(this.#caller, this.admitted?.isRouter ?? false);
  }

  async answerInFull(): Promise<HttpAnswer> {
    const [transport, request, body] = [this.#transport, this.#request, this.body];
    const cost = this.wantsExtensions ? this.admitted : null;
    const state: RequestState = { requestId: request.id, cost, outcome: 'failed' };
    const {
      status,
      headers,
      body: text,
    } = await transport.scope.run(state, () =>
      transport.apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method: request.method, headers: headersOf(request), search: searchOf(transport, request), body },
        context: async () => this.makeContext(),
      }),
    );
    const { outcome } = state;
    return { status: status ?? 200, headers: [...headers], body: text.kind === 'complete' ? text.string : '', outcome };
  }
}

/** Identity must come from the Authorization header, which no foreign page can make a browser send; so GET is as safe as POST. */
async function answerWithStream(
  transport: HttpTransport,
  asked: GraphRequest,
  admitted: Admitted,
  caller: Caller,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!caller.actor) throw unauthenticated();
  const prepared = transport.live.prepare(asked, admitted, caller);
  if ('errors' in prepared) throw prepared.errors[0] ?? unresolvedOperation();
  const results = await transport.live.subscribe(prepared.args);
  transport.metrics.operations.inc({ kind: 'subscription', transport: 'sse', outcome: 'ok' });
  transport.gate.leave(reply.request); // from here on it mostly waits
  await streamEvents(reply, results, {
    format: (result) => formatResult(result, (error) => transport.format(error, caller.requestId)),
    slowReaderMs: transport.slowReaderMs,
  });
  return reply;
}

/** The request's GraphQL parts; null when there is no document, which Apollo Server answers. */
function readRequest(
  transport: HttpTransport,
  request: FastifyRequest,
  body: unknown,
): GraphRequest | null | Promise<GraphRequest | null> {
  const parts = request.method === 'GET' ? partsOfSearch(new URLSearchParams(searchOf(transport, request))) : body;
  if (!isRecord(parts)) return null;
  const { query, extensions } = parts;
  if (typeof query === 'string') return query === '' ? null : readGraphRequest(parts);
  const persisted = isRecord(extensions) ? extensions['persistedQuery'] : null;
  const hash = isRecord(persisted) ? persisted['sha256Hash'] : null;
  if (query !== undefined || typeof hash !== 'string') return null;
  return transport.persisted.find(hash).then((kept) => (kept ? readGraphRequest({ ...parts, query: kept }) : null));
}

function partsOfSearch(search: URLSearchParams): Record<string, unknown> {
  const json = (name: string): unknown => {
    const text = search.get(name);
    return text === null ? undefined : readJson(text);
  };
  const query = search.get('query') ?? undefined;
  return { query, operationName: search.get('operationName'), variables: json('variables'), extensions: json('extensions') };
}

function readJson(text: string): unknown {
  return jsonOf(readText(text));
}

/** @throws GraphQLError BAD_REQUEST */
function jsonOf({ text, json }: SentText): unknown {
  if (!json) throw badRequest(400, 'The request is not valid JSON.');
  return POLLUTING_TEXT.test(text)
    ? JSON.parse(text, (key, value: unknown) => (POLLUTING_KEYS.has(key) ? undefined : value))
    : json.value;
}

/** Ends the waiting, not the work: what runs on is bounded by the database's own limits. @throws GraphQLError TIMEOUT */
function withinBudget<T>(budgetMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => reject(timedOut()), budgetMs);
    const inTime = (): void => clearTimeout(tooLate);
    work.then(inTime, inTime);
    work.then(resolve, reject);
  });
}

/** Answers a request that was refused as a whole. */
export function refuse(transport: HttpTransport, request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
  const shown = transport.format(error, request.id);
  const code = shown.extensions?.['code'];
  const { status, headers } =
    error instanceof GraphQLError
      ? httpOf(error)
      : { status: statusWithoutData([code]) ?? 500, headers: new Map<string, string>() };
  if (code === 'UNAUTHENTICATED') transport.metrics.authFailures.inc({ transport: 'http' });
  transport.metrics.operations.inc({ kind: 'unknown', transport: 'http', outcome: 'refused' });
  for (const [name, value] of headers) void reply.header(name, value);
  const wantsGraphType = (request.headers.accept ?? '').includes('application/graphql-response+json');
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type(wantsGraphType ? 'application/graphql-response+json; charset=utf-8' : 'application/json; charset=utf-8')
    .send(JSON.stringify({ errors: [shown] }));
}

/** What lets pages of the listed sites, and no others, read an answer. @param origin of the page that asks */
export function originHeaders(origins: OriginList, origin: string | undefined): Record<string, string> {
  if (origin === undefined || !isListedOrigin(origins, origin)) return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'x-request-id, retry-after',
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': `authorization, content-type, x-request-id, x-cost, apollo-require-preflight, x-apollo-operation-name, ${CLIENT_HEADER}`,
    'access-control-max-age': '600',
  };
}

function isJson(request: FastifyRequest): boolean {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() === 'application/json';
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function searchOf({ trusted }: HttpTransport, request: FastifyRequest): string {
  const from = request.url.indexOf('?');
  return from < 0 ? '' : trusted.expandSearch(request.url.slice(from));
}

function headersOf(request: FastifyRequest): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}
