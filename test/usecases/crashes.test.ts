import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { makeId, publicId, type PriceId, type TransactionId } from '../../src/domain/ids.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor, SubscribeCommand } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { Killed, mortal } from '../support/mortal.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterAll(async () => world.stop());

/** The gateway's pool, with something of ours before and after each of its commits. */
function sourceWith(commit: (write: () => Promise<void>) => Promise<void>): DataSource {
  return new Proxy(world.gateway.tx.source, {
    get(target: DataSource, name) {
      if (name !== 'createQueryRunner') return Reflect.get(target, name) as unknown;
      return () => {
        const runner = target.createQueryRunner();
        const write = runner.commitTransaction.bind(runner);
        runner.commitTransaction = () => commit(write);
        return runner;
      };
    },
  });
}

async function paidCharges(actor: Actor) {
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  return (await world.truth()).charges.filter((charge) => charge.customer === row?.object_id && charge.paid);
}

/** Lets the worker go on where the dead process ended: long enough for every lease. */
async function recover(): Promise<void> {
  for (let minutes = 0; minutes < 6; minutes += 2) {
    await world.advance(2 * 60_000);
    await world.work('payments', 'refunds');
  }
}

test('a worker and a gateway that settle one payment at the same instant write its outcome once', async () => {
  const ana = await withCard(world, someUser());
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  const { transactionId } = await world.commands.subscribe(ana, subscription());
  await world.advance(5_000);
  await world.receiveEvents();
  await Promise.all([
    world.work('payments'),
    world.work('webhooks'),
    world.commands.confirmPayment(ana, { transactionId: transactionId as TransactionId }),
  ]);
  const told = await world.query<{ status: string }>(
    "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
    [ana.userId],
  );
  expect(told.map((row) => row.status)).toEqual(['pending', 'unknown', 'succeeded']);
  await expectSoundBooks(world);
});

test('a process that is held up between its claim and its call does not call any more; the worker does, once', async () => {
  const ana = await withCard(world, someUser());
  let nowMs = 0;
  // Every commit takes six seconds: too long for what was claimed by it.
  const source = sourceWith(async (write) => {
    await write();
    nowMs += 6_000;
  });
  const heldUp: Cashier = { ...world.gateway, tx: { ...world.gateway.tx, source }, monotonicMs: () => nowMs };
  const { transactionId } = await makeCommands(heldUp).subscribe(ana, subscription());
  expect(await paidCharges(ana)).toHaveLength(0);
  const [attempt] = await world.query<{ status: string }>('select status from payment_attempt where id = $1', [transactionId]);
  expect(attempt?.status).toBe('sent');
  await recover();
  expect(await paidCharges(ana)).toHaveLength(1);
  await expectSoundBooks(world);
});

test('a repeat that comes while the first request still holds its claim is told to come again, for a charge and a refund', async () => {
  const ana = await withCard(world, someUser());
  const dying = () => mortal(world.gateway, (point) => point === 'before charge' || point === 'before refund').cashier;
  const command = subscription();
  await expect(makeCommands(dying()).subscribe(ana, command)).rejects.toThrow(Killed);
  const early = await world.commands.subscribe(ana, command);
  expect(early.refusals.map(({ code, retryAfterMs }) => [code, retryAfterMs])).toEqual([['IDEMPOTENCY_IN_PROGRESS', 2_000]]);
  await recover();
  const { transactionId, refusals } = await world.commands.subscribe(ana, command);
  expect(refusals).toEqual([]);
  const sue = someStaff('support');
  const back = {
    transactionId: transactionId as TransactionId,
    amount: null,
    reason: 'requested' as const,
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  };
  await expect(makeCommands(dying()).refund(sue, back)).rejects.toThrow(Killed);
  expect((await world.commands.refund(sue, back)).refusals.map((one) => one.code)).toEqual(['IDEMPOTENCY_IN_PROGRESS']);
  await recover();
  expect((await world.commands.refund(sue, back)).refusals).toEqual([]);
  await expectSoundBooks(world);
});

test('a charge that a webhook names is not called absent, whatever the listings say', async () => {
  const ana = await withCard(world, someUser());
  await world.fault({ operation: 'payment_intents.create', kind: 'error_before', count: 1 });
  const { transactionId } = await world.commands.subscribe(ana, subscription());
  const [row] = await world.query<{ payment_intent_id: string }>('select payment_intent_id from payment_attempt where id = $1', [
    transactionId,
  ]);
  const body = JSON.stringify({ metadata: { intent_id: publicId('pin', row?.payment_intent_id ?? '') } });
  const [id, bucket] = [makeId('whe', 7, world.clock.now().getTime(), randomBytes(8)), 7];
  await world.query('insert into webhook_payload (bucket, id, body) values ($1, $2, $3)', [bucket, id, Buffer.from(body)]);
  for (let minutes = 0; minutes < 60; minutes += 2) {
    await world.advance(2 * 60_000);
    await world.work('payments');
  }
  const status = () => world.query<{ status: string }>('select status from payment_attempt where id = $1', [transactionId]);
  expect(await status()).toEqual([{ status: 'unknown' }]);
  await world.query('delete from webhook_payload where id = $1', [id]);
  for (let minutes = 0; minutes < 30; minutes += 2) {
    await world.advance(2 * 60_000);
    await world.work('payments');
  }
  expect(await status()).toEqual([{ status: 'not_executed' }]);
  await expectSoundBooks(world);
});

test('events that were lost while no worker listed them are found, though later ones arrived', async () => {
  await world.work('listing');
  const ana = await withCard(world, someUser());
  await world.commands.subscribe(ana, subscription());
  // Their webhooks never come. Hours later others do, and only then a worker is there again.
  await world.advance(3 * 3_600_000);
  const ben = await withCard(world, someUser());
  await world.commands.subscribe(ben, subscription());
  await world.receiveEvents({ newest: 3 });
  await world.work('listing', 'webhooks');
  const truth = await fetch(`${world.standIn.url}/v1/events?limit=100`, { headers: { authorization: 'Bearer sk_test_sandbox' } });
  const { data } = (await truth.json()) as { data: { id: string }[] };
  const known = await world.query<{ event_id: string }>('select event_id from webhook_inbox');
  const missing = data.filter((event) => !known.some((row) => row.event_id === event.id));
  expect(missing).toEqual([]);
});

function subscription(): SubscribeCommand {
  return {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  };
}
