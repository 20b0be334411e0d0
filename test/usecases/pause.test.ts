import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId, TransactionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { inLine } from '../support/in-line.js';
import { cancellation, letSleep, paymentsOf, stepUrl, subscription } from '../support/lives.js';
import { finishStep, newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const DAY = 86_400_000;

let world: World;
let basic: PriceId;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  basic = (await priceId(world, { tier: 'basic' })) as PriceId;
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
beforeEach(async () => letSleep(world));
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

async function subscriber(name: string, token?: string): Promise<{ actor: Actor; id: SubscriptionId }> {
  const actor = await withCard(world, someUser(name), token);
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(basic));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  return { actor, id: subscriptionId };
}

/** A subscriber whose pause began when the paid period ended, some days ago. */
async function paused(name: string, resumesAfterDays: number | null = null): Promise<{ actor: Actor; id: SubscriptionId }> {
  const { actor, id } = await subscriber(name);
  const { period_end: end } = await rowOf(id);
  const resumesAt = resumesAfterDays === null ? null : new Date(end.getTime() + resumesAfterDays * DAY);
  expect((await pausing(actor, id, resumesAt)()).refusals).toEqual([]);
  await world.advance(end.getTime() - world.clock.now().getTime() + 1_000);
  await world.work('due');
  await world.advance(9 * DAY);
  return { actor, id };
}

interface Row {
  status: string;
  version: number;
  epoch: number;
  period_number: number;
  period_start: Date;
  period_end: Date;
  entitled_until: Date;
  cancel_at_period_end: boolean;
  pause_at_period_end: boolean;
  resumes_at: Date | null;
  pending_price_id: string | null;
  price_id: string;
  tier_id: string;
  next_action_at: Date | null;
}

async function rowOf(id: SubscriptionId): Promise<Row> {
  const [row] = await world.query<Row & object>('select * from subscription where id = $1', [id]);
  if (!row) throw new Error('no subscription');
  return row;
}

const pausing = (actor: Actor, subscriptionId: SubscriptionId, resumesAt: Date | null = null, idempotencyKey = newKey()) => {
  return () => world.commands.pauseSubscription(actor, { subscriptionId, resumesAt, idempotencyKey });
};
const resuming = (actor: Actor, subscriptionId: SubscriptionId, idempotencyKey = newKey()) => {
  return () => world.commands.resumeSubscription(actor, { subscriptionId, expectedVersion: null, idempotencyKey });
};
const cancelling = (actor: Actor, subscriptionId: SubscriptionId, immediately = false) => {
  return () => world.commands.cancelSubscription(actor, cancellation(subscriptionId, immediately));
};
const codes = (answer: { refusals: { code: string }[] }) => answer.refusals.map(({ code }) => code);
const paidCount = async (actor: Actor) => (await paymentsOf(world, actor)).filter(({ status }) => status === 'succeeded').length;

/** The books hold, once the worker has ended what was to end. */
async function expectSound(): Promise<void> {
  await world.work('due', 'refunds');
  await expectSoundBooks(world);
}

/** The invoices of a subscription, oldest first. */
const invoicesOf = (id: SubscriptionId) =>
  world.query<{ epoch: number; period_number: number; status: string; total: bigint }>(
    'select epoch, period_number, status, total from invoice where subscription_id = $1 order by id',
    [id],
  );

test('a pause is planned for the end of the paid period, to which access goes on and no further, and a repeat plans nothing more', async () => {
  const { actor, id } = await subscriber('ana');
  const before = await rowOf(id);
  const ask = pausing(actor, id, new Date(before.period_end.getTime() + 30 * DAY));
  expect(await ask()).toEqual({ subscriptionId: id, refusals: [], isReplay: false });
  expect(await rowOf(id)).toMatchObject({
    status: 'active',
    pause_at_period_end: true,
    resumes_at: new Date(before.period_end.getTime() + 30 * DAY),
    entitled_until: before.period_end,
    next_action_at: before.period_end,
    version: before.version + 1,
  });
  expect(await ask()).toEqual({ subscriptionId: id, refusals: [], isReplay: true });
  expect((await rowOf(id)).version).toBe(before.version + 1);
  expect(codes(await pausing(actor, id)())).toEqual(['INVALID_STATE']);
  await expectSound();
});

test('a pause that would end before it begins, or more than 90 days later, is refused, and its key stays free', async () => {
  const { actor, id } = await subscriber('ben');
  const { period_end: end } = await rowOf(id);
  const key = newKey();
  expect(codes(await pausing(actor, id, end, key)())).toEqual(['INVALID_INPUT']);
  expect(codes(await pausing(actor, id, new Date(end.getTime() + 90 * DAY + 1_000), key)())).toEqual(['INVALID_INPUT']);
  expect(codes(await pausing(actor, id, new Date(end.getTime() + 90 * DAY), key)())).toEqual([]);
});

test("somebody else's subscription is not found, and a third pause in a year is refused", async () => {
  const { actor, id } = await subscriber('cem');
  expect(codes(await pausing(someUser('eve'), id)())).toEqual(['NOT_FOUND']);
  await world.query(
    `insert into subscription_event (bucket, subscription_id, version, user_id, kind, status, cause, at)
     select bucket, id, version + n, user_id, 'test', e.status, 'test', $2::timestamptz - (9 - n) * interval '1 day'
     from subscription, (values (4, 'paused'), (5, 'active'), (6, 'paused'), (7, 'active')) as e (n, status)
     where id = $1`,
    [id, world.clock.now()],
  );
  expect(codes(await pausing(actor, id)())).toEqual(['RATE_LIMITED']);
});

test('a planned pause is taken back for nothing', async () => {
  const { actor, id } = await subscriber('dan');
  await pausing(actor, id)();
  expect(await resuming(actor, id)()).toEqual({ subscriptionId: id, transactionId: null, refusals: [], isReplay: false });
  const row = await rowOf(id);
  expect(row).toMatchObject({ status: 'active', pause_at_period_end: false, resumes_at: null, next_action_at: row.period_end });
  expect(row.entitled_until.getTime()).toBe(row.period_end.getTime() + 6 * 3_600_000);
  expect(codes(await resuming(actor, id)())).toEqual(['INVALID_STATE']);
  expect(await paidCount(actor)).toBe(1);
});

test('cancelling drops a planned pause and a change that waits', async () => {
  const { actor, id } = await subscriber('eli');
  await pausing(actor, id)();
  await world.query('update subscription set pending_price_id = $2 where id = $1', [id, premium]);
  expect(codes(await cancelling(actor, id)())).toEqual([]);
  expect(await rowOf(id)).toMatchObject({
    cancel_at_period_end: true,
    pause_at_period_end: false,
    resumes_at: null,
    pending_price_id: null,
  });
});

test('whichever of a pause and a cancellation comes first, the subscription is to end', async () => {
  for (const isPauseFirst of [true, false]) {
    const { actor, id } = await subscriber('fay');
    const asks = [pausing(actor, id), cancelling(actor, id)] as const;
    const answers = await inLine(world, actor.userId, isPauseFirst ? asks : [asks[1], asks[0]]);
    expect(answers.map(codes)).toEqual([[], isPauseFirst ? [] : ['INVALID_STATE']]);
    const row = await rowOf(id);
    expect(row).toMatchObject({ cancel_at_period_end: true, pause_at_period_end: false, entitled_until: row.period_end });
  }
});

test('going on after a pause charges a full period from then, of a new epoch, and a repeat charges nothing more', async () => {
  const { actor, id } = await paused('gil');
  const before = await rowOf(id);
  expect(before).toMatchObject({ status: 'paused', epoch: 0 });
  const ask = resuming(actor, id);
  /** The world's clock goes on while it is asked; periods begin at whole seconds. */
  const second = (): number => Math.floor(world.clock.now().getTime() / 1_000) * 1_000;
  const asked = second();
  const answer = await ask();
  const answered = second();
  expect(answer).toMatchObject({ subscriptionId: id, refusals: [], isReplay: false });
  expect(answer.transactionId).not.toBeNull();
  const after = await rowOf(id);
  expect(after).toMatchObject({
    status: 'active',
    epoch: 1,
    period_number: 0,
    pause_at_period_end: false,
    next_action_at: after.period_end,
  });
  expect(after.period_start.getTime()).toBeGreaterThanOrEqual(asked);
  expect(after.period_start.getTime()).toBeLessThanOrEqual(answered);
  expect(after.period_start > before.period_end).toBe(true);
  expect(await ask()).toEqual({ ...answer, isReplay: true });
  expect(await paidCount(actor)).toBe(2);
  expect(await invoicesOf(id)).toMatchObject([
    { epoch: 0, period_number: 0, status: 'paid', total: 300n },
    { epoch: 1, period_number: 0, status: 'paid', total: 300n },
  ]);
  await expectSound();
  await expectBooksOfProvider(world);
});

test('what goes on after a pause goes on at the price that waited, if it is still sold', async () => {
  const { actor, id } = await paused('hal');
  await world.query('update subscription set pending_price_id = $2 where id = $1', [id, premium]);
  expect((await resuming(actor, id)()).refusals).toEqual([]);
  const row = await rowOf(id);
  expect(row).toMatchObject({ status: 'active', price_id: premium, pending_price_id: null });
  const [tier] = await world.query<{ key: string }>('select key from tier where id = $1', [row.tier_id]);
  expect(tier?.key).toBe('premium');
  await expectSound();
});

test('a balance that covers the period ends a pause without a charge', async () => {
  const { actor, id } = await paused('ida');
  await world.query("insert into customer_credit select bucket, user_id, 'USD', 1000 from subscription where id = $1", [id]);
  expect(await resuming(actor, id)()).toMatchObject({ transactionId: null, refusals: [] });
  expect(await rowOf(id)).toMatchObject({ status: 'active', epoch: 1 });
  const [credit] = await world.query<{ balance: bigint }>('select balance from customer_credit where user_id = $1', [
    actor.userId,
  ]);
  expect(credit?.balance).toBe(700n);
  expect(await paidCount(actor)).toBe(1);
  await world.query('update customer_credit set balance = -300 where user_id = $1', [actor.userId]);
});

test('a decline leaves it paused with nothing owed, and another card ends the pause', async () => {
  const { actor, id } = await paused('jon');
  await withCard(world, actor, 'pm_card_chargeCustomerFail');
  expect(codes(await resuming(actor, id)())).toEqual(['PAYMENT_DECLINED']);
  expect(await rowOf(id)).toMatchObject({ status: 'paused', epoch: 0 });
  expect((await invoicesOf(id)).at(-1)).toMatchObject({ epoch: 1, status: 'void' });
  await withCard(world, actor);
  expect(codes(await resuming(actor, id)())).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'active', epoch: 1 });
  await expectSound();
  await expectBooksOfProvider(world);
});

test('while the payment that ends a pause waits for its step there is no second one, and a cancellation ends both', async () => {
  const { actor, id } = await paused('kai');
  await withCard(world, actor, 'pm_card_threeDSecure2Required');
  const answer = await resuming(actor, id)();
  expect(answer.refusals).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'paused' });
  expect(codes(await resuming(actor, id)())).toEqual(['INVALID_STATE']);
  expect(codes(await cancelling(actor, id)())).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', next_action_at: null });
  await finishStep(await stepUrl(world, actor));
  await world.advance(DAY);
  await world.work('payments');
  await world.advance(DAY);
  await world.work('refunds');
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  const { charges, refunds } = await world.truth();
  const ids = new Set((await paymentsOf(world, actor)).map((intent) => intent.id));
  const sum = (of: { payment_intent?: unknown; amount: number }[]) =>
    of
      .filter((one) => typeof one.payment_intent === 'string' && ids.has(one.payment_intent))
      .reduce((all, one) => all + one.amount, 0);
  expect(sum(charges.filter(({ paid }) => paid)) - sum(refunds)).toBe(300);
  await expectSound();
});

test('a step that is done ends the pause', async () => {
  const { actor, id } = await paused('lea');
  await withCard(world, actor, 'pm_card_threeDSecure2Required');
  const { transactionId } = await resuming(actor, id)();
  await finishStep(await stepUrl(world, actor));
  await world.commands.confirmPayment(actor, { transactionId: transactionId as TransactionId });
  expect(await rowOf(id)).toMatchObject({ status: 'active', epoch: 1 });
});

test('cancelling in a pause ends it now, and no money moves', async () => {
  const { actor, id } = await paused('mia');
  expect(codes(await cancelling(actor, id)())).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', next_action_at: null, resumes_at: null });
  expect(await paidCount(actor)).toBe(1);
  expect(await world.query('select from refund where user_id = $1', [actor.userId])).toEqual([]);
  expect(codes(await resuming(actor, id)())).toEqual(['INVALID_STATE']);
});

test('a pause that ends by itself is charged by the worker, without its payer', async () => {
  const { actor, id } = await paused('noa', 9);
  await world.work('due', 'renewals 1');
  expect(await rowOf(id)).toMatchObject({ status: 'active', epoch: 1, resumes_at: null });
  const [attempt] = await world.query<{ is_off_session: boolean }>(
    'select is_off_session from payment_attempt where user_id = $1 order by id desc limit 1',
    [actor.userId],
  );
  expect(attempt?.is_off_session).toBe(true);
  await expectSound();
  await expectBooksOfProvider(world);
});

test('a pause whose end is declined stays, is tried again after one day and after three, and then waits for the customer', async () => {
  const { actor, id } = await paused('oli', 9);
  await withCard(world, actor, 'pm_card_chargeCustomerFail');
  const { resumes_at: resumesAt } = await rowOf(id);
  const nextTries: (Date | null)[] = [];
  for (let tries = 0; tries < 3; tries++) {
    await world.work('due', 'renewals 1');
    const row = await rowOf(id);
    expect(row).toMatchObject({ status: 'paused', epoch: 0 });
    nextTries.push(row.next_action_at);
    await world.advance(2 * DAY);
  }
  const after = (days: number) => new Date((resumesAt?.getTime() ?? 0) + days * DAY);
  expect(nextTries).toEqual([after(1), after(3), null]);
  await expectSound();
});

test('a pause is not ended without a payment method', async () => {
  const { actor, id } = await paused('pia');
  await world.query("update payment_method set status = 'expired' where user_id = $1", [actor.userId]);
  expect(codes(await resuming(actor, id)())).toEqual(['PAYMENT_METHOD_UNUSABLE']);
  expect(await rowOf(id)).toMatchObject({ status: 'paused' });
});
