import { readdirSync, readFileSync } from 'node:fs';
import { composeServices, compositionHasErrors } from '@theguild/federation-composition';
import { describe, expect, test } from '@jest/globals';
import { parse, validate } from 'graphql';
import { findSchemaChanges, findUnallowed, readSdl, type AllowedBreak } from '../../src/graphql/schema-changes.js';
import { findSchemaFaults } from '../../src/graphql/schema-rules.js';

const SDL = readFileSync('schema/schema.graphql', 'utf8');
const schema = readSdl(SDL);
const allowed = JSON.parse(readFileSync('schema/allowed-breaks.json', 'utf8')) as AllowedBreak[];

describe('the contract', () => {
  test('breaks nothing of the last release but what was allowed with a date and a reason', () => {
    const released = readSdl(readFileSync('schema/released.graphql', 'utf8'));
    expect(findUnallowed(findSchemaChanges(released, schema), allowed)).toEqual([]);
  });

  test('keeps the rules of its form', () => {
    expect(findSchemaFaults(schema)).toEqual([]);
  });

  test.each(readdirSync('schema/operations'))('is what %s is written for', (file) => {
    expect(validate(schema, parse(readFileSync(`schema/operations/${file}`, 'utf8'))).map(({ message }) => message)).toEqual([]);
  });

  test('composes with a subgraph of users and one of media', () => {
    const link =
      '@link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external", "@requires", "@authenticated"])';
    const users = `extend schema ${link}
      type Query { viewer: User @shareable user(id: ID!): User }
      type User @key(fields: "id") { id: ID! handle: String! featureKeys: [String!] @external maxPostLength: Int @requires(fields: "featureKeys") @authenticated }`;
    const media = `extend schema ${link}
      type Query { post(id: ID!): Post }
      type Post @key(fields: "id") { id: ID! author: User needs: Feature tier: Tier }
      type User @key(fields: "id", resolvable: false) { id: ID! }
      type Feature @key(fields: "key", resolvable: false) { key: String! }
      type Tier @key(fields: "id", resolvable: false) { id: ID! }`;
    const result = composeServices(
      Object.entries({ monetization: SDL, users, media }).map(([name, text]) => ({
        name,
        url: `http://${name}`,
        typeDefs: parse(text),
      })),
    );
    expect(compositionHasErrors(result) ? result.errors.map(({ message }) => message) : []).toEqual([]);
  });
});

const BASE = `
  directive @authenticated on FIELD_DEFINITION
  directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
  type Query { tier(id: ID!, country: String = "US"): Tier open: Int @authenticated }
  type Tier { id: ID! name: String! status: Status }
  enum Status { ACTIVE RETIRED }
  input Filter { a: Int }`;
const changesTo = (text: string) => findSchemaChanges(readSdl(BASE), readSdl(text));

describe('a change of the contract', () => {
  test.each([
    ['a type that is added', BASE.replace('input Filter', 'type More { a: Int } input Filter')],
    ['a field that is added', BASE.replace('name: String!', 'name: String! rank: Int')],
    ['an enum value that is added', BASE.replace('RETIRED', 'RETIRED DRAFT')],
    ['an input field that may be left out', BASE.replace('a: Int }', 'a: Int b: Int }')],
    ['a nullable output that is never null from now on', BASE.replace('status: Status', 'status: Status!')],
    ['a field that asks for less', BASE.replace('open: Int @authenticated', 'open: Int')],
  ])('is free: %s', (_what, text) => {
    expect(findUnallowed(changesTo(text), [])).toEqual([]);
  });

  test.each([
    ['a field that is gone', BASE.replace('name: String!', ''), 'Tier.name was removed.'],
    [
      'an output that may be null',
      BASE.replace('name: String!', 'name: String'),
      'Tier.name changed type from String! to String.',
    ],
    ['an enum value that is gone', BASE.replace(' RETIRED', ''), 'RETIRED was removed from enum type Status.'],
    [
      'an input field that must be given',
      BASE.replace('a: Int }', 'a: Int b: Int! }'),
      'A required field b on input type Filter was added.',
    ],
    ['another default', BASE.replace('"US"', '"DE"'), 'Query.tier arg country has changed defaultValue from "US" to "DE".'],
    [
      'a field that asks for more',
      BASE.replace('open: Int @authenticated', 'open: Int @requiresScopes(scopes: [["a"]])'),
      'Query.open asks for @requiresScopes(scopes: [["a"]]) instead of @authenticated.',
    ],
  ])('breaks clients until it is allowed: %s', (_what, text, change) => {
    expect(findUnallowed(changesTo(text), [])).toEqual([`breaks clients: ${change}`]);
    expect(findUnallowed(changesTo(text), [{ change, date: '2026-11-27', reason: 'Nobody has used it for 30 days.' }])).toEqual(
      [],
    );
    expect(findUnallowed(changesTo(text), [{ change, date: 'soon', reason: '' }])).toEqual([
      `is allowed without a date and a reason: ${change}`,
    ]);
  });

  test('may not stay in the list of what is allowed once it is released', () => {
    expect(findUnallowed([], [{ change: 'Tier.name was removed.', date: '2026-11-27', reason: 'Unused.' }])).toEqual([
      'is allowed and does not happen: Tier.name was removed.',
    ]);
  });
});

describe('the rules of form', () => {
  const FORM = `
    directive @cost(weight: Int!) on FIELD_DEFINITION
    "d" interface BillingError { "d" code: String! }
    "d" type Query { "d" a: Int }
    "d" type User { "d" id: ID! "d" tier: String }
    "d" type Mutation { "d" buy("d" input: BuyInput!): BuyPayload! @cost(weight: 50) }
    "d" input BuyInput { "d" idempotencyKey: String! "d" note: String }
    "d" type BuyPayload { "d" userErrors: [BillingError!]! "d" done: Boolean }`;

  test('are kept by a schema that keeps them', () => {
    expect(findSchemaFaults(readSdl(FORM))).toEqual([]);
  });

  test.each([
    ['"d" code', 'code', 'BillingError.code has no description.'],
    ['"d" type Query', 'type Query', 'Query has no description.'],
    ['("d" input', '(input', 'Mutation.buy(input) has no description.'],
    ['"d" note', 'note', 'BuyInput.note has no description.'],
    ['tier: String', 'tier: String!', "User.tier is not nullable: when it fails, other people's pages lose the user."],
    ['input: BuyInput!)', 'input: BuyInput)', 'Mutation.buy takes anything but one argument input: BuyInput!.'],
    ['input: BuyInput!)', 'input: BuyInput! "d" more: Int)', 'Mutation.buy takes anything but one argument input: BuyInput!.'],
    ['BuyPayload! @', 'BuyPayload @', 'Mutation.buy gives anything but BuyPayload!.'],
    ['[BillingError!]!', '[BillingError!]', 'Mutation.buy has a payload without userErrors: [BillingError!]!.'],
    ['done: Boolean', 'done: Boolean!', 'Mutation.buy has a payload with a field that a refusal could not leave out.'],
    ['idempotencyKey: String!', 'idempotencyKey: String', 'Mutation.buy moves money and has no idempotencyKey: String!.'],
    [
      'note: String',
      'note: String @deprecated(reason: "old")',
      'BuyInput.note is deprecated without "Use ... . Removed after YYYY-MM-DD."',
    ],
  ])('are broken when %s becomes %s', (from, to, fault) => {
    expect(findSchemaFaults(readSdl(FORM.replace(from, to)))).toEqual([fault]);
  });

  test('let a field go that says what to use and when it goes', () => {
    const going = FORM.replace('note: String', 'note: String @deprecated(reason: "Use text. Removed after 2027-05-31.")');
    expect(findSchemaFaults(readSdl(going))).toEqual([]);
  });
});
