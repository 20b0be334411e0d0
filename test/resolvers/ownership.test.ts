import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type ExecutionResult,
  type GraphQLInputType,
  type GraphQLOutputType,
} from 'graphql';
import { publicId } from '../../src/domain/ids.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type Asker, type TestGraph } from './graph.js';

/** Who may get a value, by field. A field without a line here fails the suite: nothing is public by forgetting it. */
const POLICIES: Record<string, Policy> = {
  'Query.viewer': 'anybody',
  'Query.tiers': 'anybody',
  'Query.tier': 'anybody',
  'Query.products': 'anybody',
  'Query.userSubscription': 'owner',
  'Query.transaction': 'owner',
  'Query.invoice': 'owner',
  'Query.monetizationNode': 'owner',
  'Query.entitlementChecks': 'entitlement service',
  'Query.couponPreview': 'signed in',
  'Query.previewTierChange': 'signed in',
  'Query.customerAccount': 'staff',
  'Query.searchTransactions': 'staff',
  'Mutation.subscribe': 'signed in',
  'Mutation.cancelSubscription': 'signed in',
  'Mutation.resumeSubscription': 'signed in',
  'Mutation.purchase': 'signed in',
  'Mutation.confirmPayment': 'signed in',
  'Mutation.startPaymentMethodSetup': 'signed in',
  'Mutation.completePaymentMethodSetup': 'signed in',
  'Mutation.setDefaultPaymentMethod': 'signed in',
  'Mutation.removePaymentMethod': 'signed in',
  'Mutation.applyCoupon': 'signed in',
  'Mutation.changeTier': 'signed in',
  'Mutation.cancelPendingTierChange': 'signed in',
  'Mutation.refund': 'staff',
  'Mutation.grantEntitlement': 'support',
  'Mutation.pauseSubscription': 'signed in',
  'Mutation.giftSubscription': 'signed in',
  'Mutation.claimGift': 'signed in',
  'Subscription.paymentStatusChanged': 'signed in',
  'Subscription.monetizationUpdates': 'signed in',
  'User.id': 'anybody',
  'User.displayTier': 'anybody',
  'User.subscriptions': 'open account',
  'User.currentSubscription': 'open account',
  'User.paymentMethods': 'open account',
  'User.transactions': 'open account',
  'User.purchases': 'open account',
  'User.gifts': 'open account',
  'User.invoices': 'open account',
  'User.hasFeature': 'open account, or entitlement service',
  'User.featureKeys': 'open account, or entitlement service',
  'User.entitlements': 'open account, or entitlement service',
};

/** Types that are reached only through a field above, and whose fields are as visible as they are. */
const WITH_ITS_OBJECT = [
  'UserSubscription',
  'UserSubscriptionConnection',
  'UserSubscriptionEdge',
  'Coupon',
  'Discount',
  'InvoicePreview',
  'InvoiceLine',
  'ApplyCouponPayload',
  'PendingTierChange',
  'TierChangePreview',
  'ChangeTierPayload',
  'Transaction',
  'TransactionConnection',
  'TransactionEdge',
  'TransactionStatusEvent',
  'PaymentFailure',
  'NextAction',
  'Purchase',
  'PurchaseConnection',
  'PurchaseEdge',
  'Invoice',
  'InvoiceConnection',
  'InvoiceEdge',
  'InvoiceLine',
  'CardPaymentMethod',
  'Entitlement',
  'EntitlementCheckResult',
  'SubscribePayload',
  'CancelSubscriptionPayload',
  'ResumeSubscriptionPayload',
  'PurchasePayload',
  'ConfirmPaymentPayload',
  'StartPaymentMethodSetupPayload',
  'CompletePaymentMethodSetupPayload',
  'SetDefaultPaymentMethodPayload',
  'RemovePaymentMethodPayload',
  'RefundPayload',
  'GrantEntitlementPayload',
  'PauseSubscriptionPayload',
  'SubscriptionPause',
  'Gift',
  'GiftConnection',
  'GiftEdge',
  'GiftSubscriptionPayload',
  'ClaimGiftPayload',
  'InvalidInputError',
  'StateConflictError',
  'PaymentDeclinedError',
  'TryAgainError',
  'PaymentStatusUpdate',
  'MonetizationUpdate',
  'Money',
  'PageInfo',
];

/** Types that say nothing about a user. */
const PUBLIC = ['Tier', 'TierPrice', 'Feature', 'Product', 'ProductPrice', 'ProductConnection', 'ProductEdge'];

type Policy =
  | 'anybody'
  | 'signed in'
  | 'owner'
  | 'staff'
  | 'support'
  | 'entitlement service'
  | 'open account'
  | 'open account, or entitlement service';
type Outcome = 'value' | 'null' | 'UNAUTHENTICATED' | 'FORBIDDEN';

const ROLES = {
  owner: { userId: 'ana' },
  stranger: { userId: 'ben' },
  support: { userId: 'sue', scopes: ['support'] },
  finance: { userId: 'fin', scopes: ['finance'] },
  service: { userId: 'svc:feeds', scopes: ['entitlements'] },
  anonymous: null,
} as const satisfies Record<string, Asker>;
type Role = keyof typeof ROLES;
const ROLE_NAMES = Object.keys(ROLES) as Role[];

/** What each role gets of ana's, directly: by id, by reference, or as a verb. */
const GOLDEN: Record<Policy, Record<Role, Outcome>> = {
  anybody: all('value'),
  'signed in': { ...all('value'), anonymous: 'UNAUTHENTICATED' },
  owner: { ...all('null'), owner: 'value', anonymous: 'UNAUTHENTICATED' },
  'open account': { ...all('null'), owner: 'value', anonymous: 'UNAUTHENTICATED' },
  'open account, or entitlement service': { ...all('null'), owner: 'value', service: 'value', anonymous: 'UNAUTHENTICATED' },
  staff: { ...all('FORBIDDEN'), support: 'value', finance: 'value', anonymous: 'UNAUTHENTICATED' },
  support: { ...all('FORBIDDEN'), support: 'value', anonymous: 'UNAUTHENTICATED' },
  'entitlement service': { ...all('FORBIDDEN'), service: 'value', anonymous: 'UNAUTHENTICATED' },
};

function all(outcome: Outcome): Record<Role, Outcome> {
  return { owner: outcome, stranger: outcome, support: outcome, finance: outcome, service: outcome, anonymous: outcome };
}

let graph: TestGraph;
let ids: { sub: string; txn: string; inv: string; pur: string; pm: string; gift: string };

beforeAll(async () => {
  graph = await startGraph();
  const { rows } = graph;
  for (const userId of ['ana', 'ben', 'gus']) await rows.customer(userId);
  const subscriptionId = await rows.subscription('ana', PLUS);
  const methodId = await rows.method('ana');
  const purchaseId = await rows.purchase('ana', CATALOGUE.prices.badge);
  ids = {
    sub: publicId('sub', subscriptionId),
    txn: publicId('txn', await rows.charge('ana', { subscriptionId }, { transaction: { payment_method_id: methodId } })),
    inv: publicId('inv', await rows.invoice('ana', { subscriptionId })),
    pur: publicId('pur', purchaseId),
    pm: publicId('pm', methodId),
    gift: publicId('sub', await rows.subscription('gus', PLUS, { payer_id: 'ana' })),
  };
});
afterAll(() => graph.stop());

function outcomeOf(answer: ExecutionResult, ...path: (string | number)[]): Outcome {
  const [code] = codesOf(answer);
  if (code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') return code;
  expect(answer.errors).toBeUndefined();
  return at(answer, ...path) === null ? 'null' : 'value';
}

/** Enough of a selection to ask for a field of this type. */
function selectionFor(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  return isObjectType(named) && named.getFields()['nodes'] ? '{ nodes { __typename } }' : '{ __typename }';
}

/** A value that an input of this type accepts, with every id and key of a wrong form. */
function valueFor(type: GraphQLInputType): unknown {
  const inner = getNullableType(type);
  if (isListType(inner)) return [];
  if (isEnumType(inner)) return inner.getValues()[0]?.name;
  if (!isInputObjectType(inner)) return inner.name === 'DateTime' ? '2026-01-01T00:00:00Z' : 'x';
  const required = Object.values(inner.getFields()).filter((field) => isNonNullType(field.type));
  return Object.fromEntries(required.map((field) => [field.name, valueFor(field.type)]));
}

test('every field of the schema has a policy, and every policy a field', () => {
  const missing: string[] = [];
  const seen = new Set<string>();
  for (const type of Object.values(graph.schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('_')) continue;
    seen.add(type.name);
    if (WITH_ITS_OBJECT.includes(type.name) || PUBLIC.includes(type.name)) continue;
    for (const field of Object.keys(type.getFields())) {
      const path = `${type.name}.${field}`;
      seen.add(path);
      if (!field.startsWith('_') && !(path in POLICIES)) missing.push(path);
    }
  }
  expect(missing).toEqual([]);
  expect([...Object.keys(POLICIES), ...WITH_ITS_OBJECT, ...PUBLIC].filter((name) => !seen.has(name))).toEqual([]);
});

test('the directives that tell a router are on exactly the fields that are enforced here', () => {
  for (const [path, policy] of Object.entries(POLICIES)) {
    const [type = '', field = ''] = path.split('.');
    const owner = graph.schema.getType(type);
    const names = isObjectType(owner) ? (owner.getFields()[field]?.astNode?.directives ?? []).map((one) => one.name.value) : [];
    const wanted =
      policy === 'anybody'
        ? []
        : policy === 'staff' || policy === 'support' || policy === 'entitlement service'
          ? ['requiresScopes']
          : ['authenticated'];
    expect({ path, names: names.filter((name) => name === 'authenticated' || name === 'requiresScopes') }).toEqual({
      path,
      names: wanted,
    });
  }
});

test.each(ROLE_NAMES)('%s, referring to a user: each field gives what its policy says', async (role) => {
  const user = graph.schema.getType('User');
  if (!isObjectType(user)) throw new Error('User is an object');
  for (const field of Object.values(user.getFields())) {
    const args = field.name === 'hasFeature' ? '(feature: "no_ads")' : '';
    const answer = await graph.ask(
      ROLES[role],
      `query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { ${field.name}${args} ${selectionFor(field.type)} } } }`,
      { refs: [{ __typename: 'User', id: 'ana' }] },
    );
    const policy = POLICIES[`User.${field.name}`] ?? 'owner';
    expect({ field: field.name, outcome: outcomeOf(answer, '_entities', 0, field.name) }).toEqual({
      field: field.name,
      outcome: GOLDEN[policy][role],
    });
  }
});

test.each(['support', 'finance'] as const)('%s sees every field of an account that was opened', async (role) => {
  const user = graph.schema.getType('User');
  if (!isObjectType(user)) throw new Error('User is an object');
  for (const field of Object.values(user.getFields())) {
    const args = field.name === 'hasFeature' ? '(feature: "no_ads")' : '';
    const answer = await graph.ask(
      ROLES[role],
      `{ customerAccount(userId: "ana") { ${field.name}${args} ${selectionFor(field.type)} } }`,
    );
    expect({ field: field.name, outcome: outcomeOf(answer, 'customerAccount', field.name) }).toEqual({
      field: field.name,
      outcome: 'value',
    });
  }
});

test('opening an account of one user opens no other, nor the payer of a gift', async () => {
  const answer = await graph.ask(
    ROLES.support,
    `{ customerAccount(userId: "gus") { subscriptions { nodes { user { featureKeys } payer { id featureKeys paymentMethods { id } } } } } }`,
  );
  expect(at(answer, 'customerAccount', 'subscriptions', 'nodes')).toEqual([
    { user: { featureKeys: ['longer_posts', 'no_ads'] }, payer: { id: 'ana', featureKeys: null, paymentMethods: null } },
  ]);
});

test('each opening of an account is told to the audit log with the agent, and an unknown user gives null', async () => {
  const opened: string[] = [];
  const openCustomerAccount = async (actor: { userId: string }, userId: string): Promise<boolean> => {
    opened.push(`${actor.userId} ${userId}`);
    return userId === 'ana';
  };
  const ask = (userId: string): Promise<ExecutionResult> =>
    graph.ask(
      ROLES.finance,
      'query ($userId: ID!) { customerAccount(userId: $userId) { id } }',
      { userId },
      { openCustomerAccount },
    );
  expect(await ask('ana')).toEqual({ data: { customerAccount: { id: 'ana' } } });
  expect(await ask('nobody')).toEqual({ data: { customerAccount: null } });
  expect(await ask("'; drop table customer")).toEqual({ data: { customerAccount: null } });
  expect(opened).toEqual(['fin ana', 'fin nobody']);
});

test.each(ROLE_NAMES)('%s, asking for objects of ana by id: each gives what its policy says', async (role) => {
  const doors: Record<string, string> = {
    userSubscription: `{ userSubscription(id: "${ids.sub}") { id } }`,
    transaction: `{ transaction(id: "${ids.txn}") { id } }`,
    invoice: `{ invoice(id: "${ids.inv}") { id } }`,
    ...Object.fromEntries(
      [ids.sub, ids.txn, ids.inv, ids.pur, ids.pm].map((id) => [
        `monetizationNode ${id}`,
        `{ monetizationNode(id: "${id}") { __typename id } }`,
      ]),
    ),
  };
  for (const [door, query] of Object.entries(doors)) {
    const outcome = outcomeOf(await graph.ask(ROLES[role], query), door.split(' ')[0] ?? '');
    expect({ door, outcome }).toEqual({ door, outcome: GOLDEN.owner[role] });
  }
});

test.each(ROLE_NAMES)('%s, referring to a subscription of ana: only the owner gets it', async (role) => {
  const answer = await graph.ask(
    ROLES[role],
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on UserSubscription { id status } } }',
    { refs: [ids.sub, ids.gift, 'sub_x'].map((id) => ({ __typename: 'UserSubscription', id })) },
  );
  expect(answer).toEqual({ data: { _entities: [role === 'owner' ? { id: ids.sub, status: 'ACTIVE' } : null, null, null] } });
});

test.each(ROLE_NAMES)('%s, using each verb: it runs or is refused as its policy says', async (role) => {
  const mutation = graph.schema.getMutationType();
  for (const field of Object.values(mutation?.getFields() ?? {})) {
    const [input] = field.args;
    if (!input) throw new Error(`${field.name} has an input`);
    const answer = await graph.ask(
      ROLES[role],
      `mutation ($input: ${String(input.type)}) { ${field.name}(input: $input) { userErrors { code } } }`,
      { input: valueFor(input.type) },
    );
    const policy = POLICIES[`Mutation.${field.name}`] ?? 'owner';
    const outcome = codesOf(answer)[0] ?? (answer.data ? 'value' : 'null');
    expect({ verb: field.name, outcome }).toEqual({ verb: field.name, outcome: GOLDEN[policy][role] });
  }
});

test.each(ROLE_NAMES)(
  '%s, asking about rights in bulk and opening accounts: allowed or refused as the policies say',
  async (role) => {
    const checks = await graph.ask(
      ROLES[role],
      '{ entitlementChecks(checks: [{ userId: "ana", feature: "no_ads" }]) { granted } }',
    );
    expect(codesOf(checks)[0] ?? 'value').toBe(GOLDEN['entitlement service'][role]);
    const account = await graph.ask(ROLES[role], '{ customerAccount(userId: "ana") { id } }');
    expect(codesOf(account)[0] ?? 'value').toBe(GOLDEN.staff[role]);
    const search = await graph.ask(
      ROLES[role],
      '{ searchTransactions(filter: { created: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" } }) { nodes { id } } }',
    );
    expect(codesOf(search)[0] ?? 'value').toBe(GOLDEN.staff[role]);
  },
);

test('a service that may ask about rights does not see the subscription behind them', async () => {
  const query =
    'query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on User { entitlements { source subscription { id } } } } }';
  const refs = [{ __typename: 'User', id: 'ana' }];
  const right = (subscription: unknown): unknown => ({ source: 'SUBSCRIPTION', subscription });
  expect(at(await graph.ask(ROLES.service, query, { refs }), '_entities', 0, 'entitlements')).toEqual([right(null), right(null)]);
  expect(at(await graph.ask(ROLES.owner, query, { refs }), '_entities', 0, 'entitlements')).toEqual([
    right({ id: ids.sub }),
    right({ id: ids.sub }),
  ]);
});

test('without a token there is no viewer, and no error', async () => {
  expect(await graph.ask(null, '{ viewer { id } }')).toEqual({ data: { viewer: null } });
});
