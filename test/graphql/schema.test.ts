import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import {
  composeSchemaContract,
  composeServices,
  compositionHasErrors,
  transformSupergraphToPublicSchema,
} from '@theguild/federation-composition';
import {
  parse,
  print,
  type ASTNode,
  type DirectiveNode,
  type DefinitionNode,
  type FieldDefinitionNode,
  type InputValueDefinitionNode,
} from 'graphql';
import { MONEY_VERBS } from '../../src/graphql/limits.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';

const { schema, sdl } = buildGraphSchema();

test('the printed schema says what the contract says, word for word', async () => {
  const contract = factsOf(await readFile('test/graphql/contract.graphql', 'utf8'));
  expect(Object.fromEntries(factsOf(sdl))).toEqual(Object.fromEntries(contract));
});

test('the committed schema is the printed one', async () => {
  expect(await readFile('schema/schema.graphql', 'utf8')).toBe(`${sdl.trim()}\n`);
});

test('of every verb it is decided whether it moves money, and so how often it may be sent', () => {
  const movesNone = [
    'applyCoupon',
    'cancelPendingTierChange',
    'completePaymentMethodSetup',
    'confirmPayment', // asks about a charge that was made
    'grantEntitlement',
    'pauseSubscription',
    'removePaymentMethod',
    'setDefaultPaymentMethod',
    'startPaymentMethodSetup',
  ];
  expect([...MONEY_VERBS, ...movesNone].toSorted()).toEqual(Object.keys(schema.getMutationType()?.getFields() ?? {}).toSorted());
});

/** A subgraph that owns users, asks for their features and refers to tiers. */
const USERS = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@requires", "@external", "@authenticated"])
  type Query { viewer: User @shareable }
  type User @key(fields: "id") {
    id: ID!
    featureKeys: [String!] @external
    maxPostLength: Int @requires(fields: "featureKeys") @authenticated
    favourite: Tier
  }
  type Tier @key(fields: "id", resolvable: false) { id: ID! }`;

const SUBGRAPHS = [
  { name: 'monetization', url: 'http://localhost/m', typeDefs: parse(sdl) },
  { name: 'users', url: 'http://localhost/u', typeDefs: parse(USERS) },
];

test('the subgraph composes with one that owns users, asks for their features and refers to tiers', () => {
  const result = composeServices(SUBGRAPHS);
  expect(compositionHasErrors(result) ? result.errors.map((error) => error.message) : []).toEqual([]);
});

test('the public variant has nothing of what is for staff or for services', () => {
  const result = composeSchemaContract(SUBGRAPHS, { include: new Set(), exclude: new Set(['staff', 'internal']) }, true);
  if (compositionHasErrors(result)) throw new Error(result.errors.map((error) => error.message).join('; '));
  const seen = transformSupergraphToPublicSchema(parse(result.supergraphSdl));
  const names = new Set(factsOf(print(seen)).keys());
  expect(
    [...names].filter(
      (name) =>
        /refund(?!able)|customerAccount|EntitlementCheck|searchTransactions|TransactionSearch/i.test(name) &&
        !name.includes('.REFUND'),
    ),
  ).toEqual([]);
  expect([...names]).toEqual(
    expect.arrayContaining(['Query.viewer', 'Mutation.subscribe', 'Transaction.refundableAmount', 'User.featureKeys']),
  );
});

test('no field could carry the number of a card', () => {
  const paths = [...factsOf(sdl).keys()].filter((path) => /^(?:.*number|cvc|cvv|pan)$/i.test(path.split('.').at(-1) ?? ''));
  // Of a document; given out, never taken in.
  expect(paths).toEqual(['Invoice.number']);
});

/** Everything an SDL states about its own types, by path: kind, description, type, default, directives. Order does not count. */
function factsOf(text: string): Map<string, Record<string, unknown>> {
  const facts = new Map<string, Record<string, unknown>>();
  for (const definition of parse(text, { noLocation: true }).definitions) {
    for (const [path, fact] of factsOfDefinition(definition)) facts.set(path, { ...facts.get(path), ...fact });
  }
  return facts;
}

function* factsOfDefinition(node: DefinitionNode): Generator<[string, Record<string, unknown>]> {
  if (node.kind === 'SchemaDefinition' || node.kind === 'SchemaExtension') {
    yield ['schema', { directives: directivesOf(node.directives) }];
    return;
  }
  if (!('name' in node) || !node.name || isFederations(node.name.value)) return;
  const name = node.name.value;
  if (node.kind === 'DirectiveDefinition') {
    if (name !== 'cacheControl') return;
    yield [`@${name}`, { description: node.description?.value, locations: node.locations.map((place) => place.value).sort() }];
    for (const argument of node.arguments ?? []) yield [`@${name}.${argument.name.value}`, factOfValue(argument)];
    return;
  }
  const isExtension = node.kind.endsWith('Extension');
  if (!isExtension && 'description' in node) {
    yield [
      name,
      {
        kind: node.kind,
        description: node.description?.value,
        directives: directivesOf('directives' in node ? node.directives : []),
      },
    ];
  }
  if ('interfaces' in node && !isExtension) yield [name, { interfaces: node.interfaces?.map((one) => one.name.value).sort() }];
  if ('values' in node) {
    for (const value of node.values ?? []) {
      yield [
        `${name}.${value.name.value}`,
        { description: value.description?.value, directives: directivesOf(value.directives) },
      ];
    }
  }
  if ('fields' in node) for (const field of node.fields ?? []) yield* factsOfField(name, field);
}

function* factsOfField(
  type: string,
  field: FieldDefinitionNode | InputValueDefinitionNode,
): Generator<[string, Record<string, unknown>]> {
  if (isFederations(field.name.value)) return;
  const path = `${type}.${field.name.value}`;
  yield [path, factOfValue(field)];
  for (const argument of ('arguments' in field && field.arguments) || [])
    yield [`${path}.${argument.name.value}`, factOfValue(argument)];
}

function factOfValue(node: FieldDefinitionNode | InputValueDefinitionNode): Record<string, unknown> {
  return {
    type: print(node.type),
    description: node.description?.value,
    directives: directivesOf(node.directives),
    ...('defaultValue' in node && node.defaultValue ? { default: print(node.defaultValue) } : {}),
  };
}

function directivesOf(nodes: readonly DirectiveNode[] | undefined): string[] {
  return (nodes ?? [])
    .map((node) =>
      textOf({ ...node, arguments: [...(node.arguments ?? [])].sort((a, b) => (a.name.value < b.name.value ? -1 : 1)) }),
    )
    .sort();
}

const textOf = (node: ASTNode): string => print(node).replaceAll(/\s+/g, ' ');

/** What @apollo/subgraph adds of its own. */
function isFederations(name: string): boolean {
  return name.startsWith('_') || name.startsWith('link__') || name.startsWith('federation__');
}
