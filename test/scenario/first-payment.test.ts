import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  CancelDocument,
  ConfirmDocument,
  CustomerAccountDocument,
  EntitlementChecksDocument,
  ListTiersDocument,
  NodeDocument,
  PurchaseDocument,
  RefundDocument,
  RemoveDocument,
  ResumeDocument,
  SetDefaultDocument,
  TransactionDocument,
  TransactionsDocument,
  ViewerDocument,
} from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { ask, click, newKey, post, startProduct, type Person, type Product } from '../support/product.js';

let product: Product;
let support: Person;
beforeAll(async () => {
  product = await startProduct();
  support = await product.person('sue', ['support']);
});
afterAll(async () => product.stop());

const refund = (transactionId: string, amountMinor: number) => ({
  input: { transactionId, amount: { amountMinor, currency: 'USD' }, reason: 'REQUESTED' as const, idempotencyKey: newKey() },
});

async function productPrice(key: string, currency: string): Promise<string> {
  const query = `{ products { nodes { key prices(currency: "${currency}") { id } } } }`;
  const { text } = await post(product.url, JSON.stringify({ query }));
  const { data } = JSON.parse(text) as { data: { products: { nodes: { key: string; prices: { id: string }[] }[] } } };
  return data.products.nodes.find((one) => one.key === key)?.prices[0]?.id ?? '';
}

async function buy(person: Person, key: string, currency: string) {
  const input = { priceId: await productPrice(key, currency), idempotencyKey: newKey() };
  return (await person.get(PurchaseDocument, { input })).purchase;
}

test('a visitor without a token sees what is for sale', async () => {
  const { status, data, errors } = await ask(product.url, ListTiersDocument, { currency: 'EUR' });
  expect([status, errors]).toEqual([200, []]);
  expect(data?.tiers.map(({ key }) => key)).toEqual(['basic', 'premium', 'premium_plus']);
  expect(data?.tiers[0]?.prices[0]?.amount).toMatchObject({ amountMinor: 300, currency: 'EUR', decimal: '3.00' });
  expect(data?.tiers[1]?.features.map(({ key }) => key)).toContain('verified_badge');
});

test('a customer subscribes and watches it happen; support pays half back, and the customer sees that too', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_visa');
  const feed = await ana.follow();
  const { transaction, subscription, userErrors } = await ana.subscribe();
  expect(userErrors).toEqual([]);
  expect([transaction?.status, subscription?.status]).toEqual(['SUCCEEDED', 'ACTIVE']);
  const chargeId = transaction?.id ?? '';
  const told = await feed.hasStatus('SUCCEEDED', chargeId);
  expect(feed.statuses(chargeId)).toEqual(['PENDING', 'SUCCEEDED']);
  expect(told.subscription).toMatchObject({ id: subscription?.id, status: 'ACTIVE' });

  const { viewer } = await ana.get(ViewerDocument, {});
  expect(viewer?.displayTier?.key).toBe('premium');
  expect(viewer?.entitlements?.map(({ feature }) => feature.key)).toEqual(
    expect.arrayContaining(['verified_badge', 'longer_posts']),
  );
  const { transaction: charge } = await ana.get(TransactionDocument, { id: chargeId });
  expect(charge).toMatchObject({ kind: 'CHARGE', amount: { decimal: '8.00' }, refundableAmount: { amountMinor: 800 } });
  expect(charge?.statusHistory.map(({ status }) => status)).toEqual(['PENDING', 'SUCCEEDED']);

  const refunded = (await support.get(RefundDocument, refund(chargeId, 400))).refund;
  expect(refunded.userErrors).toEqual([]);
  expect(refunded.original?.refundableAmount?.amountMinor).toBe(400);
  const live = await feed.hasStatus('SUCCEEDED', refunded.refund?.id);
  expect(live.transaction?.amount.amountMinor).toBe(400);
  const after = (await ana.get(TransactionDocument, { id: chargeId })).transaction;
  expect(after?.refundableAmount?.amountMinor).toBe(400);
  expect(after?.reversals.map(({ id, kind }) => [id, kind])).toEqual([[refunded.refund?.id, 'REFUND']]);
  const tooMuch = (await support.get(RefundDocument, refund(chargeId, 401))).refund;
  expect(tooMuch.userErrors.map(({ code }) => code)).toEqual(['REFUND_EXCEEDS_CHARGE']);
});

test('where the token says that a customer lives is kept with the first payment, and periods begin there', async () => {
  const mia = await product.person('mia', [], { country: 'DE', zone: 'Europe/Berlin' });
  await mia.addCard();
  expect((await mia.subscribe()).userErrors).toEqual([]);
  const rows = await product.query(
    'select c.country, c.zone, s.zone as periods from customer c join subscription s using (bucket, user_id) where user_id = $1',
    [mia.userId],
  );
  expect(rows).toEqual([{ country: 'DE', zone: 'Europe/Berlin', periods: 'Europe/Berlin' }]);
});

test('a customer may not refund', async () => {
  const ana = await product.person('ana');
  await ana.addCard();
  const { transaction } = await ana.subscribe();
  const { errors } = await ana.ask(RefundDocument, refund(transaction?.id ?? '', 100));
  expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
});

test.each([
  ['pm_card_chargeDeclined', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedInsufficientFunds', 'INSUFFICIENT_FUNDS', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedLostCard', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedStolenCard', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedExpiredCard', 'METHOD_INVALID', 'UPDATE_METHOD'],
  ['pm_card_chargeDeclinedIncorrectCvc', 'METHOD_INVALID', 'UPDATE_METHOD'],
  ['pm_card_chargeDeclinedProcessingError', 'PROVIDER_ERROR', 'WAIT'],
  ['pm_card_chargeDeclinedVelocityLimitExceeded', 'INSUFFICIENT_FUNDS', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedFraudulent', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
])('%s is not put on file: %s, %s', async (card, category, advice) => {
  const ana = await product.person('ana');
  const { paymentMethod, userErrors } = await ana.completeSetup(await ana.startSetup(), card);
  expect(paymentMethod).toBeNull();
  expect(userErrors).toMatchObject([{ code: 'PAYMENT_DECLINED', failure: { category, advice } }]);
  expect(JSON.stringify(userErrors)).not.toMatch(/lost|stolen|fraud/i);
});

test.each([
  ['pm_card_chargeCustomerFail', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD', false],
  ['pm_card_authenticationRequiredChargeDeclinedInsufficientFunds', 'INSUFFICIENT_FUNDS', 'USE_ANOTHER_METHOD', true],
  ['pm_card_threeDSecureRequiredProcessingError', 'PROVIDER_ERROR', 'WAIT', true],
])('a charge of %s is declined: %s, %s, and the customer is told live', async (card, category, advice, hasStep) => {
  const ana = await product.person('ana');
  await ana.addCard(card);
  const feed = await ana.follow();
  const answer = await ana.subscribe();
  if (hasStep) {
    await click(answer.nextAction?.redirectUrl ?? '');
  } else {
    expect(answer.userErrors).toMatchObject([{ code: 'PAYMENT_DECLINED', failure: { category, advice } }]);
  }
  const told = await feed.hasStatus('FAILED', answer.transaction?.id);
  expect(told.transaction?.failure).toMatchObject({ category, advice });
  expect(told.subscription?.status).toBe('INCOMPLETE_EXPIRED');
});

test('a disputed charge comes as a transaction of its own on the feed, and can not be refunded any more', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_createDispute');
  const feed = await ana.follow();
  const { transaction } = await ana.subscribe();
  const chargeId = transaction?.id ?? '';
  const told = await feed.has((item) => item.type === 'CHANGE' && item.transaction !== null && item.transaction?.id !== chargeId);
  const { transaction: dispute } = await ana.get(TransactionDocument, { id: told.transaction?.id ?? '' });
  expect(dispute).toMatchObject({ kind: 'DISPUTE', amount: { amountMinor: 800 }, original: { id: chargeId } });
  const { refund: refused } = await support.get(RefundDocument, refund(chargeId, 100));
  expect(refused.refund).toBeNull();
  expect(refused.userErrors.map(({ code }) => code)).toEqual(['INVALID_STATE']);
  const { refunds } = await product.truth();
  expect(refunds.filter(({ charge }) => charge === null)).toEqual([]);
});

test('a payment that needs 3-D Secure waits, and the click on the bank page alone makes the subscription active', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_threeDSecure2Required');
  const feed = await ana.follow();
  const { transaction, subscription, nextAction } = await ana.subscribe();
  expect([transaction?.status, subscription?.status, nextAction?.type]).toEqual(['REQUIRES_ACTION', 'INCOMPLETE', 'REDIRECT']);
  const step = await feed.hasStatus('REQUIRES_ACTION', transaction?.id);
  const sentTo = await click(step.nextAction?.redirectUrl ?? '');
  expect(new URL(sentTo).origin).toBe(product.url);
  expect(new URL(sentTo).searchParams.get('redirect_status')).toBe('succeeded');
  const done = await feed.hasStatus('SUCCEEDED', transaction?.id);
  expect(done.subscription?.status).toBe('ACTIVE');
  expect(done.nextAction).toBeNull();
  const { confirmPayment: confirmed } = await ana.get(ConfirmDocument, { input: { transactionId: transaction?.id ?? '' } });
  expect(confirmed).toMatchObject({
    transaction: { status: 'SUCCEEDED' },
    subscription: { status: 'ACTIVE' },
    nextAction: null,
    userErrors: [],
  });
  expect(feed.statuses(transaction?.id)).toEqual(['PENDING', 'REQUIRES_ACTION', 'SUCCEEDED']);
});

test('a 3-D Secure step that fails ends the payment as AUTHENTICATION_FAILED', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_threeDSecure2Required');
  const feed = await ana.follow();
  const { transaction, nextAction } = await ana.subscribe();
  await click(nextAction?.redirectUrl ?? '', 'fail');
  const end = await feed.hasStatus('FAILED', transaction?.id);
  expect(end.transaction?.failure?.category).toBe('AUTHENTICATION_FAILED');
  const { charges } = await product.truth();
  expect(charges.filter(({ metadata, paid }) => paid && metadata['intent_id'] === transaction?.id)).toEqual([]);
});

test.each([
  ['USD', 499, 499, '4.99'],
  ['JPY', 700, 700, '700'],
  ['KWD', 1490, 1490, '1.490'],
])(
  'a theme pack in %s costs %i of its smallest unit, and Stripe is asked for %i',
  async (currency, minor, stripeAmount, decimal) => {
    const ana = await product.person('ana');
    await ana.addCard();
    const bought = await buy(ana, 'theme_pack', currency);
    expect(bought.userErrors).toEqual([]);
    expect(bought.purchase?.status).toBe('COMPLETED');
    expect(bought.transaction?.amount).toEqual({ amountMinor: minor, currency, decimal });
    const { paymentIntents } = await product.truth();
    const last = paymentIntents.at(-1);
    expect([last?.amount, last?.amount_received, last?.currency]).toEqual([stripeAmount, stripeAmount, currency.toLowerCase()]);
    const { viewer } = await ana.get(ViewerDocument, {});
    expect(viewer?.entitlements?.map(({ feature, source }) => [feature.key, source])).toEqual([['custom_themes', 'PURCHASE']]);
  },
);

test('a subscription is canceled and taken up again, and a stale version is refused with the present one', async () => {
  const ana = await product.person('ana');
  await ana.addCard();
  const { subscription } = await ana.subscribe();
  const subscriptionId = subscription?.id ?? '';
  const version = subscription?.version ?? -1;
  const { cancelSubscription: canceled } = await ana.get(CancelDocument, {
    input: { subscriptionId, expectedVersion: version, reason: 'UNUSED', idempotencyKey: newKey() },
  });
  expect(canceled.subscription).toMatchObject({ status: 'ACTIVE', cancelAtPeriodEnd: true, version: version + 1 });
  const { resumeSubscription: stale } = await ana.get(ResumeDocument, {
    input: { subscriptionId, expectedVersion: version, idempotencyKey: newKey() },
  });
  expect(stale.userErrors).toMatchObject([{ code: 'STALE_VERSION', subscription: { id: subscriptionId, version: version + 1 } }]);
  const { resumeSubscription: resumed } = await ana.get(ResumeDocument, {
    input: { subscriptionId, expectedVersion: version + 1, idempotencyKey: newKey() },
  });
  expect(resumed.subscription).toMatchObject({ status: 'ACTIVE', cancelAtPeriodEnd: false, version: version + 2 });
  const { cancelSubscription: ended } = await ana.get(CancelDocument, {
    input: { subscriptionId, immediately: true, idempotencyKey: newKey() },
  });
  expect(ended.subscription?.status).toBe('CANCELED');
  const { viewer } = await ana.get(ViewerDocument, {});
  expect([viewer?.currentSubscription, viewer?.entitlements]).toEqual([null, []]);
});

test('the default method can be changed, and only a method that no subscription needs can be removed', async () => {
  const ana = await product.person('ana');
  const visa = await ana.addCard('pm_card_visa');
  await ana.subscribe();
  const alone = (await ana.get(RemoveDocument, { input: { paymentMethodId: visa } })).removePaymentMethod;
  expect(alone.userErrors.map(({ code }) => code)).toEqual(['INVALID_STATE']);
  const mastercard = await ana.addCard('pm_card_mastercard');
  const chosen = (await ana.get(SetDefaultDocument, { input: { paymentMethodId: visa } })).setDefaultPaymentMethod;
  expect(chosen.paymentMethod).toMatchObject({ id: visa, isDefault: true });
  const removed = (await ana.get(RemoveDocument, { input: { paymentMethodId: visa } })).removePaymentMethod;
  expect(removed).toEqual({ removedPaymentMethodId: visa, userErrors: [] });
  const { viewer } = await ana.get(ViewerDocument, {});
  expect(viewer?.paymentMethods?.map(({ id }) => id)).toEqual([mastercard]);
});

test('the same key again gives the same result and says that it is one', async () => {
  const ana = await product.person('ana');
  await ana.addCard();
  const idempotencyKey = newKey();
  const first = await ana.trySubscribe({ idempotencyKey });
  const second = await ana.trySubscribe({ idempotencyKey });
  expect(first.extensions['idempotentReplay']).toBeUndefined();
  expect(second.extensions['idempotentReplay']).toBe(true);
  expect(second.data?.subscribe.transaction?.id).toBe(first.data?.subscribe.transaction?.id);
  const other = await ana.trySubscribe({ idempotencyKey, tier: 'basic' });
  expect(other.data?.subscribe.userErrors.map(({ code }) => code)).toEqual(['IDEMPOTENCY_KEY_REUSED']);
});

test('everything with an id can be fetched by it, by its owner alone', async () => {
  const [ana, ben] = [await product.person('ana'), await product.person('ben')];
  const method = await ana.addCard();
  const { subscription, transaction } = await ana.subscribe();
  const { purchase } = await buy(ana, 'theme_pack', 'USD');
  const { data } = await ask(product.url, ListTiersDocument, {});
  const [tier] = data?.tiers ?? [];
  const own = {
    CardPaymentMethod: method,
    UserSubscription: subscription?.id,
    Transaction: transaction?.id,
    Purchase: purchase?.id,
  };
  const open = { Tier: tier?.id, TierPrice: tier?.prices[0]?.id, ProductPrice: await productPrice('theme_pack', 'USD') };
  for (const [kind, id = ''] of Object.entries({ ...own, ...open })) {
    expect((await ana.get(NodeDocument, { id })).monetizationNode).toMatchObject({ __typename: kind, id });
    const seen = (await ben.get(NodeDocument, { id })).monetizationNode;
    expect(seen?.__typename ?? null).toBe(kind in open ? kind : null);
  }
  expect((await ana.get(NodeDocument, { id: 'nobody_knows' })).monetizationNode).toBeNull();
});

test('a history is read page by page, forwards and backwards, without a gap', async () => {
  const ana = await product.person('ana');
  await ana.addCard();
  for (let i = 0; i < 5; i++) expect((await buy(ana, 'post_boost', 'USD')).userErrors).toEqual([]);
  const page = async (variables: { first?: number; after?: string; last?: number; before?: string }) => {
    const connection = (await ana.get(TransactionsDocument, variables)).viewer?.transactions;
    if (!connection) throw new Error('no transactions');
    return { ids: connection.edges.map(({ node }) => node.id), info: connection.pageInfo };
  };
  const all = await page({ first: 100 });
  expect(all.ids).toHaveLength(5);
  const one = await page({ first: 2 });
  const two = await page({ first: 2, after: one.info.endCursor ?? '' });
  const three = await page({ first: 2, after: two.info.endCursor ?? '' });
  expect([...one.ids, ...two.ids, ...three.ids]).toEqual(all.ids);
  expect([one, two, three].map(({ info }) => info.hasNextPage)).toEqual([true, true, false]);
  const back = await page({ last: 2, before: three.info.startCursor ?? '' });
  expect(back.ids).toEqual(two.ids);
});

test('support opens a customer account, and that is written down', async () => {
  const ana = await product.person('ana');
  await ana.addCard();
  await ana.subscribe();
  const { customerAccount } = await support.get(CustomerAccountDocument, { userId: ana.userId });
  expect(customerAccount).toMatchObject({ id: ana.userId, currentSubscription: { status: 'ACTIVE' } });
  expect(customerAccount?.transactions?.nodes).toHaveLength(1);
  const entries = await product.query('select actor, acting_for, action from audit_entry where acting_for = $1', [ana.userId]);
  expect(entries).toEqual([{ actor: support.userId, acting_for: ana.userId, action: 'account.read' }]);
  const { errors } = await ana.ask(CustomerAccountDocument, { userId: ana.userId });
  expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
});

test('the feed of one customer tells nothing of another, even when asked for by id or with a cursor of theirs', async () => {
  const [ana, eve] = [await product.person('ana'), await product.person('eve')];
  await ana.addCard();
  const { transaction } = await ana.subscribe();
  const transactionId = transaction?.id ?? '';
  const [own, spying] = [await ana.follow(product.url, { transactionId }), await eve.follow(product.url, { transactionId })];
  const other = await ana.follow();
  const { refund: paidBack } = await support.get(RefundDocument, refund(transactionId, 100));
  await other.hasStatus('SUCCEEDED', paidBack.refund?.id);
  expect(spying.statuses()).toEqual([]);
  expect(own.statuses()).toEqual([]);
  const after = other.items.at(-1)?.cursor ?? '';
  await expect(eve.follow(product.url, { after })).rejects.toThrow('not told');
});

test('a refund that fails later is told, and its money is not paid back again, as it became credit', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_refundFail');
  const feed = await ana.follow();
  const { transaction } = await ana.subscribe();
  const { refund: paidBack } = await support.get(RefundDocument, refund(transaction?.id ?? '', 800));
  expect(paidBack.userErrors).toEqual([]);
  await feed.hasStatus('SUCCEEDED', paidBack.refund?.id);
  await product.letDueHappen();
  await feed.hasStatus('FAILED', paidBack.refund?.id);
  const { transaction: charge } = await ana.get(TransactionDocument, { id: transaction?.id ?? '' });
  expect(charge?.refundableAmount?.amountMinor).toBe(0);
  expect(charge?.reversals.map(({ status }) => status)).toEqual(['FAILED']);
});

test('a refund that the bank takes its time with is told when it has arrived', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_pendingRefund');
  const feed = await ana.follow();
  const { transaction } = await ana.subscribe();
  const { refund: paidBack } = await support.get(RefundDocument, refund(transaction?.id ?? '', 300));
  expect(paidBack.original?.refundableAmount?.amountMinor).toBe(500);
  expect(feed.statuses(paidBack.refund?.id)).not.toContain('SUCCEEDED');
  await product.letDueHappen();
  await feed.hasStatus('SUCCEEDED', paidBack.refund?.id);
});

test('another service asks what users may use, and only with the scope for it', async () => {
  const [ana, ben] = [await product.person('ana'), await product.person('ben')];
  const posts = await product.person('posts', ['entitlements']);
  await ana.addCard();
  await ana.subscribe();
  const checks = [ana, ben].map(({ userId }) => ({ userId, feature: 'longer_posts' }));
  const { entitlementChecks } = await posts.get(EntitlementChecksDocument, { checks });
  expect(entitlementChecks).toMatchObject([
    { userId: ana.userId, granted: true, limit: 25_000 },
    { userId: ben.userId, granted: false, limit: null },
  ]);
  const { errors } = await support.ask(EntitlementChecksDocument, { checks });
  expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
});

test('after all this the books are sound and every webhook was taken', async () => {
  await eventually(async () => {
    const [waiting] = await product.query<{ count: bigint }>(
      "select count(*) from webhook_inbox where status in ('new', 'parked')",
    );
    expect(waiting?.count).toBe(0n);
  });
  await product.expectSoundBooks();
});
