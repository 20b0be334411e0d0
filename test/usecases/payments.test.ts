import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { letSleep } from '../support/lives.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

let world: World;
let premium: PriceId;
let yen: PriceId;
let dinar: PriceId;
let dollars: PriceId;

beforeEach(async () => letSleep(world));
beforeAll(async () => {
  world = await startWorld({ callTimeoutMs: 20_000 });
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [product] = await world.query<{ key: string }>('select key from product where unlocks is not null');
  if (!product) throw new Error('no product unlocks anything');
  yen = (await priceId(world, { product: product.key, currency: 'JPY' })) as PriceId;
  dinar = (await priceId(world, { product: product.key, currency: 'KWD' })) as PriceId;
  dollars = (await priceId(world, { product: product.key, currency: 'USD' })) as PriceId;
});
afterAll(async () => world.stop());

const HOUR = 3_600_000;

const subscribe = (actor: Actor, more: { idempotencyKey?: string; expectedMinor?: bigint } = {}) =>
  world.commands.subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: more.expectedMinor === undefined ? null : { minor: more.expectedMinor, currency: 'USD' },
    returnUrl: null,
    idempotencyKey: more.idempotencyKey ?? newKey(),
  });

const buy = (actor: Actor, price: PriceId, quantity = 1) =>
  world.commands.purchase(actor, {
    priceId: price,
    quantity,
    paymentMethodId: null,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

const refund = (transactionId: TransactionId, minor: bigint | null, more: { staff?: Actor; endSubscription?: boolean } = {}) =>
  world.commands.refund(more.staff ?? someStaff('support'), {
    transactionId,
    amount: minor === null ? null : { minor, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: more.endSubscription ?? false,
    idempotencyKey: newKey(),
  });

async function subscriptionOf(actor: Actor) {
  const [row] = await world.query<{
    id: string;
    status: string;
    entitled_until: Date;
    period_end: Date;
    hold: string;
    version: number;
  }>('select * from subscription where user_id = $1 order by id desc', [actor.userId]);
  return row;
}

async function told(actor: Actor): Promise<string[]> {
  const rows = await world.query<{ status: string }>(
    "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
    [actor.userId],
  );
  return rows.map((row) => row.status);
}

async function paymentOf(actor: Actor) {
  const truth = await world.truth();
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  return truth.paymentIntents.filter((intent) => intent.customer === row?.object_id);
}

/** Does what a person does on the stand-in's page of 3-D Secure. */
async function click(url: string, how: 'complete' | 'fail'): Promise<void> {
  const page = await (await fetch(url)).text();
  const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&') ?? url;
  const buttons = [...page.matchAll(/<button[^>]*name="([^"]+)"[^>]*value="([^"]+)"/g)];
  const button = buttons.find(([, , value]) => value?.startsWith(how === 'complete' ? 'succ' : 'fail') || value?.startsWith(how));
  if (!button?.[1] || !button[2]) throw new Error(`no button to ${how}: ${page}`);
  const hidden: [string, string][] = [...page.matchAll(/<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(
    ([, name, value]) => [name ?? '', value ?? ''],
  );
  const answer = await fetch(new URL(action, url), {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams([...hidden, [button[1], button[2]]]),
  });
  expect(answer.status).toBe(303);
}

test.each([
  ['pm_card_chargeCustomerFail', 'DO_NOT_HONOR'],
  ['pm_card_authenticationRequiredChargeDeclinedInsufficientFunds', 'INSUFFICIENT_FUNDS'],
])('%s attaches; a charge on it is declined as %s and nothing is owed any more', async (token, category) => {
  const needsStep = token.includes('authenticationRequired');
  const ana = someUser();
  if (needsStep) {
    const started = await world.commands.startPaymentMethodSetup(ana, {
      kind: 'card',
      makeDefault: true,
      returnUrl: null,
      idempotencyKey: newKey(),
    });
    if (!started.setupId) throw new Error('no setup');
    const first = await world.commands.completePaymentMethodSetup(ana, { setupId: started.setupId, providerToken: token });
    if (first.nextAction?.redirectUrl) {
      await click(first.nextAction.redirectUrl, 'complete');
      const second = await world.commands.completePaymentMethodSetup(ana, { setupId: started.setupId, providerToken: null });
      expect(second.refusals).toEqual([]);
    }
  } else {
    await withCard(world, ana, token);
  }
  const answer = await subscribe(ana);
  let failures = answer.refusals;
  if (needsStep && answer.transactionId) {
    const [attempt] = await world.query<{ next_action: { redirectUrl: string } }>(
      'select next_action from payment_attempt where id = $1',
      [answer.transactionId],
    );
    await click(attempt?.next_action.redirectUrl ?? '', 'complete');
    failures = (await world.commands.confirmPayment(ana, { transactionId: answer.transactionId })).refusals;
  }
  expect(failures.map((one) => [one.code, one.failure?.category])).toEqual([['PAYMENT_DECLINED', category]]);
  expect(answer.transactionId).not.toBeNull();
  expect((await subscriptionOf(ana))?.status).toBe('incomplete_expired');
  const [invoice] = await world.query<{ status: string }>('select status from invoice where user_id = $1', [ana.userId]);
  expect(invoice?.status).toBe('void');
  await expectSoundBooks(world);
});

test.each([
  ['pm_card_chargeDeclined', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_visa_chargeDeclinedInsufficientFunds', 'INSUFFICIENT_FUNDS', 'USE_ANOTHER_METHOD'],
  ['pm_card_visa_chargeDeclinedLostCard', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_visa_chargeDeclinedStolenCard', 'DO_NOT_HONOR', 'USE_ANOTHER_METHOD'],
  ['pm_card_chargeDeclinedExpiredCard', 'METHOD_INVALID', 'UPDATE_METHOD'],
  ['pm_card_chargeDeclinedIncorrectCvc', 'METHOD_INVALID', 'UPDATE_METHOD'],
  ['pm_card_chargeDeclinedProcessingError', 'PROVIDER_ERROR', 'WAIT'],
])('adding %s is declined as %s with the advice %s', async (token, category, advice) => {
  const ana = someUser();
  const started = await world.commands.startPaymentMethodSetup(ana, {
    kind: 'card',
    makeDefault: true,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (!started.setupId) throw new Error('no setup');
  const completed = await world.commands.completePaymentMethodSetup(ana, { setupId: started.setupId, providerToken: token });
  expect(completed.paymentMethodId).toBeNull();
  expect(completed.refusals.map((one) => [one.code, one.failure?.category, one.failure?.advice])).toEqual([
    ['PAYMENT_DECLINED', category, advice],
  ]);
});

test('a repeat with the same key answers the same, another input is refused, and a stale price is told', async () => {
  const ana = await withCard(world, someUser());
  const idempotencyKey = newKey();
  const stale = await subscribe(ana, { idempotencyKey, expectedMinor: 1n });
  expect(stale.refusals.map((one) => one.code)).toEqual(['PRICE_CHANGED']);
  const again = await subscribe(ana, { idempotencyKey, expectedMinor: 1n });
  expect([again.isReplay, again.refusals.map((one) => one.code)]).toEqual([true, ['PRICE_CHANGED']]);
  expect((await subscribe(ana, { idempotencyKey })).refusals.map((one) => one.code)).toEqual(['IDEMPOTENCY_KEY_REUSED']);
  const key = newKey();
  const first = await subscribe(ana, { idempotencyKey: key });
  const second = await subscribe(ana, { idempotencyKey: key });
  expect({ ...second, isReplay: false }).toEqual(first);
  expect(await paymentOf(ana)).toHaveLength(1);
});

test('3-D Secure ends active after the click, whoever asks first', async () => {
  const ana = await withCardThatAsks();
  const answer = await subscribe(ana);
  expect(answer.refusals).toEqual([]);
  expect((await subscriptionOf(ana))?.status).toBe('incomplete');
  const [attempt] = await world.query<{ next_action: { redirectUrl: string; type: string } }>(
    'select next_action from payment_attempt where id = $1',
    [answer.transactionId],
  );
  expect(attempt?.next_action.type).toBe('REDIRECT');
  expect((await subscribe(ana)).refusals.map((one) => one.code)).toEqual(['ALREADY_SUBSCRIBED']);
  await click(attempt?.next_action.redirectUrl ?? '', 'complete');
  await world.receiveEvents();
  if (answer.transactionId === null) throw new Error('no charge');
  await Promise.all([world.commands.confirmPayment(ana, { transactionId: answer.transactionId }), world.work('webhooks')]);
  expect((await subscriptionOf(ana))?.status).toBe('active');
  expect(await told(ana)).toEqual(['pending', 'requires_action', 'succeeded']);
  const [inbox] = await world.query<{ open: bigint }>("select count(*) as open from webhook_inbox where status = 'new'");
  expect(inbox?.open).toBe(0n);
  await expectSoundBooks(world);
});

test('3-D Secure that nobody does is cancelled at the provider after twenty-three hours, and the subscription never was', async () => {
  const ana = await withCardThatAsks();
  await subscribe(ana);
  for (let hours = 0; hours < 22; hours += 2) {
    await world.advance(2 * HOUR);
    await world.work('payments');
  }
  expect((await subscriptionOf(ana))?.status).toBe('incomplete');
  await world.advance(2 * HOUR);
  await world.work('payments');
  expect((await subscriptionOf(ana))?.status).toBe('incomplete_expired');
  expect((await paymentOf(ana)).map((intent) => intent.status)).toEqual(['canceled']);
  expect(await told(ana)).toEqual(['pending', 'requires_action', 'canceled']);
  await expectSoundBooks(world);
});

test('3-D Secure that fails is cancelled at the provider first and then declined', async () => {
  const ana = await withCardThatAsks();
  const answer = await subscribe(ana);
  const [attempt] = await world.query<{ next_action: { redirectUrl: string } }>(
    'select next_action from payment_attempt where id = $1',
    [answer.transactionId],
  );
  await click(attempt?.next_action.redirectUrl ?? '', 'fail');
  if (answer.transactionId === null) throw new Error('no charge');
  const confirmed = await world.commands.confirmPayment(ana, { transactionId: answer.transactionId });
  expect(confirmed.refusals.map((one) => one.failure?.category)).toEqual(['AUTHENTICATION_FAILED']);
  expect((await paymentOf(ana)).map((intent) => intent.status)).toEqual(['canceled']);
  expect((await subscriptionOf(ana))?.status).toBe('incomplete_expired');
  await expectSoundBooks(world);
});

test('a subscription whose first payment waits can be given up; the provider confirms it', async () => {
  const ana = await withCardThatAsks();
  const answer = await subscribe(ana);
  if (answer.subscriptionId === null) throw new Error('no subscription');
  const canceled = await world.commands.cancelSubscription(ana, {
    subscriptionId: answer.subscriptionId,
    immediately: false,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  expect(canceled.refusals).toEqual([]);
  expect((await subscriptionOf(ana))?.status).toBe('incomplete_expired');
  expect((await paymentOf(ana)).map((intent) => intent.status)).toEqual(['canceled']);
  await expectSoundBooks(world);
});

test('a canceled subscription keeps access to the end of its period, can be resumed until then, and ends with it', async () => {
  const ana = await withCard(world, someUser());
  const { subscriptionId } = await subscribe(ana);
  if (subscriptionId === null) throw new Error('no subscription');
  const cancel = () =>
    world.commands.cancelSubscription(ana, {
      subscriptionId,
      immediately: false,
      reason: 'unused',
      comment: null,
      expectedVersion: null,
      idempotencyKey: newKey(),
    });
  await cancel();
  const flagged = await subscriptionOf(ana);
  expect(flagged?.entitled_until).toEqual(flagged?.period_end);
  const stale = await world.commands.resumeSubscription(ana, { subscriptionId, expectedVersion: 0, idempotencyKey: newKey() });
  expect(stale.refusals.map((one) => one.code)).toEqual(['STALE_VERSION']);
  await world.commands.resumeSubscription(ana, {
    subscriptionId,
    expectedVersion: flagged?.version ?? null,
    idempotencyKey: newKey(),
  });
  expect((await subscriptionOf(ana))?.entitled_until.getTime()).toBe((flagged?.period_end.getTime() ?? 0) + 6 * HOUR);
  await cancel();
  await world.advance(32 * 24 * HOUR);
  await world.work('due');
  expect((await subscriptionOf(ana))?.status).toBe('canceled');
  await expectSoundBooks(world);
});

test('purchases in yen and dinar reach the provider with the right amounts, and unlock what they say', async () => {
  const ana = await withCard(world, someUser());
  const [inYen, inDinar] = [await buy(ana, yen), await buy(ana, dinar, 2)];
  expect([...inYen.refusals, ...inDinar.refusals]).toEqual([]);
  const rows = await world.query<{ currency: string; amount: bigint }>(
    'select currency, amount from transaction where user_id = $1',
    [ana.userId],
  );
  const charged = (await paymentOf(ana)).map((intent) => [intent.currency, BigInt(intent.amount)]);
  expect(new Set(charged.map(String))).toEqual(new Set(rows.map((row) => String([row.currency.toLowerCase(), row.amount]))));
  const grants = await world.query('select * from entitlement_grant where user_id = $1', [ana.userId]);
  expect(grants).toHaveLength(2);
  await expectSoundBooks(world);
});

test('half refunded leaves half; all refunded ends the subscription, and a purchase loses what it unlocked', async () => {
  const ana = await withCard(world, someUser());
  const { transactionId } = await subscribe(ana);
  const bought = await buy(ana, dollars);
  if (transactionId === null || bought.transactionId === null) throw new Error('no charge');
  expect((await refund(transactionId, 400n)).refusals).toEqual([]);
  expect((await subscriptionOf(ana))?.status).toBe('active');
  expect((await refund(transactionId, 401n)).refusals.map((one) => one.code)).toEqual(['REFUND_EXCEEDS_CHARGE']);
  expect((await refund(transactionId, null)).refusals).toEqual([]);
  expect((await subscriptionOf(ana))?.status).toBe('canceled');
  expect((await refund(bought.transactionId, null)).refusals).toEqual([]);
  const [purchase] = await world.query<{ status: string }>('select status from purchase where user_id = $1', [ana.userId]);
  expect(purchase?.status).toBe('refunded');
  expect(await world.query('select * from entitlement_grant where user_id = $1 and revoked_at is null', [ana.userId])).toEqual(
    [],
  );
  const audit = await world.query("select * from audit_entry where acting_for = $1 and action = 'refund'", [ana.userId]);
  expect(audit).toHaveLength(3);
  await expectSoundBooks(world);
});

test('a refund above what an agent may give is forbidden and leaves no trace; finance may', async () => {
  const ana = await withCard(world, someUser());
  const { transactionId } = await buy(ana, dollars, 40);
  if (transactionId === null) throw new Error('no charge');
  await expect(refund(transactionId, null)).rejects.toThrow('above');
  expect(await world.query('select * from refund where user_id = $1', [ana.userId])).toEqual([]);
  expect((await refund(transactionId, null, { staff: someStaff('finance') })).refusals).toEqual([]);
});

test('a refund that the bank refuses days later is given as credit', async () => {
  const ana = await withCard(world, someUser(), 'pm_card_refundFail');
  const { transactionId } = await subscribe(ana);
  if (transactionId === null) throw new Error('no charge');
  await refund(transactionId, 300n);
  for (let days = 0; days < 3; days++) {
    await world.advance(24 * HOUR);
    await fetch(`${world.standIn.url}/sandbox/truth`);
    await world.receiveEvents();
    await world.work('webhooks', 'refunds');
  }
  const [credit] = await world.query<{ balance: bigint }>('select balance from customer_credit where user_id = $1', [ana.userId]);
  expect(credit?.balance).toBe(300n);
  await expectSoundBooks(world);
});

test('a disputed charge shows the withdrawal, holds access, and cannot be refunded', async () => {
  const ana = await withCard(world, someUser(), 'pm_card_createDispute');
  const { transactionId } = await subscribe(ana);
  if (transactionId === null) throw new Error('no charge');
  for (let turns = 0; turns < 20 && (await told(ana)).length < 3; turns++) {
    await world.advance(1_000);
    await world.receiveEvents();
    await world.work('webhooks');
  }
  const kinds = await world.query<{ kind: string; status: string }>(
    'select kind, status from transaction where user_id = $1 order by id',
    [ana.userId],
  );
  expect(kinds).toEqual([
    { kind: 'charge', status: 'succeeded' },
    { kind: 'dispute', status: 'succeeded' },
  ]);
  expect((await subscriptionOf(ana))?.hold).toBe('dispute');
  expect((await refund(transactionId, 100n)).refusals.map((one) => one.code)).toEqual(['INVALID_STATE']);
  await expectSoundBooks(world);
});

test('webhooks that come twice, in any order, or never, change nothing that the books would notice', async () => {
  const ana = await withCard(world, someUser());
  const { transactionId } = await subscribe(ana);
  if (transactionId === null) throw new Error('no charge');
  await refund(transactionId, 100n);
  await world.work('listing', 'webhooks');
  await world.receiveEvents();
  await world.work('webhooks');
  expect(await told(ana)).toEqual(['pending', 'succeeded', 'pending', 'succeeded']);
  const states = await world.query<{ status: string }>('select distinct status from webhook_inbox');
  expect(states.map((row) => row.status).sort()).toEqual(['done', 'ignored']);
  await world.advance(20 * 60_000);
  await world.work('house');
  await expectSoundBooks(world);
});

test('a method that a subscription depends on alone stays; another one may go', async () => {
  const ana = await withCard(world, someUser());
  await subscribe(ana);
  const [first] = await world.query<{ id: string }>('select id from payment_method where user_id = $1', [ana.userId]);
  const paymentMethodId = first?.id as Parameters<World['commands']['removePaymentMethod']>[1]['paymentMethodId'];
  expect((await world.commands.removePaymentMethod(ana, { paymentMethodId })).refusals.map((one) => one.code)).toEqual([
    'INVALID_STATE',
  ]);
  await withCard(world, ana, 'pm_card_mastercard');
  expect((await world.commands.removePaymentMethod(ana, { paymentMethodId })).refusals).toEqual([]);
  const rows = await world.query<{ brand: string; status: string }>(
    'select brand, status from payment_method where user_id = $1 order by id',
    [ana.userId],
  );
  expect(rows).toEqual([
    { brand: 'visa', status: 'removed' },
    { brand: 'mastercard', status: 'active' },
  ]);
});

test('charges, refunds and disputes that the provider settles in another currency are booked, each in its own', async () => {
  const euros = (await priceId(world, { tier: 'premium', currency: 'EUR' })) as PriceId;
  const settle = (settlementCurrency: string | null) =>
    fetch(`${world.standIn.url}/sandbox/settings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ settlementCurrency }),
    });
  expect((await settle('usd')).ok).toBe(true);
  for (const token of ['pm_card_visa', 'pm_card_createDispute']) {
    const ana = await withCard(world, someUser(), token);
    const { transactionId } = await world.commands.subscribe(ana, {
      priceId: euros,
      paymentMethodId: null,
      coupon: null,
      useTrial: false,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey: newKey(),
    });
    if (transactionId === null) throw new Error('no charge');
    if (token === 'pm_card_visa') {
      const refunded = await world.commands.refund(someStaff('support'), {
        transactionId,
        amount: { minor: 100n, currency: 'EUR' },
        reason: 'requested',
        note: null,
        endSubscription: false,
        idempotencyKey: newKey(),
      });
      expect(refunded.refusals).toEqual([]);
    }
    await world.advance(2_000);
    await world.receiveEvents();
    await world.work('webhooks');
    const kinds = await world.query<{ kind: string }>('select kind from transaction where user_id = $1 order by id', [
      ana.userId,
    ]);
    expect(kinds.map((row) => row.kind)).toEqual(['charge', token === 'pm_card_visa' ? 'refund' : 'dispute']);
    const events = await world.query<{ event: string; currency: string }>(
      `select distinct event, currency from ledger_movement where user_id = $1 and event in ('payment_succeeded', 'fx_settlement') order by 1`,
      [ana.userId],
    );
    expect(events).toEqual([
      { event: 'fx_settlement', currency: 'USD' },
      { event: 'payment_succeeded', currency: 'EUR' },
    ]);
  }
  await settle(null);
  await expectSoundBooks(world);
});

/** A user whose card was added with authentication and asks again at every payment. */
async function withCardThatAsks(): Promise<Actor> {
  const ana = someUser();
  const started = await world.commands.startPaymentMethodSetup(ana, {
    kind: 'card',
    makeDefault: true,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (!started.setupId) throw new Error('no setup');
  const first = await world.commands.completePaymentMethodSetup(ana, {
    setupId: started.setupId,
    providerToken: 'pm_card_authenticationRequired',
  });
  expect(first.refusals).toEqual([]);
  if (first.nextAction?.redirectUrl) {
    await click(first.nextAction.redirectUrl, 'complete');
    const second = await world.commands.completePaymentMethodSetup(ana, { setupId: started.setupId, providerToken: null });
    expect([second.refusals, second.nextAction]).toEqual([[], null]);
  }
  return ana;
}
