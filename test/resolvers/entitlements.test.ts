import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { graphql } from 'graphql';
import { publicId } from '../../src/domain/ids.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { Cursors } from '../../src/resolvers/cursor.js';
import { makeReads } from '../../src/resolvers/loaders/reads.js';
import { unionOfRights, type EntitledSubscriptionRow, type GrantRow } from '../../src/store/entitlements.reads.js';
import { BASIC, CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { ToldReader } from '../support/told-reader.js';
import { at, codesOf, NOW, startGraph, type TestGraph } from './graph.js';

const SERVICE = { userId: 'svc:feeds', scopes: ['entitlements'] };
const inSeconds = (seconds: number): string => new Date(NOW.getTime() + seconds * 1_000).toISOString();

let graph: TestGraph;
beforeAll(async () => {
  graph = await startGraph();
});
afterAll(() => graph.stop());

async function rightsOf(userId: string): Promise<unknown> {
  const answer = await graph.ask(
    { userId },
    '{ viewer { entitlements { feature { key } limit source subscription { id } expiresAt } featureKeys } }',
  );
  expect(answer.errors).toBeUndefined();
  const keys = at(answer, 'viewer', 'featureKeys');
  const rights = at(answer, 'viewer', 'entitlements') as { feature: { key: string } }[];
  expect(keys).toEqual(rights.map((right) => right.feature.key));
  return rights;
}

test('a subscription gives what its tier unlocks, until its access ends', async () => {
  await graph.rows.customer('ana');
  const id = publicId('sub', await graph.rows.subscription('ana', BASIC));
  const right = { source: 'SUBSCRIPTION', subscription: { id }, expiresAt: '2026-04-01T15:10:00.000Z' };
  expect(await rightsOf('ana')).toEqual([
    { feature: { key: 'longer_posts' }, limit: 1000, ...right },
    { feature: { key: 'no_ads' }, limit: null, ...right },
  ]);
});

test('past due keeps access as grace while it lasts', async () => {
  await graph.rows.customer('ben');
  await graph.rows.subscription('ben', BASIC, { status: 'past_due', entitled_until: inSeconds(1) });
  expect(await rightsOf('ben')).toMatchObject([{ source: 'GRACE' }, { source: 'GRACE' }]);
});

test('a subscription that began as a gift says so; one that its user pays for and a gift prolongs is a subscription', async () => {
  await graph.rows.customer('bea');
  const giftId = await graph.rows.gift('ana', CATALOGUE.prices.basicMonth);
  await graph.rows.subscription('bea', BASIC, { gift_id: giftId });
  expect(await rightsOf('bea')).toMatchObject([{ source: 'GIFT' }, { source: 'GIFT' }]);
  await graph.rows.customer('bob');
  await graph.rows.subscription('bob', BASIC, { gift_id: giftId, renews_after_gift: true });
  expect(await rightsOf('bob')).toMatchObject([{ source: 'SUBSCRIPTION' }, { source: 'SUBSCRIPTION' }]);
});

test.each([
  ['whose access has ended this instant', { entitled_until: inSeconds(0) }],
  ['on hold because of a dispute', { hold: 'dispute' }],
  ['whose first payment is open', { status: 'incomplete', entitled_until: '2026-03-01T09:10:00Z' }],
])('a subscription %s gives nothing', async (what, row) => {
  const userId = `user_${what.length}`;
  await graph.rows.customer(userId);
  await graph.rows.subscription(userId, PLUS, row);
  expect(await rightsOf(userId)).toEqual([]);
  expect(
    at(
      await graph.ask(
        null,
        'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { displayTier { key } } } }',
        { refs: [{ __typename: 'User', id: userId }] },
      ),
      '_entities',
      0,
      'displayTier',
    ),
  ).toBeNull();
});

test('purchases and grants add to a subscription; the strongest limit wins; lapsed and revoked ones do not count', async () => {
  await graph.rows.customer('carl');
  await graph.rows.subscription('carl', BASIC);
  const purchaseId = await graph.rows.purchase('carl', CATALOGUE.prices.badge);
  await graph.rows.grant('carl', 'badge', { granted_by: null, purchase_id: purchaseId });
  await graph.rows.grant('carl', 'longer_posts', { limit_value: 5_000, expires_at: inSeconds(60) });
  await graph.rows.grant('carl', 'longer_posts', { limit_value: 9_000, expires_at: inSeconds(0) });
  await graph.rows.grant('carl', 'longer_posts', { limit_value: null, revoked_at: inSeconds(-60) });
  expect(await rightsOf('carl')).toMatchObject([
    { feature: { key: 'badge' }, limit: null, source: 'PURCHASE', expiresAt: null, subscription: null },
    { feature: { key: 'longer_posts' }, limit: 5_000, source: 'GRANT', expiresAt: inSeconds(60) },
    { feature: { key: 'no_ads' }, source: 'SUBSCRIPTION' },
  ]);
});

test('bulk questions are answered in their order, for anybody, with the time the answer may be kept', async () => {
  await graph.rows.customer('dora');
  await graph.rows.subscription('dora', BASIC, { entitled_until: inSeconds(10) });
  const checks = [
    { userId: 'dora', feature: 'longer_posts' },
    { userId: 'nobody', feature: 'no_ads' },
    { userId: 'carl', feature: 'badge' },
    { userId: 'dora', feature: 'no_such_feature' },
  ];
  const answer = await graph.ask(
    SERVICE,
    'query ($checks: [EntitlementCheckInput!]!) { entitlementChecks(checks: $checks) { userId feature granted limit cacheUntil } }',
    { checks },
  );
  expect(at(answer, 'entitlementChecks')).toEqual([
    { ...checks[0], granted: true, limit: 1_000, cacheUntil: inSeconds(10) },
    { ...checks[1], granted: false, limit: null, cacheUntil: inSeconds(60) },
    { ...checks[2], granted: true, limit: null, cacheUntil: inSeconds(60) },
    { ...checks[3], granted: false, limit: null, cacheUntil: inSeconds(60) },
  ]);
});

test('a thousand questions are two statements, and one more is refused', async () => {
  const checks = Array.from({ length: 1_000 }, (_, i) => ({ userId: `user${i}`, feature: 'no_ads' }));
  const query = 'query ($checks: [EntitlementCheckInput!]!) { entitlementChecks(checks: $checks) { granted } }';
  const reader = new ToldReader({
    connection: pgConfig(graph.database.options),
    maxConnections: 2,
    statementTimeoutMs: 10_000,
    usesNamedStatements: false,
  });
  const context = {
    ...graph.contextFor(SERVICE),
    reads: makeReads(reader, graph.catalogue, new Cursors('secret'), { now: () => NOW }),
  };
  const answer = await graphql({ schema: graph.schema, source: query, variableValues: { checks }, contextValue: context });
  await reader.close();
  expect(at(answer, 'entitlementChecks')).toHaveLength(1_000);
  expect(reader.names).toEqual(['entitled_subscriptions', 'grants_in_force']);
  const refused = await graph.ask(SERVICE, query, { checks: [...checks, { userId: 'ana', feature: 'no_ads' }] });
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'OPERATION_TOO_COMPLEX', actual: 1_001, maximum: 1_000 });
});

test('the features of a thousand users, however they are asked for, are two statements', async () => {
  const refs = Array.from({ length: 1_000 }, (_, i) => ({ __typename: 'User', id: `user${i}` }));
  const query = `query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User {
    hasFeature(feature: "no_ads") featureKeys entitlements { source } } } }`;
  const reader = new ToldReader({
    connection: pgConfig(graph.database.options),
    maxConnections: 2,
    statementTimeoutMs: 10_000,
    usesNamedStatements: false,
  });
  const context = {
    ...graph.contextFor(SERVICE),
    reads: makeReads(reader, graph.catalogue, new Cursors('secret'), { now: () => NOW }),
  };
  const answer = await graphql({ schema: graph.schema, source: query, variableValues: { refs }, contextValue: context });
  await reader.close();
  expect(at(answer, '_entities')).toHaveLength(1_000);
  expect(reader.names).toEqual(['entitled_subscriptions', 'grants_in_force']);
});

test('a user id that no user can have has no rights and no tier, and reaches no statement', async () => {
  const query =
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { displayTier { key } featureKeys } } }';
  const refs = ['\0', '', "'; --", 'x'.repeat(65)].map((id) => ({ __typename: 'User', id }));
  const nothing = { displayTier: null, featureKeys: [] };
  expect(await graph.ask(SERVICE, query, { refs })).toEqual({ data: { _entities: [nothing, nothing, nothing, nothing] } });
});

test('hasFeature answers for the user and for services, and is null for others', async () => {
  const query =
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { yes: hasFeature(feature: "no_ads") no: hasFeature(feature: "badge") } } }';
  const refs = [{ __typename: 'User', id: 'ana' }];
  for (const asker of [{ userId: 'ana' }, SERVICE])
    expect(await graph.ask(asker, query, { refs })).toEqual({ data: { _entities: [{ yes: true, no: false }] } });
  expect(await graph.ask({ userId: 'sue', scopes: ['support'] }, query, { refs })).toEqual({
    data: { _entities: [{ yes: null, no: null }] },
  });
});

test('the tier on a profile is public, the highest of several, and hidden on request', async () => {
  await graph.rows.customer('emil');
  await graph.rows.subscription('emil', BASIC, { tier_group: 'extra' });
  await graph.rows.subscription('emil', PLUS);
  await graph.rows.customer('shy', { shows_tier: false });
  await graph.rows.subscription('shy', PLUS);
  const refs = ['emil', 'shy', 'nobody', 'no such form!'].map((id) => ({ __typename: 'User', id }));
  const answer = await graph.ask(
    null,
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { displayTier { key } } } }',
    { refs },
  );
  expect(answer).toEqual({
    data: { _entities: [{ displayTier: { key: 'plus' } }, { displayTier: null }, { displayTier: null }, { displayTier: null }] },
  });
});

test('references to tiers and features are public, and more than a thousand are refused', async () => {
  const query = 'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on Tier { key } ... on Feature { name } } }';
  const refs = [
    { __typename: 'Tier', id: publicId('tier', CATALOGUE.tiers.old) },
    { __typename: 'Tier', id: publicId('tier', CATALOGUE.tiers.next) },
    { __typename: 'Tier', id: 'x' },
    { __typename: 'Feature', key: 'badge' },
    { __typename: 'Feature', key: 'none' },
  ];
  expect(await graph.ask(null, query, { refs })).toEqual({
    data: { _entities: [{ key: 'old' }, null, null, { name: 'Badge' }, null] },
  });
  const many = Array.from({ length: 1_001 }, () => refs[0]);
  expect(codesOf(await graph.ask(null, query, { refs: many }))).toEqual(['OPERATION_TOO_COMPLEX']);
});

test.each([
  { __typename: 'Nobody', id: 'x' },
  { id: 'x' },
  { __typename: 'Tier', id: 5 },
  { __typename: 'Feature', id: 'badge' },
  'Tier',
])('what is no reference is refused before anything is loaded for the others: %j', async (wrong) => {
  const query = 'query ($refs: [_Any!]!) { _entities(representations: $refs) { __typename } }';
  const refs = [{ __typename: 'UserSubscription', id: 'sub_1' }, wrong];
  expect(codesOf(await graph.ask({ userId: 'ana' }, query, { refs }))).toEqual(['BAD_USER_INPUT']);
});

const until = fc.option(
  fc.integer({ min: 1, max: 5 }).map((days) => new Date(NOW.getTime() + days * 86_400_000)),
  { nil: null },
);
const limit = fc.option(fc.bigInt({ min: 1n, max: 5n }), { nil: null });
const grants = fc.array(
  fc
    .record({ featureKey: fc.constantFrom('a', 'b', 'c'), limit, expiresAt: until })
    .map((grant): GrantRow => ({ ...grant, o: 1, purchaseId: null })),
);

test('the union has each feature once, never weaker than any of its sources, whatever their order', () => {
  fc.assert(
    fc.property(grants, fc.integer({ min: 0, max: 2 }), (all, subscriptions) => {
      const rows: EntitledSubscriptionRow[] = Array.from({ length: subscriptions }, (_, i) => ({
        o: 1,
        id: `s${i}`,
        tierId: 't',
        status: 'active',
        isGift: false,
        entitledUntil: NOW,
      }));
      const featuresOf = (): { featureKey: string; limit: bigint | null }[] => [{ featureKey: 'a', limit: 3n }];
      const union = unionOfRights(rows, all, featuresOf);
      const keys = union.map((right) => right.featureKey);
      expect(keys).toEqual([...new Set([...all.map((grant) => grant.featureKey), ...(subscriptions > 0 ? ['a'] : [])])].sort());
      for (const grant of all) {
        const right = union.find((one) => one.featureKey === grant.featureKey);
        expect(right?.limit === null || (grant.limit !== null && (right?.limit ?? 0n) >= grant.limit)).toBe(true);
      }
      const backwards = unionOfRights(rows, all.toReversed(), featuresOf);
      const strength = (rights: typeof union): unknown =>
        rights.map(({ featureKey, limit: most, expiresAt }) => [featureKey, most, expiresAt]);
      expect(strength(backwards)).toEqual(strength(union));
    }),
  );
});

test('a right that support gives is answered as it is, and opens no account', async () => {
  await graph.rows.customer('gil');
  const grantId = await graph.rows.grant('gil', 'badge', { expires_at: '2026-06-01T00:00:00Z' });
  const answer = await graph.ask(
    { userId: 'sue', scopes: ['support'] },
    `mutation ($input: GrantEntitlementInput!) { grantEntitlement(input: $input) {
      entitlement { feature { key } limit source expiresAt subscription { id } } userErrors { code } } }`,
    {
      input: {
        userId: 'gil',
        feature: 'badge',
        expiresAt: '2026-06-01T00:00:00Z',
        note: 'sorry',
        idempotencyKey: '0123456789abcdef',
      },
    },
    { grantEntitlement: async () => ({ grantId, refusals: [], isReplay: false }) },
  );
  expect(at(answer, 'grantEntitlement')).toEqual({
    entitlement: {
      feature: { key: 'badge' },
      limit: null,
      source: 'GRANT',
      expiresAt: '2026-06-01T00:00:00.000Z',
      subscription: null,
    },
    userErrors: [],
  });
});
