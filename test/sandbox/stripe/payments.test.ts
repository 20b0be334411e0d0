import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Stripe } from 'stripe';
import { allTokens } from '../../../src/sandbox/stripe/cards.js';
import { type Rig, errorOf, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await rig.stop();
});

const RETURN_URL = 'https://shop.example/return';

test('a card is set up and charged, and the answer carries the charge with its line in the books', async () => {
  const { stripe } = rig;
  const customer = await stripe.customers.create({ metadata: { user_id: 'ana' } });
  const setup = await stripe.setupIntents.create({
    customer: customer.id,
    usage: 'off_session',
    allowed_payment_method_types: ['card'],
    metadata: { setup_id: 'set_1' },
  });
  expect(setup.status).toBe('requires_payment_method');
  const ready = await stripe.setupIntents.confirm(setup.id, {
    payment_method: 'pm_card_visa',
    return_url: RETURN_URL,
    expand: ['payment_method'],
  });
  expect(ready.status).toBe('succeeded');
  const method = ready.payment_method as Stripe.PaymentMethod;
  expect(method).toMatchObject({
    customer: customer.id,
    card: { brand: 'visa', last4: '4242', country: 'US', funding: 'credit' },
  });

  const intent = await pay(stripe, { customer: customer.id, method: method.id });
  expect(intent).toMatchObject({
    status: 'succeeded',
    amount: 800,
    amount_received: 800,
    currency: 'usd',
    metadata: { intent_id: 'pin_1' },
  });
  // 2.9 % of 8.00 and 0.30: 0.53
  expect(intent.latest_charge).toMatchObject({
    status: 'succeeded',
    balance_transaction: { amount: 800, fee: 53, net: 747, type: 'charge', reporting_category: 'charge' },
  });
});

test.each([
  { token: 'visa', brand: 'visa', funding: 'credit', country: 'US' },
  { token: 'visa_debit', brand: 'visa', funding: 'debit', country: 'US' },
  { token: 'mastercard', brand: 'mastercard', funding: 'credit', country: 'US' },
  { token: 'mastercard_prepaid', brand: 'mastercard', funding: 'prepaid', country: 'US' },
  { token: 'amex', brand: 'amex', funding: 'credit', country: 'US' },
  { token: 'discover', brand: 'discover', funding: 'credit', country: 'US' },
  { token: 'diners', brand: 'diners', funding: 'credit', country: 'US' },
  { token: 'jcb', brand: 'jcb', funding: 'credit', country: 'JP' },
  { token: 'unionpay', brand: 'unionpay', funding: 'credit', country: 'CN' },
  { token: 'gb', brand: 'visa', funding: 'credit', country: 'GB' },
  { token: 'visa_createDispute', brand: 'visa', funding: 'credit', country: 'US' },
  { token: 'authenticationRequired', brand: 'visa', funding: 'credit', country: 'US' },
])('pm_card_$token is a $brand $funding card of $country', async ({ token, ...card }) => {
  const { method } = await savedCard(rig.stripe, `pm_card_${token}`);
  expect((await rig.stripe.paymentMethods.retrieve(method)).card).toMatchObject(card);
});

test('each use of a token is a new payment method, and the same card has the same fingerprint', async () => {
  const first = await savedCard(rig.stripe, 'pm_card_visa');
  const second = await savedCard(rig.stripe, 'pm_card_visa');
  const [a, b] = await Promise.all([first, second].map(({ method }) => rig.stripe.paymentMethods.retrieve(method)));
  expect(a?.id).not.toBe(b?.id);
  expect(a?.card?.fingerprint).toBe(b?.card?.fingerprint);
});

test('every token either attaches or is declined as a card, and never breaks the stand-in', async () => {
  const customer = await rig.stripe.customers.create();
  for (const token of allTokens()) {
    const outcome = await rig.stripe.paymentMethods
      .attach(token, { customer: customer.id })
      .catch((error: Stripe.errors.StripeError) => error.statusCode);
    expect(outcome === 402 || typeof outcome === 'object').toBe(true);
  }
});

test.each([
  { token: 'visa_chargeDeclined', code: 'card_declined', declineCode: 'generic_decline', advice: undefined, network: '05' },
  { token: 'chargeDeclined', code: 'card_declined', declineCode: 'generic_decline', advice: undefined, network: '05' },
  {
    token: 'visa_chargeDeclinedInsufficientFunds',
    code: 'card_declined',
    declineCode: 'insufficient_funds',
    advice: 'try_again_later',
    network: '51',
  },
  {
    token: 'visa_chargeDeclinedLostCard',
    code: 'card_declined',
    declineCode: 'lost_card',
    advice: 'do_not_try_again',
    network: '41',
  },
  {
    token: 'visa_chargeDeclinedStolenCard',
    code: 'card_declined',
    declineCode: 'stolen_card',
    advice: 'do_not_try_again',
    network: '43',
  },
  {
    token: 'visa_chargeDeclinedVelocityLimitExceeded',
    code: 'card_declined',
    declineCode: 'card_velocity_exceeded',
    advice: 'try_again_later',
    network: '61',
  },
  {
    token: 'chargeDeclinedExpiredCard',
    code: 'expired_card',
    declineCode: 'expired_card',
    advice: 'confirm_card_data',
    network: '54',
  },
  {
    token: 'chargeDeclinedIncorrectCvc',
    code: 'incorrect_cvc',
    declineCode: 'incorrect_cvc',
    advice: 'confirm_card_data',
    network: 'N7',
  },
  {
    token: 'chargeDeclinedProcessingError',
    code: 'processing_error',
    declineCode: 'processing_error',
    advice: 'try_again_later',
    network: '96',
  },
])(
  'pm_card_$token is declined with $declineCode in a payment, a setup and when attached',
  async ({ token, code, declineCode, advice, network }) => {
    const { stripe } = rig;
    const customer = await stripe.customers.create();
    const paid = await errorOf(pay(stripe, { customer: customer.id, method: `pm_card_${token}` }));
    expect(paid).toBeInstanceOf(Stripe.errors.StripeCardError);
    expect(paid).toMatchObject({ statusCode: 402, code, decline_code: declineCode });
    expect(paid.raw).toMatchObject(
      advice === undefined ? { network_decline_code: network } : { advice_code: advice, network_decline_code: network },
    );
    const intent = paid.payment_intent;
    expect(intent).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      last_payment_error: { code, decline_code: declineCode },
    });
    const charge = await stripe.charges.retrieve(intent?.latest_charge as string);
    expect(charge).toMatchObject({
      status: 'failed',
      paid: false,
      balance_transaction: null,
      failure_code: code,
      outcome: { type: 'issuer_declined', network_decline_code: network },
    });

    const setup = await stripe.setupIntents.create({ customer: customer.id });
    const refused = await errorOf(
      stripe.setupIntents.confirm(setup.id, { payment_method: `pm_card_${token}`, return_url: RETURN_URL }),
    );
    expect(refused).toMatchObject({
      statusCode: 402,
      code,
      setup_intent: { status: 'requires_payment_method', payment_method: null },
    });
    expect((await errorOf(stripe.paymentMethods.attach(`pm_card_${token}`, { customer: customer.id }))).code).toBe(code);
    expect((await stripe.paymentMethods.list({ customer: customer.id })).data).toEqual([]);
  },
);

test('pm_card_chargeCustomerFail attaches and then declines every charge', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_chargeCustomerFail');
  expect((await errorOf(pay(rig.stripe, card))).code).toBe('card_declined');
});

test('a blocked charge never reaches the issuer', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_radarBlock');
  const error = await errorOf(pay(rig.stripe, card));
  expect(error).toMatchObject({ statusCode: 402, code: 'card_declined', decline_code: 'fraudulent' });
  const charge = await rig.stripe.charges.retrieve(error.payment_intent?.latest_charge as string);
  expect(charge.outcome).toMatchObject({
    type: 'blocked',
    reason: 'highest_risk_level',
    risk_level: 'highest',
    network_status: 'not_sent_to_network',
  });
});

test('a charge at elevated risk succeeds and is put under review', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_riskLevelElevated');
  const intent = await pay(rig.stripe, card, { expand: ['latest_charge.review', 'review'] });
  expect(intent).toMatchObject({
    status: 'succeeded',
    review: { open: true },
    latest_charge: { outcome: { type: 'manual_review', risk_level: 'elevated' } },
  });
});

test.each([
  { token: 'cvcCheckFail', checks: { cvc_check: 'fail' } },
  { token: 'avsFail', checks: { address_line1_check: 'fail', address_postal_code_check: 'fail' } },
  { token: 'avsZipFail', checks: { address_line1_check: 'pass', address_postal_code_check: 'fail' } },
  { token: 'avsLine1Fail', checks: { address_line1_check: 'fail', address_postal_code_check: 'pass' } },
  { token: 'avsUnchecked', checks: { address_line1_check: 'unavailable', address_postal_code_check: 'unavailable' } },
])('pm_card_$token charges and tells the failed check', async ({ token, checks }) => {
  const intent = await pay(rig.stripe, await savedCard(rig.stripe, `pm_card_${token}`));
  expect(intent.latest_charge).toMatchObject({ status: 'succeeded', payment_method_details: { card: { checks } } });
});

test('after a decline the same intent is confirmed with another card, and succeeds once only', async () => {
  const { stripe } = rig;
  const poor = await savedCard(stripe, 'pm_card_chargeCustomerFail');
  const id = (await errorOf(pay(stripe, poor))).payment_intent?.id ?? '';
  const good = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: poor.customer });
  const paid = await stripe.paymentIntents.confirm(id, { payment_method: good.id, return_url: RETURN_URL });
  expect(paid).toMatchObject({ id, status: 'succeeded', last_payment_error: null });
  const again = await errorOf(stripe.paymentIntents.confirm(id, { payment_method: good.id, return_url: RETURN_URL }));
  expect(again).toMatchObject({
    statusCode: 400,
    code: 'payment_intent_unexpected_state',
    payment_intent: { status: 'succeeded' },
  });
  expect((await stripe.charges.list({ payment_intent: id })).data.map(({ status }) => status)).toEqual(['succeeded', 'failed']);
});

test('an intent is canceled until it has succeeded', async () => {
  const { stripe } = rig;
  const card = await savedCard(stripe, 'pm_card_visa');
  const waiting = await stripe.paymentIntents.create({ amount: 800, currency: 'usd', customer: card.customer });
  expect((await stripe.paymentIntents.cancel(waiting.id)).status).toBe('canceled');
  expect((await errorOf(stripe.paymentIntents.cancel(waiting.id))).code).toBe('payment_intent_unexpected_state');
  const paid = await pay(stripe, card);
  expect((await errorOf(stripe.paymentIntents.cancel(paid.id))).code).toBe('payment_intent_unexpected_state');
});

test.each([
  { amount: 49, currency: 'usd', code: 'amount_too_small' },
  { amount: 29, currency: 'gbp', code: 'amount_too_small' },
  { amount: 49, currency: 'jpy', code: 'amount_too_small' },
  { amount: 17_499, currency: 'huf', code: 'amount_too_small' },
  { amount: 100_000_000, currency: 'usd', code: 'amount_too_large' },
  { amount: 1234, currency: 'kwd', code: 'invalid_charge_amount' },
  { amount: 50_050, currency: 'isk', code: 'invalid_charge_amount_no_decimal_compatible' },
])('$amount $currency is refused with $code', async ({ amount, currency, code }) => {
  expect(await errorOf(rig.stripe.paymentIntents.create({ amount, currency }))).toMatchObject({ statusCode: 400, code });
});

test.each([
  { amount: 800, currency: 'jpy', fee: 68 },
  { amount: 5000, currency: 'kwd', fee: 235 },
  { amount: 17500, currency: 'huf', fee: 11417 },
])('$amount $currency is charged as Stripe counts it', async ({ amount, currency, fee }) => {
  const intent = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_visa'), { amount, currency });
  expect(intent.latest_charge).toMatchObject({
    amount,
    currency,
    balance_transaction: { amount, currency, fee, net: amount - fee },
  });
});

test('with a settlement currency, movements are converted by the fixed table', async () => {
  await rig.control('POST', 'settings', { settlementCurrency: 'usd' });
  const intent = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_visa'), { amount: 1000, currency: 'eur' });
  // 10.00 EUR at 1.10 is 11.00 USD; 2.9 % of it and 0.30: 0.62
  expect(intent.latest_charge).toMatchObject({
    currency: 'eur',
    balance_transaction: { amount: 1100, currency: 'usd', exchange_rate: 1.1, fee: 62, net: 1038 },
  });
});

test('a card of another country costs 1.5 % more', async () => {
  const intent = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_de'), { amount: 10_000 });
  expect(intent.latest_charge).toMatchObject({ balance_transaction: { fee: 470 } });
});

test('cards are listed by the customer they are on now, newest first', async () => {
  const { stripe } = rig;
  const { id: customer } = await stripe.customers.create();
  const ids: string[] = [];
  for (const token of ['pm_card_visa', 'pm_card_amex', 'pm_card_jcb'])
    ids.unshift((await stripe.paymentMethods.attach(token, { customer })).id);
  const listed = async (): Promise<string[]> => (await stripe.paymentMethods.list({ customer })).data.map(({ id }) => id);
  expect(await listed()).toEqual(ids);
  await stripe.paymentMethods.detach(ids[1] ?? '');
  expect(await listed()).toEqual([ids[0], ids[2]]);
  expect(
    (await stripe.customers.listPaymentMethods(customer, { limit: 1, starting_after: ids[0] ?? '' })).data.map(({ id }) => id),
  ).toEqual([ids[2]]);
});

test("another customer's card and a detached card are refused", async () => {
  const { stripe } = rig;
  const ana = await savedCard(stripe, 'pm_card_visa');
  const ben = await savedCard(stripe, 'pm_card_visa');
  expect((await errorOf(pay(stripe, { customer: ana.customer, method: ben.method }))).statusCode).toBe(400);
  await stripe.paymentMethods.detach(ana.method);
  expect((await errorOf(pay(stripe, ana))).code).toBe('payment_method_unexpected_state');
});

test('a deleted customer keeps its id as deleted, loses its cards, and can not be charged', async () => {
  const { stripe } = rig;
  const ana = await savedCard(stripe, 'pm_card_visa');
  await stripe.customers.del(ana.customer);
  expect(await stripe.customers.retrieve(ana.customer)).toMatchObject({ id: ana.customer, deleted: true });
  expect(await errorOf(pay(stripe, ana))).toMatchObject({ code: 'resource_missing', param: 'customer' });
});
