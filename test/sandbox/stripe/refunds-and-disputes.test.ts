import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Stripe } from 'stripe';
import { type Rig, errorOf, pay, savedCard, startRig, until } from './stand-in.js';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await rig.stop();
});

async function paidWith(token: string): Promise<Stripe.PaymentIntent> {
  return pay(rig.stripe, await savedCard(rig.stripe, token));
}

async function typesOfEvents(): Promise<string[]> {
  return (await rig.stripe.events.list({ limit: 100 })).data.map(({ type }) => type).toReversed();
}

/** The disputes that the stand-in opened by itself. */
async function disputes(count: number): Promise<Stripe.Dispute[]> {
  await until(async () => (await rig.stripe.disputes.list()).data.length === count, `${count} disputes are open`);
  return (await rig.stripe.disputes.list()).data;
}

test('a charge is refunded in parts, and never by more than it was', async () => {
  const { stripe } = rig;
  const intent = await paidWith('pm_card_visa');
  const half = await stripe.refunds.create({
    payment_intent: intent.id,
    amount: 400,
    metadata: { refund_id: 'txn_1' },
    expand: ['balance_transaction'],
  });
  expect(half).toMatchObject({
    status: 'succeeded',
    metadata: { refund_id: 'txn_1' },
    balance_transaction: { amount: -400, fee: 0, net: -400, type: 'refund' },
  });
  expect(await errorOf(stripe.refunds.create({ payment_intent: intent.id, amount: 401 }))).toMatchObject({
    statusCode: 400,
    param: 'amount',
  });
  const rest = await stripe.refunds.create({ charge: (intent.latest_charge as Stripe.Charge).id });
  expect(rest.amount).toBe(400);
  expect((await errorOf(stripe.refunds.create({ payment_intent: intent.id }))).code).toBe('charge_already_refunded');
  expect(await stripe.charges.retrieve(half.charge as string)).toMatchObject({ amount_refunded: 800, refunded: true });
  expect((await stripe.refunds.list({ payment_intent: intent.id })).data.map(({ id }) => id)).toEqual([rest.id, half.id]);
});

test('fifty refunds at once never exceed the charge', async () => {
  const intent = await paidWith('pm_card_visa');
  await Promise.allSettled(
    Array.from({ length: 50 }, () => rig.stripe.refunds.create({ payment_intent: intent.id, amount: 100 })),
  );
  expect((await rig.truth()).refunds).toHaveLength(8);
});

test('a declined payment has nothing to refund', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_chargeCustomerFail');
  const { payment_intent: intent } = await errorOf(pay(rig.stripe, card));
  expect((await errorOf(rig.stripe.refunds.create({ payment_intent: intent?.id ?? '' }))).statusCode).toBe(400);
});

test('a pending refund succeeds when the clock passes', async () => {
  await rig.control('POST', 'clock', { now: '2026-11-01T00:00:00Z' });
  const intent = await paidWith('pm_card_pendingRefund');
  const refund = await rig.stripe.refunds.create({ payment_intent: intent.id });
  expect(refund).toMatchObject({ status: 'pending', pending_reason: 'processing' });
  await rig.control('POST', 'clock', { now: '2026-11-01T00:01:00Z' });
  expect((await rig.stripe.refunds.retrieve(refund.id)).status).toBe('succeeded');
  expect(await typesOfEvents()).toEqual(
    expect.arrayContaining(['refund.created', 'charge.refunded', 'refund.updated', 'charge.refund.updated']),
  );
});

test('a pending refund can be canceled, and its money comes back', async () => {
  const intent = await paidWith('pm_card_pendingRefund');
  const refund = await rig.stripe.refunds.create({ payment_intent: intent.id });
  expect((await rig.stripe.refunds.cancel(refund.id)).status).toBe('canceled');
  await rig.control('POST', 'advance');
  expect((await rig.stripe.refunds.retrieve(refund.id)).status).toBe('canceled');
  expect(await rig.stripe.charges.retrieve(refund.charge as string)).toMatchObject({ amount_refunded: 0, refunded: false });
});

test('a refund that fails gives the money back to our balance and can be tried again', async () => {
  const intent = await paidWith('pm_card_refundFail');
  const refund = await rig.stripe.refunds.create({ payment_intent: intent.id });
  expect(refund.status).toBe('succeeded');
  await rig.control('POST', 'advance');
  expect(await rig.stripe.refunds.retrieve(refund.id, { expand: ['failure_balance_transaction'] })).toMatchObject({
    status: 'failed',
    failure_reason: 'lost_or_stolen_card',
    failure_balance_transaction: { amount: 800, fee: 0, type: 'refund_failure', reporting_category: 'refund_failure' },
  });
  expect(await typesOfEvents()).toContain('refund.failed');
  expect((await rig.stripe.refunds.create({ payment_intent: intent.id, amount: 100 })).status).toBe('succeeded');
});

test('a dispute opens by itself after the charge and takes the amount and a fee', async () => {
  const intent = await paidWith('pm_card_createDispute');
  expect(intent).toMatchObject({ status: 'succeeded', latest_charge: { disputed: false } });
  const [dispute] = await disputes(1);
  expect(dispute).toMatchObject({
    status: 'needs_response',
    reason: 'fraudulent',
    amount: 800,
    payment_intent: intent.id,
    balance_transactions: [{ amount: -800, fee: 1500, net: -2300, type: 'adjustment', reporting_category: 'dispute' }],
  });
  const types = await typesOfEvents();
  expect(types.indexOf('charge.dispute.created')).toBeGreaterThan(types.indexOf('payment_intent.succeeded'));
  expect(types).toContain('charge.dispute.funds_withdrawn');
  expect((await errorOf(rig.stripe.refunds.create({ payment_intent: intent.id }))).code).toBe('charge_disputed');
});

test('winning evidence brings the amount back, losing evidence does not', async () => {
  await paidWith('pm_card_createDispute');
  await paidWith('pm_card_createDisputeProductNotReceived');
  const [second, first] = await disputes(2);
  expect(second?.reason).toBe('product_not_received');
  const won = await rig.stripe.disputes.update(first?.id ?? '', { evidence: { uncategorized_text: 'winning_evidence' } });
  expect(won).toMatchObject({
    status: 'won',
    balance_transactions: [{ amount: -800 }, { amount: 800, fee: 0, reporting_category: 'dispute_reversal' }],
  });
  const lost = await rig.stripe.disputes.update(second?.id ?? '', { evidence: { uncategorized_text: 'losing_evidence' } });
  expect(lost.status).toBe('lost');
  expect(lost.balance_transactions).toHaveLength(1);
  const types = await typesOfEvents();
  expect(types.filter((type) => type === 'charge.dispute.closed')).toHaveLength(2);
  expect(types.filter((type) => type === 'charge.dispute.funds_reinstated')).toHaveLength(1);
  expect((await errorOf(rig.stripe.disputes.close(won.id))).statusCode).toBe(400);
});

test('closing a dispute accepts it as lost', async () => {
  await paidWith('pm_card_createDispute');
  const [dispute] = await disputes(1);
  expect((await rig.stripe.disputes.close(dispute?.id ?? '')).status).toBe('lost');
});

test('an inquiry moves no money, leaves the charge refundable, and may be escalated', async () => {
  const intent = await paidWith('pm_card_createDisputeInquiry');
  const [inquiry] = await disputes(1);
  expect(inquiry).toMatchObject({ status: 'warning_needs_response', balance_transactions: [], is_charge_refundable: true });
  expect((await rig.stripe.refunds.create({ payment_intent: intent.id, amount: 100 })).status).toBe('succeeded');
  const escalated = await rig.stripe.disputes.update(inquiry?.id ?? '', {
    evidence: { uncategorized_text: 'escalate_inquiry_evidence' },
  });
  expect(escalated).toMatchObject({ status: 'needs_response', balance_transactions: [{ amount: -800 }] });
});

test('several disputes of one charge together dispute no more than it', async () => {
  await paidWith('pm_card_createMultipleDisputes');
  expect((await disputes(2)).map(({ amount }) => amount)).toEqual([400, 400]);
});

test('an early fraud warning follows a charge that its issuer calls fraudulent', async () => {
  const intent = await paidWith('pm_card_createIssuerFraudRecord');
  await until(async () => (await rig.stripe.radar.earlyFraudWarnings.list()).data.length === 1, 'the warning came');
  expect((await rig.stripe.radar.earlyFraudWarnings.list()).data[0]).toMatchObject({
    actionable: true,
    payment_intent: intent.id,
  });
});
