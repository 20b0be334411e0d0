import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { contextOf, smallSchema, startSmallServer, type SmallServer } from './small-graph.js';

let server: SmallServer;
beforeAll(async () => {
  server = await startSmallServer();
});
afterAll(() => server.stop(0));
beforeEach(() => server.registry.resetMetrics());

interface Outcomes {
  answered?: number;
  redone?: number;
  passed?: number;
  differed?: number;
}

async function outcomes(of = server): Promise<Outcomes> {
  const { values } = (await of.registry.getSingleMetric('graphql_short_path_total')?.get()) ?? { values: [] };
  return Object.fromEntries(values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['outcome'], value]));
}

async function ask(body: unknown, headers: Record<string, string> = {}, on = server): Promise<{ status: number; text: string }> {
  const response = await on.post(body, headers);
  return { status: response.status, text: await response.text() };
}

let made = 0;
/** A query that no test has sent before. */
const newQuery = (selection: string): string => `query Q${++made} { ${selection} }`;

/** Makes the server know a query. */
async function known(query: string, more: object = {}): Promise<void> {
  await ask({ query, ...more });
  server.registry.resetMetrics();
}

test('a query is answered by Apollo Server once, and from the short path from then on, alike', async () => {
  const query = newQuery('viewer { id friend { handle } ...F }  tiers { name } ') + ' fragment F on User { handle }';
  const first = await ask({ query });
  expect(await outcomes()).toEqual({ passed: 1 });
  expect(await ask({ query })).toEqual(first);
  expect(await ask({ query, variables: null, operationName: null, extensions: {} })).toEqual(first);
  expect(await outcomes()).toEqual({ passed: 1, answered: 2 });
});

test('a query that Apollo Server refused, or answered with an error, is not known', async () => {
  for (const selection of ['nothing', 'fails(how: "badInput")', 'echo(text: "x") failsHard(how: "plain")']) {
    const query = newQuery(selection);
    for (let times = 0; times < 3; times += 1) await ask({ query });
  }
  expect(await outcomes()).toEqual({ passed: 9 });
});

test('what fails on the short path is answered by Apollo Server, with its words', async () => {
  const query = newQuery('').replace(
    '{  }',
    '($how: String!, $isLeftOut: Boolean!) { echo(text: "x") fails(how: $how) @skip(if: $isLeftOut) }',
  );
  await known(query, { variables: { how: 'badInput', isLeftOut: true } });
  const { status, text } = await ask({ query, variables: { how: 'badInput', isLeftOut: false } });
  expect([status, JSON.parse(text)]).toMatchObject([
    200,
    { data: { echo: 'x', fails: null }, errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] },
  ]);
  expect((await ask({ query, variables: { isLeftOut: true } })).status).toBe(400);
  expect(await outcomes()).toEqual({ redone: 2 });
});

test('a query that fails too often loses its place until it has been answered well a hundred times', async () => {
  const query = newQuery('').replace(
    '{  }',
    '($how: String!, $isLeftOut: Boolean!) { echo(text: "x") fails(how: $how) @skip(if: $isLeftOut) }',
  );
  const send = (isLeftOut: boolean) => ask({ query, variables: { how: 'badInput', isLeftOut } });
  await send(true);
  server.registry.resetMetrics();
  for (let times = 0; times < 25; times += 1) await send(false);
  expect(await outcomes()).toEqual({ redone: 21, passed: 4 });
  server.registry.resetMetrics();
  for (let times = 0; times < 101; times += 1) await send(true);
  expect(await outcomes()).toEqual({ passed: 100, answered: 1 });
});

test('a query that fails now and then keeps its place', async () => {
  const query = newQuery('').replace(
    '{  }',
    '($how: String!, $isLeftOut: Boolean!) { echo(text: "x") fails(how: $how) @skip(if: $isLeftOut) }',
  );
  const send = (isLeftOut: boolean) => ask({ query, variables: { how: 'badInput', isLeftOut } });
  await send(true);
  server.registry.resetMetrics();
  for (let times = 0; times < 300; times += 1) await send(times % 6 !== 0);
  expect(await outcomes()).toEqual({ redone: 50, answered: 250 });
});

describe('Apollo Server alone answers', () => {
  test.each<[string, object, Record<string, string>]>([
    ['who asks for the cost', {}, { 'x-cost': '1' }],
    ['who prefers another media type', {}, { accept: 'application/graphql-response+json' }],
    ['who ranks media types', {}, { accept: 'application/json;q=0.5, application/graphql-response+json' }],
    ['who sends a document with its hash', { extensions: { persistedQuery: { version: 1, sha256Hash: 'x' } } }, {}],
    ['variables that are no object', { variables: [1] }, {}],
    ['an operation name that is no text', { operationName: 1 }, {}],
  ])('%s', async (_what, body, headers) => {
    const query = newQuery('whoami');
    await known(query);
    await ask({ query, ...body }, headers);
    expect(await outcomes()).toEqual({ passed: 1 });
  });

  test.each([
    'mutation { removePaymentMethod(input: {}) { ok } }',
    '{ ...F } fragment F on Query { __typename __type(name: "User") { name } }',
  ])('%s', async (query) => {
    const open = await startSmallServer({ settings: { environment: 'development' } });
    try {
      for (let times = 0; times < 3; times += 1) expect((await ask({ query }, {}, open)).status).toBe(200);
      expect(await outcomes(open)).toEqual({ passed: 3 });
    } finally {
      await open.stop(0);
    }
  });

  test('everything, where the short path is off', async () => {
    const off = await startSmallServer({ settings: { hasShortPath: false } });
    try {
      for (let times = 0; times < 3; times += 1) await ask({ query: '{ whoami }' }, {}, off);
      expect(await outcomes(off)).toEqual({ passed: 3 });
    } finally {
      await off.stop(0);
    }
  });
});

test.each(['*/*', 'application/json', 'application/json, text/plain;q=0.5'])(
  'a client that accepts %s is answered from the short path',
  async (accept) => {
    const query = newQuery('whoami');
    await known(query);
    await ask({ query }, { accept });
    expect(await outcomes()).toEqual({ answered: 1 });
  },
);

test('a document known by its hash is answered from the short path', async () => {
  const query = newQuery('whoami');
  const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } };
  const first = await ask({ query, extensions });
  server.registry.resetMetrics();
  expect(await ask({ extensions })).toEqual(first);
  expect(await outcomes()).toEqual({ answered: 1 });
});

test('an answer depends on the caller and the variables, not on who made the query known', async () => {
  const query = newQuery('').replace('{  }', '($text: String) { whoami echo(text: $text) }');
  await known(query, { variables: { text: 'first' } });
  const answers = await Promise.all(
    ['ana', 'bob'].map((user) => ask({ query, variables: { text: user } }, { authorization: `Bearer ${user}` })),
  );
  expect(answers.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
    { data: { whoami: 'ana', echo: 'ana' } },
    { data: { whoami: 'bob', echo: 'bob' } },
  ]);
  expect(await outcomes()).toEqual({ answered: 2 });
});

test('limits and tokens are judged before either path', async () => {
  const query = newQuery('').replace('{  }', '($n: Int) { items(first: $n) { nodes { id } } }');
  await known(query, { variables: { n: 1 } });
  expect((await ask({ query, variables: { n: 500 } })).text).toContain('OPERATION_TOO_COMPLEX');
  expect((await ask({ query, variables: { n: 1 } }, { authorization: 'Bearer bad' })).status).toBe(401);
  expect(await outcomes()).toEqual({});
});

test('a query that takes too long is told so on the short path too', async () => {
  let isSlow = false;
  const slow = await startSmallServer({
    budgetMs: { query: 50, mutation: 50 },
    makeContext: ({ actor, requestId, isRouter }) => Object.assign(contextOf(actor, requestId, isRouter), { isSlow }),
  });
  try {
    const query = '{ mayHang }';
    expect((await ask({ query }, {}, slow)).status).toBe(200);
    isSlow = true;
    expect((await ask({ query }, {}, slow)).status).toBe(504);
  } finally {
    await slow.stop(0);
  }
});

test('one answer in so many is compared with that of Apollo Server; a query that is answered otherwise is not taken any more', async () => {
  const compared = await startSmallServer({ compareEvery: 3 });
  const viewer = smallSchema.getQueryType()?.getFields()['viewer'];
  if (!viewer) throw new Error('The small graph has a viewer.');
  const { resolve } = viewer;
  try {
    for (let times = 0; times < 4; times += 1) await ask({ query: '{ viewer { id } }' }, {}, compared);
    expect(await outcomes(compared)).toEqual({ passed: 1, answered: 3 });
    // A resolver replaced while the server runs is what the short path cannot know of.
    viewer.resolve = () => ({ id: '2' });
    for (let times = 0; times < 4; times += 1) await ask({ query: '{ viewer { id } }' }, {}, compared);
    expect(await outcomes(compared)).toEqual({ passed: 2, answered: 5, differed: 1 });
    expect((await ask({ query: '{ viewer { id } }' }, {}, compared)).text).toBe('{"data":{"viewer":{"id":"2"}}}\n');
    expect(compared.logged.join()).toContain('answered otherwise');
  } finally {
    if (resolve) viewer.resolve = resolve;
    await compared.stop(0);
  }
});

test('a query that would write is left to Apollo Server, which runs it once', async () => {
  let opened = 0;
  const graph = await startSmallServer({
    makeContext: ({ actor, requestId, isRouter }) =>
      Object.assign(contextOf(actor, requestId, isRouter), { commands: { openCustomerAccount: async () => ++opened > 0 } }),
  });
  try {
    for (let times = 0; times < 5; times += 1) await ask({ query: '{ opens }' }, {}, graph);
    expect(opened).toBe(5);
    expect(await outcomes(graph)).toEqual({ passed: 1, redone: 4 });
  } finally {
    await graph.stop(0);
  }
});
