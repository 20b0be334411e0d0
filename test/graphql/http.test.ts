import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serverAudits } from 'graphql-http';
import { ANONYMOUS_RATE } from '../../src/graphql/rate-limits.js';
import { Secret } from '../../src/platform/secret.js';
import { startSmallServer, type SmallServer } from './small-graph.js';

interface Answer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[];
  extensions?: Record<string, unknown>;
}

let server: SmallServer;
let open: SmallServer;
beforeAll(async () => {
  server = await startSmallServer({ budgetMs: { query: 50, mutation: 120 } });
  open = await startSmallServer({ settings: { environment: 'development' } });
});
afterAll(async () => {
  await server.stop(0);
  await open.stop(0);
});

async function ask(body: unknown, headers: Record<string, string> = {}, on = server) {
  const response = await on.post(body, headers);
  const text = await response.text();
  const answer = JSON.parse(text) as Answer;
  return { status: response.status, headers: response.headers, text, answer, error: answer.errors?.[0]?.extensions ?? {} };
}

const TOKEN = { authorization: 'Bearer ana' };

describe('GraphQL over HTTP', () => {
  test('keeps to the specification, but for what is refused on purpose', async () => {
    // Several audits ask for the schema, so they run on the server that answers that.
    const results = await Promise.all(serverAudits({ url: `${open.url}/graphql` }).map((audit) => audit.fn()));
    const notOk = results.filter(({ status }) => status !== 'ok').map(({ id, status }) => `${status} ${id}`);
    expect(results).toHaveLength(61);
    // Notices: GET without a header that forces a preflight is refused. Warnings: a document that cannot run is answered with 400, not 200.
    expect(notOk.sort()).toEqual(['notice 5A70', 'notice 6A70', 'notice D6D5', 'warn 572B', 'warn 7B9B', 'warn FDE2']);
  });

  test.each<[string, string, number]>([
    ['JSON that does not parse', '{"query": "{ whoami }"', 400],
    ['an empty body', '', 400],
    ['a list of operations', '[{"query":"{ whoami }"},{"query":"{ whoami }"}]', 400],
    ['a number', '7', 400],
    ['a body of more than 256 KiB', JSON.stringify({ query: '{ whoami }', padding: 'x'.repeat(256 * 1024) }), 413],
  ])('%s is answered with a GraphQL error', async (_what, body, status) => {
    const answer = await ask(body);
    expect(answer.status).toBe(status);
    expect(answer.error).toMatchObject({ code: 'BAD_REQUEST', requestId: answer.headers.get('x-request-id') });
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.text).not.toMatch(/at .*\.(js|ts)|node_modules/);
  });

  test.each([
    ['one that said so', `content-length: ${2 << 20}`, (piece: string) => piece],
    ['one that did not', 'transfer-encoding: chunked', (piece: string) => `${piece.length.toString(16)}\r\n${piece}\r\n`],
  ])('a client whose body is too big may send all of it and still reads the answer: %s', async (_which, header, framed) => {
    const { hostname, port } = new URL(server.url);
    const socket = net.connect({ host: hostname, port: Number(port) });
    await once(socket, 'connect');
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    const ended = once(socket, 'end'); // rejects when the connection is reset
    socket.write(`POST /graphql HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n${header}\r\n\r\n`);
    for (let nth = 0; nth < 32; nth++) {
      if (!socket.write(framed('x'.repeat(1 << 16)))) await Promise.race([once(socket, 'drain'), ended]);
      await nextTurn(); // the server has its turn between any two pieces
    }
    if (header.includes('chunked')) socket.write('0\r\n\r\n');
    await ended;
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('"code":"BAD_REQUEST"');
    socket.destroy();
  });

  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x'])(
    'a form of type %s is refused',
    async (type) => {
      const answer = await ask('query={whoami}', { 'content-type': type });
      expect(answer.status).toBe(400);
      expect(answer.error['code']).toBe('BAD_REQUEST');
    },
  );

  test('a mutation by GET is refused', async () => {
    const response = await fetch(
      `${server.url}/graphql?query=${encodeURIComponent('mutation { subscribe(input: {}) { ok } }')}`,
      {
        headers: { 'apollo-require-preflight': '1' },
      },
    );
    expect(response.status).toBe(405);
  });

  test('a query by GET needs a header that no form can send', async () => {
    const url = `${server.url}/graphql?query=%7Bwhoami%7D`;
    expect((await fetch(url)).status).toBe(400);
    expect((await fetch(url, { headers: { 'apollo-require-preflight': '1' } })).status).toBe(200);
  });

  test('a subscription by plain POST is told where to go', async () => {
    const { status, error, text } = await ask({ query: 'subscription { count(to: 1) }' }, TOKEN);
    expect(status).toBe(400);
    expect(error['code']).toBe('BAD_REQUEST');
    expect(text).toContain('graphql-transport-ws');
  });

  test('a document known by its hash need not be sent again', async () => {
    const query = '{ echo(text: "apq") }';
    const sha256Hash = '9df9cb76b7a5a3a3a1d9cd0c5f8d8f6fd4c8a9aab5a3b6e9d4d7a6a2f4f0f3c1';
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(query).digest('hex');
    const extensions = (sha: string) => ({ persistedQuery: { version: 1, sha256Hash: sha } });
    expect((await ask({ extensions: extensions(hash) })).error['code']).toBe('PERSISTED_QUERY_NOT_FOUND');
    const wrong = await ask({ query, extensions: extensions(sha256Hash) });
    expect([wrong.status, wrong.error['code']]).toEqual([400, 'BAD_REQUEST']);
    expect((await ask({ query, extensions: extensions(hash) })).answer.data).toEqual({ echo: 'apq' });
    expect((await ask({ extensions: extensions(hash) })).answer.data).toEqual({ echo: 'apq' });
  });

  test('a document known by its hash is still measured against the budget of whoever sends it', async () => {
    const query = 'query($n: Int) { items(first: $n) { nodes { id } } }';
    const { createHash } = await import('node:crypto');
    const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } };
    expect((await ask({ query, extensions, variables: { n: 900 } }, TOKEN)).status).toBe(200);
    expect((await ask({ extensions, variables: { n: 900 } })).error).toMatchObject({
      code: 'OPERATION_TOO_COMPLEX',
      maximum: 300,
    });
  });

  test('pages of listed origins may call, others may not', async () => {
    const preflight = async (origin: string) =>
      (await fetch(`${server.url}/graphql`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } }))
        .headers;
    expect((await preflight('https://app.example')).get('access-control-allow-origin')).toBe('https://app.example');
    expect((await preflight('https://app.example')).get('access-control-allow-credentials')).toBeNull();
    expect((await preflight('https://evil.example')).get('access-control-allow-origin')).toBeNull();
    expect((await preflight('null')).get('access-control-allow-origin')).toBeNull();
  });

  test('catalogue answers may be cached by anyone, all others by nobody', async () => {
    expect((await ask({ query: '{ tiers { name } }' })).headers.get('cache-control')).toBe('max-age=300, public');
    expect((await ask({ query: '{ tiers { name } whoami }' })).headers.get('cache-control')).toBe('no-store');
    expect((await ask({ query: '{ whoami }' }, { authorization: 'Bearer bad' })).headers.get('cache-control')).toBe('no-store');
  });

  test('an unknown path is a plain 404', async () => {
    const response = await fetch(`${server.url}/nothing`);
    expect([response.status, await response.json()]).toEqual([404, { error: 'Not found' }]);
  });
});

describe('identity', () => {
  test('a token says who asks', async () => {
    expect((await ask({ query: '{ whoami }' }, TOKEN)).answer.data).toEqual({ whoami: 'ana' });
    expect((await ask({ query: '{ whoami }' })).answer.data).toEqual({ whoami: null });
  });

  test.each(['Bearer bad', 'Basic YTpi', 'Bearer', 'Bearer two tokens', 'ana'])(
    '%j is refused with 401',
    async (authorization) => {
      const { status, error, headers } = await ask({ query: '{ whoami }' }, { authorization });
      expect(status).toBe(401);
      expect(error['code']).toBe('UNAUTHENTICATED');
      expect(headers.get('www-authenticate')).toContain('Bearer');
    },
  );

  test("the request id is the client's where it has the right form, and is in the answer and its errors", async () => {
    const given = await ask({ query: '{ fails(how: "plain") }' }, { 'x-request-id': 'my-request_1' });
    expect(given.headers.get('x-request-id')).toBe('my-request_1');
    expect(given.error['requestId']).toBe('my-request_1');
    for (const wrong of ['short', 'has spaces in it', 'x'.repeat(65), 'ümläuts-are-out']) {
      const made = await ask({ query: '{ whoami' }, { 'x-request-id': encodeURI(wrong) });
      expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(made.error['requestId']).toBe(made.headers.get('x-request-id'));
    }
  });
});

describe('errors', () => {
  test.each`
    how                  | code                       | status
    ${'plain'}           | ${'INTERNAL_SERVER_ERROR'} | ${500}
    ${'constraint'}      | ${'INTERNAL_SERVER_ERROR'} | ${500}
    ${'provider'}        | ${'INTERNAL_SERVER_ERROR'} | ${500}
    ${'coded'}           | ${'INTERNAL_SERVER_ERROR'} | ${500}
    ${'forbidden'}       | ${'FORBIDDEN'}             | ${200}
    ${'forbiddenField'}  | ${'FORBIDDEN'}             | ${200}
    ${'unauthenticated'} | ${'UNAUTHENTICATED'}       | ${200}
    ${'badInput'}        | ${'BAD_USER_INPUT'}        | ${200}
    ${'away'}            | ${'SERVICE_UNAVAILABLE'}   | ${503}
    ${'shutdown'}        | ${'SERVICE_UNAVAILABLE'}   | ${503}
    ${'wrapped'}         | ${'SERVICE_UNAVAILABLE'}   | ${503}
    ${'canceled'}        | ${'TIMEOUT'}               | ${504}
  `('an error of kind $how is shown as $code', async ({ how, code, status }) => {
    for (const field of ['fails', 'failsHard']) {
      const answered = await ask({ query: `query($how: String!) { ${field}(how: $how) }`, variables: { how } });
      expect([answered.status, answered.error['code']]).toEqual([status, code]);
      expect(answered.error['requestId']).toBe(answered.headers.get('x-request-id'));
      expect(answered.text).not.toMatch(/secret|select|sk_|10\.0\.0\.1|\.ts|stack|constraint/);
    }
    const beside = await ask({ query: 'query($how: String!) { echo(text: "data") fails(how: $how) }', variables: { how } });
    expect([beside.status, beside.answer.data]).toEqual([200, { echo: 'data', fails: null }]);
    expect((await ask({ query: '{ fails(how: "away") }' })).headers.get('retry-after')).toBe('2');
  });

  test('the cause of an internal error stands in the log, with the request id', async () => {
    const { headers } = await ask({ query: '{ fails(how: "plain") }' });
    const line = server.logged.find((logged) => logged.includes(headers.get('x-request-id') ?? '?'));
    expect(line).toContain('secret_table');
  });

  test.each`
    what                              | query                                                     | code                              | status
    ${'a document that is none'}      | ${'{ whoami'}                                             | ${'GRAPHQL_PARSE_FAILED'}         | ${400}
    ${'an unknown field'}             | ${'{ whoamI }'}                                           | ${'GRAPHQL_VALIDATION_FAILED'}    | ${400}
    ${'a variable of the wrong type'} | ${'query($n: Int) { items(first: $n) { nodes { id } } }'} | ${'BAD_USER_INPUT'}               | ${400}
    ${'an operation of two'}          | ${'query A { whoami } query B { whoami }'}                | ${'OPERATION_RESOLUTION_FAILURE'} | ${400}
    ${'introspection'}                | ${'{ __schema { types { name } } }'}                      | ${'GRAPHQL_VALIDATION_FAILED'}    | ${400}
    ${'the type of a name'}           | ${'{ __type(name: "User") { name } }'}                    | ${'GRAPHQL_VALIDATION_FAILED'}    | ${400}
  `('$what is refused as $code', async ({ query, code, status }) => {
    const answered = await ask({ query, variables: { n: 'x' } });
    expect([answered.status, answered.error['code']]).toEqual([status, code]);
    expect(answered.text).not.toMatch(/Did you mean|stack/);
  });

  test('introspection is open while developing, suggestions are not', async () => {
    expect((await ask({ query: '{ __schema { queryType { name } } }' }, {}, open)).answer.data).toEqual({
      __schema: { queryType: { name: 'Query' } },
    });
    expect((await ask({ query: '{ whoamI }' }, {}, open)).text).not.toContain('Did you mean');
  });

  test('an operation that takes too long is answered with TIMEOUT; mutations are given more time', async () => {
    const startedMs = performance.now();
    const query = await ask({ query: '{ hangs }' });
    const queryMs = performance.now() - startedMs;
    const mutation = await ask({ query: 'mutation { hangs }' });
    expect([query.status, query.error['code'], mutation.status]).toEqual([504, 'TIMEOUT', 504]);
    expect(performance.now() - startedMs - queryMs).toBeGreaterThan(110);
  });

  test('a replayed command says so in the extensions', async () => {
    const { answer } = await ask({ query: 'mutation { subscribe(input: { idempotencyKey: "k" }) { ok } }' }, TOKEN);
    expect(answer.extensions).toEqual({ idempotentReplay: true });
  });
});

describe('limits', () => {
  test('an operation over a limit is answered before it runs', async () => {
    const { status, error } = await ask({ query: '{ items(first: 5000) { nodes { id } } }' });
    expect(status).toBe(400);
    expect(error).toMatchObject({ code: 'OPERATION_TOO_COMPLEX', limit: 'cost', actual: 5_001, maximum: 300 });
  });

  test('the cost is told to who asks for it', async () => {
    const query = '{ items(first: 5) { nodes { id } } }';
    expect((await ask({ query }, { 'x-cost': '1', ...TOKEN })).answer.extensions).toEqual({
      cost: { requested: 6, maximum: 1_000 },
    });
    expect((await ask({ query }, TOKEN)).answer).not.toHaveProperty('extensions');
    expect((await ask({ query }, { 'x-cost': '1', authorization: 'Bearer eve.support' })).answer.extensions).toEqual({
      cost: { requested: 6, maximum: 5_000 },
    });
  });

  test.each<[string, string]>([
    ['10,000 aliases', `{ ${Array.from({ length: 10_000 }, (_, index) => `a${index}:whoami`).join(' ')} }`],
    ['2,000 tokens of one field', `{ ${'whoami '.repeat(2_100)} }`],
    ['cyclic fragments', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'],
    ['deep nesting', `{ viewer ${'{ friend '.repeat(200)} { id } ${'}'.repeat(200)} }`],
    ['many directives', `{ whoami ${'@skip(if: false) '.repeat(200)} }`],
    ['a hundred root fields', `{ ${'whoami '.repeat(100)} }`],
    [
      'fragments that double',
      `{ ...F0 } ${Array.from({ length: 40 }, (_, index) => `fragment F${index} on Query { ${index < 39 ? `...F${index + 1} ...F${index + 1}` : 'whoami'} }`).join(' ')}`,
    ],
  ])('a flood of %s is refused fast', async (_what, query) => {
    const timesMs: number[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const startedMs = performance.now();
      const { status, error } = await ask({ query });
      expect([status, error['code']]).toEqual([400, 'OPERATION_TOO_COMPLEX']);
      timesMs.push(performance.now() - startedMs);
    }
    expect(Math.min(...timesMs)).toBeLessThan(50); // the best of five: other tests share the machine
  });

  test('keys that reach for a prototype are left out of what is read', async () => {
    const { answer } = await ask(
      '{"query":"query($t: String) { echo(text: $t) }","variables":{"t":"x","__proto__":{"polluted":true}}}',
    );
    expect(answer.data).toEqual({ echo: 'x' });
    expect(Object.prototype).not.toHaveProperty('polluted');
  });

  test.each<[string, string[], number]>([
    ['one network each, where their proxy is believed', ['127.0.0.0/8'], 200],
    ['all one network, where it is not', [], 429],
  ])('clients who come through a proxy are %s', async (_what, trustedProxies, expected) => {
    const limited = await startSmallServer({ settings: { hasRateLimits: true, trustedProxies } });
    try {
      // At once, and twice as many as a network may send without a token: a busy machine gives some of them their turn back.
      const clients = Array.from({ length: 2 * ANONYMOUS_RATE.burst }, (_, client) => `203.0.${client}.1`);
      const answers = await Promise.all(
        clients.map((address) => ask({ query: '{ whoami }' }, { 'x-forwarded-for': address }, limited)),
      );
      expect(Math.max(...answers.map(({ status }) => status))).toBe(expected);
    } finally {
      await limited.stop(0);
    }
  });

  test('rates are kept per user when they are on', async () => {
    const limited = await startSmallServer({ settings: { hasRateLimits: true } });
    try {
      const verb = (key: string | null) => ({
        query: 'mutation($i: VerbInput!) { subscribe(input: $i) { ok } }',
        variables: { i: { idempotencyKey: key } },
      });
      for (let sent = 0; sent < 10; sent += 1) expect((await ask(verb(`key-${sent}`), TOKEN, limited)).status).toBe(200);
      const refused = await ask(verb('key-10'), TOKEN, limited);
      expect([refused.status, refused.error['code']]).toEqual([429, 'RATE_LIMITED']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused.error['retryAfterMs']).toBeGreaterThan(0);
      expect((await ask(verb('key-3'), TOKEN, limited)).status).toBe(200); // a repeat is free
      expect((await ask(verb('key-0'), { authorization: 'Bearer bob' }, limited)).status).toBe(200);
    } finally {
      await limited.stop(0);
    }
  });
});

describe('card data', () => {
  const CARD = '4242 4242 4242 4242';
  const raw = (path: string, headers: Record<string, string>, body?: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const sent = httpRequest(`${server.url}${path}`, { method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const json = { 'content-type': 'application/json' };
  const escaped = CARD.replaceAll(/\d/g, (digit) => `\\u003${digit}`);

  test.each<[string, string, Record<string, string>, string | undefined]>([
    ['a variable', '/graphql', json, JSON.stringify({ query: '{ whoami }', variables: { a: { b: [CARD] } } })],
    ['a number', '/graphql', json, '{"query":"{ whoami }","variables":{"a":4242424242424242}}'],
    ['escapes', '/graphql', json, `{"query":"{ whoami }","variables":{"a":"${escaped}"}}`],
    [
      'digits of another script',
      '/graphql',
      json,
      JSON.stringify({ query: '{ whoami }', variables: { a: '４２４２４２４２４２４２４２４２' } }),
    ],
    ['a literal', '/graphql', json, JSON.stringify({ query: `{ echo(text: "${CARD}") }` })],
    ['the operation name', '/graphql', json, JSON.stringify({ query: '{ whoami }', operationName: CARD })],
    ['extensions', '/graphql', json, JSON.stringify({ query: '{ whoami }', extensions: { a: CARD } })],
    ['a key', '/graphql', json, JSON.stringify({ query: '{ whoami }', variables: { [CARD]: 1 } })],
    ['a security code', '/graphql', json, JSON.stringify({ query: '{ whoami }', variables: { cvc: '123' } })],
    ['a body of another type', '/graphql', { 'content-type': 'text/plain' }, `card ${CARD}`],
    ['broken JSON', '/graphql', json, `{"card": "${CARD}"`],
    ['a header', '/graphql', { ...json, 'x-note': CARD }, '{"query":"{ whoami }"}'],
    ['a cookie', '/graphql', { ...json, cookie: 'card=4242424242424242' }, '{"query":"{ whoami }"}'],
    ['the request id', '/graphql', { ...json, 'x-request-id': '4242424242424242' }, '{"query":"{ whoami }"}'],
    [
      'the query string',
      `/graphql?query=%7Bwhoami%7D&note=${encodeURIComponent(CARD)}`,
      { 'apollo-require-preflight': '1' },
      undefined,
    ],
    [
      'variables in the query string',
      `/graphql?query=%7Bwhoami%7D&variables=${encodeURIComponent(JSON.stringify({ cvc: '123' }))}`,
      {},
      undefined,
    ],
  ])('in %s is refused, and stands nowhere afterwards', async (_what, path, headers, body) => {
    server.logged.length = 0;
    const { status, text } = await raw(path, headers, body);
    const answer = JSON.parse(text) as Answer;
    expect([status, answer.errors?.[0]?.extensions]).toEqual([
      400,
      { code: 'BAD_USER_INPUT', reason: 'CARD_DATA', requestId: expect.any(String) },
    ]);
    // Eight of its digits: four stand in a line's time by chance.
    expect(text + server.logged.join('')).not.toMatch(/4242\D{0,3}4242|４２/);
    expect(server.logged).toHaveLength(1);
  });

  test('what is refused is counted by its surface', async () => {
    const counted = await server.registry.getSingleMetricAsString('pan_blocked_total');
    for (const surface of ['body', 'url', 'headers']) expect(counted).toMatch(new RegExp(`surface="${surface}"\\} [1-9]`));
  });

  test('ids of users that are long numbers, tokens and public ids pass', async () => {
    const representations = [{ __typename: 'User', id: '4242424242424242' }];
    const query = 'query($representations: [_Any!]!) { _entities(representations: $representations) { __typename } }';
    expect((await ask({ query, variables: { representations } })).error['reason']).toBeUndefined();
    expect((await ask({ query: '{ whoami }' }, { authorization: 'Bearer 4242424242424242' })).status).toBe(200);
    expect((await ask({ query: '{ echo(text: "txn_01kahz6m9q7ne0t4g5wnbz8yrv") }' })).status).toBe(200);
  });
});

describe('the router', () => {
  const secrets = ['the new secret of the router', 'the old secret of the router'];
  const query = 'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on Tier { name } } }';
  const variables = { representations: [{ __typename: 'Tier', id: 'a' }] };
  let guarded: SmallServer;
  beforeAll(async () => {
    guarded = await startSmallServer({ settings: { routerSecrets: secrets.map((secret) => new Secret(secret)) } });
  });
  afterAll(() => guarded.stop(0));

  test('entities and the SDL are refused without its proof', async () => {
    for (const asked of [
      { query, variables },
      { query: '{ _service { sdl } }' },
      { query: '{ ...F } fragment F on Query { x: _service { sdl } }' },
    ]) {
      for (const headers of [{}, TOKEN, { 'x-router-authorization': 'wrong' }, { 'x-router-authorization': '' }]) {
        const { status, error } = await ask(asked, headers as Record<string, string>, guarded);
        expect([status, error['code']]).toEqual([403, 'FORBIDDEN']);
      }
    }
    expect((await ask({ query: '{ whoami }' }, TOKEN, guarded)).status).toBe(200);
  });

  test.each(secrets)('the header with a current secret is its proof (%s)', async (secret) => {
    const { answer } = await ask({ query, variables }, { 'x-router-authorization': secret }, guarded);
    expect(answer.data).toEqual({ _entities: [{ name: 'Tier a' }] });
  });

  test("Hive Gateway's signature is its proof, for what it signed alone", async () => {
    const sign = (text: string) =>
      createHmac('sha256', secrets[0] ?? '')
        .update(text)
        .digest('base64');
    const stable = JSON.stringify({ query, variables: { representations: [{ __typename: 'Tier', id: 'a' }] } });
    const signed = { query, variables, extensions: { 'hmac-signature': sign(stable) } };
    expect((await ask(signed, {}, guarded)).answer.data).toEqual({ _entities: [{ name: 'Tier a' }] });
    const other = { ...signed, variables: { representations: [{ __typename: 'Tier', id: 'b' }] } };
    expect((await ask(other, {}, guarded)).status).toBe(403);
    const reordered = { ...signed, variables: { representations: [{ id: 'a', __typename: 'Tier' }] } };
    expect((await ask(reordered, {}, guarded)).status).toBe(200);
  });

  test('has a greater budget than anybody', async () => {
    const big = { query: '{ items(first: 9000) { nodes { id } } }' };
    expect((await ask(big, { 'x-router-authorization': secrets[0] ?? '' }, guarded)).status).toBe(200);
    expect((await ask(big, TOKEN, guarded)).status).toBe(400);
  });

  test('without a secret set, an operation of entities alone is taken for the router’s', async () => {
    const many = { representations: Array(900).fill({ __typename: 'Tier', id: 'a' }) as unknown[] };
    expect((await ask({ query, variables: many })).status).toBe(200);
    expect((await ask({ query: query.replace('_entities', 'whoami _entities'), variables: many })).error['limit']).toBe('cost');
  });
});
