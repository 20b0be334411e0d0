import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Receiver, type Rig, WEBHOOK_SECRET, pay, savedCard, startReceiver, startRig, until } from './stand-in.js';

let receiver: Receiver;
let rig: Rig;
beforeEach(async () => {
  receiver = await startReceiver();
  rig = await startRig({ webhookUrl: receiver.url });
});
afterEach(async () => {
  await rig.stop();
  await receiver.stop();
});

async function delivered(count: number): Promise<void> {
  await until(
    async () => (await rig.truth()).webhooks.filter(({ status }) => status === 'delivered').length >= count,
    `${count} deliveries`,
  );
}

test('events are signed so that the official client accepts them, and name the request they come from', async () => {
  const card = await savedCard(rig.stripe, 'pm_card_visa');
  await pay(rig.stripe, card, {}, 'att:1');
  await until(() => receiver.received.some(({ type }) => type === 'payment_intent.succeeded'), 'the event came');
  const sent = receiver.received.find(({ type }) => type === 'payment_intent.succeeded');
  const event = await rig.stripe.webhooks.constructEventAsync(sent?.body ?? '', sent?.signature ?? '', WEBHOOK_SECRET);
  expect(event).toMatchObject({ api_version: '2026-10-28.endive', pending_webhooks: 1, request: { idempotency_key: 'att:1' } });
  expect(() => rig.stripe.webhooks.constructEvent(`${sent?.body} `, sent?.signature ?? '', WEBHOOK_SECRET)).toThrow('signature');
});

test('the clock runs on ahead of the machine, and with it again', async () => {
  await rig.control('POST', 'clock', { aheadMs: 3_600_000 });
  const { now, stands } = (await rig.control('GET', 'clock')) as { now: string; stands: boolean };
  expect(stands).toBe(false);
  expect(Math.abs(new Date(now).getTime() - Date.now() - 3_600_000)).toBeLessThan(5_000);
  await rig.control('DELETE', 'clock');
  const { now: after } = (await rig.control('GET', 'clock')) as { now: string };
  expect(Math.abs(new Date(after).getTime() - Date.now())).toBeLessThan(5_000);
});

test('the signature is made at the instant of the clock', async () => {
  await rig.control('POST', 'clock', { now: '2026-11-01T00:00:00Z' });
  await rig.stripe.customers.create();
  await delivered(1);
  expect(receiver.received[0]?.signature).toMatch(/^t=1793491200,v1=[0-9a-f]{64}$/);
});

test('a delivery that no 2xx answers is tried again until one does', async () => {
  receiver.answers.push(500, 302);
  await rig.stripe.customers.create();
  await until(() => receiver.received.length === 1, 'the first try');
  await until(async () => (await rig.truth()).webhooks[0]?.attempts === 1, 'the first try is written down');
  await rig.control('POST', 'advance');
  await until(async () => (await rig.truth()).webhooks[0]?.attempts === 2, 'the second try is written down');
  await rig.control('POST', 'advance');
  await delivered(1);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
  expect(receiver.received).toHaveLength(3);
});

test('after the first failed try the second comes a second later by itself', async () => {
  receiver.answers.push(500);
  await rig.stripe.customers.create();
  await delivered(1);
  expect(receiver.received).toHaveLength(2);
});

test('what waits is still sent after a restart', async () => {
  receiver.answers.push(500);
  await rig.stripe.customers.create();
  await until(async () => (await rig.truth()).webhooks[0]?.attempts === 1, 'the first try is written down');
  await rig.restart();
  await delivered(1);
  expect(receiver.received).toHaveLength(2);
});

test('a lost webhook is never sent, and the list of events still tells it', async () => {
  await rig.fault({ operation: 'customer.created', kind: 'webhook_lose' });
  await rig.stripe.customers.create();
  await rig.stripe.customers.create();
  await delivered(1);
  expect(receiver.received).toHaveLength(1);
  expect((await rig.truth()).webhooks.map(({ status }) => status)).toEqual(['lost', 'delivered']);
  expect((await rig.stripe.events.list({ type: 'customer.created' })).data).toHaveLength(2);
});

test('a duplicated webhook comes twice with one id', async () => {
  await rig.fault({ operation: '*', kind: 'webhook_duplicate' });
  await rig.stripe.customers.create();
  await until(() => receiver.received.length === 2, 'both came');
  expect(receiver.received[0]?.id).toBe(receiver.received[1]?.id);
});

test('a reordered webhook comes after the one that follows it', async () => {
  await rig.fault({ operation: 'customer.created', kind: 'webhook_reorder' });
  const { id } = await rig.stripe.customers.create();
  await rig.stripe.customers.update(id, { name: 'Ana' });
  await delivered(2);
  expect(receiver.received.map(({ type }) => type)).toEqual(['customer.updated', 'customer.created']);
});

test('a delayed webhook waits as long as told', async () => {
  await rig.fault({ operation: '*', kind: 'webhook_delay', ms: 300 });
  const start = Date.now();
  await rig.stripe.customers.create();
  await delivered(1);
  expect(Date.now() - start).toBeGreaterThanOrEqual(295);
});

test('further addresses get every event, signed with their own secret', async () => {
  const other = await startReceiver();
  await rig.control('POST', 'webhook_endpoints', { url: other.url, secret: 'whsec_other' });
  await rig.stripe.customers.create();
  await delivered(2);
  const [sent] = other.received;
  expect(rig.stripe.webhooks.constructEvent(sent?.body ?? '', sent?.signature ?? '', 'whsec_other').type).toBe(
    'customer.created',
  );
  await other.stop();
});
