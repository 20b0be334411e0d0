import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PriceId } from '../../src/domain/ids.js';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterAll(async () => world.stop());

const asked = (idempotencyKey = newKey()) => ({
  priceId: premium,
  paymentMethodId: null,
  coupon: null,
  useTrial: false,
  expectedAmount: null,
  returnUrl: null,
  idempotencyKey,
});

test('a card that is accepted gives an active subscription, one charge, and books that explain it', async () => {
  const ana = await withCard(world, someUser('ana'));
  const answer = await world.commands.subscribe(ana, asked());
  expect(answer.refusals).toEqual([]);
  const [subscription] = await world.query<{ status: string }>('select status from subscription where user_id = $1', [
    ana.userId,
  ]);
  expect(subscription?.status).toBe('active');
  const statuses = await world.query<{ status: string }>(
    'select status from transaction_event where user_id = $1 order by version',
    [ana.userId],
  );
  expect(statuses.map((row) => row.status)).toEqual(['pending', 'succeeded']);
  const movements = await world.query<{ event: string; debit: string; credit: string; amount: bigint }>(
    `select m.event, d.code debit, c.code credit, m.amount from ledger_movement m join ledger_account d on d.id = m.debit_account_id
     join ledger_account c on c.id = m.credit_account_id where m.user_id = $1 order by m.posted_at, m.event`,
    [ana.userId],
  );
  expect(movements.map((row) => [row.event, row.debit, row.credit])).toEqual([
    ['invoice_finalized', 'customer_receivable', 'deferred_revenue'],
    ['payment_succeeded', 'provider_clearing', 'customer_receivable'],
    ['provider_fee', 'provider_fees', 'provider_clearing'],
  ]);
  const truth = await world.truth();
  expect(truth.charges.filter((charge) => charge.paid)).toHaveLength(1);
});
