/** A process that was stopped longer than its lease wakes up with an answer in its hands: by then somebody else decides. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { LEASE_MS } from '../../src/domain/payment/schedule.js';
import type { Called } from '../../src/ports/provider.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { CREATE, holding, KINDS, look, ONCE, Scene } from './scene.js';
import { Gate, withCalls } from './wiring.js';

const MINUTE = 60_000;
let scene: Scene;

beforeAll(async () => {
  scene = await Scene.start();
});
afterEach(async () => scene.world.clearFaults());
afterAll(async () => scene.world.stop());

type Late = Exclude<Called<never>, { kind: 'fact' }>;
const LATE: Late[] = [
  { kind: 'unknown', reason: 'timeout', isReplay: false, requestId: null },
  { kind: 'refused', code: 'parameter_invalid', message: 'Wrong.', requestId: null },
  { kind: 'not_now', reason: 'rate_limited', retryAfterMs: 1_000, requestId: null },
];

test.each(KINDS.flatMap((kind) => LATE.map((late) => ({ kind, late, what: late.kind }))))(
  'the answer "$what" of a $kind that comes when the lease is somebody else\'s changes nothing',
  async ({ kind, late }) => {
    const ana = await scene.customerFor(kind);
    const asleep = new Gate();
    const sleeper = withCalls(scene.world.gateway, async () => {
      await asleep.pass();
      return late;
    });
    const beginning = scene.begin(kind, ana, sleeper);
    await asleep.reached();
    await scene.world.advance(LEASE_MS + 1);
    const ref = await scene.refOf(kind, ana);
    const { cashier, call } = holding(scene.world.worker);
    const looking = look(kind, cashier, ref);
    await call.reached();
    const before = await scene.written(kind, ref);
    asleep.open();
    await beginning;
    expect(await scene.written(kind, ref)).toEqual(before);
    call.open();
    await looking;
    expect(await scene.statusOf(kind, ref)).toBe('succeeded');
    expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
  },
);

test.each(KINDS.flatMap((kind) => LATE.map((late) => ({ kind, late, what: late.kind }))))(
  'the answer "$what" of a $kind that comes after its lease changes nothing, though nobody else has claimed it yet',
  async ({ kind, late }) => {
    const ana = await scene.customerFor(kind);
    const asleep = new Gate();
    const sleeper = withCalls(scene.world.gateway, async () => {
      await asleep.pass();
      return late;
    });
    const beginning = scene.begin(kind, ana, sleeper);
    await asleep.reached();
    await scene.world.advance(LEASE_MS + 1);
    const ref = await scene.refOf(kind, ana);
    const before = await scene.written(kind, ref);
    asleep.open();
    await beginning;
    expect(await scene.written(kind, ref)).toEqual(before);
    await look(kind, scene.world.worker, ref);
    expect(await scene.effects(kind, ana)).toEqual(ONCE[kind]);
  },
);

test.each(KINDS)('a %s that is known is not moved by a late fact that says the same', async (kind) => {
  const ana = await scene.customerFor(kind);
  const { cashier, call } = holding(scene.world.gateway);
  const beginning = scene.begin(kind, ana, cashier);
  await call.reached();
  await scene.world.advance(LEASE_MS + 1);
  const ref = await scene.refOf(kind, ana);
  await look(kind, scene.world.worker, ref);
  const before = await scene.written(kind, ref);
  // The same request under the same key: the answer is played back.
  call.open();
  await beginning;
  expect(await scene.written(kind, ref)).toEqual(before);
});

test('a look at a charge that only hears that nothing was tried yet gives no lease back but its own', async () => {
  const ana = await scene.customerFor('charge');
  await scene.world.fault({ operation: CREATE.charge, kind: 'timeout_after', count: 1 });
  await scene.begin('charge', ana, scene.world.gateway);
  const ref = await scene.refOf('charge', ana);
  const [intent] = (await scene.world.truth()).paymentIntents.slice(-1);
  const asleep = new Gate();
  const sleeper = withCalls(scene.world.worker, async (_, made) => {
    const called = (await made()) as Called<object>;
    await asleep.pass();
    return called.kind === 'fact' ? { ...called, fact: { ...called.fact, status: 'not_executed', records: [] } } : called;
  });
  await scene.world.advance(MINUTE);
  const looking = look('charge', sleeper, ref);
  await asleep.reached();
  await scene.world.advance(LEASE_MS + 1);
  const { cashier, call } = holding(scene.world.worker);
  const other = look('charge', cashier, ref);
  await call.reached();
  const before = await scene.written('charge', ref);
  asleep.open();
  await looking;
  expect(await scene.written('charge', ref)).toEqual(before);
  call.open();
  await other;
  expect(await scene.statusOf('charge', ref)).toBe('succeeded');
  expect(intent?.status).toBe('succeeded');
});

test('a late fact that does not fit its refund gives no lease back but its own', async () => {
  const ana = await scene.customerFor('refund');
  const asleep = new Gate();
  const sleeper = withCalls(scene.world.gateway, async (_, made) => {
    const called = (await made()) as Called<object>;
    await asleep.pass();
    return called.kind === 'fact' ? { ...called, fact: { ...called.fact, amountMinor: 301n } } : called;
  });
  const beginning = scene.begin('refund', ana, sleeper);
  await asleep.reached();
  await scene.world.advance(LEASE_MS + 1);
  const ref = await scene.refOf('refund', ana);
  const { cashier, call } = holding(scene.world.worker);
  const looking = look('refund', cashier, ref);
  await call.reached();
  const before = await scene.written('refund', ref);
  asleep.open();
  await beginning;
  expect(await scene.written('refund', ref)).toEqual({ ...before, findings: [{ kind: 'refund_amount' }] });
  call.open();
  await looking;
  expect(await scene.statusOf('refund', ref)).toBe('succeeded');
});

test('a late fact that contradicts what is known changes nothing and opens a finding', async () => {
  const ana = await scene.customerFor('charge');
  const asleep = new Gate();
  const sleeper = withCalls(scene.world.gateway, async (_, made) => {
    await asleep.pass();
    const called = (await made()) as Called<object>;
    return called.kind === 'fact' ? { ...called, fact: { ...called.fact, status: 'canceled', records: [] } } : called;
  });
  const beginning = scene.begin('charge', ana, sleeper);
  await asleep.reached();
  await scene.world.advance(LEASE_MS + 1);
  const ref = await scene.refOf('charge', ana);
  await look('charge', scene.world.worker, ref);
  const before = await scene.written('charge', ref);
  asleep.open();
  await beginning;
  expect(await scene.written('charge', ref)).toEqual({ ...before, findings: [{ kind: 'contradiction' }] });
});

test.each(KINDS)('an empty listing of a %s that was taken under a lease that is over proves nothing', async (kind) => {
  const ana = await scene.customerFor(kind);
  await scene.world.fault({ operation: CREATE[kind], kind: 'error_before', count: 1 });
  await scene.begin(kind, ana, scene.world.gateway);
  const ref = await scene.refOf(kind, ana);
  await scene.untilAbsentOnce(kind, ref);
  await scene.world.advance(11 * MINUTE);
  const find = kind === 'charge' ? 'findPayment' : 'findRefund';
  const [sleeper, other] = [holding(scene.world.worker, find), holding(scene.world.worker, find)];
  const sleeping = look(kind, sleeper.cashier, ref);
  await sleeper.call.reached();
  await scene.world.advance(LEASE_MS + 1);
  const looking = look(kind, other.cashier, ref);
  await other.call.reached();
  const before = await scene.written(kind, ref);
  sleeper.call.open();
  await sleeping;
  expect(await scene.written(kind, ref)).toEqual(before);
  other.call.open();
  await looking;
  expect(await scene.statusOf(kind, ref)).toBe(kind === 'charge' ? 'not_executed' : 'canceled');
});

test('after all this the books are sound', async () => {
  await expectSoundBooks(scene.world);
});
