import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { graphql, type ExecutionResult } from 'graphql';
import { publicId, type Id } from '../../src/domain/ids.js';
import type { Answered, Commands, Refusal, RefusalCode } from '../../src/usecases/contract.js';
import { Forbidden } from '../../src/usecases/forbidden.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
const KEY = '0123456789abcdef';
const DONE: Answered = { refusals: [], isReplay: false };
const PRICE = publicId('price', CATALOGUE.prices.plusMonth);
const ERRORS = `userErrors { __typename code message field ... on StateConflictError { subscription { id } }
  ... on PaymentDeclinedError { failure { category advice } } ... on TryAgainError { retryAfterMs } }`;

let graph: TestGraph;
let subscriptionId: Id<'sub'>;
let methodId: Id<'pm'>;
beforeAll(async () => {
  graph = await startGraph();
  await graph.rows.customer('ana');
  subscriptionId = await graph.rows.subscription('ana', PLUS);
  methodId = await graph.rows.method('ana');
  await graph.rows.setDefaultMethod('ana', methodId);
});
afterAll(() => graph.stop());

const SUBSCRIBE = `mutation ($input: SubscribeInput!) { subscribe(input: $input) {
  subscription { id status } transaction { id status } nextAction { type clientSecret publishableKey } ${ERRORS} } }`;

const subscribe = (input: Record<string, unknown>, commands: Partial<Commands>): Promise<ExecutionResult> =>
  graph.ask(ANA, SUBSCRIBE, { input: { priceId: PRICE, idempotencyKey: KEY, ...input } }, commands);

test('a verb is given what the client said, and answers with the objects as they are afterwards', async () => {
  const charge = await graph.rows.charge(
    'ana',
    { subscriptionId },
    {
      status: 'requires_action',
      attempt: { next_action: { type: 'CONFIRM_WITH_SDK', clientSecret: 'secret', redirectUrl: null, expiresAt: null } },
    },
  );
  const seen: unknown[] = [];
  const answer = await subscribe(
    {
      paymentMethodId: publicId('pm', methodId),
      expectedAmount: { amountMinor: 800, currency: 'USD' },
      useTrial: null,
      returnUrl: 'https://x.example/back',
    },
    {
      subscribe: async (actor, command) => {
        seen.push(actor.userId, command);
        return { ...DONE, subscriptionId, transactionId: charge };
      },
    },
  );
  expect(seen).toEqual([
    'ana',
    {
      priceId: CATALOGUE.prices.plusMonth,
      paymentMethodId: methodId,
      coupon: null,
      useTrial: false,
      expectedAmount: { minor: 800n, currency: 'USD' },
      returnUrl: 'https://x.example/back',
      idempotencyKey: KEY,
    },
  ]);
  expect(at(answer, 'subscribe')).toEqual({
    subscription: { id: publicId('sub', subscriptionId), status: 'ACTIVE' },
    transaction: { id: publicId('txn', charge), status: 'REQUIRES_ACTION' },
    nextAction: { type: 'CONFIRM_WITH_SDK', clientSecret: 'secret', publishableKey: 'pk_test' },
    userErrors: [],
  });
});

test('everything wrong with an input is told at once, with its field, and the verb is not run', async () => {
  const answer = await subscribe(
    { priceId: 'x', paymentMethodId: PRICE, expectedAmount: { amountMinor: 0, currency: 'USD' }, idempotencyKey: 'short' },
    {},
  );
  const errors = at(answer, 'subscribe', 'userErrors') as { __typename: string; code: string; field: string[] }[];
  expect(errors.map(({ __typename, code, field }) => [__typename, code, field.join('.')])).toEqual([
    ['InvalidInputError', 'NOT_FOUND', 'input.priceId'],
    ['InvalidInputError', 'NOT_FOUND', 'input.paymentMethodId'],
    ['InvalidInputError', 'INVALID_INPUT', 'input.expectedAmount.amountMinor'],
    ['InvalidInputError', 'INVALID_INPUT', 'input.idempotencyKey'],
  ]);
});

test.each(['', 'a'.repeat(15), 'a'.repeat(129), 'sixteen chars...', 'ключ-ключ-ключ-ключ'])(
  'the key %j is refused',
  async (idempotencyKey) => {
    expect(at(await subscribe({ idempotencyKey }, {}), 'subscribe', 'userErrors')).toMatchObject([
      { code: 'INVALID_INPUT', field: ['input', 'idempotencyKey'] },
    ]);
  },
);

const TYPE_OF: Record<RefusalCode, string> = {
  INVALID_INPUT: 'InvalidInputError',
  NOT_FOUND: 'InvalidInputError',
  INVALID_STATE: 'StateConflictError',
  ALREADY_SUBSCRIBED: 'StateConflictError',
  NOT_FOR_SALE: 'InvalidInputError',
  PAYMENT_DECLINED: 'PaymentDeclinedError',
  PAYMENT_METHOD_UNUSABLE: 'InvalidInputError',
  COUPON_NOT_APPLICABLE: 'InvalidInputError',
  TRIAL_ALREADY_USED: 'InvalidInputError',
  REFUND_EXCEEDS_CHARGE: 'InvalidInputError',
  PRICE_CHANGED: 'InvalidInputError',
  IDEMPOTENCY_KEY_REUSED: 'InvalidInputError',
  IDEMPOTENCY_IN_PROGRESS: 'TryAgainError',
  RISK_REFUSED: 'InvalidInputError',
  PROVIDER_UNAVAILABLE: 'TryAgainError',
  RATE_LIMITED: 'TryAgainError',
  STALE_VERSION: 'StateConflictError',
};

test.each(Object.entries(TYPE_OF))('the refusal %s is a %s', async (code, type) => {
  const refusal: Refusal = { code: code as RefusalCode, message: 'because', field: ['input', 'priceId'] };
  const answer = await subscribe(
    {},
    { subscribe: async () => ({ ...DONE, refusals: [refusal], subscriptionId: null, transactionId: null }) },
  );
  expect(at(answer, 'subscribe')).toMatchObject({
    subscription: null,
    transaction: null,
    userErrors: [{ __typename: type, code, message: 'because', field: ['input', 'priceId'] }],
  });
});

test('a refusal brings what it is about: the subscription in the way, the failure, the delay', async () => {
  const refusals: Refusal[] = [
    { code: 'ALREADY_SUBSCRIBED', message: 'm', field: null, subscriptionId },
    {
      code: 'PAYMENT_DECLINED',
      message: 'm',
      field: null,
      failure: { category: 'FRAUD', declineCode: null, isRetryable: false, advice: 'CONTACT_BANK' },
    },
    { code: 'RATE_LIMITED', message: 'm', field: null, retryAfterMs: 4_000 },
  ];
  const answer = await subscribe(
    {},
    { subscribe: async () => ({ ...DONE, refusals, subscriptionId: null, transactionId: null }) },
  );
  expect(at(answer, 'subscribe', 'userErrors')).toMatchObject([
    { subscription: { id: publicId('sub', subscriptionId) } },
    { failure: { category: 'FRAUD', advice: 'CONTACT_BANK' } },
    { retryAfterMs: 4_000 },
  ]);
});

test('a repeated request marks the answer as a replay', async () => {
  const context = graph.contextFor(ANA, {
    subscribe: async () => ({ refusals: [], isReplay: true, subscriptionId, transactionId: null }),
  });
  await graphql({
    schema: graph.schema,
    source: SUBSCRIBE,
    variableValues: { input: { priceId: PRICE, idempotencyKey: KEY } },
    contextValue: context,
  });
  expect(context.replay.isReplay).toBe(true);
});

test('an object changed by a verb is shown as it is after that verb, in each verb of one request', async () => {
  const change = async (version: number): Promise<Answered & { subscriptionId: Id<'sub'> }> => {
    await graph.database.ownerPool.query('update subscription set version = $2, cancel_at_period_end = $3 where id = $1', [
      subscriptionId,
      version,
      version === 1,
    ]);
    return { ...DONE, subscriptionId };
  };
  const answer = await graph.ask(
    ANA,
    `mutation ($id: ID!, $key: String!) {
      cancelSubscription(input: { subscriptionId: $id, reason: TOO_EXPENSIVE, comment: "too much", expectedVersion: 0, idempotencyKey: $key }) { subscription { version cancelAtPeriodEnd } }
      resumeSubscription(input: { subscriptionId: $id, idempotencyKey: $key }) { subscription { version cancelAtPeriodEnd } transaction { id } }
    }`,
    { id: publicId('sub', subscriptionId), key: KEY },
    {
      cancelSubscription: (_, command) => {
        expect(command).toEqual({
          subscriptionId,
          immediately: false,
          reason: 'too_expensive',
          comment: 'too much',
          expectedVersion: 0,
          idempotencyKey: KEY,
        });
        return change(1);
      },
      resumeSubscription: async () => ({ ...(await change(2)), transactionId: null }),
    },
  );
  expect(answer).toEqual({
    data: {
      cancelSubscription: { subscription: { version: 1, cancelAtPeriodEnd: true } },
      resumeSubscription: { subscription: { version: 2, cancelAtPeriodEnd: false }, transaction: null },
    },
  });
});

test('a comment is at most a thousand characters, counted as people do, and storable', async () => {
  const cancel = (comment: string): Promise<ExecutionResult> =>
    graph.ask(
      ANA,
      'mutation ($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) { userErrors { code field } } }',
      { input: { subscriptionId: publicId('sub', subscriptionId), comment, idempotencyKey: KEY } },
      { cancelSubscription: async () => ({ ...DONE, subscriptionId }) },
    );
  expect(at(await cancel('😀'.repeat(1_000)), 'cancelSubscription', 'userErrors')).toEqual([]);
  for (const wrong of ['😀'.repeat(1_001), 'a\0b']) {
    expect(at(await cancel(wrong), 'cancelSubscription', 'userErrors')).toEqual([
      { code: 'INVALID_INPUT', field: ['input', 'comment'] },
    ]);
  }
});

test('a purchase is given its quantity, 1 where none is said, and at most 100', async () => {
  const purchaseId = await graph.rows.purchase('ana', CATALOGUE.prices.badge, { status: 'pending_payment' });
  const transactionId = await graph.rows.charge('ana', { purchaseId }, { status: 'processing' });
  const quantities: number[] = [];
  const buy = (quantity?: number | null): Promise<ExecutionResult> =>
    graph.ask(
      ANA,
      'mutation ($input: PurchaseInput!) { purchase(input: $input) { purchase { id } transaction { id status } nextAction { type } userErrors { code field } } }',
      {
        input: {
          priceId: publicId('price', CATALOGUE.prices.badge),
          idempotencyKey: KEY,
          ...(quantity !== undefined && { quantity }),
        },
      },
      {
        purchase: async (_, command) => {
          quantities.push(command.quantity);
          return { ...DONE, purchaseId, transactionId };
        },
      },
    );
  expect(at(await buy(), 'purchase')).toEqual({
    purchase: { id: publicId('pur', purchaseId) },
    transaction: { id: publicId('txn', transactionId), status: 'PROCESSING' },
    nextAction: null,
    userErrors: [],
  });
  await buy(100);
  expect(at(await buy(101), 'purchase', 'userErrors')).toEqual([{ code: 'INVALID_INPUT', field: ['input', 'quantity'] }]);
  expect(at(await buy(0), 'purchase', 'userErrors')).toEqual([{ code: 'INVALID_INPUT', field: ['input', 'quantity'] }]);
  expect(quantities).toEqual([1, 100]);
});

test('confirming a payment shows the payment and the subscription it is for', async () => {
  const transactionId = await graph.rows.charge('ana', { subscriptionId });
  const answer = await graph.ask(
    ANA,
    'mutation ($id: ID!) { confirmPayment(input: { transactionId: $id }) { transaction { status } subscription { id } nextAction { type } userErrors { code } } }',
    { id: publicId('txn', transactionId) },
    { confirmPayment: async (_, command) => ({ ...DONE, transactionId: command.transactionId }) },
  );
  expect(at(answer, 'confirmPayment')).toEqual({
    transaction: { status: 'SUCCEEDED' },
    subscription: { id: publicId('sub', subscriptionId) },
    nextAction: null,
    userErrors: [],
  });
});

test('a payment method is added in two steps, made the default and removed', async () => {
  const setupId = graph.rows.id('set', 'ana');
  const step = {
    type: 'CONFIRM_WITH_SDK' as const,
    provider: 'stripe' as const,
    clientSecret: 'seti_secret',
    publishableKey: 'pk_test',
    redirectUrl: null,
    expiresAt: null,
  };
  const commands: Partial<Commands> = {
    startPaymentMethodSetup: async (_, command) => {
      expect(command).toEqual({ kind: 'card', makeDefault: true, returnUrl: null, idempotencyKey: KEY });
      return { ...DONE, setupId, nextAction: step };
    },
    completePaymentMethodSetup: async (_, command) => {
      expect(command).toEqual({ setupId, providerToken: 'pm_card_visa' });
      return { ...DONE, paymentMethodId: methodId, nextAction: null };
    },
    setDefaultPaymentMethod: async (_, { paymentMethodId }) => ({ ...DONE, paymentMethodId }),
    removePaymentMethod: async (_, { paymentMethodId }) => ({ ...DONE, paymentMethodId }),
  };
  const run = (source: string): Promise<ExecutionResult> => graph.ask(ANA, `mutation { ${source} }`, {}, commands);
  expect(
    await run(
      `startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: "${KEY}" }) { setupId nextAction { type provider clientSecret } userErrors { code } }`,
    ),
  ).toEqual({
    data: {
      startPaymentMethodSetup: {
        setupId: publicId('set', setupId),
        nextAction: { type: 'CONFIRM_WITH_SDK', provider: 'STRIPE', clientSecret: 'seti_secret' },
        userErrors: [],
      },
    },
  });
  const method = {
    __typename: 'CardPaymentMethod',
    id: publicId('pm', methodId),
    isDefault: true,
    displayName: 'Visa ending 4242',
  };
  expect(
    await run(
      `completePaymentMethodSetup(input: { setupId: "${publicId('set', setupId)}", providerToken: "pm_card_visa" }) { paymentMethod { __typename id isDefault displayName } }`,
    ),
  ).toEqual({ data: { completePaymentMethodSetup: { paymentMethod: method } } });
  expect(
    await run(`setDefaultPaymentMethod(input: { paymentMethodId: "${method.id}" }) { paymentMethod { id } userErrors { code } }`),
  ).toEqual({
    data: { setDefaultPaymentMethod: { paymentMethod: { id: method.id }, userErrors: [] } },
  });
  expect(await run(`removePaymentMethod(input: { paymentMethodId: "${method.id}" }) { removedPaymentMethodId }`)).toEqual({
    data: { removePaymentMethod: { removedPaymentMethodId: method.id } },
  });
});

const REFUND = `mutation ($input: RefundInput!) { refund(input: $input) { refund { id kind } original { id user { featureKeys } } ${ERRORS} } }`;

test("support pays a customer's charge back and sees both lines", async () => {
  const charge = await graph.rows.charge('ana', { subscriptionId });
  const refundId = await graph.rows.refund('ana', charge, 400);
  const answer = await graph.ask(
    { userId: 'sue', scopes: ['support'] },
    REFUND,
    {
      input: {
        transactionId: publicId('txn', charge),
        amount: { amountMinor: 400, currency: 'USD' },
        reason: 'SERVICE_FAILURE',
        idempotencyKey: KEY,
      },
    },
    {
      refund: async (actor, command) => {
        expect([actor.userId, command]).toEqual([
          'sue',
          {
            transactionId: charge,
            amount: { minor: 400n, currency: 'USD' },
            reason: 'service_failure',
            note: null,
            endSubscription: false,
            idempotencyKey: KEY,
          },
        ]);
        return { ...DONE, refundId, originalId: charge };
      },
    },
  );
  expect(at(answer, 'refund')).toEqual({
    refund: { id: publicId('txn', refundId), kind: 'REFUND' },
    original: { id: publicId('txn', charge), user: { featureKeys: ['longer_posts', 'no_ads'] } },
    userErrors: [],
  });
});

test('a refund above the limit of the agent is forbidden', async () => {
  const refund = async (): Promise<never> => {
    throw new Forbidden('Above the limit.');
  };
  const input = { transactionId: publicId('txn', graph.rows.id('txn', 'ana')), reason: 'REQUESTED', idempotencyKey: KEY };
  const answer = await graph.ask({ userId: 'sue', scopes: ['support'] }, REFUND, { input }, { refund });
  expect(codesOf(answer)).toEqual(['FORBIDDEN']);
});
