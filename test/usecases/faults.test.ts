import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { idTimeMs, type PriceId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

const MINUTE = 60_000;

const subscribe = (actor: Actor, idempotencyKey = newKey()) =>
  world.commands.subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey,
  });

async function chargesOf(actor: Actor) {
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  const truth = await world.truth();
  return truth.charges.filter((charge) => charge.customer === row?.object_id && charge.paid);
}

async function statusesTold(actor: Actor): Promise<string[]> {
  const rows = await world.query<{ status: string }>(
    "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
    [actor.userId],
  );
  return rows.map((row) => row.status);
}

/** Lets the worker look again and again while time passes, until nothing is open or two hours have gone. */
async function settle(actor: Actor): Promise<string> {
  for (let minutes = 0; minutes <= 120; minutes += 2) {
    await world.work('payments', 'refunds');
    const [row] = await world.query<{ status: string }>('select status from transaction where user_id = $1 order by id limit 1', [
      actor.userId,
    ]);
    if (row && !['pending', 'unknown'].includes(row.status)) return row.status;
    await world.advance(2 * MINUTE);
  }
  return 'open';
}

test.each([
  { kind: 'timeout_before', charges: 1, end: 'succeeded', told: ['pending', 'unknown', 'succeeded'] },
  { kind: 'timeout_after', charges: 1, end: 'succeeded', told: ['pending', 'unknown', 'succeeded'] },
  { kind: 'error_before', charges: 0, end: 'failed', told: ['pending', 'unknown', 'failed'] },
  { kind: 'error_after', charges: 1, end: 'succeeded', told: ['pending', 'unknown', 'succeeded'] },
  { kind: 'reset', charges: 1, end: 'succeeded', told: ['pending', 'unknown', 'succeeded'] },
  { kind: 'rate_limit', charges: 1, end: 'succeeded', told: ['pending', 'succeeded'] },
])(
  'a charge that meets $kind is made $charges times, ends $end, and its customer is told',
  async ({ kind, charges, end, told }) => {
    const ana = await withCard(world, someUser());
    // A connection that is reset is tried once more by the client itself.
    await world.fault({ operation: 'payment_intents.create', kind, count: kind === 'reset' ? 2 : 1 });
    const answer = await subscribe(ana);
    expect(answer.refusals).toEqual([]);
    expect(answer.transactionId).not.toBeNull();
    expect(await settle(ana)).toBe(end);
    expect(await chargesOf(ana)).toHaveLength(charges);
    expect(await statusesTold(ana)).toEqual(told);
    await expectSoundBooks(world);
  },
);

test.each(['timeout_before', 'timeout_after', 'error_before', 'error_after', 'reset'])(
  'a refund that meets %s is made once or not at all, and ends',
  async (kind) => {
    const ana = await withCard(world, someUser());
    const { transactionId } = await subscribe(ana);
    if (transactionId === null) throw new Error('no charge');
    await world.fault({ operation: 'refunds.create', kind, count: kind === 'reset' ? 2 : 1 });
    const sue = { userId: 'sue', scopes: new Set(['monetization:support']), requestId: 'test-request' };
    const answer = await world.commands.refund(sue, {
      transactionId,
      amount: { minor: 300n, currency: 'USD' },
      reason: 'requested',
      note: null,
      endSubscription: false,
      idempotencyKey: newKey(),
    });
    expect(answer.refusals).toEqual([]);
    let status = '';
    for (let minutes = 0; minutes <= 120 && !['succeeded', 'canceled'].includes(status); minutes += 2) {
      await world.work('refunds');
      const [row] = await world.query<{ status: string }>('select status from refund where user_id = $1', [ana.userId]);
      status = row?.status ?? '';
      await world.advance(2 * MINUTE);
    }
    expect(status).toBe(kind === 'error_before' ? 'canceled' : 'succeeded');
    const [charge] = await chargesOf(ana);
    expect(charge?.amount_refunded).toBe(kind === 'error_before' ? 0 : 300);
    await expectSoundBooks(world);
  },
);

test('an attempt that nobody sent is sent by the worker after ninety seconds', async () => {
  const ana = await withCard(world, someUser());
  const gateway = world.gateway.provider;
  // The process dies between the commit of the first unit of work and the claim: the attempt is there, unsent.
  const dying = {
    ...world.gateway,
    tx: world.gateway.tx,
    provider: { ...gateway, charge: () => Promise.reject(new Error('killed')) },
  };
  const { subscribe: subscribeDying } = await import('../../src/usecases/subscribe.js');
  await expect(
    subscribeDying(dying)(ana, {
      priceId: premium,
      paymentMethodId: null,
      coupon: null,
      useTrial: false,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey: newKey(),
    }),
  ).rejects.toThrow('killed');
  expect(await settle(ana)).toBe('succeeded');
  expect(await chargesOf(ana)).toHaveLength(1);
  await expectSoundBooks(world);
});

test('fifty subscribes at once with different keys give one subscription and one charge', async () => {
  const ana = await withCard(world, someUser());
  const answers = await Promise.all(Array.from({ length: 50 }, () => subscribe(ana)));
  expect(answers.filter((answer) => answer.refusals.length === 0)).toHaveLength(1);
  const codes = new Set(answers.flatMap((answer) => answer.refusals.map((one) => one.code)));
  expect([...codes]).toEqual(['ALREADY_SUBSCRIBED']);
  expect(await chargesOf(ana)).toHaveLength(1);
  await expectSoundBooks(world);
});

test('fifty subscribes at once with one key give one result', async () => {
  const ana = await withCard(world, someUser());
  const key = newKey();
  const answers = await Promise.all(Array.from({ length: 50 }, () => subscribe(ana, key)));
  expect(answers.flatMap((answer) => answer.refusals)).toEqual([]);
  expect(new Set(answers.map((answer) => answer.subscriptionId)).size).toBe(1);
  expect(new Set(answers.map((answer) => answer.transactionId)).size).toBe(1);
  expect(await chargesOf(ana)).toHaveLength(1);
});

test('of fifty refunds at once of sixty percent of a charge one succeeds', async () => {
  const ana = await withCard(world, someUser());
  const { transactionId } = await subscribe(ana);
  if (transactionId === null) throw new Error('no charge');
  expect(idTimeMs(transactionId)).toBeGreaterThan(0);
  const sue = { userId: 'sue', scopes: new Set(['monetization:support']), requestId: 'test-request' };
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      world.commands.refund(sue, {
        transactionId,
        amount: { minor: 480n, currency: 'USD' },
        reason: 'requested',
        note: null,
        endSubscription: false,
        idempotencyKey: newKey(),
      }),
    ),
  );
  expect(answers.filter((answer) => answer.refusals.length === 0)).toHaveLength(1);
  expect(new Set(answers.flatMap((answer) => answer.refusals.map((one) => one.code)))).toEqual(
    new Set(['REFUND_EXCEEDS_CHARGE']),
  );
  const [charge] = await chargesOf(ana);
  expect(charge?.amount_refunded).toBe(480);
  await expectSoundBooks(world);
});

test('after all these faults the books say what the provider did', async () => {
  await expectBooksOfProvider(world);
});
