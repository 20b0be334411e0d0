/** Stored events are claimed like payments: nobody else takes them for a while, somebody does afterwards. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { applyWebhooks } from '../../src/usecases/apply-webhooks.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { oneByOne } from '../support/world.js';
import { CREATE, holding, Scene } from './scene.js';

const LEASE_MS = 60_000;

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.start();
});
afterAll(async () => scene.world.stop());

/** A customer whose charge succeeded, whose answer was lost, and whose events have come. */
async function customerWithEvents(): Promise<Actor> {
  const { world } = scene;
  const ana = await scene.customerFor('charge');
  await world.receiveEvents();
  await world.work('webhooks');
  await world.fault({ operation: CREATE.charge, kind: 'timeout_after', count: 1 });
  await scene.begin('charge', ana, world.gateway);
  await world.receiveEvents();
  return ana;
}

const statusOf = async (actor: Actor): Promise<string> => scene.statusOf('charge', await scene.refOf('charge', actor));

/** Takes one event at a time until none is left to take; how many it took. */
async function applyOneByOne(cashier: Cashier): Promise<number> {
  let taken = 0;
  while ((await applyWebhooks(cashier, ALL_BUCKETS, 1, oneByOne)).claimed > 0) taken++;
  return taken;
}

test('events that a worker holds are taken by nobody, stand before no others, and are taken over after its lease', async () => {
  const ana = await customerWithEvents();
  const { cashier, call } = holding(scene.world.worker);
  const sleeping = applyWebhooks(cashier, ALL_BUCKETS, 64, oneByOne);
  await call.reached();
  expect(await applyOneByOne(scene.world.worker)).toBe(0);
  await scene.customerFor('charge');
  await scene.world.receiveEvents();
  expect(await applyOneByOne(scene.world.worker)).toBeGreaterThan(0);
  expect(await statusOf(ana)).toBe('unknown');
  await scene.world.advance(LEASE_MS + 1);
  expect(await applyOneByOne(scene.world.worker)).toBeGreaterThan(0);
  expect(await statusOf(ana)).toBe('succeeded');
  const told = await scene.written('charge', await scene.refOf('charge', ana));
  call.open();
  await sleeping;
  expect(await scene.written('charge', await scene.refOf('charge', ana))).toEqual(told);
});

test('after all this the books are sound', async () => {
  await scene.world.receiveEvents();
  await scene.world.work('webhooks');
  await expectSoundBooks(scene.world);
});
