import { appendFile, copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { type StripeStandInOptions, startStripeStandIn } from '../../../src/sandbox/stripe/server.js';
import { State } from '../../../src/sandbox/stripe/state.js';
import { WEBHOOK_SECRET, clientOf, pay, savedCard, startRig } from './stand-in.js';

const JOURNAL = 'journal.jsonl';

test('a restart keeps everything: objects, books, clock, events and errands', async () => {
  const rig = await startRig();
  await rig.control('POST', 'clock', { now: '2026-11-01T00:00:00Z' });
  const intent = await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_pendingRefund'));
  const refund = await rig.stripe.refunds.create({ payment_intent: intent.id });
  const before = { truth: await rig.truth(), events: (await rig.stripe.events.list({ limit: 100 })).data };
  await rig.restart();
  expect(await rig.truth()).toEqual(before.truth);
  expect((await rig.stripe.events.list({ limit: 100 })).data).toEqual(before.events);
  expect(await rig.control('GET', 'clock')).toEqual({ now: '2026-11-01T00:00:00.000Z', stands: true });
  await rig.control('POST', 'advance');
  expect((await rig.stripe.refunds.retrieve(refund.id)).status).toBe('succeeded');
  await rig.stop();
});

test('an abrupt end loses nothing that was answered, and a half-written line is dropped', async () => {
  const rig = await startRig();
  const card = await savedCard(rig.stripe, 'pm_card_visa');
  const intent = await pay(rig.stripe, card, {}, 'att:1');
  // What a killed process leaves: the file as it is right after the answer, and perhaps the beginning of another line.
  const left = await mkdtemp(path.join(os.tmpdir(), 'stripe-left-'));
  await copyFile(path.join(rig.stateDir, JOURNAL), path.join(left, JOURNAL));
  await appendFile(path.join(left, JOURNAL), '{"id":"evt_half"}\t{"counter":99,"changes":[["charges","ch_ha');
  const truth = await rig.truth();
  await rig.stop();

  const options: StripeStandInOptions = { port: 0, stateDir: left, webhookSecret: WEBHOOK_SECRET };
  const second = await startStripeStandIn(options);
  const stripe = clientOf(second);
  expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe('succeeded');
  expect((await pay(stripe, card, {}, 'att:1')).id).toBe(intent.id);
  expect((await stripe.charges.list()).data).toHaveLength(truth.charges.length);
  const more = await pay(stripe, card);
  await second.stop();
  const third = await startStripeStandIn(options);
  expect((await clientOf(third).paymentIntents.retrieve(more.id)).status).toBe('succeeded');
  await third.stop();
  await rm(left, { recursive: true });
});

test('a journal of much that no longer counts is written anew, with the texts that still do', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'stripe-state-'));
  const nobody = { requestId: null, idempotencyKey: null };
  const state = new State(directory, () => 1_793_491_200_000);
  for (let turn = 0; turn < 200; turn++) {
    state.run(nobody, (unit) => unit.put(state.settingsRow, { ...state.settings, hasRateLimits: turn % 2 === 0 }));
  }
  state.run(nobody, (unit) => unit.emit('customer.created', { id: 'cus_é', object: 'customer' }));
  const told = [...state.events.oldestFirst()].map((event) => state.read(event.text));
  state.close();
  const { size } = await stat(path.join(directory, JOURNAL));
  const again = new State(directory, () => 1_793_491_200_000);
  expect((await stat(path.join(directory, JOURNAL))).size).toBeLessThan(size / 10);
  expect([...again.events.oldestFirst()].map((event) => again.read(event.text))).toEqual(told);
  again.run(nobody, (unit) => unit.emit('customer.updated', { id: 'cus_é', object: 'customer' }));
  again.close();
  const third = new State(directory, () => 1_793_491_200_000);
  expect([...third.events.oldestFirst()].map(({ type }) => type)).toEqual(['customer.created', 'customer.updated']);
  third.close();
  await rm(directory, { recursive: true });
});

test('a unit of work that throws leaves nothing behind', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'stripe-state-'));
  const state = new State(directory, () => 0);
  const nobody = { requestId: null, idempotencyKey: null };
  expect(() =>
    state.run(nobody, (unit) => {
      unit.put(state.errands, {
        id: 'errand_1',
        dueAt: 0,
        kind: 'pay_out',
        subject: 'po_1',
        reason: '',
        isInquiry: false,
        parts: 1,
      });
      unit.emit('customer.created', { id: 'cus_1', object: 'customer' });
      throw new Error('halfway');
    }),
  ).toThrow('halfway');
  expect([state.errands.size, state.events.size]).toEqual([0, 0]);
  state.close();
  const again = new State(directory, () => 0);
  expect([again.errands.size, again.events.size]).toEqual([0, 0]);
  again.close();
  await rm(directory, { recursive: true });
});

test('the same seed and the same requests give the same ids', async () => {
  const ids: string[] = [];
  for (let run = 0; run < 2; run++) {
    const rig = await startRig({ seed: 'seed' });
    ids.push((await rig.stripe.customers.create()).id);
    await rig.control('POST', 'reset');
    ids.push((await rig.stripe.customers.create()).id);
    await rig.stop();
  }
  expect(new Set(ids).size).toBe(1);
});

test('a reset empties everything', async () => {
  const rig = await startRig();
  await pay(rig.stripe, await savedCard(rig.stripe, 'pm_card_createDispute'));
  await rig.control('POST', 'reset');
  const truth = await rig.truth();
  expect(Object.values(truth).flat()).toEqual([]);
  expect((await rig.stripe.events.list()).data).toEqual([]);
  await rig.restart();
  expect((await rig.stripe.customers.list()).data).toEqual([]);
  await rig.stop();
});
