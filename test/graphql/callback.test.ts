import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from '@jest/globals';
import { CALLBACK_LIMITS } from '../../src/graphql/callback-transport.js';
import { startSmallServer, type SmallServer } from './small-graph.js';

interface Message {
  kind: string;
  action: string;
  id: string;
  verifier: string;
  payload?: { data?: unknown; errors?: { extensions: { code: string } }[] };
  errors?: { extensions: { code: string } }[];
}

/** The side of a router that takes callbacks: keeps what comes and answers as it is told to. */
class Router {
  readonly messages: Message[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  /** @param answer status for each message; null leaves it without an answer */
  constructor(answer: (message: Message, nth: number) => number | null) {
    this.#server = createServer((request, response) => {
      void json(request).then((body) => {
        const message = body as Message;
        this.messages.push(message);
        this.headers.push(request.headers);
        const status = answer(message, this.messages.length);
        if (status === 302) response.setHeader('location', `${this.url}/elsewhere`);
        if (status !== null) response.writeHead(status).end();
        for (const go of this.#waiting.splice(0)) go();
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/callback`;
  }

  async start(): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return this;
  }

  get actions(): string[] {
    return this.messages.map(({ action }) => action);
  }

  /** Waits until so many messages have come. */
  async has(count: number): Promise<void> {
    while (this.messages.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Waits until such a message has come. */
  async hasAction(action: string): Promise<void> {
    while (!this.actions.includes(action)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const servers: SmallServer[] = [];
const routers: Router[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(0)));
  for (const router of routers.splice(0)) router.stop();
});

const SOON = { ...CALLBACK_LIMITS, firstRetryMs: 1, longestRetryMs: 2 };

async function start(
  answer: (message: Message, nth: number) => number | null = () => 204,
  options: Parameters<typeof startSmallServer>[0] = {},
): Promise<{ router: Router; server: SmallServer }> {
  const router = await new Router(answer).start();
  routers.push(router);
  const server = await startSmallServer({
    callbackLimits: SOON,
    ...options,
    settings: { callbackAllowlist: [new URL(router.url)], ...options.settings },
  });
  servers.push(server);
  return { router, server };
}

const ACCEPT = 'application/json;callbackSpec=1.0';

/** Asks as Hive Gateway does. */
async function ask(
  server: SmallServer,
  router: { url: string },
  query = 'subscription { count(to: 2) }',
  more: { subscription?: Record<string, unknown>; headers?: Record<string, string> } = {},
) {
  const subscription = {
    callbackUrl: `${router.url}/sub-1`,
    subscriptionId: 'sub-1',
    verifier: 'only the router knows',
    heartbeatIntervalMs: 0,
    ...more.subscription,
  };
  const headers = { accept: ACCEPT, authorization: 'Bearer ana', ...more.headers };
  const response = await server.post({ query, extensions: { subscription } }, headers);
  const body = (await response.json()) as { data?: unknown; errors?: { message: string; extensions: { code: string } }[] };
  return { status: response.status, headers: response.headers, body, code: body.errors?.[0]?.extensions.code };
}

const signs = { kind: 'subscription', id: 'sub-1', verifier: 'only the router knows' };

describe('a delivery', () => {
  test('is confirmed before the request is answered, brings each item and ends with a word', async () => {
    const { router, server } = await start();
    const { status, body } = await ask(server, router);
    expect([status, body]).toEqual([200, { data: null }]);
    await router.hasAction('complete');
    expect(router.messages).toEqual([
      { ...signs, action: 'check' },
      { ...signs, action: 'next', payload: { data: { count: 1 } } },
      { ...signs, action: 'next', payload: { data: { count: 2 } } },
      { ...signs, action: 'complete' },
    ]);
  });

  test('carries the exact media type and the name of the protocol on every message', async () => {
    const { router, server } = await start();
    await ask(server, router);
    await router.hasAction('complete');
    for (const headers of router.headers) {
      expect([headers['content-type'], headers['subscription-protocol']]).toEqual(['application/json', 'callback/1.0']);
    }
  });

  test('shows that it lives at half the interval, and each message counts as a sign', async () => {
    const { router, server } = await start();
    await ask(server, router, 'subscription { beats }', { subscription: { heartbeatIntervalMs: 500 } });
    await router.has(3);
    const startedMs = performance.now();
    await router.has(5);
    const tookMs = performance.now() - startedMs;
    expect(router.actions.slice(0, 5)).toEqual(['check', 'next', 'check', 'check', 'check']);
    expect(tookMs).toBeGreaterThan(400); // two halves, less what a timer is off
  });

  test('keeps silence where the router asked for no signs, and understands the older names', async () => {
    const { router, server } = await start();
    const subscription = {
      callbackUrl: undefined,
      subscriptionId: undefined,
      heartbeatIntervalMs: undefined,
      callback_url: `${router.url}/sub-1`,
      subscription_id: 'sub-1',
      heartbeat_interval_ms: 0,
    };
    expect((await ask(server, router, 'subscription { count(to: 1) }', { subscription })).status).toBe(200);
    await router.hasAction('complete');
    expect(router.actions).toEqual(['check', 'next', 'complete']);
  });

  test('tells with the end that it broke, and nothing of the cause', async () => {
    const { router, server } = await start();
    await ask(server, router, 'subscription { breaks }');
    await router.hasAction('complete');
    expect(router.actions).toEqual(['check', 'next', 'complete']);
    expect(router.messages.at(-1)?.errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    expect(JSON.stringify(router.messages)).not.toContain('secret');
  });

  test.each([404, 400, 302])('ends at once when the router answers %d to an item, and follows no redirect', async (status) => {
    const { router, server } = await start((message) => (message.action === 'next' ? status : 204));
    await ask(server, router);
    const ended = async (): Promise<boolean> =>
      (await server.registry.getSingleMetricAsString('graphql_callbacks_total')).includes('action="next",outcome="refused"} 1');
    while (!(await ended())) await new Promise((resolve) => setImmediate(resolve));
    await server.stop(0); // waits for what is still being delivered
    expect(router.actions).toEqual(['check', 'next']);
  });

  test('sends an item again while the router has trouble, in order and with nothing between', async () => {
    let troubles = 0;
    const { router, server } = await start(({ action }) => (action === 'next' && troubles++ < 3 ? 503 : 204));
    await ask(server, router);
    await router.hasAction('complete');
    const counts = router.messages.flatMap(({ payload }) => (payload ? [payload.data] : []));
    expect(counts).toEqual([{ count: 1 }, { count: 1 }, { count: 1 }, { count: 1 }, { count: 2 }]);
  });

  test('sends an item again that the router did not answer in time', async () => {
    let isSilent = true;
    const silentOnce = ({ action }: Message): number | null => {
      if (action !== 'next' || !isSilent) return 204;
      isSilent = false;
      return null;
    };
    const { router, server } = await start(silentOnce, { callbackLimits: { ...SOON, answerMs: 1_000 } });
    await ask(server, router, 'subscription { count(to: 1) }');
    await router.hasAction('complete');
    expect(router.actions).toEqual(['check', 'next', 'next', 'complete']);
  });

  test('gives up after five repeats', async () => {
    const { router, server } = await start(({ action }) => (action === 'check' ? 204 : 500));
    await ask(server, router);
    await router.has(7);
    await server.stop(0);
    expect(router.actions).toEqual(['check', 'next', 'next', 'next', 'next', 'next', 'next']);
  });
});

describe('is refused:', () => {
  test.each([
    ['an address on another host', 'http://127.0.0.2/callback/sub-1'],
    ['an address on another port', 'http://127.0.0.1:1/callback/sub-1'],
    ['another scheme', 'file:///callback/sub-1'],
    ['no address', 'callback'],
  ])('%s', async (_what, callbackUrl) => {
    const { router, server } = await start();
    const answer = await ask(server, router, undefined, { subscription: { callbackUrl } });
    expect([answer.status, answer.code]).toEqual([400, 'BAD_REQUEST']);
    expect(router.messages).toEqual([]);
  });

  test.each(['/callbacks/sub-1', '/other', '/callback/../other', '/callback/%2e%2e/other', '/callback/..%2fother', '/'])(
    'an address on the right host that is not below the listed one (%s)',
    async (path) => {
      const { router, server } = await start();
      const answer = await ask(server, router, undefined, { subscription: { callbackUrl: new URL(router.url).origin + path } });
      expect([answer.status, answer.code]).toEqual([400, 'BAD_REQUEST']);
      expect(router.messages).toEqual([]);
    },
  );

  test('an address with a user name, which can make one host look like another', async () => {
    const { router, server } = await start();
    const callbackUrl = router.url.replace('http://', 'http://user@');
    expect((await ask(server, router, undefined, { subscription: { callbackUrl } })).status).toBe(400);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no id', { subscriptionId: '' }],
    ['no verifier', { verifier: 7 }],
    ['an interval that would flood the router', { heartbeatIntervalMs: 1 }],
    ['an interval that is no number', { heartbeatIntervalMs: 'soon' }],
  ])('%s', async (_what, subscription) => {
    const { router, server } = await start();
    expect((await ask(server, router, undefined, { subscription })).status).toBe(400);
    expect(router.messages).toEqual([]);
  });

  test('a caller without identity, and one with a bad token', async () => {
    const { router, server } = await start();
    for (const authorization of ['', 'Bearer bad']) {
      const answer = await ask(server, router, undefined, { headers: { authorization } });
      expect([answer.status, answer.code]).toEqual([401, 'UNAUTHENTICATED']);
    }
    expect(router.messages).toEqual([]);
  });

  test.each(['{ whoami }', 'mutation { removePaymentMethod(input: {}) { ok } }'])(
    'what is no subscription (%s)',
    async (query) => {
      const { router, server } = await start();
      expect((await ask(server, router, query)).status).toBe(400);
      expect(router.messages).toEqual([]);
    },
  );

  test.each([
    ['subscription { nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    [`subscription { ${Array.from({ length: 31 }, (_, n) => `a${n}: __typename`).join(' ')} beats }`, 'OPERATION_TOO_COMPLEX'],
  ])('what is refused on every other way too (%s)', async (query, code) => {
    const { router, server } = await start();
    expect(await ask(server, router, query)).toMatchObject({ status: 400, code });
    expect(router.messages).toEqual([]);
  });

  test.each([404, 401, 302, 500])('a stream whose address answers %d to the check, and it is not kept open', async (status) => {
    const { router, server } = await start(() => status);
    expect(await ask(server, router)).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(router.actions).toEqual(['check']);
  });

  test('one more stream than fits into the process, with a word when to come back', async () => {
    const { router, server } = await start(undefined, { callbackLimits: { ...SOON, streams: 1 } });
    expect((await ask(server, router, 'subscription { beats }')).status).toBe(200);
    const { status, code, headers } = await ask(server, router, 'subscription { beats }');
    expect([status, code, headers.get('retry-after')]).toEqual([503, 'SERVICE_UNAVAILABLE', '2']);
  });

  test('everything, while no address is listed', async () => {
    const { router, server } = await start(undefined, { settings: { callbackAllowlist: [] } });
    expect(await ask(server, router)).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(router.messages).toEqual([]);
  });
});
