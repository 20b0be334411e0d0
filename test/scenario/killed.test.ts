import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RefundDocument, TransactionDocument, ViewerDocument } from '../generated/graphql.js';
import { newKey, startProduct, type Person, type Product } from '../support/product.js';
import { LossyWire } from './lossy-wire.js';

const wire = new LossyWire();
let product: Product;
beforeAll(async () => {
  product = await startProduct({ stripeBase: (port) => wire.lead(port) });
});
afterAll(async () => {
  await product.stop();
  await wire.close();
});

const MINUTE = 60_000;

async function customerId(person: Person): Promise<string | undefined> {
  const rows = await product.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [person.userId]);
  return rows[0]?.object_id;
}

async function killBothAndStartAgain(): Promise<void> {
  await Promise.all([product.kill('gateway', 'SIGKILL'), product.kill('worker', 'SIGKILL')]);
  await Promise.all([product.start('gateway'), product.start('worker')]);
}

test.each([
  { lost: 'answer', chargedBefore: 1, when: "between Stripe's answer and ours" },
  { lost: 'request', chargedBefore: 0, when: 'before the request has left the machine' },
] as const)('a charge whose gateway and worker are killed $when is made and recorded once, and the customer is told', async (scene) => {
  const ana = await product.person('ana');
  await ana.addCard();
  const feed = await ana.follow();
  // Stripe's own telling is lost too: what happened must be found out.
  for (const operation of ['payment_intent.succeeded', 'charge.succeeded']) await product.fault({ operation, kind: 'webhook_lose' });
  const held = wire.hold('/v1/payment_intents', scene.lost);
  const idempotencyKey = newKey();
  const broken = ana.trySubscribe({ idempotencyKey }).then(
    () => 'answered',
    () => 'broken off',
  );
  const cut = await held;
  const paidNow = async () => {
    const customer = await customerId(ana);
    return (await product.truth()).charges.filter((charge) => charge.customer === customer && charge.paid);
  };
  expect(await paidNow()).toHaveLength(scene.chargedBefore);
  await killBothAndStartAgain();
  cut();
  expect(await broken).toBe('broken off');

  const [row] = await product.query<{ id: string }>('select id from transaction where user_id = $1', [ana.userId]);
  expect(row).toBeDefined();
  await product.passUntil(() => expect(feed.statuses().at(-1)).toBe('SUCCEEDED'), MINUTE / 2, 10 * MINUTE);
  expect((await paidNow()).map(({ amount }) => amount)).toEqual([800]);
  const again = await ana.trySubscribe({ idempotencyKey });
  expect(again.extensions['idempotentReplay']).toBe(true);
  expect(again.data?.subscribe).toMatchObject({ subscription: { status: 'ACTIVE' }, transaction: { status: 'SUCCEEDED' }, userErrors: [] });
  const { viewer } = await ana.get(ViewerDocument, {});
  expect(viewer?.currentSubscription?.status).toBe('ACTIVE');
  expect(await paidNow()).toHaveLength(1);
});

test.each([
  { lost: 'answer', refundedBefore: 300, when: "between Stripe's answer and ours" },
  { lost: 'request', refundedBefore: 0, when: 'before the request has left the machine' },
] as const)('a refund whose gateway and worker are killed $when is made and recorded once, and the customer is told', async (scene) => {
  const [ana, sue] = [await product.person('ana'), await product.person('sue', ['support'])];
  await ana.addCard();
  const { transaction } = await ana.subscribe();
  const chargeId = transaction?.id ?? '';
  const feed = await ana.follow();
  const input = {
    transactionId: chargeId,
    amount: { amountMinor: 300, currency: 'USD' },
    reason: 'REQUESTED' as const,
    idempotencyKey: newKey(),
  };
  for (const operation of ['refund.created', 'charge.refunded']) await product.fault({ operation, kind: 'webhook_lose' });
  const held = wire.hold('/v1/refunds', scene.lost);
  const broken = sue.ask(RefundDocument, { input }).then(
    () => 'answered',
    () => 'broken off',
  );
  const cut = await held;
  const refunded = async () => {
    const customer = await customerId(ana);
    return (await product.truth()).charges.find((charge) => charge.customer === customer)?.amount_refunded;
  };
  expect(await refunded()).toBe(scene.refundedBefore);
  await killBothAndStartAgain();
  cut();
  expect(await broken).toBe('broken off');

  await product.passUntil(() => expect(feed.statuses().at(-1)).toBe('SUCCEEDED'), MINUTE / 2, 10 * MINUTE);
  expect(await refunded()).toBe(300);
  const { refund: again } = await sue.get(RefundDocument, { input });
  expect(again).toMatchObject({ refund: { status: 'SUCCEEDED' }, original: { refundableAmount: { amountMinor: 500 } }, userErrors: [] });
  const { transaction: charge } = await ana.get(TransactionDocument, { id: chargeId });
  expect(charge?.reversals.map(({ status, amount }) => [status, amount.amountMinor])).toEqual([['SUCCEEDED', 300]]);
  expect(await refunded()).toBe(300);
});

test('after all this the books are sound, and the command that checks them says so', async () => {
  await product.expectSoundBooks();
  const command = spawn('npm', ['run', '-s', 'invariants'], { env: product.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, [code]] = await Promise.all([text(command.stdout), once(command, 'exit') as Promise<[number | null]>]);
  expect([code, output]).toEqual([0, expect.stringContaining('violations')]);
});
