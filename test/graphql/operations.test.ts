import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parse } from 'graphql';
import { DocumentLimits, findSourceBreach, type Audience } from '../../src/graphql/limits.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';

const { schema } = buildGraphSchema();
const FOLDER = 'schema/operations';

/** Operations that need a scope; customers send the others. */
const STAFF = new Set([
  'customer-account.graphql',
  'entitlement-checks.graphql',
  'refund.graphql',
  'search-transactions.graphql',
]);

const measure = (source: string, audience: Audience, variables: Record<string, unknown> = {}) =>
  new DocumentLimits(schema, parse(source)).measure({ operationName: null, variables, audience });

test.each(readdirSync(FOLDER))('%s is within the limits of those who send it', (file) => {
  const source = readFileSync(`${FOLDER}/${file}`, 'utf8');
  expect(findSourceBreach(source)).toBeNull();
  expect(measure(source, STAFF.has(file) ? 'staff' : 'customer', { first: 20 })).not.toHaveProperty('limit');
});

test('a visitor may list all that is for sale', () => {
  const source =
    '{ tiers { key name features { key name } prices { id amount { amountMinor currency decimal } interval trialDays } } products(first: 20) { nodes { key } } }';
  expect(measure(source, 'anonymous')).not.toHaveProperty('limit');
});

test('a page of a thousand authors with their tiers is within the budget of the router', () => {
  const source =
    'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on User { displayTier { key name } } } }';
  const representations = Array.from({ length: 1_000 }, (_, index) => ({ __typename: 'User', id: `user-${index}` }));
  expect(measure(source, 'router', { representations })).not.toHaveProperty('limit');
});
