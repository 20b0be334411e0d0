import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { admitRenewals } from '../../src/usecases/admit-renewals.js';
import { TestClock } from '../support/clock.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { letSleep, paymentsOf, subscription } from '../support/lives.js';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const DAY = 86_400_000;

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
beforeEach(async () => letSleep(world));
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

/** A user whose first period is paid. */
async function subscriber(name: string): Promise<{ actor: Actor; id: SubscriptionId }> {
  const actor = await withCard(world, someUser(name));
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(premium));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  return { actor, id: subscriptionId };
}

interface Row {
  status: string;
  period_number: number;
  period_start: Date;
  period_end: Date;
  entitled_until: Date;
  next_action_at: Date | null;
}

async function rowOf(id: SubscriptionId): Promise<Row> {
  const [row] = await world.query<Row & object>('select * from subscription where id = $1', [id]);
  if (!row) throw new Error('no subscription');
  return row;
}

/** Moves everybody's time to just after this subscription's period. */
async function toTheEndOf(id: SubscriptionId): Promise<Row> {
  const before = await rowOf(id);
  await world.advance(before.period_end.getTime() - world.clock.now().getTime() + 1_000);
  return before;
}

const renew = (): Promise<void> => world.work('due', 'renewals 1');
const cancelNow = (actor: Actor, id: SubscriptionId) =>
  world.commands.cancelSubscription(actor, {
    subscriptionId: id,
    immediately: true,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });

/** The id of what is not expanded. */
const textOf = (one: unknown): string => (typeof one === 'string' ? one : '');

/** What the provider took from a user and gave back, in the order of time: `+1000`, `-1000`. */
async function moneyOf(actor: Actor): Promise<string[]> {
  const ids = new Set((await paymentsOf(world, actor)).map(({ id }) => id));
  const { charges, refunds } = await world.truth();
  return [
    ...charges.filter((one) => one.paid && ids.has(textOf(one.payment_intent))).map((one) => `+${one.amount}`),
    ...refunds.filter((one) => ids.has(textOf(one.payment_intent))).map((one) => `-${one.amount}`),
  ];
}

test('a subscription renews at the moment its period ends, for the pinned price, once', async () => {
  const { actor, id } = await subscriber('ana');
  await world.work('due', 'renewals 1');
  expect(await moneyOf(actor)).toHaveLength(1);
  const before = await toTheEndOf(id);
  await renew();
  await renew();
  const after = await rowOf(id);
  expect(after).toMatchObject({
    status: 'active',
    period_number: before.period_number + 1,
    period_start: before.period_end,
    next_action_at: after.period_end,
  });
  expect(after.entitled_until.getTime() - after.period_end.getTime()).toBe(6 * 3_600_000);
  const [first, ...more] = await moneyOf(actor);
  expect(more).toEqual([first]);
  const events = await world.query<{ kind: string }>(
    'select kind from subscription_event where subscription_id = $1 order by version',
    [id],
  );
  expect(events.map(({ kind }) => kind)).toEqual(['created', 'activated', 'renewed']);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a renewal that is written with others and one that goes alone leave the same rows', async () => {
  const [ben, cem] = [await subscriber('ben'), await subscriber('cem')];
  await toTheEndOf(ben.id);
  await world.advance(60_000);
  await world.work('due');
  await world.query(
    `update payment_attempt set next_action_at = next_action_at + interval '1 hour' where status = 'created' and user_id = $1`,
    [cem.actor.userId],
  );
  await world.work('renewals 1');
  // A lost answer: found by asking, and recorded by the road of every other payment.
  await world.query(
    `update payment_attempt set next_action_at = next_action_at - interval '1 hour' where status = 'created' and user_id = $1`,
    [cem.actor.userId],
  );
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  await world.work('renewals 1');
  await world.clearFaults();
  await world.advance(60_000);
  await world.work('payments');
  const rowsOf = async ({ actor, id }: { actor: Actor; id: SubscriptionId }): Promise<unknown> => ({
    subscription: await world.query('select status, period_number, version, hold, epoch from subscription where id = $1', [id]),
    events: await world.query(
      'select kind, status, version from subscription_event where subscription_id = $1 order by version',
      [id],
    ),
    attempts: await world.query(
      `select number, status, cause, is_off_session, next_action_at, lease_until, next_action, provider_object_id is not null as has_object,
         provider_charge_id is not null as has_charge from payment_attempt where user_id = $1 order by id`,
      [actor.userId],
    ),
    intents: await world.query('select status from payment_intent where user_id = $1 order by id', [actor.userId]),
    invoices: await world.query(
      'select kind, status, net, tax, epoch, period_number from invoice where user_id = $1 order by id',
      [actor.userId],
    ),
    lines: await world.query('select position, description, amount from invoice_line where user_id = $1 order by invoice_id', [
      actor.userId,
    ]),
    ledger: await world.query(
      `select event, leg, d.code as debit, c.code as credit, m.currency, amount, invoice_id is null as is_platform from ledger_movement m
       join ledger_account d on d.id = debit_account_id join ledger_account c on c.id = credit_account_id where user_id = $1 order by event, leg, amount`,
      [actor.userId],
    ),
    refs: await world.query(
      `select count(*)::int from provider_ref r where r.id in (select id from payment_attempt where user_id = $1 union select id from payment_intent where user_id = $1)`,
      [actor.userId],
    ),
    records: await world.query(
      `select kind, gross, fee, net, status, matched_type, matched_by, our_ref is not null as has_ref, object_id is not null as has_object from provider_record r
       where r.matched_id in (select id from payment_attempt where user_id = $1) order by r.id`,
      [actor.userId],
    ),
    history: await world.query('select kind, status, amount, currency from transaction where user_id = $1 order by id', [
      actor.userId,
    ]),
    // That its answer was lost is told of the one that goes alone, and of no other.
    feed: await world.query(
      `select change, status from feed_entry where user_id = $1 and status is distinct from 'unknown' order by seq`,
      [actor.userId],
    ),
    outbox: await world.query(
      `select type, data ->> 'status' as status from outbox_event where user_id = $1 and data ->> 'status' is distinct from 'unknown' order by seq`,
      [actor.userId],
    ),
  });
  const together = await rowsOf(ben);
  const alone = (await rowsOf(cem)) as { history: unknown[] };
  expect(alone).toEqual(together);
  expect(alone.history).toHaveLength(2);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a declined renewal is owed and past due: benefits go on through the days of grace, nothing is charged', async () => {
  const { actor, id } = await subscriber('dan');
  await withCard(world, actor, 'pm_card_chargeCustomerFail');
  const before = await toTheEndOf(id);
  await renew();
  const after = await rowOf(id);
  expect(after).toMatchObject({ status: 'past_due', period_number: before.period_number, next_action_at: null });
  expect(after.entitled_until.getTime() - before.period_end.getTime()).toBe(7 * DAY);
  expect(await moneyOf(actor)).toHaveLength(1);
  expect(await world.query('select status from invoice where user_id = $1 order by id', [actor.userId])).toEqual([
    { status: 'paid' },
    { status: 'open' },
  ]);
  expect(await world.query('select status from transaction where user_id = $1 order by id', [actor.userId])).toEqual([
    { status: 'succeeded' },
    { status: 'failed' },
  ]);
  await expectSoundBooks(world);
  // Cancelled while it is owed: it ends now, and nothing is owed any more.
  expect((await cancelNow(actor, id)).refusals).toEqual([]);
  expect(await world.query('select status from invoice where user_id = $1 order by id', [actor.userId])).toEqual([
    { status: 'paid' },
    { status: 'void' },
  ]);
  await expectSoundBooks(world);
});

test('a renewal without a method is owed, and nobody is asked', async () => {
  const { actor, id } = await subscriber('eve');
  await world.query('update customer set default_payment_method_id = null where user_id = $1', [actor.userId]);
  await toTheEndOf(id);
  await renew();
  expect(await rowOf(id)).toMatchObject({ status: 'past_due', next_action_at: null });
  expect(await world.query('select count(*)::int as n from payment_attempt where user_id = $1', [actor.userId])).toEqual([
    { n: 1 },
  ]);
  await expectSoundBooks(world);
});

test('nobody is charged who cancelled before the period ended', async () => {
  const { actor, id } = await subscriber('fay');
  const { subscriptionId, idempotencyKey } = { subscriptionId: id, idempotencyKey: newKey() };
  await world.commands.cancelSubscription(actor, {
    subscriptionId,
    immediately: false,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey,
  });
  await toTheEndOf(id);
  await renew();
  await world.work('due');
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  expect(await moneyOf(actor)).toHaveLength(1);
});

test('a cancellation taken back renews', async () => {
  const { actor, id } = await subscriber('fin');
  await world.commands.cancelSubscription(actor, {
    subscriptionId: id,
    immediately: false,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  await world.commands.resumeSubscription(actor, { subscriptionId: id, expectedVersion: null, idempotencyKey: newKey() });
  await toTheEndOf(id);
  await renew();
  expect(await moneyOf(actor)).toHaveLength(2);
});

test('a renewal that was billed and not sent when the customer cancels is dropped', async () => {
  const { actor, id } = await subscriber('gil');
  await toTheEndOf(id);
  await world.work('due');
  expect((await cancelNow(actor, id)).refusals).toEqual([]);
  await world.work('renewals 1');
  expect(await moneyOf(actor)).toHaveLength(1);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  expect(await world.query('select status from invoice where user_id = $1 order by id', [actor.userId])).toEqual([
    { status: 'paid' },
    { status: 'void' },
  ]);
  await expectSoundBooks(world);
});

test('a renewal whose answer is out when the customer cancels is given back in full', async () => {
  const { actor, id } = await subscriber('hal');
  await toTheEndOf(id);
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  await renew();
  await world.clearFaults();
  expect((await cancelNow(actor, id)).refusals).toEqual([]);
  for (let look = 0; look < 3; look++) {
    await world.advance(100_000);
    await world.work('payments', 'refunds');
  }
  const [first, second, back, ...more] = await moneyOf(actor);
  expect([second, back, ...more]).toEqual([first, first?.replace('+', '-')]);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('after seventy days away one period is charged, and the others are reported as skipped', async () => {
  const { actor, id } = await subscriber('ida');
  const before = await rowOf(id);
  await world.advance(70 * DAY);
  await renew();
  await renew();
  const after = await rowOf(id);
  expect(after.period_number).toBe(before.period_number + 2);
  expect(after.period_start <= world.clock.now() && world.clock.now() < after.period_end).toBe(true);
  expect(await moneyOf(actor)).toHaveLength(2);
  const [event] = await world.query<{ data: unknown }>(
    `select data from subscription_event where subscription_id = $1 and kind = 'periods_skipped'`,
    [id],
  );
  expect(event?.data).toEqual({ from: before.period_number + 1, count: 1 });
  await expectSoundBooks(world);
});

test('a subscription in dispute is not charged while it is held', async () => {
  const { actor, id } = await subscriber('jan');
  await world.query(`update subscription set hold = 'dispute' where id = $1`, [id]);
  await toTheEndOf(id);
  await renew();
  expect(await moneyOf(actor)).toHaveLength(1);
  await world.query(`update subscription set hold = 'none' where id = $1`, [id]);
  await world.advance(DAY);
  await renew();
  expect(await moneyOf(actor)).toHaveLength(2);
});

/** A renewal whose request never reached the provider, until that is sure. */
async function neverSent(actor: Actor, id: SubscriptionId): Promise<void> {
  await toTheEndOf(id);
  await world.fault({ operation: 'payment_intents.create', kind: 'error_before', count: 1_000 });
  await renew();
  // The key's life ends, so only the listing can tell: twice empty, half an hour and more apart.
  for (const ms of [60_000, 26 * 3_600_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000]) {
    await world.advance(ms);
    await world.work('payments');
  }
  await world.clearFaults();
  const [attempt] = await world.query<{ status: string }>(
    'select status from payment_attempt where user_id = $1 order by id desc limit 1',
    [actor.userId],
  );
  expect(attempt?.status).toBe('not_executed');
  await world.advance(3_600_000);
}

test('an attempt that surely never reached the provider is made again, once', async () => {
  const { actor, id } = await subscriber('kai');
  await neverSent(actor, id);
  await renew();
  expect(await moneyOf(actor)).toHaveLength(2);
  expect(await rowOf(id)).toMatchObject({ status: 'active', period_number: 1 });
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('one that never reached the provider, and whose method is gone since, is past due and not forgotten', async () => {
  const { actor, id } = await subscriber('pia');
  await neverSent(actor, id);
  await world.query('update customer set default_payment_method_id = null where user_id = $1', [actor.userId]);
  await renew();
  expect(await rowOf(id)).toMatchObject({ status: 'past_due', next_action_at: null });
  expect(await moneyOf(actor)).toHaveLength(1);
  await expectSoundBooks(world);
});

test('two renewals of one customer that are paid at the same moment are both recorded', async () => {
  const { actor, id } = await subscriber('quin');
  await world.query(
    `insert into subscription select (jsonb_populate_record(s, jsonb_build_object('id', left(s.id::text, 24) || '0123456789ab', 'tier_group', 'another'))).*
     from subscription s where id = $1`,
    [id],
  );
  await toTheEndOf(id);
  await world.work('due');
  await renew();
  expect(await moneyOf(actor)).toHaveLength(3);
  const rows = await world.query('select status, period_number from subscription where user_id = $1', [actor.userId]);
  expect(rows).toEqual([
    { status: 'active', period_number: 1 },
    { status: 'active', period_number: 1 },
  ]);
});

test('the switch stops every renewal, and lets them go on', async () => {
  const { actor, id } = await subscriber('lea');
  await toTheEndOf(id);
  await world.work('due');
  await world.query(`insert into renewal_switch values (1, true, 'a look', 'ops', now())`);
  await world.work('renewals 1', 'payments');
  expect(await moneyOf(actor)).toHaveLength(1);
  await world.query('delete from renewal_switch');
  await world.work('renewals 1');
  expect(await moneyOf(actor)).toHaveLength(2);
});

test('a run that leaves its plan behind stops itself and opens a finding that pages', async () => {
  const { actor, id } = await subscriber('mia');
  await toTheEndOf(id);
  await world.work('due');
  await world.query(
    `insert into renewal_hour values (1, date_trunc('hour', $1::timestamptz), 0, 50)
    on conflict (provider_account_id, hour) do update set planned = 0, charged = 50`,
    [world.clock.now()],
  );
  await world.work('renewals 1');
  expect(await moneyOf(actor)).toHaveLength(1);
  expect(await world.query('select is_stopped, changed_by from renewal_switch')).toEqual([
    { is_stopped: true, changed_by: 'system' },
  ]);
  expect(await world.query(`select kind, severity from recon_finding where kind = 'renewals_stopped'`)).toEqual([
    { kind: 'renewals_stopped', severity: 1 },
  ]);
  await world.query('delete from renewal_switch');
  await world.query('delete from renewal_hour');
  await world.work('renewals 1');
  expect(await moneyOf(actor)).toHaveLength(2);
});

test('a worker whose clock differs from the database charges nothing', async () => {
  const aside = (ms: number) =>
    admitRenewals(world.worker, { callsPerSecond: 100, machineNow: () => new Date(Date.now() + ms) }, 1);
  await expect(aside(60_000)).rejects.toThrow("This machine's clock differs from the database's by 60 s");
  await expect(aside(-60_000)).rejects.toThrow('no renewal is charged from here until it is set right');
  expect(await aside(10_000)).toBe(1);
});

test('all workers together make as many calls as the budget has, and a quarter once the provider said that it is too much', async () => {
  const options = { callsPerSecond: 40, machineNow: () => new Date() };
  await world.query('delete from call_budget');
  await world.query('delete from renewal_hour');
  await world.query(`insert into renewal_hour values (1, date_trunc('hour', $1::timestamptz), 1000)`, [world.clock.now()]);
  const clock = new TestClock(world.clock.now());
  const at = { ...world.worker, tx: { ...world.worker.tx, clock } };
  expect([await admitRenewals(at, options, 30), await admitRenewals(at, options, 30)]).toEqual([30, 10]);
  expect(await admitRenewals(at, options, 30)).toBe(0);
  clock.advance(500);
  expect(await admitRenewals(at, options, 30)).toBe(20);
  const { actor, id } = await subscriber('nia');
  await toTheEndOf(id);
  await world.work('due');
  await world.fault({ operation: 'payment_intents.create', kind: 'rate_limit', count: 1 });
  await world.work('renewals 1');
  expect(await moneyOf(actor)).toHaveLength(1);
  // What was left of the budget is gone, and it fills at a quarter of the rate.
  const [budget] = await world.query<{ refilled_at: Date }>('select refilled_at from call_budget');
  clock.set(budget?.refilled_at ?? '');
  clock.advance(1_000);
  expect(await admitRenewals(at, options, 50)).toBe(10);
  // Nothing was done: the same attempt goes again, once.
  await world.advance(120_000);
  await world.work('payments');
  expect(await moneyOf(actor)).toHaveLength(2);
});

test('what counts against the plan is what was charged, however many lanes saw it waiting', async () => {
  const { actor, id } = await subscriber('ole');
  await toTheEndOf(id);
  await world.query('delete from renewal_hour');
  await world.work('due', 'renewals 1', 'renewals 2', 'renewals 1');
  const options = { callsPerSecond: 40, machineNow: () => new Date() };
  expect(await admitRenewals(world.worker, options, 1)).toBe(1);
  expect(await moneyOf(actor)).toHaveLength(2);
  expect(await world.query('select charged from renewal_hour')).toEqual([{ charged: 1 }]);
});
