/** A claim keeps others away for its time, and nobody after it. Time is the clock's: it is moved, never waited for. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { ASK_GUARD_MS, CALL_TIMEOUT_MS, CANCEL_AFTER_MS, LEASE_MS, SEND_GUARD_MS } from '../../src/domain/payment/schedule.js';
import { listDueAttempts, listDueRefunds } from '../../src/store/payments.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { SYSTEM } from '../../src/usecases/cashier.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { someUser, withCard } from '../support/world.js';
import { CREATE, dying, holding, KINDS, look, LOST, ONCE, Scene, slow } from './scene.js';
import { recorded, withCalls } from './wiring.js';

const MINUTE = 60_000;
const FIND = { charge: 'findPayment', refund: 'findRefund' } as const;
let scene: Scene;

beforeAll(async () => {
  scene = await Scene.start();
});
afterEach(async () => scene.world.clearFaults());
afterAll(async () => scene.world.stop());

test.each(KINDS)(
  'while the call of a %s is under way nobody else calls, the asking client included; after the lease the worker does',
  async (kind) => {
    const ana = await scene.customerFor(kind);
    const { cashier, call } = holding(scene.world.gateway);
    const beginning = scene.begin(kind, ana, cashier);
    await call.reached();
    const ref = await scene.refOf(kind, ana);
    const before = await scene.written(kind, ref);
    await scene.world.advance(30_000);
    const other = recorded(scene.world.worker);
    await look(kind, other.cashier, ref);
    await scene.world.work('payments', 'refunds');
    await scene.world.commands.confirmPayment(ana, { transactionId: ref.id });
    expect(other.calls).toEqual([]);
    expect(await scene.written(kind, ref)).toEqual(before);
    expect(await scene.effects(kind, ana)).toEqual(kind === 'charge' ? [] : [0]);
    await scene.world.advance(LEASE_MS - 30_000 + 1);
    await look(kind, other.cashier, ref);
    expect(other.calls).toEqual([kind]);
    expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
    // The first wakes up and calls after all: its key plays the answer back.
    call.open();
    await beginning;
    expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
    expect(await scene.statusOf(kind, ref)).toBe('succeeded');
  },
);

test.each(KINDS)('a %s that somebody holds does not stand before one that is free in the list of what is due', async (kind) => {
  const [ana, ben] = [await scene.customerFor(kind), await scene.customerFor(kind)];
  await expect(scene.begin(kind, ana, dying(scene.world.gateway))).rejects.toThrow('killed');
  await scene.world.advance(25_000);
  await scene.world.fault({ operation: CREATE[kind], ...LOST });
  await scene.begin(kind, ben, scene.world.gateway);
  await scene.world.advance(10_000);
  const listDue = kind === 'charge' ? listDueAttempts : listDueRefunds;
  const due = await inTx(scene.world.worker.tx, SYSTEM, (uow) => listDue(uow, ALL_BUCKETS, 1));
  expect(due).toEqual([await scene.refOf(kind, ben)]);
  await scene.world.advance(LEASE_MS);
  await scene.world.work('payments', 'refunds');
  expect([await scene.effects(kind, ana), await scene.effects(kind, ben)]).toEqual([ONCE[kind], ONCE[kind]]);
});

test.each(KINDS)('a worker that is killed with a claimed %s is followed by another within 75 seconds', async (kind) => {
  const ana = await scene.customerFor(kind);
  await expect(scene.begin(kind, ana, dying(scene.world.gateway))).rejects.toThrow('killed');
  const ref = await scene.refOf(kind, ana);
  await scene.world.advance(LEASE_MS + 1);
  await expect(look(kind, dying(scene.world.worker), ref)).rejects.toThrow('killed');
  const { cashier, calls } = recorded(scene.world.worker);
  let waitedMs = 0;
  while (calls.length === 0 && waitedMs < 75_000) {
    await scene.world.advance(5_000);
    waitedMs += 5_000;
    await look(kind, cashier, ref);
  }
  expect(waitedMs).toBeGreaterThanOrEqual(LEASE_MS);
  expect(calls).toEqual([kind]);
  expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
});

test.each(KINDS)('a process that was stopped after it claimed a %s does not send it, the first time or again', async (kind) => {
  const ana = await scene.customerFor(kind);
  const sender = recorded(slow(scene.world.gateway, SEND_GUARD_MS + 1));
  await scene.begin(kind, ana, sender.cashier);
  const ref = await scene.refOf(kind, ana);
  expect([sender.calls, await scene.statusOf(kind, ref)]).toEqual([[], 'sent']);
  await scene.world.advance(LEASE_MS + 1);
  const resender = recorded(slow(scene.world.worker, SEND_GUARD_MS + 1));
  await look(kind, resender.cashier, ref);
  expect(resender.calls).toEqual([]);
  await scene.world.advance(LEASE_MS + 1);
  const quick = recorded(slow(scene.world.worker, SEND_GUARD_MS));
  await look(kind, quick.cashier, ref);
  expect(quick.calls).toEqual([kind]);
  expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
});

test.each(KINDS)('a process that was stopped for most of its lease asks nothing about a %s any more', async (kind) => {
  const ana = await scene.customerFor(kind);
  await scene.world.fault({ operation: CREATE[kind], ...LOST });
  await scene.begin(kind, ana, scene.world.gateway);
  const ref = await scene.refOf(kind, ana);
  await scene.world.advance(scene.world.gateway.provider.keyLifeMs + 1);
  const stopped = recorded(slow(scene.world.worker, ASK_GUARD_MS + 1));
  await look(kind, stopped.cashier, ref);
  expect(stopped.calls).toEqual([]);
  await scene.world.advance(LEASE_MS + 1);
  const quick = recorded(slow(scene.world.worker, ASK_GUARD_MS));
  await look(kind, quick.cashier, ref);
  expect(quick.calls).toEqual([FIND[kind]]);
  await scene.world.advance(11 * MINUTE);
  await look(kind, scene.world.worker, ref);
  expect(await scene.statusOf(kind, ref)).toBe(kind === 'charge' ? 'not_executed' : 'canceled');
});

test.each(KINDS)('a process whose second sending of a %s took most of its lease begins no listing after it', async (kind) => {
  const ana = await scene.customerFor(kind);
  await scene.world.fault({ operation: CREATE[kind], kind: 'error_before', count: 1 });
  await scene.begin(kind, ana, scene.world.gateway);
  const ref = await scene.refOf(kind, ana);
  await scene.world.advance(2 * MINUTE);
  let nowMs = 0;
  const { cashier, calls } = recorded(
    withCalls({ ...scene.world.worker, monotonicMs: () => nowMs }, async (_, made) => {
      const called = await made();
      nowMs += ASK_GUARD_MS + 1;
      return called;
    }),
  );
  await look(kind, cashier, ref);
  expect(calls).toEqual([kind]);
  await scene.untilAbsentOnce(kind, ref);
  await scene.world.advance(11 * MINUTE);
  await look(kind, scene.world.worker, ref);
  expect(await scene.effects(kind, ana)).toEqual(kind === 'charge' ? [] : [0]);
});

test('a process that was stopped after it decided to cancel a payment does not cancel it', async () => {
  const ana = await withCard(scene.world, someUser(), 'pm_card_threeDSecure2Required');
  await scene.begin('charge', ana, scene.world.gateway);
  const ref = await scene.refOf('charge', ana);
  await scene.world.advance(CANCEL_AFTER_MS + MINUTE);
  const stopped = recorded(slow(scene.world.worker, SEND_GUARD_MS + 1));
  await look('charge', stopped.cashier, ref);
  expect([stopped.calls, await scene.statusOf('charge', ref)]).toEqual([[], 'requires_action']);
  await scene.world.advance(LEASE_MS + 1);
  const quick = recorded(slow(scene.world.worker, SEND_GUARD_MS));
  await look('charge', quick.cashier, ref);
  expect([quick.calls, await scene.statusOf('charge', ref)]).toEqual([['cancelPayment'], 'canceled']);
});

test('a process that was stopped after it claimed a charge or a refund that the provider knows does not ask about it', async () => {
  const ana = await withCard(scene.world, someUser(), 'pm_card_threeDSecure2Required');
  await scene.begin('charge', ana, scene.world.gateway);
  const ben = await withCard(scene.world, someUser(), 'pm_card_pendingRefund');
  await scene.begin('charge', ben, scene.world.gateway);
  await scene.begin('refund', ben, scene.world.gateway);
  const waiting = [
    { kind: 'charge', ref: await scene.refOf('charge', ana), read: 'readPayment' },
    { kind: 'refund', ref: await scene.refOf('refund', ben), read: 'readRefund' },
  ] as const;
  await scene.world.advance(7 * 60 * MINUTE);
  for (const { kind, ref, read } of waiting) {
    const stopped = recorded(slow(scene.world.worker, ASK_GUARD_MS + 1));
    await look(kind, stopped.cashier, ref);
    expect(stopped.calls).toEqual([]);
    await scene.world.advance(LEASE_MS + 1);
    const quick = recorded(slow(scene.world.worker, ASK_GUARD_MS));
    await look(kind, quick.cashier, ref);
    expect(quick.calls).toEqual([read]);
  }
});

test.each(KINDS)('a %s whose key may be dead is looked for and never sent again', async (kind) => {
  const ana = await scene.customerFor(kind);
  await scene.world.fault({ operation: CREATE[kind], ...LOST });
  await scene.begin(kind, ana, scene.world.gateway);
  const ref = await scene.refOf(kind, ana);
  await scene.world.advance(scene.world.gateway.provider.keyLifeMs + 1);
  const { cashier, calls } = recorded(scene.world.worker);
  await look(kind, cashier, ref);
  expect(calls).toEqual([FIND[kind]]);
  await scene.world.advance(11 * MINUTE);
  await look(kind, cashier, ref);
  expect(await scene.effects(kind, ana)).toEqual(kind === 'charge' ? [] : [0]);
  expect(await scene.statusOf(kind, ref)).toBe(kind === 'charge' ? 'not_executed' : 'canceled');
});

test('a charge whose request would be built differently now is looked for and not sent again', async () => {
  const ana = await scene.customerFor('charge');
  await scene.world.fault({ operation: CREATE.charge, ...LOST });
  await scene.begin('charge', ana, scene.world.gateway);
  const ref = await scene.refOf('charge', ana);
  await scene.world.query(`update payment_method set provider_object_id = 'pm_other' where user_id = $1`, [ana.userId]);
  await scene.world.advance(CALL_TIMEOUT_MS);
  const { cashier, calls } = recorded(scene.world.worker);
  await look('charge', cashier, ref);
  expect(calls).toEqual(['findPayment']);
  await scene.untilAbsentOnce('charge', ref);
  await scene.world.advance(11 * MINUTE);
  await look('charge', scene.world.worker, ref);
  expect(await scene.statusOf('charge', ref)).toBe('not_executed');
});

test('after all this the books are sound', async () => {
  // Some tests end before what they began.
  await scene.world.work('payments', 'refunds');
  await expectSoundBooks(scene.world);
});
