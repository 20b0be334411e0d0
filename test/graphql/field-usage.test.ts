import { expect, test } from '@jest/globals';
import { buildSchema, parse } from 'graphql';
import { Registry } from 'prom-client';
import { FieldUsage } from '../../src/graphql/field-usage.js';

const schema = buildSchema(`
  type Query { new: Int old: Int @deprecated(reason: "Use new. Removed after 2027-05-31.") user: User }
  type User { name: String nick: String @deprecated(reason: "Use name. Removed after 2027-05-31.") }`);

async function counted(...requests: [query: string, client: string | undefined][]): Promise<Record<string, number>> {
  const registry = new Registry();
  const usage = new FieldUsage(schema, registry);
  for (const [query, client] of requests) usage.count(parse(query), client);
  const metric = await registry.getSingleMetric('graphql_field_requests_total')?.get();
  return Object.fromEntries(
    (metric?.values ?? []).map(({ labels: { type, field, client }, value }) => [`${type}.${field} ${client}`, value]),
  );
}

test('requests for deprecated fields are counted once each, wherever the field stands, by client', async () => {
  const query = '{ old new again: old user { ...F } } fragment F on User { nick name }';
  expect(await counted([query, 'Web'], [query, 'web'], ['{ old }', undefined])).toEqual({
    'Query.old web': 2,
    'User.nick web': 2,
    'Query.old unknown': 1,
  });
});

test('what is not deprecated, or not there, is not counted', async () => {
  expect(await counted(['{ new user { name } nothing }', 'web'])).toEqual({});
});

test('a client that makes up names gets no series for them', async () => {
  const names = Array.from({ length: 60 }, (_, index) => `client-${index}`);
  const found = await counted(...names.map((name): [string, string] => ['{ old }', name]), ['{ old }', 'a name with "quotes"']);
  expect(Object.keys(found)).toHaveLength(51);
  expect(found['Query.old other']).toBe(11);
});
