import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Stripe } from 'stripe';
import { type Rig, clientOf, errorOf, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
let card: { customer: string; method: string };
beforeEach(async () => {
  rig = await startRig();
  card = await savedCard(rig.stripe, 'pm_card_visa');
});
afterEach(async () => {
  await rig.stop();
});

async function chargeCount(): Promise<number> {
  return (await rig.truth()).charges.length;
}

test('timeout_after charges, never answers, and the same key then tells the outcome', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'timeout_after', count: 1 });
  const impatient = clientOf(rig.standIn, { timeout: 150 });
  expect(await errorOf(pay(impatient, card, {}, 'att:1'))).toBeInstanceOf(Stripe.errors.StripeConnectionError);
  expect(await chargeCount()).toBe(1);
  const told = await pay(rig.stripe, card, {}, 'att:1');
  expect(told).toMatchObject({ status: 'succeeded', lastResponse: { headers: { 'idempotent-replayed': 'true' } } });
  expect(await chargeCount()).toBe(1);
});

test('timeout_before does nothing and keeps nothing: the same key then runs', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'timeout_before' });
  const impatient = clientOf(rig.standIn, { timeout: 150 });
  expect(await errorOf(pay(impatient, card, {}, 'att:1'))).toBeInstanceOf(Stripe.errors.StripeConnectionError);
  expect(await chargeCount()).toBe(0);
  expect((await pay(rig.stripe, card, {}, 'att:1')).status).toBe('succeeded');
});

test('reset breaks the connection before anything happens', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'reset', count: 2 });
  expect(await errorOf(pay(rig.stripe, card))).toBeInstanceOf(Stripe.errors.StripeConnectionError);
  expect(await chargeCount()).toBe(0);
});

test('rate_limit is a 429 that tells its reason and keeps nothing', async () => {
  await rig.fault({ operation: '*', kind: 'rate_limit' });
  const error = await errorOf(pay(rig.stripe, card, {}, 'att:1'));
  expect(error).toBeInstanceOf(Stripe.errors.StripeRateLimitError);
  expect(error.headers).toMatchObject({ 'stripe-rate-limited-reason': 'endpoint-rate' });
  expect((await pay(rig.stripe, card, {}, 'att:1')).status).toBe('succeeded');
});

test("Stripe's own limits hold when they are switched on", async () => {
  await rig.control('POST', 'settings', { hasRateLimits: true });
  const answers = await Promise.allSettled(Array.from({ length: 60 }, () => pay(rig.stripe, card)));
  expect(answers.some((answer) => answer.status === 'rejected')).toBe(true);
  expect(await chargeCount()).toBeLessThanOrEqual(50);
});

test('error_before changes nothing, error_after does everything but tell', async () => {
  await rig.fault({ operation: 'refunds.create', kind: 'error_before' });
  const intent = await pay(rig.stripe, card);
  expect((await errorOf(rig.stripe.refunds.create({ payment_intent: intent.id }))).statusCode).toBe(500);
  expect((await rig.truth()).refunds).toHaveLength(0);
  await rig.fault({ operation: 'refunds.create', kind: 'error_after' });
  expect((await errorOf(rig.stripe.refunds.create({ payment_intent: intent.id }))).statusCode).toBe(500);
  expect((await rig.truth()).refunds).toHaveLength(1);
});

test('a decline with any code is reached by a fault', async () => {
  await rig.fault({
    operation: 'payment_intents.create',
    kind: 'decline',
    code: 'card_declined',
    decline_code: 'pickup_card',
    network_advice_code: '03',
  });
  expect(await errorOf(pay(rig.stripe, card))).toMatchObject({
    statusCode: 402,
    decline_code: 'pickup_card',
    raw: { network_advice_code: '03' },
  });
  expect((await pay(rig.stripe, card)).status).toBe('succeeded');
});

test('a payment takes its time when asked to, can not be canceled meanwhile, and is charged later', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'processing' });
  const slow = await pay(rig.stripe, card);
  expect(slow).toMatchObject({ status: 'processing', latest_charge: null });
  expect((await errorOf(rig.stripe.paymentIntents.cancel(slow.id))).code).toBe('payment_intent_unexpected_state');
  await rig.control('POST', 'advance', { ms: 60_000 });
  expect((await rig.stripe.paymentIntents.retrieve(slow.id)).status).toBe('succeeded');
  expect((await rig.stripe.events.list({ type: 'payment_intent.processing' })).data).toHaveLength(1);
});

test('a fault strikes its own operation only, as often as told, and can be cleared', async () => {
  await rig.fault({ operation: 'refunds.create', kind: 'error_before', count: 2 });
  expect((await pay(rig.stripe, card)).status).toBe('succeeded');
  expect(await rig.control('GET', 'faults')).toMatchObject({ faults: [{ left: 2 }] });
  await rig.control('DELETE', 'faults');
  expect(await rig.control('GET', 'faults')).toEqual({ faults: [] });
  await rig.fault({ kind: 'error_before', probability: 1 });
  expect((await errorOf(rig.stripe.customers.list())).statusCode).toBe(500);
  expect((await errorOf(rig.stripe.customers.list())).statusCode).toBe(500);
});

test('a misspelt fault is refused', async () => {
  await expect(rig.fault({ operation: '*', kind: 'timeout' })).rejects.toThrow('400');
  await expect(rig.fault({ operation: '*', kind: 'slow' })).rejects.toThrow('400');
});

test('control answers this machine only', async () => {
  const foreign = await fetch(`${rig.standIn.url}/sandbox/reset`, {
    method: 'POST',
    headers: { origin: 'https://evil.example' },
  });
  expect(foreign.status).toBe(403);
});
