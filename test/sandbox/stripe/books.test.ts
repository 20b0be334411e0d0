import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Stripe } from 'stripe';
import { type Rig, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig.stop();
});

const TOKENS = [
  'visa',
  'de',
  'createDispute',
  'createMultipleDisputes',
  'refundFail',
  'pendingRefund',
  'bypassPending',
  'chargeCustomerFail',
];

const step = fc.oneof(
  fc.record({
    kind: fc.constant('pay' as const),
    token: fc.constantFrom(...TOKENS),
    amount: fc.integer({ min: 500, max: 50_000 }),
    currency: fc.constantFrom('usd', 'eur', 'jpy'),
  }),
  fc.record({ kind: fc.constant('refund' as const), which: fc.nat(20), amount: fc.integer({ min: 1, max: 60_000 }) }),
  fc.record({
    kind: fc.constant('answer dispute' as const),
    which: fc.nat(5),
    evidence: fc.constantFrom('winning_evidence', 'losing_evidence'),
  }),
  fc.record({ kind: fc.constant('cancel refund' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(undefined, 86_400_000) }),
  fc.record({ kind: fc.constant('pay out' as const), amount: fc.integer({ min: 1, max: 20_000 }), isAutomatic: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function pick<T>(rows: T[], which: number): T | undefined {
  return rows[which % Math.max(rows.length, 1)];
}

async function take(on: Rig, done: Step): Promise<void> {
  const { stripe } = on;
  const { refunds, paymentIntents, disputes } = await on.truth();
  switch (done.kind) {
    case 'pay':
      await pay(stripe, await savedCard(stripe, `pm_card_${done.token}`), { amount: done.amount, currency: done.currency });
      return;
    case 'refund':
      await stripe.refunds.create({ payment_intent: pick(paymentIntents, done.which)?.id ?? 'pi_none', amount: done.amount });
      return;
    case 'answer dispute':
      await stripe.disputes.update(pick(disputes, done.which)?.id ?? 'du_none', {
        evidence: { uncategorized_text: done.evidence },
      });
      return;
    case 'cancel refund':
      await stripe.refunds.cancel(pick(refunds, done.which)?.id ?? 're_none');
      return;
    case 'advance':
      await on.control('POST', 'advance', done.ms === undefined ? {} : { ms: done.ms });
      return;
    case 'pay out':
      if (done.isAutomatic) await on.control('POST', 'payouts', { currency: 'usd' }).catch(() => undefined);
      else await stripe.payouts.create({ amount: done.amount, currency: 'usd' });
      return;
  }
}

test('whatever happens, money is conserved: the balance is the sum of its movements, and no charge gives back more than it took', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 25 }),
      fc.constantFrom(null, 'usd'),
      async (steps, settlementCurrency) => {
        await rig.control('POST', 'reset');
        await rig.control('POST', 'settings', { settlementCurrency });
        for (const each of steps) {
          await take(rig, each).catch((error: unknown) => {
            if (!(error instanceof Stripe.errors.StripeError) || error.statusCode === 500) throw error;
          });
        }
        const truth = await rig.truth();
        const balance = await rig.stripe.balance.retrieve();
        const told = new Map<string, number>();
        for (const { currency, amount } of [...balance.available, ...balance.pending])
          told.set(currency, (told.get(currency) ?? 0) + amount);
        const summed = new Map<string, number>();
        for (const { currency, net, amount, fee } of truth.balanceTransactions) {
          expect(net).toBe(amount - fee);
          summed.set(currency, (summed.get(currency) ?? 0) + net);
        }
        for (const [currency, sum] of summed) expect({ currency, sum: told.get(currency) }).toEqual({ currency, sum });

        // Every movement has its cause, and every cause its movements.
        const lines = new Map<string, number>();
        for (const { source, amount } of truth.balanceTransactions) {
          const id = typeof source === 'string' ? source : '';
          lines.set(id, (lines.get(id) ?? 0) + amount);
        }
        const isOneCurrency = settlementCurrency === null;
        for (const charge of truth.charges) {
          if (isOneCurrency) expect(lines.get(charge.id) ?? 0).toBe(charge.amount_captured);
          const back = truth.refunds.filter(
            (refund) => refund.charge === charge.id && refund.status !== 'failed' && refund.status !== 'canceled',
          );
          const refunded = back.reduce((total, { amount }) => total + amount, 0);
          expect(refunded).toBe(charge.amount_refunded);
          const disputed = truth.disputes
            .filter(({ charge: id }) => id === charge.id)
            .reduce((total, { amount }) => total + amount, 0);
          expect(refunded).toBeLessThanOrEqual(charge.amount_captured);
          expect(disputed).toBeLessThanOrEqual(charge.amount_captured);
        }
        for (const refund of truth.refunds) {
          if (isOneCurrency)
            expect(lines.get(refund.id)).toBe(refund.status === 'failed' || refund.status === 'canceled' ? 0 : -refund.amount);
        }
        for (const intent of truth.paymentIntents) {
          expect(truth.charges.filter((charge) => charge.payment_intent === intent.id && charge.paid).length).toBeLessThanOrEqual(
            1,
          );
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('an automatic payout tells its lines, and they add up to it', async () => {
  await rig.control('POST', 'reset');
  const card = await savedCard(rig.stripe, 'pm_card_bypassPending');
  for (const amount of [800, 1200, 5000]) await pay(rig.stripe, card, { amount });
  const payout = (await rig.control('POST', 'payouts', { currency: 'usd' })) as { id: string; amount: number };
  const lines = (await rig.stripe.balanceTransactions.list({ payout: payout.id })).data;
  expect(lines).toHaveLength(4);
  expect(lines.filter(({ type }) => type !== 'payout').reduce((total, { net }) => total + net, 0)).toBe(payout.amount);
  await rig.control('POST', 'advance');
  expect((await rig.stripe.payouts.retrieve(payout.id)).status).toBe('paid');
  expect((await rig.stripe.events.list({ type: 'payout.*' })).data.map(({ type }) => type)).toContain('payout.paid');
});
