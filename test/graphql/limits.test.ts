import { expect, test } from '@jest/globals';
import { parse } from 'graphql';
import { DocumentLimits, findSourceBreach, isBreach, MAXIMUM_COST, type Audience } from '../../src/graphql/limits.js';
import { smallSchema } from './small-graph.js';

interface Asked {
  variables?: Record<string, unknown>;
  audience?: Audience;
  operationName?: string;
}

function measure(source: string, { variables = {}, audience = 'customer', operationName }: Asked = {}) {
  return new DocumentLimits(smallSchema, parse(source)).measure({ operationName: operationName ?? null, variables, audience });
}

function costOf(source: string, asked: Asked = {}): number {
  const measured = measure(source, asked);
  if (isBreach(measured)) throw new Error(JSON.stringify(measured));
  return measured.cost;
}

const repeat = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(' ');

test.each`
  what                                               | source                                                                                                         | cost
  ${'a scalar'}                                      | ${'{ whoami }'}                                                                                                | ${0}
  ${'an object'}                                     | ${'{ viewer { handle } }'}                                                                                     | ${1}
  ${'introspection'}                                 | ${'{ __schema { types { name } } __typename }'}                                                                | ${0}
  ${'objects of the catalogue'}                      | ${'{ tiers { name } }'}                                                                                        | ${0}
  ${'a list in a list, with a weight on the type'}   | ${'{ tiers { perks { key } } }'}                                                                               | ${10 * 30 * 2}
  ${'a connection without a page size'}              | ${'{ items { nodes { id } } }'}                                                                                | ${1 + 20}
  ${'a connection with a page size'}                 | ${'{ items(first: 5) { nodes { id } } }'}                                                                      | ${1 + 5}
  ${'edges and nodes of one connection'}             | ${'{ items(last: 5) { edges { node { id } } nodes { id } } }'}                                                 | ${1 + 5 * 2 + 5}
  ${'a field with a weight'}                         | ${'{ items(first: 5) { nodes { price } } }'}                                                                   | ${1 + 5 * (1 + 3)}
  ${'a list without items'}                          | ${'{ items(first: 0) { nodes { id } } }'}                                                                      | ${1}
  ${'a page of less than nothing'}                   | ${'{ items(first: -5) { nodes { id } } }'}                                                                     | ${1}
  ${'two aliases of one field'}                      | ${'{ a: viewer { id } b: viewer { id } }'}                                                                     | ${2}
  ${'a mutation with a weight'}                      | ${'mutation { subscribe(input: {}) { ok } }'}                                                                  | ${50}
  ${'a fragment, wherever it is spread'}             | ${'{ a: viewer { ...F } b: viewer { ...F } } fragment F on User { friend { id } }'}                            | ${4}
  ${'a fragment on a connection, by its page sizes'} | ${'{ a: items(first: 2) { ...F } b: items(first: 7) { ...F } } fragment F on ItemConnection { nodes { id } }'} | ${1 + 2 + 1 + 7}
  ${'an inline fragment'}                            | ${'{ ... on Query { viewer { ... { friend { id } } } } }'}                                                     | ${2}
`('the cost of $what is told', ({ source, cost }) => {
  expect(costOf(String(source))).toBe(cost);
});

test('page sizes are read from variables and their defaults', () => {
  const source = 'query($n: Int = 3) { items(first: $n) { nodes { id } } }';
  expect(costOf(source)).toBe(4);
  expect(costOf(source, { variables: { n: 9 } })).toBe(10);
});

test('entities cost as often as they are asked for', () => {
  const source =
    'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on Tier { perks { key } } } }';
  const representations = Array.from({ length: 20 }, () => ({ __typename: 'Tier', id: 'a' }));
  expect(costOf(source, { variables: { representations }, audience: 'router' })).toBe(20 * (1 + 30 * 2)); // an entity could be anything, so it weighs 1
});

test.each<[Audience, number]>([
  ['anonymous', 300],
  ['customer', 1_000],
  ['staff', 5_000],
  ['router', 20_000],
])('the budget of %s is %d', (audience, maximum) => {
  expect(MAXIMUM_COST[audience]).toBe(maximum);
  const source = 'query($n: Int) { items(first: $n) { nodes { id } } }';
  expect(costOf(source, { audience, variables: { n: maximum - 1 } })).toBe(maximum);
  expect(measure(source, { audience, variables: { n: maximum } })).toEqual({ limit: 'cost', actual: maximum + 1, maximum });
});

test('a cost beyond all numbers is still a number', () => {
  const source = `{ items(first: 2147483647) { nodes { owner { items(first: 2147483647) { nodes { id } } } } } }`;
  expect(measure(source)).toEqual({ limit: 'cost', actual: expect.any(Number), maximum: 1_000 });
});

const depth = (levels: number): string => `{ viewer { ${repeat(levels - 2, () => 'friend {')} id ${'}'.repeat(levels - 2)} } }`;
const chain = (count: number): string =>
  `{ viewer { ...F0 } } ${repeat(count, (index) => `fragment F${index} on User { id ${index + 1 < count ? `...F${index + 1}` : ''} }`)}`;

test.each<[string, string, string, Asked?]>([
  ['depth', depth(12), depth(13)],
  [
    'depth',
    `{ viewer { ...F } } fragment F on User { ${'friend {'.repeat(10)} id ${'}'.repeat(10)} }`,
    `{ viewer { friend { ...F } } } fragment F on User { ${'friend {'.repeat(10)} id ${'}'.repeat(10)} }`,
  ],
  [
    'aliases',
    `{ ${repeat(15, (index) => `a${index}: whoami`)} viewer { ${repeat(15, (index) => `b${index}: id`)} } }`,
    `{ ${repeat(15, (index) => `a${index}: whoami`)} viewer { ${repeat(16, (index) => `b${index}: id`)} } }`,
  ],
  [
    'aliases',
    `{ viewer { ...F } viewer { ...F } } fragment F on User { ${repeat(15, (index) => `b${index}: id`)} }`,
    `{ viewer { ...F } viewer { ...F } } fragment F on User { ${repeat(16, (index) => `b${index}: id`)} }`,
  ],
  [
    'rootFields',
    `{ ${repeat(20, (index) => `a${index}: whoami`)} }`,
    `{ ${repeat(20, (index) => `a${index}: whoami`)} __typename }`,
  ],
  [
    'rootFields',
    `{ ${'...F '.repeat(4)} } fragment F on Query { ${'whoami '.repeat(5)} }`,
    `{ ${'...F '.repeat(4)} whoami } fragment F on Query { ${'whoami '.repeat(5)} }`,
  ],
  [
    'repeatedMutation',
    `mutation { ${repeat(5, (index) => `a${index}: removePaymentMethod(input: {}) { ok }`)} }`,
    `mutation { ${repeat(6, (index) => `a${index}: removePaymentMethod(input: {}) { ok }`)} }`,
  ],
  [
    'repeatedMoneyVerb',
    'mutation { subscribe(input: {}) { ok } }',
    'mutation { a: subscribe(input: {}) { ok } b: subscribe(input: {}) { ok } }',
  ],
  [
    'repeatedMoneyVerb',
    'mutation { ...F } fragment F on Mutation { subscribe(input: {}) { ok } }',
    'mutation { ...F a: subscribe(input: {}) { ok } } fragment F on Mutation { subscribe(input: {}) { ok } }',
  ],
  ['fragments', chain(50), chain(51)],
  [
    'fragmentCycles',
    chain(3),
    '{ viewer { ...A } } fragment A on User { friend { ...B } } fragment B on User { friend { ...A } }',
  ],
  ['repeatedField', `{ viewer { ${'id '.repeat(50)} } }`, `{ viewer { ${'id '.repeat(51)} } }`],
  [
    'repeatedField',
    `{ viewer { ${'friend { id } '.repeat(25)} ...F } } fragment F on User { ... { ${'friend { handle } '.repeat(25)} } }`,
    `{ viewer { ${'friend { id } '.repeat(25)} ...F } } fragment F on User { ... { ${'friend { handle } '.repeat(26)} } }`,
  ],
  [
    'repeatedField',
    `{ viewer { a: id } ${'viewer { friend { id } } '.repeat(9)} }`,
    `{ ${`viewer { ${'friend { id } '.repeat(6)} } `.repeat(9)} }`,
  ],
  ['directives', `{ whoami ${'@include(if: true) '.repeat(50)} }`, `{ whoami ${'@include(if: true) '.repeat(51)} }`],
  ['variableList', 'query($v: [Int!]) { whoami }', 'query($v: [Int!]) { whoami }'],
])('the limit of %s lets the largest allowed in and refuses one more', (limit, allowed, refused) => {
  const variables = (size: number): Asked => (limit === 'variableList' ? { variables: { v: Array(size).fill(1) } } : {});
  expect(measure(allowed, variables(1_000))).not.toHaveProperty('limit');
  expect(measure(refused, variables(1_001))).toMatchObject({ limit });
});

test.each<[string, unknown, unknown]>([
  ['variableString', 'x'.repeat(20_000), 'x'.repeat(20_001)],
  ['variableDepth', nested(9), nested(10)],
])('the limit of %s holds for every variable', (limit, allowed, refused) => {
  expect(measure('{ whoami }', { variables: { v: allowed } })).not.toHaveProperty('limit');
  expect(measure('{ whoami }', { variables: { v: refused } })).toMatchObject({ limit });
});

function nested(levels: number): unknown {
  return levels === 0 ? 1 : { inner: nested(levels - 1) };
}

test('at most 1,000 entities are resolved at once', () => {
  const source = 'query($representations: [_Any!]!) { _entities(representations: $representations) { __typename } }';
  const many = (count: number): Asked => ({
    variables: { representations: Array(count).fill({ __typename: 'Tier', id: 'a' }) },
    audience: 'router',
  });
  expect(measure(source, many(1_000))).not.toHaveProperty('limit');
  expect(measure(source, many(1_001))).toEqual({ limit: 'entities', actual: 1_001, maximum: 1_000 });
});

test('fields are counted with fragments followed, each once at a place, and counting ends at the limit', () => {
  const tree = repeat(
    13,
    (level) =>
      `fragment F${level} on User { ${level < 12 ? `friend { ...F${level + 1} } x${level}: friend { ...F${level + 1} }` : 'id'} }`,
  );
  const timesMs = Array.from({ length: 5 }, () => {
    const startedMs = performance.now();
    expect(measure(`{ viewer { ...F0 } } ${tree}`)).toHaveProperty('limit');
    return performance.now() - startedMs;
  });
  expect(Math.min(...timesMs)).toBeLessThan(20);
  expect(measure(`{ viewer { ...F ...F ...F ... { ...F } } } fragment F on User { ${'id '.repeat(50)} }`)).not.toHaveProperty(
    'limit',
  );
});

test('length and tokens are refused before anything is parsed', () => {
  expect(findSourceBreach(`{ whoami }${' '.repeat(19_990)}`)).toBeNull();
  expect(findSourceBreach(`{ whoami }${' '.repeat(19_991)}`)).toMatchObject({ limit: 'documentLength' });
  expect(findSourceBreach(`{ ${'a '.repeat(1_998)} }`)).toBeNull();
  expect(findSourceBreach(`{ ${'a '.repeat(1_999)} }`)).toMatchObject({ limit: 'tokens' });
  expect(findSourceBreach('{ "never closed')).toBeNull();
});

test('the introspection query of tools is within the limits', async () => {
  const { getIntrospectionQuery } = await import('graphql');
  const source = getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true });
  expect(findSourceBreach(source)).toBeNull();
  expect(measure(source, { audience: 'anonymous' })).not.toHaveProperty('limit');
});

test('a document of one operation among several is measured by the one that runs', () => {
  const source = 'query Small { viewer { id } } query Big { items(first: 5000) { nodes { id } } }';
  expect(costOf(source, { operationName: 'Small' })).toBe(1);
  expect(measure(source, { operationName: 'Big' })).toMatchObject({ limit: 'cost' });
  expect(costOf(source)).toBe(0); // the executor refuses to choose
});

test('fragments that double at every step are measured in no time', () => {
  const source = `{ viewer { ...F0 } } ${repeat(50, (index) => `fragment F${index} on User { ${index < 49 ? `friend { ...F${index + 1} } friend { ...F${index + 1} }` : 'id'} }`)}`;
  expect(measure(source)).toMatchObject({ limit: 'depth' });
  const wide = `{ viewer { ...F0 } } ${repeat(50, (index) => `fragment F${index} on User { ${index < 49 ? `...F${index + 1} ...F${index + 1}` : 'friend { id }'} }`)}`;
  const timesMs = Array.from({ length: 5 }, () => {
    const startedMs = performance.now();
    expect(measure(wide)).toMatchObject({ limit: 'cost' });
    return performance.now() - startedMs;
  });
  expect(Math.min(...timesMs)).toBeLessThan(20);
});
