import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { SOCKET_TIMINGS } from '../../src/graphql/socket-transport.js';
import { blockStreams, startSmallServer, type SmallServer } from './small-graph.js';

const servers: SmallServer[] = [];
const sockets: WebSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await Promise.all(servers.splice(0).map((server) => server.stop(0)));
});

async function start(options: Parameters<typeof startSmallServer>[0] = {}): Promise<SmallServer> {
  const server = await startSmallServer(options);
  servers.push(server);
  return server;
}

/** A raw connection that keeps what it is sent. */
class Wire {
  readonly messages: Record<string, unknown>[] = [];
  readonly closed: Promise<number>;
  #waiting: (() => void)[] = [];

  constructor(readonly socket: WebSocket) {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()) as Record<string, unknown>);
      for (const go of this.#waiting.splice(0)) go();
    });
    this.closed = once(socket, 'close').then(([code]) => code as number);
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(id: string, query: string, variables?: unknown): void {
    this.send({ id, type: 'subscribe', payload: { query, variables } });
  }

  /** The message after the ones seen so far that fits. */
  async message(fits: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.messages.find(fits);
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

async function wire(server: SmallServer, headers: Record<string, string> = {}): Promise<Wire> {
  const made = new Wire(new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers }));
  await once(made.socket, 'open');
  return made;
}

async function connected(server: SmallServer, payload: unknown = { token: 'ana' }): Promise<Wire> {
  const made = await wire(server);
  made.send({ type: 'connection_init', payload });
  await made.message(({ type }) => type === 'connection_ack');
  return made;
}

const errorOf = (message: Record<string, unknown>): Record<string, unknown> =>
  (message['payload'] as { extensions: Record<string, unknown> }[])[0]?.extensions ?? {};

describe('identity', () => {
  test.each<[string, unknown]>([
    ['Authorization', { Authorization: 'Bearer ana' }],
    ['authorization', { authorization: 'Bearer ana' }],
    ['token', { token: 'ana' }],
    ['connectionParams.token', { connectionParams: { token: 'Bearer ana' } }],
  ])('the token may come in the first message as %s', async (_key, payload) => {
    const { messages } = await connected(await start(), payload);
    expect(messages).toEqual([{ type: 'connection_ack' }]);
  });

  test('the token may come in the header of the upgrade', async () => {
    const made = await wire(await start(), { authorization: 'Bearer ana' });
    made.send({ type: 'connection_init' });
    await made.message(({ type }) => type === 'connection_ack');
  });

  test.each([undefined, {}, { token: 'bad' }, { token: 7 }, { Authorization: 'Basic x' }])(
    'without a good token (%j) the connection is closed with 4403',
    async (payload) => {
      const made = await wire(await start());
      made.send({ type: 'connection_init', ...(payload !== undefined && { payload }) });
      expect(await made.closed).toBe(4403);
    },
  );

  test('when the token expires the connection is closed with 4403', async () => {
    expect(await (await connected(await start(), { token: 'short' })).closed).toBe(4403);
  });

  test('a client of graphql-ws comes back with a fresh token after 4403', async () => {
    const server = await start();
    const tokens = ['short', 'ana'];
    let asked = 0;
    const client = createClient({
      url: `${server.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: () => ({ token: tokens[asked++] ?? 'ana' }),
      retryWait: () => Promise.resolve(),
    });
    const beats = client.iterate({ query: 'subscription { beats }' });
    expect((await beats.next()).value).toEqual({ data: { beats: 1 } });
    expect((await beats.next()).value).toEqual({ data: { beats: 1 } }); // a new stream on a new connection
    expect(asked).toBe(2);
    await client.dispose();
  });
});

describe('the protocol', () => {
  test('a subscription sends its items and completes', async () => {
    const made = await connected(await start());
    made.subscribe('1', 'subscription { count(to: 3) }');
    await made.message(({ type }) => type === 'complete');
    expect(made.messages.slice(1)).toEqual([
      ...[1, 2, 3].map((count) => ({ id: '1', type: 'next', payload: { data: { count } } })),
      { id: '1', type: 'complete' },
    ]);
  });

  test('a stream that breaks ends with an error that tells nothing, and its connection goes on', async () => {
    const server = await start();
    const made = await connected(server);
    made.subscribe('1', 'subscription { breaks }');
    const error = await made.message(({ id, type }) => id === '1' && type === 'error');
    expect(errorOf(error)['code']).toBe('INTERNAL_SERVER_ERROR');
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(server.logged.join('')).toContain('secret cause');
    const response = await fetch(`${server.url}/graphql?query=${encodeURIComponent('subscription { breaks }')}`, {
      headers: { accept: 'text/event-stream', authorization: 'Bearer ana' },
    });
    const text = await response.text();
    expect(text.match(/^event: (.+)$/gm)).toEqual(['event: next', 'event: next', 'event: complete']);
    expect(text).toContain('INTERNAL_SERVER_ERROR');
    expect(text).not.toContain('secret');
    made.subscribe('2', 'subscription { count(to: 1) }');
    await made.message(({ id, type }) => id === '2' && type === 'complete');
  });

  test('another subprotocol is refused with 4406, none at all with the same', async () => {
    const server = await start();
    const other = new Wire(new WebSocket(`${server.url.replace('http', 'ws')}/graphql`));
    expect(await other.closed).toBe(4406);
  });

  test('another path is a 404', async () => {
    const server = await start();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/other`, 'graphql-transport-ws');
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });

  test('a foreign page is refused, a listed one and our own are not', async () => {
    const server = await start();
    await wire(server, { origin: 'https://app.example' });
    await wire(server, { origin: server.url });
    for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example']) {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
        headers: { origin },
      });
      const [error] = (await once(socket, 'error')) as [Error];
      expect(error.message).toContain('403');
    }
  });

  test('who says nothing is closed with 4408', async () => {
    const server = await start({ socketTimings: { ...SOCKET_TIMINGS, initWaitMs: 20 } });
    expect(await (await wire(server)).closed).toBe(4408);
  });

  test('who begins twice is closed with 4429, who subscribes first with 4401, who sends no JSON with 4400', async () => {
    const server = await start();
    const twice = await connected(server);
    twice.send({ type: 'connection_init', payload: { token: 'ana' } });
    expect(await twice.closed).toBe(4429);
    const early = await wire(server);
    early.subscribe('1', 'subscription { beats }');
    expect(await early.closed).toBe(4401);
    const broken = await connected(server);
    broken.send('{"type":');
    expect(await broken.closed).toBe(4400);
    const same = await connected(server);
    same.subscribe('1', 'subscription { beats }');
    same.subscribe('1', 'subscription { beats }');
    expect(await same.closed).toBe(4409);
  });

  test('a message over 64 KiB ends the connection with 1009', async () => {
    const made = await connected(await start());
    made.send({ type: 'ping', payload: { padding: 'x'.repeat(64 * 1024) } });
    expect(await made.closed).toBe(1009);
  });

  test('who does not answer two pings is cut off', async () => {
    const server = await start({ socketTimings: { ...SOCKET_TIMINGS, pingEveryMs: 10 } });
    const { port, hostname } = new URL(server.url);
    const deaf = connect(Number(port), hostname);
    deaf.write(
      'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
    );
    deaf.resume().on('error', () => undefined);
    await once(deaf, 'close');
    const alive = await connected(server);
    alive.subscribe('1', 'subscription { count(to: 1) }');
    await alive.message(({ type }) => type === 'complete');
  });
});

describe('limits', () => {
  test('an eleventh operation on one connection closes it with 4400', async () => {
    const made = await connected(await start());
    for (let id = 0; id < 10; id += 1) made.subscribe(String(id), 'subscription { beats }');
    await made.message(({ id, type }) => id === '9' && type === 'next');
    made.subscribe('10', 'subscription { beats }');
    expect(await made.closed).toBe(4400);
  });

  test('a sixth connection of one user closes the oldest with 1013', async () => {
    const server = await start();
    const open: Wire[] = [];
    for (let count = 0; count < 5; count += 1) open.push(await connected(server));
    await connected(server, { token: 'bob' });
    await connected(server);
    expect(await open[0]?.closed).toBe(1013);
    expect(open.slice(1).every(({ socket }) => socket.readyState === WebSocket.OPEN)).toBe(true);
  });

  test('the limits of operations hold here too', async () => {
    const made = await connected(await start());
    made.subscribe('1', `subscription { ${Array.from({ length: 31 }, (_, index) => `a${index}: __typename`).join(' ')} beats }`);
    const refused = await made.message(({ id }) => id === '1');
    expect(refused).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'OPERATION_TOO_COMPLEX', limit: 'aliases' } }],
    });
    expect(errorOf(refused)['requestId']).toEqual(expect.any(String));
  });

  test.each([
    ['{ whoami }', 'BAD_REQUEST'],
    ['mutation { removePaymentMethod(input: {}) { ok } }', 'BAD_REQUEST'],
    ['{ __schema { types { name } } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription { beat }', 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription {', 'GRAPHQL_PARSE_FAILED'],
  ])('%s is refused as %s', async (query, code) => {
    const made = await connected(await start());
    made.subscribe('1', query);
    const refused = await made.message(({ id }) => id === '1');
    expect(refused['type']).toBe('error');
    expect(errorOf(refused)['code']).toBe(code);
    expect(JSON.stringify(refused)).not.toContain('Did you mean');
  });

  test('queries are served while developing, for the playground', async () => {
    const made = await connected(await start({ settings: { environment: 'development' } }));
    made.subscribe('1', '{ whoami }');
    expect(await made.message(({ type }) => type === 'next')).toMatchObject({ payload: { data: { whoami: 'ana' } } });
  });

  test('an operation with card data is refused and its neighbours go on; elsewhere card data ends the connection', async () => {
    const server = await start();
    const made = await connected(server);
    made.subscribe('1', 'subscription { beats }');
    made.subscribe('2', 'subscription { beats }', { note: '4242 4242 4242 4242' });
    const refused = await made.message(({ id, type }) => id === '2' && type === 'error');
    expect(errorOf(refused)).toMatchObject({ code: 'BAD_USER_INPUT', reason: 'CARD_DATA' });
    expect(made.socket.readyState).toBe(WebSocket.OPEN);
    made.send({ type: 'ping', payload: { note: '4242424242424242' } });
    expect(await made.closed).toBe(4400);
    const broken = await connected(server);
    broken.send('{"note": "4242424242424242"');
    expect(await broken.closed).toBe(4400);
    expect(server.logged.join('')).not.toContain('4242');
    expect(await server.registry.getSingleMetricAsString('pan_blocked_total')).toContain('surface="frame"} 3');
  });

  const valueOf = async (server: SmallServer, name: string): Promise<number> =>
    Number(/(\S+)\n*$/.exec(await server.registry.getSingleMetricAsString(name))?.[1]);

  /** Waits until a socket was told that it reads too slowly. */
  const untilSentAway = async (server: SmallServer): Promise<void> => {
    const isCounted = async (): Promise<boolean> =>
      (await server.registry.getSingleMetricAsString('graphql_socket_closes_total')).includes('code="1013"} 1');
    while (!(await isCounted())) await new Promise((resolve) => setImmediate(resolve));
  };

  test('who does not read is cut off, also when it never reads that', async () => {
    const server = await start({ socketTimings: { ...SOCKET_TIMINGS, slowReaderMs: 60 } });
    const made = await connected(server);
    made.subscribe('1', 'subscription { blocks }');
    made.socket.pause();
    await untilSentAway(server);
    while ((await valueOf(server, 'graphql_sockets_open')) > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('who reads again is told by 1013 to come back', async () => {
    const server = await start({ socketTimings: { ...SOCKET_TIMINGS, slowReaderMs: 500 } });
    const made = await connected(server);
    made.subscribe('1', 'subscription { blocks }');
    made.socket.pause();
    await untilSentAway(server);
    made.socket.resume();
    expect(await made.closed).toBe(1013);
  });

  test('who does not read server-sent events has one item wait for it, and is cut off', async () => {
    const server = await start({ socketTimings: { ...SOCKET_TIMINGS, slowReaderMs: 60 } });
    const before = { ...blockStreams };
    const asked = httpRequest(`${server.url}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', authorization: 'Bearer ana', 'content-type': 'application/json' },
    });
    asked.on('error', () => undefined).end(JSON.stringify({ query: 'subscription { blocks }' }));
    await once(asked, 'response'); // and none of it is read
    while (blockStreams.blocks === before.blocks) await new Promise((resolve) => setImmediate(resolve));
    while (blockStreams.open > before.open) await new Promise((resolve) => setImmediate(resolve));
    // What the network buffers takes a few; then the next one is made only when the last one has gone.
    expect(blockStreams.blocks - before.blocks).toBeLessThan(20);
    asked.destroy();
  });

  test('who asks on and on without reading has little kept for it, and is sent away', async () => {
    const server = await start();
    const made = await connected(server);
    made.socket.pause();
    const padding = 'x'.repeat(60 * 1024);
    let most = 0;
    const flooding = new AbortController();
    const sentAway = untilSentAway(server).then(() => flooding.abort());
    while (!flooding.signal.aborted) {
      made.send({ type: 'ping', payload: { padding } }); // each is to be answered with the same
      // Server and client share this process: both get their turn before the next one.
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, await valueOf(server, 'graphql_sockets_unsent_bytes'));
    }
    await sentAway;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(1.25 * 1024 * 1024);
    made.socket.resume();
    expect(await made.closed).toBe(1013);
  });
});

test('a server that goes away closes a connection without operations with 1012, and takes no new ones', async () => {
  const server = await start();
  const made = await connected(server);
  const stopped = server.stop(0);
  servers.length = 0;
  expect(await made.closed).toBe(1012);
  await stopped;
  expect(server.isDraining()).toBe(true);
});
