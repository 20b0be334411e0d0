/** A change of tier that waits for its payment, and what may come between: another change, a cancel, a refund, the end of the period. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import { changeTier } from '../../src/usecases/change-tier.js';
import { settleOpenChange } from '../../src/usecases/open-change.js';
import { holding } from '../crash/scene.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { cancellation, letSleep, refundPart, stepUrl } from '../support/lives.js';
import {
  balanceOf,
  change,
  changed,
  eventsOf,
  invoicesOf,
  rowOf,
  sell,
  subscriberTo,
  takenFrom,
  type Subscriber,
} from '../support/tier-changes.js';
import { finishStep, newKey, someStaff, startWorld, withCard, type World } from '../support/world.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let world: World;
let month: Record<'small' | 'basic' | 'premium' | 'top', PriceId>;

beforeAll(async () => {
  world = await startWorld();
  month = await sell(world, {
    small: { rank: 1, amount: 400 },
    basic: { rank: 2, amount: 1000 },
    premium: { rank: 3, amount: 2500 },
    top: { rank: 4, amount: 8400 },
  });
});
beforeEach(async () => {
  await letSleep(world);
  await world.query('update subscription set next_action_at = null where cancel_at_period_end');
});
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

/** Lets the worker do what waits for it. */
async function settle(): Promise<void> {
  await world.advance(2 * 60_000);
  await world.work('payments', 'refunds');
}

/** Somebody in the middle of a period of 10.00, whose card is then another one. */
async function halfway(token?: string, price = month.basic): Promise<Subscriber & { charge: TransactionId }> {
  const ana = await subscriberTo(world, price);
  const { period_start: start, period_end: end } = await rowOf(world, ana.id);
  await world.advance((end.getTime() - start.getTime()) / 2);
  if (token !== undefined) await withCard(world, ana.actor, token);
  if (ana.transactionId === null) throw new Error('nothing was paid');
  return { ...ana, charge: ana.transactionId };
}

const SECURE = 'pm_card_threeDSecure2Required';

/** The same with a change that waits for 3-D Secure. */
async function waiting(to = month.premium) {
  const ana = await halfway(SECURE);
  const { transactionId } = await changed(world, ana, to);
  if (transactionId === null) throw new Error('nothing is due');
  const pay = async (): Promise<void> => {
    await finishStep(await stepUrl(world, ana.actor));
    await world.commands.confirmPayment(ana.actor, { transactionId });
  };
  return { ...ana, transactionId, pay };
}

const cancel = ({ actor, id }: Subscriber, immediately: boolean) =>
  world.commands.cancelSubscription(actor, cancellation(id, immediately));

const codes = (answer: { refusals: { code: string }[] }): string[] => answer.refusals.map(({ code }) => code);

test('of two changes at once one is made; the other is told that a change waits', async () => {
  const ana = await halfway();
  const held = holding(world.gateway, 'charge');
  const first = changeTier(held.cashier)(ana.actor, change(ana.id, month.premium));
  await held.call.reached();
  const second = await world.commands.changeTier(ana.actor, change(ana.id, month.top));
  const later = await world.commands.changeTier(ana.actor, change(ana.id, month.small));
  held.call.open();
  expect(codes(await first)).toEqual([]);
  expect([codes(second), codes(later)]).toEqual([['INVALID_STATE'], ['INVALID_STATE']]);
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium, pending_price_id: null });
  expect(await takenFrom(world, ana)).toEqual(['1000', '750']);
  await expectSoundBooks(world);
});

test('ten changes in the same moment, each with a key of its own, charge once', async () => {
  const ana = await halfway();
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => world.commands.changeTier(ana.actor, change(ana.id, month.premium))),
  );
  expect(answers.filter((answer) => codes(answer).length === 0)).toHaveLength(1);
  expect(await takenFrom(world, ana)).toEqual(['1000', '750']);
  expect(await eventsOf(world, ana.id)).toEqual(['created', 'activated', 'tier_changed']);
  await expectSoundBooks(world);
});

test('a cancel at the end of the period gives up the change that waits, and the old tier is what ends', async () => {
  const ana = await waiting();
  expect(codes(await cancel(ana, false))).toEqual([]);
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.basic, cancel_at_period_end: true });
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

test.each([
  ['at the end of the period', false, 'active'],
  ['at once', true, 'canceled'],
] as const)(
  'a cancel %s while the change is being charged: the provider was faster, and what it took goes back',
  async (_, now, status) => {
    const ana = await halfway();
    const held = holding(world.gateway, 'charge');
    const asked = changeTier(held.cashier)(ana.actor, change(ana.id, month.premium));
    await held.call.reached();
    expect(codes(await cancel(ana, now))).toEqual([]);
    held.call.open();
    await asked;
    await settle();
    expect(await rowOf(world, ana.id)).toMatchObject({ status, price_id: month.basic });
    expect(await takenFrom(world, ana)).toEqual(['1000', '750 -750']);
    // What was not made is no line of the period: nothing of it is given back again.
    expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change paid: -500, 1250(750 back)']);
    await expectSoundBooks(world);
    await expectBooksOfProvider(world);
  },
);

test('a change that was given up and paid all the same stands in the way of none, and gives nothing back', async () => {
  const ana = await halfway();
  const held = holding(world.gateway, 'charge');
  const asked = changeTier(held.cashier)(ana.actor, change(ana.id, month.premium));
  await held.call.reached();
  expect(codes(await world.commands.cancelPendingTierChange(ana.actor, { subscriptionId: ana.id }))).toEqual([]);
  held.call.open();
  await asked;
  await settle();
  await changed(world, ana, month.premium);
  expect(await invoicesOf(world, ana)).toEqual([
    'period paid: 1000(500 back)',
    'change paid: -500, 1250(750 back)',
    'change paid: -500, 1250',
  ]);
  expect(await takenFrom(world, ana)).toEqual(['1000', '750 -750', '750']);
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.premium });
  await expectSoundBooks(world);
});

test('the customer may give up a change that waits for its payment', async () => {
  const ana = await waiting();
  const dropped = await world.commands.cancelPendingTierChange(ana.actor, { subscriptionId: ana.id });
  expect(dropped).toMatchObject({ refusals: [], transactionId: ana.transactionId });
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  await changed(world, ana, month.small, { timing: 'now' });
  await expectSoundBooks(world);
});

test.each([
  ['enough of the period lets the change be made', 400n, 'premium', '750'],
  ['too little of the period gives the change back', 600n, 'basic', '750 -750'],
] as const)('a refund that leaves %s, which waited for its payment', async (_, refunded, tier, taken) => {
  const ana = await waiting();
  await refundPart(world, ana.charge, refunded);
  await ana.pay();
  await settle();
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month[tier] });
  expect(await takenFrom(world, ana)).toEqual([`1000 -${refunded}`, taken]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('all of the period given back ends the subscription, and the change that waits with it', async () => {
  const ana = await waiting();
  await refundPart(world, ana.charge, 1000n);
  await world.work('payments');
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'canceled', price_id: month.basic });
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000(1000 back)', 'change void: -500, 1250']);
  await expectSoundBooks(world);
});

test('what was refunded of a period is not given back again by a change (P3)', async () => {
  const ana = await halfway();
  await refundPart(world, ana.charge, 800n);
  await changed(world, ana, month.premium);
  // Half of the period is left, and of its 10.00 only 2.00 were not given back.
  expect(await takenFrom(world, ana)).toEqual(['1000 -800', '1050']);
  await expectSoundBooks(world);
});

test('a part of a change given back leaves the tier; all of it ends what is no longer paid for', async () => {
  const ana = await halfway();
  const { transactionId } = await changed(world, ana, month.premium);
  if (transactionId === null) throw new Error('nothing was due');
  await refundPart(world, transactionId, 250n);
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.premium });
  await refundPart(world, transactionId, 500n);
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'canceled' });
  expect(await takenFrom(world, ana)).toEqual(['1000', '750 -750']);
  await expectSoundBooks(world);
});

test('a change that waits at the end of its period is settled first, and then the period renews at the old price', async () => {
  const ana = await halfway(SECURE);
  const { period_end: end } = await rowOf(world, ana.id);
  await world.advance(end.getTime() - world.clock.now().getTime() - 20 * HOUR);
  await changed(world, ana, month.top);
  await withCard(world, ana.actor);
  await world.advance(21 * HOUR);
  // The worker finds the change in the way of the period, and has it given up before it bills.
  await world.work('due');
  await world.work('payments');
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.basic, period_end: end });
  expect((await invoicesOf(world, ana)).map((text) => text.split(':')[0])).toEqual(['period paid', 'change void']);
  await world.advance(2 * 60_000);
  await world.work('due', 'renewals 1');
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.basic, period_number: 1, period_start: end });
  expect(await takenFrom(world, ana)).toEqual(['1000', '1000']);
  await expectSoundBooks(world);
});

test('settling a change before its period is renewed is safe to repeat', async () => {
  const ana = await waiting();
  const ref = { id: ana.id, userId: ana.actor.userId };
  expect(await settleOpenChange(world.worker, ref)).toBe(true);
  expect(await settleOpenChange(world.worker, ref)).toBe(true);
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.basic });
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  await expectSoundBooks(world);
});

test('a change that waits for the end of the period is what the next one is charged at, as its preview said', async () => {
  const ana = await halfway(undefined, month.premium);
  await changed(world, ana, month.basic);
  const { period_end: end } = await rowOf(world, ana.id);
  await world.advance(end.getTime() - world.clock.now().getTime() + 1_000);
  await world.work('due', 'renewals 1');
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.basic, pending_price_id: null, period_number: 1 });
  expect(await takenFrom(world, ana)).toEqual(['2500', '1000']);
  await expectSoundBooks(world);
});

test('a change whose answer is lost at the end of its period is asked about, and goes back though it was paid', async () => {
  const ana = await halfway();
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  await changed(world, ana, month.premium);
  await world.clearFaults();
  await world.advance(60_000);
  expect(await settleOpenChange(world.worker, { id: ana.id, userId: ana.actor.userId })).toBe(true);
  await settle();
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.basic });
  expect(await takenFrom(world, ana)).toEqual(['1000', '750 -750']);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a change that nobody sent ends where it stands when it is settled', async () => {
  const ana = await halfway();
  const dying = { ...world.gateway, provider: { ...world.gateway.provider, charge: () => Promise.reject(new Error('killed')) } };
  const dead = { ...dying, monotonicMs: () => Infinity };
  await changeTier(dead)(ana.actor, change(ana.id, month.premium)).catch(() => undefined);
  await world.query(
    "update payment_attempt set status = 'created', sent_at = null, lease_until = null where user_id = $1 and status = 'sent'",
    [ana.actor.userId],
  );
  expect(await settleOpenChange(world.worker, { id: ana.id, userId: ana.actor.userId })).toBe(true);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

/** Somebody taxed whose rate then falls to nothing: what is given back has more tax than the new line, and goes by a note. */
async function untaxed(token?: string): Promise<Subscriber> {
  const ana = await subscriberTo(world, month.basic);
  const today = world.clock.now().toISOString().slice(0, 10);
  const tomorrow = new Date(world.clock.now().getTime() + DAY).toISOString().slice(0, 10);
  await world.query("update customer set country = 'LU' where user_id = $1", [ana.actor.userId]);
  await world.query("delete from tax_rate where country = 'LU'");
  await world.query("insert into tax_rate (country, valid_from, rate_ppm) values ('LU', $1, 200000), ('LU', $2, 0)", [
    today,
    tomorrow,
  ]);
  await changed(world, ana, month.premium);
  await world.advance(DAY);
  if (token !== undefined) await withCard(world, ana.actor, token);
  return ana;
}

test('a note that is given for a change is taken back when the change is not paid', async () => {
  const ana = await untaxed('pm_card_chargeCustomerFail');
  const [before, lines] = [await rowOf(world, ana.id), await invoicesOf(world, ana)];
  const answer = await world.commands.changeTier(ana.actor, change(ana.id, month.top));
  expect(codes(answer)).toEqual(['PAYMENT_DECLINED']);
  expect(await rowOf(world, ana.id)).toEqual(before);
  expect((await invoicesOf(world, ana)).slice(0, -1)).toEqual(lines);
  expect(await balanceOf(world, ana)).toBe(0n);
  expect(
    await world.query('select voided_at is not null as "isVoid" from credit_note where user_id = $1', [ana.actor.userId]),
  ).toEqual([{ isVoid: true }]);
  await expectSoundBooks(world);
});

test('a change with a note that is given up and paid all the same leaves balance and card as they were', async () => {
  const ana = await untaxed();
  const before = await takenFrom(world, ana);
  const held = holding(world.gateway, 'charge');
  const asked = changeTier(held.cashier)(ana.actor, change(ana.id, month.top));
  await held.call.reached();
  await world.commands.cancelPendingTierChange(ana.actor, { subscriptionId: ana.id });
  held.call.open();
  await asked;
  await settle();
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium });
  expect(await balanceOf(world, ana)).toBe(0n);
  const [paid, ...more] = (await takenFrom(world, ana)).slice(before.length);
  expect(more).toEqual([]);
  const [taken, back] = (paid ?? '').split(' ').map(Number);
  expect((taken ?? 0) + (back ?? 0)).toBe(0);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('refunds by staff find what a change has left of its charges', async () => {
  const ana = await halfway();
  await changed(world, ana, month.premium);
  const refused = await world.commands.refund(someStaff('support'), {
    transactionId: ana.charge,
    amount: { minor: 1001n, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  expect(codes(refused)).toEqual(['REFUND_EXCEEDS_CHARGE']);
});
