/** Trials: once for a person, with a card that is charged at the end or without one, and what is kept of what the user agreed to (rules V3, C). */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { CONSENT_TEXT_VERSION } from '../../src/domain/consent/consent.js';
import type { SubscriptionId } from '../../src/domain/ids.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor } from '../../src/usecases/contract.js';
import { Gate, withDatabaseHooks } from '../crash/wiring.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { publishTerms, somePerson, takenFrom, wishFor } from '../support/buying.js';
import { eventually } from '../support/eventually.js';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Of the weekly price that the shipped catalogue offers with a trial. */
const TRIAL_DAYS = 14;
let world: World;
let weekly: string;
let monthly: string;

beforeAll(async () => {
  world = await startWorld();
  weekly = await priceId(world, { tier: 'premium', interval: 'week' });
  monthly = await priceId(world, { tier: 'premium' });
});
afterEach(async () => expectSoundBooks(world));
afterAll(async () => {
  await expectBooksOfProvider(world);
  await world.stop();
});

const codesOf = ({ refusals }: { refusals: readonly { code: string }[] }): string[] => refusals.map(({ code }) => code);
const trying = (actor: Actor, more: Parameters<typeof wishFor>[1] = {}, commands = world.commands) =>
  commands.subscribe(actor, wishFor(weekly, { useTrial: true, ...more }));

interface Row {
  id: SubscriptionId;
  status: string;
  period_start: Date;
  period_end: Date;
  trial_ends_at: Date | null;
  entitled_until: Date;
  next_action_at: Date | null;
}

async function subscriptionOf({ userId }: Actor): Promise<Row> {
  const [row] = await world.query<Row & Record<string, unknown>>(
    `select id, status, period_start, period_end, trial_ends_at, entitled_until, next_action_at
     from subscription where user_id = $1 order by id desc limit 1`,
    [userId],
  );
  if (!row) throw new Error('nothing was begun');
  return row;
}

async function cancelNow(actor: Actor): Promise<void> {
  const { id } = await subscriptionOf(actor);
  const answer = await world.commands.cancelSubscription(actor, {
    subscriptionId: id,
    immediately: true,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  expect(answer.refusals).toEqual([]);
}

test('a trial with a card begins at once, charges nothing, and its end is the next thing that is due', async () => {
  const ana = await somePerson(world);
  const wish = wishFor(weekly, { useTrial: true });
  const answer = await world.commands.subscribe(ana, wish);
  expect(answer).toMatchObject({ transactionId: null, refusals: [] });
  const row = await subscriptionOf(ana);
  const endsAt = new Date(row.period_start.getTime() + TRIAL_DAYS * DAY);
  expect(row).toMatchObject({
    status: 'trialing',
    period_end: endsAt,
    trial_ends_at: endsAt,
    next_action_at: endsAt,
    entitled_until: new Date(endsAt.getTime() + 6 * HOUR),
  });
  expect(await takenFrom(world, ana)).toEqual([]);
  expect(await world.query('select from invoice where user_id = $1', [ana.userId])).toEqual([]);
  expect(await world.query('select kind, status, version from subscription_event where user_id = $1', [ana.userId])).toEqual([
    { kind: 'created', status: 'trialing', version: 0 },
  ]);
  expect(await world.commands.subscribe(ana, wish)).toEqual({ ...answer, isReplay: true });
});

test('a trial without a card gives access to its end and not beyond', async () => {
  const ben = someUser('ben');
  expect(await trying(ben)).toMatchObject({ transactionId: null, refusals: [] });
  const row = await subscriptionOf(ben);
  expect(row).toMatchObject({ status: 'trialing', entitled_until: row.trial_ends_at });
});

test('what the user agreed to is kept with every subscription, and the notices that a trial needs are planned', async () => {
  const cleo = await somePerson(world);
  await trying(cleo);
  const row = await subscriptionOf(cleo);
  const consents = await world.query('select subscription_id, text_version, ip_hash from consent where user_id = $1', [
    cleo.userId,
  ]);
  expect(consents).toEqual([{ subscription_id: row.id, text_version: CONSENT_TEXT_VERSION, ip_hash: null }]);
  const notices = await world.query<{ due_at: Date }>(
    'select kind, due_at, sent_at, message_id from notice where subscription_id = $1 order by due_at',
    [row.id],
  );
  const before = (days: number) => new Date(row.period_end.getTime() - days * DAY);
  expect(notices).toEqual(
    [8, 4].map((days) => ({ kind: 'trial_ending', due_at: before(days), sent_at: null, message_id: null })),
  );
  const dan = await somePerson(world);
  await world.commands.subscribe(dan, wishFor(monthly));
  expect(await world.query('select from consent where user_id = $1', [dan.userId])).toHaveLength(1);
  expect(await world.query('select from notice where user_id = $1', [dan.userId])).toEqual([]);
});

test('a trial is had once, for ever: not again by the same user, nor with the same card by another', async () => {
  const eve = await somePerson(world);
  await trying(eve);
  await cancelNow(eve);
  expect((await trying(eve)).refusals).toMatchObject([{ code: 'TRIAL_ALREADY_USED', field: ['input', 'useTrial'] }]);
  await withCard(world, eve, 'pm_card_mastercard');
  expect(codesOf(await trying(eve))).toEqual(['TRIAL_ALREADY_USED']);
  const other = await somePerson(world, 'pm_card_visa', `card of ${eve.userId}`);
  expect(codesOf(await trying(other))).toEqual(['TRIAL_ALREADY_USED']);
  expect(codesOf(await world.commands.subscribe(other, wishFor(weekly)))).toEqual([]);
  expect(await takenFrom(world, other)).toEqual([250]);
});

test('a card that cannot be told apart gives no trial, and a price without one refuses it', async () => {
  const faceless = await somePerson(world, 'pm_card_visa', null);
  expect((await trying(faceless)).refusals).toMatchObject([
    { code: 'PAYMENT_METHOD_UNUSABLE', field: ['input', 'paymentMethodId'] },
  ]);
  const fay = await somePerson(world);
  expect((await world.commands.subscribe(fay, wishFor(monthly, { useTrial: true }))).refusals).toMatchObject([
    { code: 'INVALID_INPUT', field: ['input', 'useTrial'] },
  ]);
  expect(codesOf(await trying(fay))).toEqual([]);
});

test('two devices that ask at the same time for one person get one trial: of two accounts with one card one is refused', async () => {
  const card = newKey();
  const [gil, gus] = [await somePerson(world, 'pm_card_visa', card), await somePerson(world, 'pm_card_visa', card)];
  const commit = new Gate();
  const held = withDatabaseHooks(world.gateway, {
    commit: async (write) => {
      await commit.pass();
      await write();
    },
  });
  const first = trying(gil, {}, makeCommands(held));
  await commit.reached();
  const second = trying(gus);
  await eventually(async () => {
    const [waiting] = await world.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    expect(waiting?.n).toBeGreaterThan(0);
  });
  commit.open();
  expect(codesOf(await first)).toEqual([]);
  expect(codesOf(await second)).toEqual(['TRIAL_ALREADY_USED']);
  const hal = await somePerson(world);
  const both = await Promise.all([trying(hal), trying(hal)]);
  expect(both.flatMap(codesOf)).toEqual(['ALREADY_SUBSCRIBED']);
  expect(await world.query('select from trial_use where subscription_id = $1', [(await subscriptionOf(hal)).id])).toHaveLength(2);
});

test('a coupon claimed with a trial keeps all its periods for what will be invoiced', async () => {
  const code = { id: '01941f29-7c62-7000-8000-000000000000', code: 'WEEKS', percentOffBps: 5_000, durationPeriods: 2 };
  await publishTerms(world, { coupons: [{ ...code, intervals: ['week'] }] });
  const ida = await somePerson(world);
  expect(codesOf(await trying(ida, { coupon: 'WEEKS' }))).toEqual([]);
  expect(await world.query('select periods_left from coupon_redemption where user_id = $1', [ida.userId])).toEqual([
    { periods_left: 2 },
  ]);
});

test('a trial whose end was told is charged at it, with the coupon that was claimed at its beginning', async () => {
  const code = { id: '01941f29-7c62-7000-8000-000000000001', code: 'HALFAFTER', percentOffBps: 5_000, durationPeriods: 1 };
  await publishTerms(world, { coupons: [{ ...code, intervals: ['week'] }] });
  const leo = await somePerson(world);
  expect(codesOf(await trying(leo, { coupon: 'HALFAFTER' }))).toEqual([]);
  for (const days of [6, 4, 4]) {
    await world.advance(days * DAY + 1_000);
    await world.work('notices', 'due', 'renewals 1');
  }
  expect(await subscriptionOf(leo)).toMatchObject({ status: 'active' });
  expect(await takenFrom(world, leo)).toEqual([125]);
});

test('a cancelled trial runs to its end, and gives nothing beyond', async () => {
  const jan = await somePerson(world);
  await trying(jan);
  const { id, trial_ends_at: endsAt } = await subscriptionOf(jan);
  const asked = { subscriptionId: id, immediately: false, reason: null, comment: null, expectedVersion: null };
  await world.commands.cancelSubscription(jan, { ...asked, idempotencyKey: newKey() });
  expect(await subscriptionOf(jan)).toMatchObject({ status: 'trialing', entitled_until: endsAt, next_action_at: endsAt });
  await world.advance(TRIAL_DAYS * DAY);
  await world.work();
  expect(await subscriptionOf(jan)).toMatchObject({ status: 'canceled', entitled_until: endsAt });
  expect(await takenFrom(world, jan)).toEqual([]);
});
