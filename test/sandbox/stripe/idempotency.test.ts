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

test('30 requests at once under one key make one charge', async () => {
  const answers = await Promise.allSettled(Array.from({ length: 30 }, () => pay(rig.stripe, card, {}, 'att:1')));
  const ids = new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.id] : [])));
  expect(ids.size).toBe(1);
  expect((await rig.truth()).charges).toHaveLength(1);
});

test('while the first is running, the others are told so and may come again', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'slow', ms: 200 });
  const answers = await Promise.allSettled(Array.from({ length: 30 }, () => pay(rig.stripe, card, {}, 'att:1')));
  const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as Stripe.errors.StripeError] : []));
  expect(refused).toHaveLength(29);
  expect(refused[0]).toBeInstanceOf(Stripe.errors.StripeAPIError);
  expect(refused[0]).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
  expect(await pay(rig.stripe, card, {}, 'att:1')).toMatchObject({
    status: 'succeeded',
    lastResponse: { headers: { 'idempotent-replayed': 'true' } },
  });
  expect((await rig.truth()).charges).toHaveLength(1);
});

test('a decline is kept under its key', async () => {
  const poor = await savedCard(rig.stripe, 'pm_card_chargeCustomerFail');
  const first = await errorOf(pay(rig.stripe, poor, {}, 'att:1'));
  const second = await errorOf(pay(rig.stripe, poor, {}, 'att:1'));
  expect(second.payment_intent?.id).toBe(first.payment_intent?.id);
  expect(second.headers).toMatchObject({ 'idempotent-replayed': 'true' });
  expect((await rig.truth()).charges).toHaveLength(1);
});

test('a 500 is kept under its key, whether or not the effect took place', async () => {
  await rig.fault({ operation: 'payment_intents.create', kind: 'error_after' });
  expect(await errorOf(pay(rig.stripe, card, {}, 'att:1'))).toMatchObject({ statusCode: 500 });
  expect(await errorOf(pay(rig.stripe, card, {}, 'att:1'))).toMatchObject({
    statusCode: 500,
    headers: { 'idempotent-replayed': 'true' },
  });
  expect((await rig.truth()).charges).toHaveLength(1);
  await rig.fault({ operation: 'paymentIntents.create', kind: 'error_before' });
  expect(await errorOf(pay(rig.stripe, card, {}, 'att:2'))).toMatchObject({ statusCode: 500 });
  expect(await errorOf(pay(rig.stripe, card, {}, 'att:2'))).toMatchObject({
    statusCode: 500,
    headers: { 'idempotent-replayed': 'true' },
  });
  expect((await rig.truth()).charges).toHaveLength(1);
});

test('the key is for one request only: other parameters or another address are refused', async () => {
  const intent = await pay(rig.stripe, card, {}, 'att:1');
  const other = await errorOf(pay(rig.stripe, card, { amount: 900 }, 'att:1'));
  expect(other).toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
  expect(await errorOf(rig.stripe.refunds.create({ payment_intent: intent.id }, { idempotencyKey: 'att:1' }))).toMatchObject({
    statusCode: 400,
    type: 'StripeIdempotencyError',
  });
});

test('a request refused by validation leaves its key free', async () => {
  expect(
    (await errorOf(rig.stripe.refunds.create({ payment_intent: '', amount: 1 }, { idempotencyKey: 'ref:1' }))).statusCode,
  ).toBe(400);
  const intent = await pay(rig.stripe, card);
  expect((await rig.stripe.refunds.create({ payment_intent: intent.id, amount: 1 }, { idempotencyKey: 'ref:1' })).status).toBe(
    'succeeded',
  );
});

test('a key is forgotten after 24 hours of the clock', async () => {
  await rig.control('POST', 'clock', { now: '2026-11-01T00:00:00Z' });
  const first = await pay(rig.stripe, card, {}, 'att:1');
  await rig.control('POST', 'clock', { now: '2026-11-01T23:59:59Z' });
  expect((await pay(rig.stripe, card, {}, 'att:1')).id).toBe(first.id);
  await rig.control('POST', 'clock', { now: '2026-11-02T00:00:00Z' });
  expect((await pay(rig.stripe, card, {}, 'att:1')).id).not.toBe(first.id);
});

test('a key has at most 255 characters', async () => {
  await pay(rig.stripe, card, {}, 'k'.repeat(255));
  expect((await errorOf(pay(rig.stripe, card, {}, 'k'.repeat(256)))).statusCode).toBe(400);
});

test('a kept answer outlives a restart', async () => {
  const first = await pay(rig.stripe, card, {}, 'att:1');
  await rig.restart();
  const again = await pay(clientOf(rig.standIn), card, {}, 'att:1');
  expect(JSON.stringify(again)).toBe(JSON.stringify(first));
  expect((await rig.truth()).charges).toHaveLength(1);
});
