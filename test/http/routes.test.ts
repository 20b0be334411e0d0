import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { get } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { parse, validate } from 'graphql';
import { Registry } from 'prom-client';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { startOpsServer } from '../../src/http/ops-server.js';
import { playgroundPage, playgroundTabs } from '../../src/http/playground.js';
import { addGatewayRoutes, type GatewayRoutes } from '../../src/http/routes.js';

const apps: FastifyInstance[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function serve(routes: Partial<GatewayRoutes> = {}): Promise<{ url: string; registry: Registry }> {
  const registry = new Registry();
  const app = Fastify();
  apps.push(app);
  addGatewayRoutes(app, {
    checks: {},
    isDraining: () => false,
    registry,
    receiveWebhook: async () => 'stored',
    webhookProviders: ['stripe'],
    report: () => undefined,
    playground: null,
    ...routes,
  });
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), registry };
}

const fails = async (): Promise<void> => {
  throw new Error('away');
};
const works = async (): Promise<void> => undefined;

test('a webhook is handed on as the bytes that came, with its headers', async () => {
  const taken: unknown[] = [];
  const { url, registry } = await serve({
    receiveWebhook: async (provider, rawBody, headers) => {
      taken.push(provider, rawBody, headers['stripe-signature']);
      return 'stored';
    },
  });
  const body = Buffer.from('{"id":"evt_1",  "ü": "\\u00fc"}\n');
  const response = await fetch(`${url}/webhooks/stripe`, {
    method: 'POST',
    body,
    headers: { 'stripe-signature': 't=1,v1=x', 'content-type': 'application/json' },
  });
  expect([response.status, await response.text()]).toEqual([200, '{}']);
  expect(taken).toEqual(['stripe', body, 't=1,v1=x']);
  expect(await registry.getSingleMetricAsString('webhook_received_total')).toContain('provider="stripe"} 1');
});

test('every webhook that is not believed gets the same 400: forged, empty, of another type, too big', async () => {
  const { url, registry } = await serve({ receiveWebhook: async () => 'refused' });
  const send = async (init: RequestInit) => {
    const response = await fetch(`${url}/webhooks/stripe`, { method: 'POST', ...init });
    return [response.status, await response.text(), response.headers.get('content-type')];
  };
  const same = [400, '{}', 'application/json; charset=utf-8'];
  expect(await send({ body: '{}', headers: { 'content-type': 'application/json' } })).toEqual(same);
  expect(await send({})).toEqual(same);
  expect(await send({ body: 'x', headers: { 'content-type': 'text/plain' } })).toEqual(same);
  expect(await send({ body: 'x'.repeat(256 * 1024 + 1), headers: { 'content-type': 'application/json' } })).toEqual(same);
  expect(await registry.getSingleMetricAsString('webhook_rejected_total')).toContain('provider="stripe",reason="refused"} 4');
});

test('a webhook that could not be stored is asked for again', async () => {
  const reported: unknown[] = [];
  const { url } = await serve({
    receiveWebhook: () => Promise.reject(new Error('database away')),
    report: (error) => reported.push(error),
  });
  const response = await fetch(`${url}/webhooks/stripe`, { method: 'POST', body: '{}' });
  expect([response.status, await response.text()]).toEqual([503, '{}']);
  expect(reported).toHaveLength(1);
});

test('webhooks of providers that are not connected are unknown, and none are read by GET', async () => {
  const { url } = await serve();
  expect((await fetch(`${url}/webhooks/paypal`, { method: 'POST', body: '{}' })).status).toBe(404);
  expect((await fetch(`${url}/webhooks/stripe`)).status).toBe(404);
});

test.each([
  ['all is well', { database: works, provider: works }, false, 200, { status: 'ok', degraded: [] }],
  [
    'what can be done without is away',
    { database: works, provider: fails },
    false,
    200,
    { status: 'degraded', degraded: ['provider'] },
  ],
  [
    'what nothing works without is away',
    { database: fails, provider: works },
    false,
    503,
    { status: 'unavailable', degraded: ['database'] },
  ],
  ['it is on its way out', { database: works, provider: works }, true, 503, { status: 'draining', degraded: [] }],
])('the process is ready or says what is degraded: %s', async (_what, { database, provider }, isDraining, status, told) => {
  const { url } = await serve({
    checks: { database: { isVital: true, check: database }, provider: { isVital: false, check: provider } },
    isDraining: () => isDraining,
  });
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([status, told]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('a check that never answers counts as degraded', async () => {
  const { url } = await serve({ checks: { stuck: { isVital: false, check: () => new Promise(() => undefined) } } });
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'degraded', degraded: ['stuck'] });
});

test('metrics are served in the form of Prometheus', async () => {
  const { url } = await serve();
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  expect(await response.text()).toContain('# HELP webhook_received_total');
});

test('the worker serves health and metrics and nothing else', async () => {
  const ops = await startOpsServer({
    checks: {},
    isDraining: () => false,
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
    setting: 'PORT',
  });
  try {
    const statuses = await Promise.all(
      ['/healthz', '/readyz', '/metrics', '/', '/graphql'].map(async (path) => (await fetch(ops.url + path)).status),
    );
    expect(statuses).toEqual([200, 200, 200, 404, 404]);
  } finally {
    await ops.stop();
  }
});

test('the playground is one page whose scripts are named by their hashes, and asks nobody else', async () => {
  const { url } = await serve({ playground: { tokens: { customer: 'token-of-a-customer' } } });
  const response = await fetch(url);
  const html = await response.text();
  const policy = response.headers.get('content-security-policy') ?? '';
  const scripts = [...html.matchAll(/<script(?:\s[^>]*)?>([\s\S]*?)<\/script>/g)].map(([, text = '']) => text);
  expect(scripts).toHaveLength(2);
  for (const script of scripts) expect(policy).toContain(`'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  expect(policy).toMatch(/^default-src 'none';.*connect-src 'self'.*frame-ancestors 'none'$/);
  expect(policy).not.toMatch(/unsafe-eval|script-src[^;]*unsafe-inline|https?:/);
  expect(html.slice(0, 4_000)).not.toMatch(/(src|href)="https?:/);
  expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  expect(html).toContain('token-of-a-customer');
  const again = await fetch(url, { headers: { 'if-none-match': response.headers.get('etag') ?? '' } });
  expect(again.status).toBe(304);
  const gzipped = await new Promise<Buffer>((resolve) => {
    get(url, { headers: { 'accept-encoding': 'gzip' } }, (message) => {
      const chunks: Buffer[] = [];
      message.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    });
  });
  expect(gunzipSync(gzipped).toString()).toBe(html);
});

test('no playground is served where none is wanted', async () => {
  expect((await fetch((await serve()).url)).status).toBe(404);
});

test('another token makes another page, so that browsers let go of the old one', async () => {
  const etags = await Promise.all(['one', 'two'].map(async (customer) => (await playgroundPage({ tokens: { customer } })).etag));
  expect(etags[0]).not.toBe(etags[1]);
});

test('every tab of the playground is a valid operation of the graph', () => {
  const { schema } = buildGraphSchema();
  for (const { query } of playgroundTabs()) expect(validate(schema, parse(query))).toEqual([]);
});
