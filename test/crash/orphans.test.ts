/** Money of a charge that appeared after it was called absent is given back by one worker, once, while its claim lasts. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { LEASE_MS, SEND_GUARD_MS } from '../../src/domain/payment/schedule.js';
import { listDueOrphans } from '../../src/store/orphans.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { SYSTEM, type Cashier } from '../../src/usecases/cashier.js';
import type { Actor } from '../../src/usecases/contract.js';
import { giveBackOrphans } from '../../src/usecases/give-back-orphan.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { CREATE, dying, look, Scene, slow } from './scene.js';
import { barrier, Gate, recorded, withCalls } from './wiring.js';

const MINUTE = 60_000;

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.start();
});
afterEach(async () => scene.world.clearFaults());
afterAll(async () => scene.world.stop());

/** A customer whose charge took effect, was called absent since no list showed it, and has now appeared: its money waits to go back. */
async function orphaned(): Promise<Actor> {
  const { world } = scene;
  const ana = await scene.customerFor('charge');
  await world.fault({ operation: CREATE.charge, kind: 'error_after', count: 1 });
  await scene.begin('charge', ana, world.gateway);
  const ref = await scene.refOf('charge', ana);
  const blind = withCalls(world.worker, async (name, made) =>
    name === 'findPayment' ? { kind: 'fact', fact: null, requestId: null } : made(),
  );
  for (let minutes = 0; minutes < 40; minutes += 10) {
    await world.advance(10 * MINUTE);
    await look('charge', blind, ref);
  }
  expect(await scene.statusOf('charge', ref)).toBe('not_executed');
  await world.advance(24 * 60 * MINUTE);
  await look('charge', world.worker, ref);
  expect((await scene.written('charge', ref)).findings).toContainEqual({ kind: 'missing_here_orphan' });
  return ana;
}

async function given(actor: Actor): Promise<number> {
  const [charge] = await scene.effects('refund', actor);
  return charge ?? -1;
}

/** One turn; `listed` is passed between the list of what is due and the first claim. */
const turn = (cashier: Cashier, listed?: Gate): Promise<boolean> =>
  giveBackOrphans(cashier, ALL_BUCKETS, 64, async (ids, work) => {
    await listed?.pass();
    for (const id of ids) await work(id);
  });

test('of two workers who have both seen an orphan one claims it and gives it back', async () => {
  const ana = await orphaned();
  const workers = [recorded(scene.world.worker), recorded(scene.world.worker)];
  const meet = barrier(2);
  await Promise.all(workers.map(({ cashier }) => turn(cashier, meet)));
  expect(workers.flatMap(({ calls }) => calls)).toEqual(['refund']);
  expect(await given(ana)).toBe(800);
});

test('an orphan that a killed worker held is due for nobody until its lease is over, and is then given back', async () => {
  const ana = await orphaned();
  await expect(turn(dying(scene.world.worker))).rejects.toThrow('killed');
  expect(await inTx(scene.world.worker.tx, SYSTEM, (uow) => listDueOrphans(uow, ALL_BUCKETS, 64))).toEqual([]);
  await scene.world.advance(LEASE_MS + 1);
  await turn(scene.world.worker);
  expect(await given(ana)).toBe(800);
});

test('a worker that was stopped after it claimed an orphan does not give it back; the next one does', async () => {
  const ana = await orphaned();
  const stopped = recorded(slow(scene.world.worker, SEND_GUARD_MS + 1));
  await turn(stopped.cashier);
  expect([stopped.calls, await given(ana)]).toEqual([[], 0]);
  await scene.world.advance(LEASE_MS + 1);
  const quick = recorded(slow(scene.world.worker, SEND_GUARD_MS));
  await turn(quick.cashier);
  expect([quick.calls, await given(ana)]).toEqual([['refund'], 800]);
});

test('after all this the books are sound', async () => {
  await expectSoundBooks(scene.world);
});
