import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Stripe } from 'stripe';
import { type Rig, errorOf, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await rig.stop();
});

const RETURN_URL = 'https://shop.example/return?order=7';

/** Presses a button of the page, as a browser does, without following the way back. */
async function press(url: string, outcome: 'complete' | 'fail'): Promise<{ status: number; location: URL | null }> {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams({ outcome }), redirect: 'manual' });
  const location = answer.headers.get('location');
  return { status: answer.status, location: location === null ? null : new URL(location) };
}

function pageOf(intent: { next_action: { redirect_to_url?: { url: string | null } } | null }): string {
  return intent.next_action?.redirect_to_url?.url ?? '';
}

test('a payment waits for the payer, who completes it on the page and comes back', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_authenticationRequired');
  const waiting = await pay(rig.stripe, card, { return_url: RETURN_URL });
  expect(waiting).toMatchObject({
    status: 'requires_action',
    latest_charge: null,
    next_action: { type: 'redirect_to_url', redirect_to_url: { return_url: RETURN_URL } },
  });
  const shown = await fetch(pageOf(waiting));
  expect(shown.status).toBe(200);
  expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(shown.headers.get('content-security-policy')).toContain("form-action 'self' https://shop.example");
  const html = await shown.text();
  expect(html).toContain('Complete authentication');
  expect(html).toContain('Fail authentication');

  const back = await press(pageOf(waiting), 'complete');
  expect(back.status).toBe(303);
  expect(Object.fromEntries(back.location?.searchParams ?? [])).toEqual({
    order: '7',
    payment_intent: waiting.id,
    payment_intent_client_secret: waiting.client_secret,
    redirect_status: 'succeeded',
  });
  const paid = await rig.stripe.paymentIntents.retrieve(waiting.id, { expand: ['latest_charge'] });
  expect(paid).toMatchObject({
    status: 'succeeded',
    next_action: null,
    latest_charge: { payment_method_details: { card: { three_d_secure: { result: 'authenticated' } } } },
  });
});

test('a second press changes nothing', async () => {
  const waiting = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_authenticationRequired'));
  await Promise.all([press(pageOf(waiting), 'complete'), press(pageOf(waiting), 'complete'), press(pageOf(waiting), 'fail')]);
  expect((await rig.truth()).charges).toHaveLength(1);
  expect((await rig.stripe.paymentIntents.retrieve(waiting.id)).status).toBe('succeeded');
});

test('a payer who fails leads the intent back to waiting for a method', async () => {
  const waiting = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_authenticationRequired'));
  const back = await press(pageOf(waiting), 'fail');
  expect(back.location?.searchParams.get('redirect_status')).toBe('failed');
  expect(await rig.stripe.paymentIntents.retrieve(waiting.id)).toMatchObject({
    status: 'requires_payment_method',
    last_payment_error: { code: 'payment_intent_authentication_failure' },
  });
  expect((await rig.truth()).charges).toEqual([]);
});

test('the page opens with the right secret only', async () => {
  const waiting = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_authenticationRequired'));
  const wrong = pageOf(waiting).replace(/secret=.*/, 'secret=guess');
  expect((await fetch(wrong)).status).toBe(404);
  expect((await press(wrong, 'complete')).status).toBe(404);
  expect((await rig.stripe.paymentIntents.retrieve(waiting.id)).status).toBe('requires_action');
});

test('a canceled payment can not be completed any more', async () => {
  const waiting = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_authenticationRequired'));
  await rig.stripe.paymentIntents.cancel(waiting.id);
  expect((await press(pageOf(waiting), 'complete')).location).toBeNull();
  expect((await rig.truth()).charges).toEqual([]);
});

test('without a return address the step is left to the client SDK', async () => {
  const { stripe } = rig;
  const card = await savedCard(stripe, 'pm_card_authenticationRequired');
  const intent = await stripe.paymentIntents.create({
    amount: 800,
    currency: 'usd',
    customer: card.customer,
    payment_method: card.method,
    confirm: true,
    allowed_payment_method_types: ['card'],
  });
  expect(intent).toMatchObject({ status: 'requires_action', next_action: { type: 'use_stripe_sdk' } });
});

test('a return address that a browser would run is refused', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_visa');
  expect((await errorOf(pay(rig.stripe, card, { return_url: 'javascript:alert(1)' }))).param).toBe('return_url');
});

test('without the payer a card that asks is declined with authentication_required, and the same intent is paid on the page later', async () => {
  const { stripe } = rig;
  const card = await savedCard(stripe, 'pm_card_authenticationRequired');
  const renewal: Stripe.PaymentIntentCreateParams = {
    amount: 800,
    currency: 'usd',
    customer: card.customer,
    payment_method: card.method,
    confirm: true,
    off_session: true,
    error_on_requires_action: true,
    allowed_payment_method_types: ['card'],
  };
  const error = await errorOf(stripe.paymentIntents.create(renewal));
  expect(error).toMatchObject({
    statusCode: 402,
    code: 'authentication_required',
    payment_intent: {
      status: 'requires_payment_method',
      last_payment_error: { code: 'authentication_required', payment_method: { id: card.method } },
    },
  });
  const waiting = await stripe.paymentIntents.confirm(error.payment_intent?.id ?? '', {
    payment_method: card.method,
    return_url: RETURN_URL,
  });
  await press(pageOf(waiting), 'complete');
  expect((await stripe.paymentIntents.retrieve(waiting.id)).status).toBe('succeeded');
});

test('error_on_requires_action fails instead of waiting', async () => {
  const { stripe } = rig;
  const card = await savedCard(stripe, 'pm_card_authenticationRequired');
  const error = await errorOf(pay(stripe, card, { error_on_requires_action: true }));
  expect(error).toMatchObject({
    statusCode: 402,
    code: 'authentication_required',
    payment_intent: { status: 'requires_payment_method' },
  });
});

async function setUp(token: string): Promise<{ setup: Stripe.SetupIntent; customer: string }> {
  const { stripe } = rig;
  const { id: customer } = await stripe.customers.create();
  const { id } = await stripe.setupIntents.create({ customer, usage: 'off_session', allowed_payment_method_types: ['card'] });
  return { setup: await stripe.setupIntents.confirm(id, { payment_method: token, return_url: RETURN_URL }), customer };
}

test('a card that asks on setup is completed on the page, and then pays without the payer', async () => {
  const { stripe } = rig;
  const { setup, customer } = await setUp('pm_card_authenticationRequiredOnSetup');
  expect(setup.status).toBe('requires_action');
  expect((await stripe.paymentMethods.list({ customer })).data).toEqual([]);
  const back = await press(pageOf(setup), 'complete');
  expect(Object.fromEntries(back.location?.searchParams ?? [])).toMatchObject({
    setup_intent: setup.id,
    redirect_status: 'succeeded',
  });
  const done = await stripe.setupIntents.retrieve(setup.id);
  expect(done.status).toBe('succeeded');
  const method = done.payment_method as string;
  const renewal = await stripe.paymentIntents.create({
    amount: 800,
    currency: 'usd',
    customer,
    payment_method: method,
    confirm: true,
    off_session: true,
  });
  expect(renewal.status).toBe('succeeded');
  expect((await pay(stripe, { customer, method })).status).toBe('requires_action');
});

test('a setup that the payer fails is declined and attaches nothing', async () => {
  const { setup, customer } = await setUp('pm_card_authenticationRequired');
  await press(pageOf(setup), 'fail');
  expect(await rig.stripe.setupIntents.retrieve(setup.id)).toMatchObject({
    status: 'requires_payment_method',
    last_setup_error: { code: 'setup_intent_authentication_failure' },
  });
  expect((await rig.stripe.paymentMethods.list({ customer })).data).toEqual([]);
});

test('a card that counts as set up needs no step in a setup, pays without the payer, and asks when the payer is there', async () => {
  const { setup, customer } = await setUp('pm_card_authenticationRequiredSetupForOffSession');
  expect(setup.status).toBe('succeeded');
  const method = setup.payment_method as string;
  const renewal = await rig.stripe.paymentIntents.create({
    amount: 800,
    currency: 'usd',
    customer,
    payment_method: method,
    confirm: true,
    off_session: 'recurring',
  });
  expect(renewal.status).toBe('succeeded');
  expect((await pay(rig.stripe, { customer, method })).status).toBe('requires_action');
});

test.each([
  { token: 'authenticationRequiredChargeDeclinedInsufficientFunds', declineCode: 'insufficient_funds' },
  { token: 'threeDSecure2RequiredChargeDeclined', declineCode: 'generic_decline' },
  { token: 'threeDSecureRequiredProcessingError', declineCode: 'processing_error' },
])('pm_card_$token is declined with $declineCode after the payer has completed the step', async ({ token, declineCode }) => {
  const waiting = await pay(rig.stripe, await savedCard(rig.stripe, `pm_card_${token}`));
  const back = await press(pageOf(waiting), 'complete');
  expect(back.location?.searchParams.get('redirect_status')).toBe('failed');
  expect(await rig.stripe.paymentIntents.retrieve(waiting.id, { expand: ['latest_charge'] })).toMatchObject({
    status: 'requires_payment_method',
    last_payment_error: { decline_code: declineCode },
    latest_charge: { status: 'failed' },
  });
});

test('an optional step is asked for by the request only', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_threeDSecure2Optional');
  expect((await pay(rig.stripe, card)).status).toBe('succeeded');
  expect((await pay(rig.stripe, card, { payment_method_options: { card: { request_three_d_secure: 'any' } } })).status).toBe(
    'requires_action',
  );
});
