import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId } from '../../src/domain/ids.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
let graph: TestGraph;
let subscriptionId: string;

beforeAll(async () => {
  graph = await startGraph();
  await graph.rows.customer('ana');
  subscriptionId = await graph.rows.subscription('ana', PLUS);
});
afterAll(() => graph.stop());

async function shown(id: string, selection: string, asker: { userId: string; scopes?: string[] } = ANA): Promise<unknown> {
  const answer = await graph.ask(asker, `query ($id: ID!) { transaction(id: $id) { ${selection} } }`, {
    id: publicId('txn', id),
  });
  expect(answer.errors).toBeUndefined();
  return answer.data?.['transaction'];
}

const LEFT = 'refundableAmount { amountMinor currency decimal }';
const left = (amountMinor: number, decimal: string): unknown => ({ refundableAmount: { amountMinor, currency: 'USD', decimal } });

test('all of a charge that succeeded is left to refund', async () => {
  expect(await shown(await graph.rows.charge('ana', { subscriptionId }), LEFT)).toEqual(left(800, '8.00'));
});

test('nothing is left to refund of a charge that did not succeed', async () => {
  expect(await shown(await graph.rows.charge('ana', { subscriptionId }, { status: 'declined' }), LEFT)).toEqual(left(0, '0.00'));
  expect(await shown(await graph.rows.charge('ana', { subscriptionId }, { status: 'processing' }), LEFT)).toEqual(
    left(0, '0.00'),
  );
});

test('refunds under way count as given, and so does one that failed and became credit; canceled ones do not', async () => {
  const charge = await graph.rows.charge('ana', { subscriptionId });
  await graph.rows.refund('ana', charge, 100);
  await graph.rows.refund('ana', charge, 50, 'created');
  await graph.rows.refund('ana', charge, 25, 'unknown');
  await graph.rows.refund('ana', charge, 400, 'failed');
  await graph.rows.refund('ana', charge, 400, 'canceled');
  expect(await shown(charge, LEFT)).toEqual(left(225, '2.25'));
});

test('what a dispute withdrew is gone until the dispute is won, and the rest is never negative', async () => {
  const charge = await graph.rows.charge('ana', { subscriptionId });
  await graph.rows.dispute('ana', charge, 800, { status: 'won' });
  await graph.rows.dispute('ana', charge, 800, { is_withdrawn: false, status: 'inquiry' });
  expect(await shown(charge, LEFT)).toEqual(left(800, '8.00'));
  await graph.rows.refund('ana', charge, 300);
  await graph.rows.dispute('ana', charge, 800);
  expect(await shown(charge, LEFT)).toEqual(left(0, '0.00'));
});

test('reversals are listed with the charge, oldest first, and lead back to it; nothing is refundable of them', async () => {
  const charge = await graph.rows.charge('ana', { subscriptionId });
  const refund = await graph.rows.refund('ana', charge, 100);
  const dispute = await graph.rows.dispute('ana', charge, 200);
  expect(
    await shown(
      charge,
      'original { id } reversals { id kind original { id } refundableAmount { amountMinor } reversals { id } }',
    ),
  ).toEqual({
    original: null,
    reversals: [
      {
        id: publicId('txn', refund),
        kind: 'REFUND',
        original: { id: publicId('txn', charge) },
        refundableAmount: null,
        reversals: [],
      },
      {
        id: publicId('txn', dispute),
        kind: 'DISPUTE',
        original: { id: publicId('txn', charge) },
        refundableAmount: null,
        reversals: [],
      },
    ],
  });
});

test('a failed payment says why; nothing is said of one that did not fail', async () => {
  const selection = 'status failure { category declineCode isRetryable advice }';
  const poor = await graph.rows.charge(
    'ana',
    { subscriptionId },
    { status: 'declined', attempt: { decline_code: 'insufficient_funds' } },
  );
  expect(await shown(poor, selection)).toMatchObject({
    status: 'FAILED',
    failure: { category: 'INSUFFICIENT_FUNDS', declineCode: 'insufficient_funds', isRetryable: true },
  });
  const lost = await graph.rows.charge('ana', { subscriptionId }, { status: 'not_executed' });
  expect(await shown(lost, selection)).toMatchObject({ failure: { category: 'PROVIDER_ERROR', advice: 'WAIT' } });
  expect(await shown(await graph.rows.charge('ana', { subscriptionId }), selection)).toEqual({
    status: 'SUCCEEDED',
    failure: null,
  });
  const refund = await graph.rows.refund('ana', await graph.rows.charge('ana', { subscriptionId }), 100, 'failed');
  expect(await shown(refund, selection)).toMatchObject({ failure: { category: 'OTHER', advice: 'CONTACT_SUPPORT' } });
});

test('a suspicion of fraud is shown to staff and not to the owner', async () => {
  await graph.rows.charge('ana', { subscriptionId }, { status: 'declined', attempt: { decline_code: 'stolen_card' } });
  const selection = 'transactions(first: 1) { nodes { failure { category declineCode } } }';
  const own = await graph.ask(ANA, `{ viewer { ${selection} } }`);
  expect(at(own, 'viewer', 'transactions', 'nodes')).toEqual([
    { failure: { category: 'DO_NOT_HONOR', declineCode: 'generic_decline' } },
  ]);
  const staff = await graph.ask({ userId: 'sue', scopes: ['support'] }, `{ customerAccount(userId: "ana") { ${selection} } }`);
  expect(at(staff, 'customerAccount', 'transactions', 'nodes')).toEqual([
    { failure: { category: 'FRAUD', declineCode: 'stolen_card' } },
  ]);
});

test('an open step is shown to the owner, with the key for the SDK, and to nobody else', async () => {
  const step = {
    type: 'REDIRECT',
    clientSecret: 'pi_1_secret_2',
    redirectUrl: 'https://bank.example/3ds',
    expiresAt: '2026-03-11T11:00:00.000Z',
  };
  const charge = await graph.rows.charge(
    'ana',
    { subscriptionId },
    { status: 'requires_action', attempt: { next_action: step } },
  );
  const selection = 'status nextAction { type provider clientSecret publishableKey redirectUrl expiresAt }';
  expect(await shown(charge, selection)).toEqual({
    status: 'REQUIRES_ACTION',
    nextAction: { ...step, provider: 'STRIPE', publishableKey: 'pk_test' },
  });
  const staff = await graph.ask(
    { userId: 'sue', scopes: ['finance'] },
    `{ customerAccount(userId: "ana") { transactions(first: 1) { nodes { ${selection} } } } }`,
  );
  expect(at(staff, 'customerAccount', 'transactions', 'nodes')).toEqual([{ status: 'REQUIRES_ACTION', nextAction: null }]);
});

test('a step is not shown once the payment went on', async () => {
  const charge = await graph.rows.charge(
    'ana',
    { subscriptionId },
    { attempt: { next_action: { type: 'REDIRECT', clientSecret: 'pi_1_secret_2' } } },
  );
  expect(await shown(charge, 'nextAction { clientSecret }')).toEqual({ nextAction: null });
});

test('a transaction shows what it is for and every status it had', async () => {
  const methodId = await graph.rows.method('ana', { wallet: 'apple_pay', status: 'removed' });
  const purchaseId = await graph.rows.purchase('ana', CATALOGUE.prices.badge);
  const charge = await graph.rows.charge(
    'ana',
    { purchaseId },
    { transaction: { payment_method_id: methodId, statement_descriptor: 'NETWORK' } },
  );
  expect(
    await shown(
      charge,
      'kind provider statementDescriptor createdAt subscription { id } purchase { id } paymentMethod { __typename status displayName } statusHistory { status occurredAt cause } user { id }',
    ),
  ).toMatchObject({
    kind: 'CHARGE',
    provider: 'STRIPE',
    statementDescriptor: 'NETWORK',
    createdAt: expect.stringMatching(/^2026-03-01T09:\d\d:\d\d\.000Z$/),
    subscription: null,
    purchase: { id: publicId('pur', purchaseId) },
    paymentMethod: { __typename: 'CardPaymentMethod', status: 'REMOVED', displayName: 'Visa ending 4242' },
    statusHistory: [{ status: 'SUCCEEDED', occurredAt: '2026-03-01T09:10:00.000Z', cause: 'USER' }],
    user: { id: 'ana' },
  });
});

test('an id of a wrong form, of another kind or of nothing gives null without an error', async () => {
  const ids = [
    '',
    'x',
    'txn_',
    publicId('sub', subscriptionId),
    publicId('txn', graph.rows.id('txn', 'ana')),
    'txn_../../etc',
    `txn_${'7'.repeat(26)}`,
  ];
  for (const id of ids) {
    const answer = await graph.ask(ANA, 'query ($id: ID!) { transaction(id: $id) { id } userSubscription(id: "txn_1") { id } }', {
      id,
    });
    expect(answer).toEqual({ data: { transaction: null, userSubscription: null } });
  }
});
