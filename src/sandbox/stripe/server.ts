import { once } from 'node:events';
import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { Api, type Reply } from './api.js';
import { control } from './control.js';
import { runErrands } from './errands.js';
import { Faults } from './faults.js';
import { type PageAnswer, actOnAuthenticationPage, showAuthenticationPage } from './page.js';
import { RateLimits } from './rate-limits.js';
import { State } from './state.js';
import { WebhookSender } from './webhooks.js';

/** How a stand-in is started. */
export interface StripeStandInOptions {
  /** 0: any free one. */
  port: number;
  /** A loopback address; 127.0.0.1 when not given. Others are refused. */
  host?: string;
  /** Everything it knows is kept here; made when it does not exist. One process at a time. */
  stateDir: string;
  /** Where webhooks go; null or left out: nowhere. More can be added while it runs. */
  webhookUrl?: string | null;
  webhookSecret: string;
  /** How browsers reach it, for links to its own pages; its own address when not given. */
  publicBaseUrl?: string;
  /** The machine's time; tests may give another. */
  now?: () => Date;
  /** For an empty state: ids follow from it. Random when not given. */
  seed?: string;
  /** Told of what goes wrong inside. */
  log?: (line: string) => void;
}

/** A running stand-in. */
export interface StripeStandIn {
  url: string;
  port: number;
  /** Ends it; what it knows stays in its directory. */
  stop(): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const MAX_BODY_BYTES = 1 << 20;

/** How often the stand-in looks for something due by its clock. */
const ERRAND_EVERY_MS = 250;

/** Longer than any client keeps an idle connection, so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts a stand-in of Stripe: the API that the official client speaks, its webhooks, the page of 3-D Secure, and control routes.
 * @throws Error for an address other than loopback, and with the system's code EADDRINUSE for a taken port
 */
export async function startStripeStandIn(options: StripeStandInOptions): Promise<StripeStandIn> {
  const host = options.host ?? '127.0.0.1';
  if (!LOOPBACK.has(host)) throw new Error(`The Stripe stand-in listens on loopback only, not on ${host}.`);
  const now = options.now ?? (() => new Date());
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
  server.listen(options.port, host);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

  const state = new State(options.stateDir, () => now().getTime(), options.seed ?? null);
  if (options.webhookUrl) {
    state.standingEndpoints = [{ id: options.webhookUrl, url: options.webhookUrl, secret: options.webhookSecret }];
  }
  const faults = new Faults();
  const webhooks = new WebhookSender(state, faults);
  const log = options.log ?? ((line: string) => process.stderr.write(`${line}\n`));
  const api = new Api({ state, faults, limits: new RateLimits(), baseUrl: options.publicBaseUrl ?? url, log });
  let isErrandPlanned = false;
  state.onCommitted = (deliveries) => {
    webhooks.accept(deliveries);
    if (isErrandPlanned || state.errands.size === 0) return;
    // After the answer has been given: a dispute never comes before the charge it is about.
    isErrandPlanned = true;
    setImmediate(() => {
      isErrandPlanned = false;
      if (server.listening) runErrands(state);
    });
  };
  webhooks.resume();
  const errands = setInterval(() => runErrands(state), ERRAND_EVERY_MS);

  server.on('request', (request, response) => {
    void answer(request, response).catch((error: unknown) => {
      log(`stripe stand-in: ${error instanceof Error ? error.message : String(error)}`);
      response.destroy();
    });
  });

  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { pathname, search, searchParams } = new URL(request.url ?? '/', url);
    const method = request.method ?? 'GET';
    const body = await bodyOf(request);
    if (body === null) return send(response, { status: 413, headers: {}, body: '' });
    const [, first, second, id] = pathname.split('/');
    if (first !== 'sandbox') {
      return send(
        response,
        await api.answer({
          method,
          path: pathname,
          query: search.slice(1),
          form: body,
          authorization: request.headers.authorization ?? null,
          version: header(request, 'stripe-version'),
          idempotencyKey: header(request, 'idempotency-key'),
        }),
      );
    }
    if (second === '3ds' && id !== undefined) {
      const secret = searchParams.get('secret') ?? '';
      const outcome = new URLSearchParams(body).get('outcome');
      return send(
        response,
        method === 'POST' ? actOnAuthenticationPage(state, id, secret, outcome) : showAuthenticationPage(state, id, secret),
      );
    }
    if (!isFromHere(request)) return send(response, json(403, { error: 'Control is for this machine only.' }));
    const sent = body === '' ? undefined : parseJson(body);
    if (sent === null) return send(response, json(400, { error: 'The body is not JSON.' }));
    const answered = control({ state, faults, webhooks }, method, pathname, sent);
    if (answered === null) return send(response, json(404, { error: `No such route: ${method} ${pathname}` }));
    if (!(Symbol.iterator in answered.body)) return send(response, json(answered.status, answered.body));
    response.writeHead(answered.status, { 'content-type': 'application/json' });
    await pipeline(Readable.from(answered.body), response);
  }

  return {
    url,
    port,
    async stop() {
      clearInterval(errands);
      webhooks.stop();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      state.close();
    },
  };
}

function send(response: http.ServerResponse, reply: Reply | PageAnswer): void {
  if (reply === 'silence') return;
  if (reply === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(reply.status, {
    'content-type': 'application/json',
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.body),
  });
  response.end(reply.body);
}

function json(status: number, body: object): PageAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function header(request: http.IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A page in a browser may reach loopback too; its requests name another origin, or come under another host's name. */
function isFromHere(request: http.IncomingMessage): boolean {
  const hostname = URL.canParse(`http://${request.headers.host ?? ''}`)
    ? new URL(`http://${request.headers.host ?? ''}`).hostname
    : '';
  return LOOPBACK.has(hostname.replaceAll(/[[\]]/g, '')) && request.headers.origin === undefined;
}

/** The body as text; null when it is too long. */
function bodyOf(request: http.IncomingMessage): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => resolve(bytes > MAX_BODY_BYTES ? null : Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}
