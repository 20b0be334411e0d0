/** What the gateway serves besides the graph: webhooks in, the playground, and what every process serves. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Counter } from 'prom-client';
import type { ProviderName } from '../ports/provider.js';
import { addOpsRoutes, type OpsRoutes } from './ops-routes.js';
import { playgroundPage, type PlaygroundOptions } from './playground.js';

/** Largest webhook body, bytes. */
const WEBHOOK_LIMIT = 256 * 1024;

/** Takes one webhook: checks its signature over the raw bytes and stores it. Says nothing of why one is refused. */
export type ReceiveWebhook = (
  provider: ProviderName,
  rawBody: Buffer,
  headers: Readonly<Record<string, string | undefined>>,
) => Promise<'stored' | 'refused'>;

/** Everything of the gateway. */
export interface GatewayRoutes extends OpsRoutes {
  receiveWebhook: ReceiveWebhook;
  /** Providers that may send webhooks here. */
  webhookProviders: readonly ProviderName[];
  /** Told of an error while a webhook was stored; the provider sends it again. */
  report: (error: unknown) => void;
  /** null: no playground (production). */
  playground: PlaygroundOptions | null;
}

/** Adds the gateway's routes. */
export function addGatewayRoutes(app: FastifyInstance, routes: GatewayRoutes): void {
  addOpsRoutes(app, routes);
  addWebhooks(app, routes);
  if (routes.playground) addPlayground(app, routes.playground);
}

/** Answers nothing but yes (200) or no (400, whatever the reason); 503 asks the provider to send again. */
function addWebhooks(app: FastifyInstance, { receiveWebhook, webhookProviders, report, registry }: GatewayRoutes): void {
  const received = new Counter({
    name: 'webhook_received_total',
    help: 'Webhooks that were believed and stored, by provider.',
    labelNames: ['provider'],
    registers: [registry],
  });
  const rejected = new Counter({
    name: 'webhook_rejected_total',
    help: 'Webhooks that were not stored, by provider and reason: refused (not believed, or too big), failed (could not be stored).',
    labelNames: ['provider', 'reason'],
    registers: [registry],
  });
  void app.register(async (webhooks) => {
    webhooks.removeAllContentTypeParsers();
    // The signature covers the bytes as they came, so nothing is parsed here.
    webhooks.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: WEBHOOK_LIMIT }, (_request, body, done) =>
      done(null, body),
    );
    for (const provider of webhookProviders) {
      const take = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
        try {
          const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
          const outcome = await receiveWebhook(provider, body, headersOf(request));
          if (outcome === 'refused') rejected.inc({ provider, reason: 'refused' });
          else received.inc({ provider });
          return await reply.code(outcome === 'stored' ? 200 : 400).send({});
        } catch (error) {
          report(error);
          rejected.inc({ provider, reason: 'failed' });
          return reply.code(503).send({});
        }
      };
      const refuse = (_error: unknown, _request: FastifyRequest, reply: FastifyReply): void => {
        rejected.inc({ provider, reason: 'refused' });
        void reply.code(400).send({});
      };
      webhooks.post(`/webhooks/${provider}`, { errorHandler: refuse }, take);
    }
  });
}

/** Each header once; one that came twice is joined by a comma, as HTTP says. */
function headersOf(request: FastifyRequest): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}

/** One page, made at the first request: its editor is megabytes of script that a server without visitors need not hold. */
function addPlayground(app: FastifyInstance, options: PlaygroundOptions): void {
  let page: ReturnType<typeof playgroundPage> | null = null;
  app.get('/', async (request, reply) => {
    page ??= playgroundPage(options);
    const { html, gzipped, etag, headers } = await page;
    void reply.headers(headers).header('etag', etag).type('text/html; charset=utf-8');
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    if (!(request.headers['accept-encoding'] ?? '').includes('gzip')) return reply.send(html);
    return reply.header('content-encoding', 'gzip').send(gzipped);
  });
}
