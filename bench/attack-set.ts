/** Ways to hurt a GraphQL server that are known, each with how it must end: refused, or answered with nothing that is another's. */
import type { HostileAnswer, HostileRequest } from './hostile-requests.js';

/** One way. */
export interface Attack {
  name: string;
  request: HostileRequest;
  /** What the answer must hold. */
  expected: { status: number; code: string | null; text?: RegExp };
}

/** Who attacks, and whose things. */
export interface Victims {
  /** Of a customer without anything. */
  token: string;
  /** A subscription of somebody else. */
  subscriptionId: string;
  /** A cursor in somebody else's list of transactions. */
  cursor: string;
  /** A key that the attacker has used for another price. */
  usedKey: string;
  priceId: string;
}

const repeat = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(' ');
const tooComplex = (limit: string): Attack['expected'] => ({
  status: 400,
  code: 'OPERATION_TOO_COMPLEX',
  text: new RegExp(`"limit":"${limit}"`),
});

/** All of them. */
export function attackSet({ token, subscriptionId, cursor, usedKey, priceId }: Victims): Attack[] {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const post = (body: unknown, more: Record<string, string> = {}): HostileRequest => ({
    method: 'POST',
    path: '/graphql',
    headers: { ...headers, ...more },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const ask = (query: string, variables: Record<string, unknown> = {}): HostileRequest => post({ query, variables });
  const get = (query: string): HostileRequest => ({
    method: 'GET',
    path: `/graphql?query=${encodeURIComponent(query)}`,
    headers: { ...headers, 'apollo-require-preflight': '1' },
    body: null,
  });
  const deep = (levels: number): string => `${'{"a":['.repeat(levels)}1${']}'.repeat(levels)}`;
  const entities =
    'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on UserSubscription { id status } ... on Tier { id } } }';
  return [
    {
      name: 'a batch of 1,000 operations',
      request: post(Array(1_000).fill({ query: '{ viewer { id } }' })),
      expected: { status: 400, code: 'BAD_REQUEST' },
    },
    {
      name: '10,000 aliases',
      request: ask(`{ ${repeat(10_000, (at) => `a${at}: viewer { id }`)} }`),
      expected: tooComplex('documentLength'),
    },
    { name: '330 aliases', request: ask(`{ ${repeat(330, (at) => `a${at}: viewer { id }`)} }`), expected: tooComplex('aliases') },
    {
      name: 'a verb of money under 20 aliases',
      request: ask(
        `mutation { ${repeat(20, (at) => `a${at}: purchase(input: { priceId: "${priceId}", idempotencyKey: "${'k'.repeat(16)}${at}" }) { userErrors { code } }`)} }`,
      ),
      expected: tooComplex('(aliases|repeatedMoneyVerb)'),
    },
    { name: '19,000 characters of one token each', request: ask(`{ ${'a '.repeat(9_500)} }`), expected: tooComplex('tokens') },
    {
      name: '300 levels',
      request: ask(`{ viewer ${'{ subscriptions { nodes '.repeat(150)} { id } ${'} }'.repeat(150)} }`),
      expected: tooComplex('depth'),
    },
    {
      name: '1,900 brackets in a value',
      request: ask(`{ monetizationNode(id: ${'['.repeat(950)}${']'.repeat(950)}) { id } }`),
      expected: { status: 400, code: 'GRAPHQL_VALIDATION_FAILED' },
    },
    {
      name: 'fragments in a circle',
      request: ask('{ viewer { ...A } } fragment A on User { ...B } fragment B on User { ...A }'),
      expected: tooComplex('fragmentCycles'),
    },
    {
      name: 'fragments that double 49 times',
      request: ask(
        `{ viewer { ...F0 } } ${repeat(50, (at) => `fragment F${at} on User { ${at < 49 ? `...F${at + 1} ...F${at + 1}` : 'transactions(first: 100) { nodes { id } } purchases(first: 100) { nodes { id } } '} }`)}`,
      ),
      expected: tooComplex('(cost|fields)'),
    },
    {
      name: '60 fragments',
      request: ask(`{ viewer { id } } ${repeat(60, (at) => `fragment F${at} on User { id }`)}`),
      expected: tooComplex('fragments'),
    },
    {
      name: '250 directives',
      request: ask(`{ viewer { id ${'@include(if: true) '.repeat(250)} } }`),
      expected: tooComplex('directives'),
    },
    {
      name: 'one field 1,900 times',
      request: ask(`{ viewer { ${'id '.repeat(1_900)} } }`),
      expected: tooComplex('repeatedField'),
    },
    {
      name: 'one object 480 times, to be compared pair by pair',
      request: ask(`{ viewer { ${'paymentMethods { id } '.repeat(480)} } }`),
      expected: tooComplex('repeatedField'),
    },
    {
      name: 'the same in 40 fragments',
      request: ask(
        `{ viewer { ${repeat(40, (at) => `...F${at}`)} } } ${repeat(40, (at) => `fragment F${at} on User { ${'paymentMethods { id } '.repeat(10)} }`)}`,
      ),
      expected: tooComplex('repeatedField'),
    },
    {
      name: 'lists in lists',
      request: ask('{ viewer { transactions(first: 100) { nodes { reversals { reversals { statusHistory { status } } } } } } }'),
      expected: tooComplex('cost'),
    },
    {
      name: 'a page of two billion',
      request: ask('query($n: Int) { viewer { transactions(first: $n) { nodes { id } } } }', { n: 2_147_483_647 }),
      expected: tooComplex('cost'),
    },
    {
      name: '1,001 entities',
      request: ask(entities, { representations: Array(1_001).fill({ __typename: 'Tier', id: 'x' }) }),
      expected: tooComplex('entities'),
    },
    {
      name: 'a list of 1,001',
      request: ask('query($ids: [ID!]) { viewer { id } }', { ids: Array(1_001).fill('x') }),
      expected: tooComplex('variableList'),
    },
    {
      name: 'a text of 20,001 characters',
      request: ask('query($id: ID!) { monetizationNode(id: $id) { id } }', { id: 'x'.repeat(20_001) }),
      expected: tooComplex('variableString'),
    },
    {
      name: 'variables 20 levels deep',
      request: post(`{"query":"{ viewer { id } }","variables":{"a":${deep(10)}}}`),
      expected: tooComplex('variableDepth'),
    },
    {
      name: 'JSON 40,000 levels deep',
      request: post(`{"query":"{ viewer { id } }","variables":{"a":${deep(20_000)}}}`),
      expected: { status: 400, code: 'BAD_REQUEST' },
    },
    {
      name: 'a body of 300 KiB',
      request: post({ query: '{ viewer { id } }', padding: 'x'.repeat(300 * 1_024) }),
      expected: { status: 413, code: 'BAD_REQUEST' },
    },
    {
      name: '250 KiB of digits, to be searched for card numbers',
      request: post({ query: '{ nothing }', variables: { a: Array.from({ length: 12 }, () => '12'.repeat(9_900)) } }),
      expected: { status: 400, code: 'GRAPHQL_VALIDATION_FAILED' },
    },
    {
      name: '600 wrong fields',
      request: ask(`{ viewer { ${repeat(600, (at) => `transactoin${at}`)} } }`),
      expected: { status: 400, code: 'GRAPHQL_VALIDATION_FAILED' },
    },
    {
      name: 'a name to be guessed',
      request: ask('{ viewer { transaction } }'),
      expected: { status: 400, code: 'GRAPHQL_VALIDATION_FAILED', text: /^(?!.*Did you mean)/s },
    },
    {
      name: 'a prototype',
      request: post('{"query":"{ nothing }","variables":{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}}}}'),
      expected: { status: 400, code: 'GRAPHQL_VALIDATION_FAILED' },
    },
    {
      name: 'a mutation by GET',
      request: get(
        `mutation { purchase(input: { priceId: "${priceId}", idempotencyKey: "a-key-by-get-1234" }) { userErrors { code } } }`,
      ),
      expected: { status: 405, code: null },
    },
    {
      name: 'a form of another site',
      request: post('query={viewer{id}}', { 'content-type': 'application/x-www-form-urlencoded' }),
      expected: { status: 400, code: 'BAD_REQUEST' },
    },
    {
      name: 'a subscription that calls back to us',
      request: post(
        {
          query: 'subscription { paymentStatusChanged { type } }',
          extensions: {
            subscription: {
              callbackUrl: 'http://169.254.169.254/latest',
              subscriptionId: 'x',
              verifier: 'y',
              heartbeatIntervalMs: 5_000,
            },
          },
        },
        { accept: 'application/json;callbackSpec=1.0' },
      ),
      expected: { status: 400, code: 'BAD_REQUEST' },
    },
    {
      name: "somebody else's subscription as an entity",
      request: ask(entities, { representations: [{ __typename: 'UserSubscription', id: subscriptionId }] }),
      expected: { status: 200, code: null, text: /"_entities":\[null\]/ },
    },
    {
      name: "somebody else's cursor",
      request: ask('query($after: String) { viewer { transactions(first: 5, after: $after) { nodes { id } } } }', {
        after: cursor,
      }),
      expected: { status: 200, code: 'CURSOR_INVALID' },
    },
    {
      name: 'a used key with another input',
      request: ask('mutation($input: PurchaseInput!) { purchase(input: $input) { transaction { id } userErrors { code } } }', {
        input: { priceId, quantity: 7, idempotencyKey: usedKey },
      }),
      expected: { status: 200, code: null, text: /IDEMPOTENCY_KEY_REUSED/ },
    },
  ];
}

/** What is wrong with an answer; null when it is as it must be. */
export function faultOf({ expected }: Attack, { status, text }: HostileAnswer): string | null {
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? null;
  const isRight =
    status === expected.status && (expected.code === null || code === expected.code) && (expected.text?.test(text) ?? true);
  return isRight ? null : `${status} ${text.slice(0, 300)}`;
}
