import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { letSleep, refundPart, stepUrl } from '../support/lives.js';
import {
  balanceOf,
  change,
  changed,
  eventsOf,
  goTo,
  invoicesOf,
  rowOf,
  sell,
  subscriberTo,
  takenFrom,
} from '../support/tier-changes.js';
import { finishStep, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const HOUR = 3_600_000;

let world: World;
let month: Record<'basic' | 'premium' | 'top' | 'small', PriceId>;

beforeAll(async () => {
  world = await startWorld();
  month = await sell(world, {
    small: { rank: 1, amount: 400 },
    basic: { rank: 2, amount: 1000 },
    premium: { rank: 3, amount: 2500 },
    top: { rank: 4, amount: 8400 },
  });
});
beforeEach(async () => letSleep(world));
afterEach(async () => {
  world.clock.go();
  await world.clearFaults();
});
afterAll(async () => world.stop());

/** Half of a month of 28 days has passed: the vectors of P4 are told for such a one. */
async function halfMonth(): Promise<Awaited<ReturnType<typeof subscriberTo>>> {
  const ana = await subscriberTo(world, month.basic);
  const { period_start: start, period_end: end } = await rowOf(world, ana.id);
  await world.advance((end.getTime() - start.getTime()) / 2 - (world.clock.now().getTime() - start.getTime()));
  return ana;
}

test('an upgrade is paid for the rest of the period, less what the old tier had left, and takes effect when it is (P4)', async () => {
  const prices = await sell(world, {
    eight: { rank: 1, amount: 800 },
    sixteen: { rank: 2, amount: 1600 },
    most: { rank: 3, amount: 8400 },
  });
  const actors = [await withCard(world, someUser()), await withCard(world, someUser())] as const;
  await goTo(world, '2027-01-31T09:00:00Z');
  const [ana, ben] = await Promise.all([
    subscriberTo(world, month.basic, actors[0]),
    subscriberTo(world, prices.eight, actors[1]),
  ]);

  await goTo(world, '2027-02-10T15:30:07Z');
  await changed(world, ben, prices.sixteen);
  await goTo(world, '2027-02-14T09:00:00Z');
  const answer = await changed(world, ana, month.premium);
  expect(answer.transactionId).not.toBeNull();
  expect(await takenFrom(world, ana)).toEqual(['1000', '750']);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000(500 back)', 'change paid: -500, 1250']);
  expect(await rowOf(world, ana.id)).toMatchObject({
    status: 'active',
    price_id: month.premium,
    period_end: new Date('2027-02-28T09:00:00Z'),
    epoch: 0,
    period_number: 0,
  });
  expect(await eventsOf(world, ana.id)).toEqual(['created', 'activated', 'tier_changed']);

  // The second change of a period gives back of the line of the first, over that line's own length (bugs 6 and 7).
  await goTo(world, '2027-02-20T00:00:00Z');
  await changed(world, ben, prices.most);
  expect(await takenFrom(world, ben)).toEqual(['800', '506', '2034']);
  expect(await invoicesOf(world, ben)).toEqual([
    'period paid: 800(507 back)',
    'change paid: -507, 1013(479 back)',
    'change paid: -479, 2513',
  ]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('an upgrade that is declined leaves the old tier as it was, active, and nothing owed (bug 11)', async () => {
  const ana = await halfMonth();
  const before = await rowOf(world, ana.id);
  await withCard(world, ana.actor, 'pm_card_chargeCustomerFail');
  const answer = await world.commands.changeTier(ana.actor, change(ana.id, month.premium));
  expect(answer.refusals.map(({ code }) => code)).toEqual(['PAYMENT_DECLINED']);
  expect(answer.subscriptionId).toBe(ana.id);
  expect(await rowOf(world, ana.id)).toEqual(before);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

test('an upgrade whose 3-D Secure nobody does is dropped after 23 hours, and the old tier stays', async () => {
  const ana = await halfMonth();
  await withCard(world, ana.actor, 'pm_card_threeDSecure2Required');
  const before = await rowOf(world, ana.id);
  expect((await world.commands.changeTier(ana.actor, change(ana.id, month.premium))).refusals).toEqual([]);
  expect(await rowOf(world, ana.id)).toEqual(before);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change open: -500, 1250']);
  await world.advance(23 * HOUR + 60_000);
  await world.work('payments');
  expect(await rowOf(world, ana.id)).toEqual(before);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000', 'change void: -500, 1250']);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

test('an upgrade whose 3-D Secure is done takes effect from the second it was asked for', async () => {
  const ana = await halfMonth();
  await withCard(world, ana.actor, 'pm_card_threeDSecure2Required');
  const { transactionId } = await changed(world, ana, month.premium);
  await world.advance(2 * HOUR);
  await finishStep(await stepUrl(world, ana.actor));
  if (transactionId === null) throw new Error('nothing is paid');
  await world.commands.confirmPayment(ana.actor, { transactionId });
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: month.premium });
  expect(await takenFrom(world, ana)).toEqual(['1000', '750']);
  await expectSoundBooks(world);
});

test('an upgrade whose answer is lost takes effect when the worker has found it, paid once', async () => {
  const ana = await halfMonth();
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  const command = change(ana.id, month.premium);
  const answer = await world.commands.changeTier(ana.actor, command);
  expect(answer.refusals).toEqual([]);
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.basic });
  await world.clearFaults();
  await world.advance(60_000);
  await world.work('payments');
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium });
  const again = await world.commands.changeTier(ana.actor, command);
  expect(again).toEqual({ ...answer, isReplay: true });
  expect(await takenFrom(world, ana)).toEqual(['1000', '750']);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a downgrade at once costs nothing, and what it leaves goes to the balance by a credit note, never to the card (P5)', async () => {
  const ana = await halfMonth();
  const answer = await changed(world, ana, month.small, { timing: 'now' });
  expect(answer.transactionId).toBeNull();
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.small });
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000(500 back)', 'change paid: 200']);
  expect(await balanceOf(world, ana)).toBe(300n);
  expect(await world.query('select net, tax, reason from credit_note where user_id = $1', [ana.actor.userId])).toEqual([
    { net: 500n, tax: 0n, reason: 'tier_change' },
  ]);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  // What the note gave is not given back by a refund too.
  const [charge] = await world.query<{ id: TransactionId }>('select id from transaction where user_id = $1', [ana.actor.userId]);
  if (!charge) throw new Error('no charge');
  await expect(refundPart(world, charge.id, 501n)).rejects.toThrow(/REFUND_EXCEEDS_CHARGE/);
  await refundPart(world, charge.id, 100n);
  await expectSoundBooks(world);
});

test('an upgrade that costs less than a card can pay waits in the balance, and takes effect at once (M6, bug 13)', async () => {
  const prices = await sell(world, { one: { rank: 1, amount: 1000 }, more: { rank: 2, amount: 1060 } });
  const ana = await subscriberTo(world, prices.one);
  const { period_start: start, period_end: end } = await rowOf(world, ana.id);
  await world.advance((end.getTime() - start.getTime()) / 2);
  const answer = await changed(world, ana, prices.more);
  expect(answer.transactionId).toBeNull();
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'active', price_id: prices.more });
  expect(await balanceOf(world, ana)).toBe(-30n);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

test('a longer interval begins a full period now, from a new anchor, less what the old period had left', async () => {
  const prices = await sell(world, { month: { rank: 1, amount: 1000 }, year: { rank: 1, amount: 10_000, unit: 'year' } });
  const actor = await withCard(world, someUser());
  await goTo(world, '2028-01-31T09:00:00Z');
  const ana = await subscriberTo(world, prices.month, actor);
  await goTo(world, '2028-02-15T00:00:00Z');
  await changed(world, ana, prices.year);
  expect(await rowOf(world, ana.id)).toMatchObject({
    status: 'active',
    price_id: prices.year,
    epoch: 1,
    period_number: 0,
    period_start: new Date('2028-02-15T00:00:00Z'),
    period_end: new Date('2029-02-15T00:00:00Z'),
    entitled_until: new Date('2029-02-15T06:00:00Z'),
    next_action_at: new Date('2029-02-15T00:00:00Z'),
  });
  // 29 days, of which 14 days and 9 hours are left.
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000(496 back)', 'change paid: -496, 10000']);
  expect(await takenFrom(world, ana)).toEqual(['1000', '9504']);
  await expectSoundBooks(world);
});

test('a downgrade waits for the end of the period, is replaced by the next request, and can be taken back', async () => {
  const ana = await subscriberTo(world, month.premium);
  const answer = await changed(world, ana, month.basic);
  expect(answer.transactionId).toBeNull();
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium, pending_price_id: month.basic });
  await changed(world, ana, month.small);
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium, pending_price_id: month.small });
  const drop = () => world.commands.cancelPendingTierChange(ana.actor, { subscriptionId: ana.id });
  expect(await drop()).toMatchObject({ refusals: [], subscriptionId: ana.id, transactionId: null });
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium, pending_price_id: null });
  expect((await drop()).refusals.map(({ code }) => code)).toEqual(['INVALID_STATE']);
  expect(await eventsOf(world, ana.id)).toEqual(['created', 'activated', 'change_planned', 'change_planned', 'change_dropped']);
  expect(await takenFrom(world, ana)).toEqual(['2500']);
  await expectSoundBooks(world);
});

test('an upgrade that is paid drops the downgrade that waited', async () => {
  const ana = await subscriberTo(world, month.premium);
  await changed(world, ana, month.basic);
  await changed(world, ana, month.top);
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.top, pending_price_id: null });
});

test('in a trial a change is at once and for nothing, in a pause it waits until the subscription goes on', async () => {
  const [ana, ben] = [await subscriberTo(world, month.basic), await subscriberTo(world, month.basic)];
  await world.query("update subscription set status = 'trialing', trial_ends_at = period_end where id = $1", [ana.id]);
  await world.query("update subscription set status = 'paused', entitled_until = period_start where id = $1", [ben.id]);
  expect((await changed(world, ana, month.top)).transactionId).toBeNull();
  expect((await changed(world, ben, month.top)).transactionId).toBeNull();
  expect(await rowOf(world, ana.id)).toMatchObject({ status: 'trialing', price_id: month.top, pending_price_id: null });
  expect(await rowOf(world, ben.id)).toMatchObject({ status: 'paused', price_id: month.basic, pending_price_id: month.top });
  expect([await takenFrom(world, ana), await takenFrom(world, ben)]).toEqual([['1000'], ['1000']]);
  await world.query("update subscription set status = 'canceled', next_action_at = null where id = any($1)", [[ana.id, ben.id]]);
});

test('each reason not to change the tier is refused, and nothing is written', async () => {
  const ana = await subscriberTo(world, month.basic);
  const other = await sell(world, {
    other: { rank: 9, amount: 900 },
    old: { rank: 9, amount: 900, validTo: new Date('2026-02-01') },
  });
  const euro = await sell(world, { euro: { rank: 9, amount: 900, currency: 'EUR' } });
  await world.query('update tier set tier_group = (select tier_group from subscription where id = $1) where name in ($2, $3)', [
    ana.id,
    'euro',
    'old',
  ]);
  const stranger = await subscriberTo(world, month.basic);
  const row = await rowOf(world, ana.id);
  const codesOf = async (...[price, more = {}]: [PriceId, object?]) =>
    (await world.commands.changeTier(ana.actor, change(ana.id, price, more))).refusals.map(({ code }) => code);
  const when = async (column: string, value: string, price = month.premium): Promise<string[]> => {
    const [before] = await world.query<Record<string, unknown>>(`select ${column} as value from subscription where id = $1`, [
      ana.id,
    ]);
    await world.query(`update subscription set ${column} = $2 where id = $1`, [ana.id, value]);
    const codes = await codesOf(price);
    await world.query(`update subscription set ${column} = $2 where id = $1`, [ana.id, before?.['value']]);
    return codes;
  };
  const nothing = '01950000-0000-7000-9000-ffffffffffff' as PriceId;
  expect({
    'no such price': await codesOf(nothing),
    'the price it has': await codesOf(month.basic),
    'another group': await codesOf(other.other),
    'no longer sold': await codesOf(other.old),
    'another currency': await codesOf(euro.euro),
    'another version': await codesOf(month.premium, { expectedVersion: row.version + 1 }),
    'a forged quote': await codesOf(month.premium, { quoteId: 'bm90IGEgcXVvdGUgb2Ygb3VycyBhdCBhbGw' }),
    'somebody else': (await world.commands.changeTier(stranger.actor, change(ana.id, month.premium))).refusals.map(
      ({ code }) => code,
    ),
    'past due': await when('status', 'past_due'),
    ended: await when('status', 'canceled'),
    'not paid yet': await when('status', 'incomplete'),
    held: await when('hold', 'dispute'),
    'to end': await when('cancel_at_period_end', 'true'),
    'a period that is over': await when('period_end', new Date(world.clock.now().getTime() - 1).toISOString()),
  }).toEqual({
    'no such price': ['NOT_FOUND'],
    'the price it has': ['INVALID_INPUT'],
    'another group': ['INVALID_INPUT'],
    'no longer sold': ['NOT_FOR_SALE'],
    'another currency': ['NOT_FOR_SALE'],
    'another version': ['STALE_VERSION'],
    'a forged quote': ['INVALID_INPUT'],
    'somebody else': ['NOT_FOUND'],
    'past due': ['INVALID_STATE'],
    ended: ['INVALID_STATE'],
    'not paid yet': ['INVALID_STATE'],
    held: ['INVALID_STATE'],
    'to end': ['INVALID_STATE'],
    'a period that is over': ['INVALID_STATE'],
  });
  await world.query('update payment_method set status = $2 where user_id = $1', [ana.actor.userId, 'expired']);
  expect(await codesOf(month.premium)).toEqual(['PAYMENT_METHOD_UNUSABLE']);
  expect(await rowOf(world, ana.id)).toEqual(row);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000']);
});

test('a period takes five paid changes, up and down and up again, and no sixth; none gives back more than its line (bugs 6 and 12)', async () => {
  const ana = await subscriberTo(world, month.basic);
  const others = [month.premium, month.top, month.premium, month.top, month.premium];
  for (const price of others) {
    await world.advance(3 * 24 * HOUR);
    await changed(world, ana, price, { timing: 'now' });
  }
  const sixth = await world.commands.changeTier(ana.actor, change(ana.id, month.top));
  expect(sixth.refusals.map(({ code }) => code)).toEqual(['RATE_LIMITED']);
  expect(await rowOf(world, ana.id)).toMatchObject({ price_id: month.premium });
  const lines = await world.query<{ amount: bigint; credited: bigint }>(
    'select amount, credited from invoice_line where user_id = $1 and amount > 0',
    [ana.actor.userId],
  );
  expect(lines.every(({ amount, credited }) => credited <= amount)).toBe(true);
  await expectSoundBooks(world);
});

test('change and change back within a second costs nothing', async () => {
  const ana = await halfMonth();
  await changed(world, ana, month.small, { timing: 'now' });
  await changed(world, ana, month.basic);
  // Machine time goes on between the two, by less than a cent's worth.
  expect(await balanceOf(world, ana)).toBe(0n);
  expect(await takenFrom(world, ana)).toEqual(['1000']);
  await expectSoundBooks(world);
});

test('a repeat of a change that cost nothing answers the same, and another input under its key is refused', async () => {
  const ana = await subscriberTo(world, month.premium);
  const command = change(ana.id, month.basic);
  const first = await world.commands.changeTier(ana.actor, command);
  const row = await rowOf(world, ana.id);
  expect(await world.commands.changeTier(ana.actor, command)).toEqual({ ...first, isReplay: true });
  expect(await rowOf(world, ana.id)).toEqual(row);
  const other = await world.commands.changeTier(ana.actor, { ...command, newPriceId: month.small });
  expect(other.refusals.map(({ code }) => code)).toEqual(['IDEMPOTENCY_KEY_REUSED']);
});

test('a repeat of a declined change is declined again, and nobody is asked twice', async () => {
  const ana = await subscriberTo(world, month.basic);
  await withCard(world, ana.actor, 'pm_card_chargeCustomerFail');
  const command = change(ana.id, month.premium);
  const first = await world.commands.changeTier(ana.actor, command);
  const again = await world.commands.changeTier(ana.actor, command);
  expect(again).toEqual({ ...first, isReplay: true });
  expect(
    await world.query("select status from payment_attempt where user_id = $1 and status = 'declined'", [ana.actor.userId]),
  ).toHaveLength(1);
});

test('what the tier gives follows the change', async () => {
  const basic = await priceId(world, { tier: 'basic' });
  const premium = await priceId(world, { tier: 'premium' });
  const ana = await subscriberTo(world, basic as PriceId);
  const limits = () =>
    world.query<{ limit_value: bigint }>(
      `select f.limit_value from subscription s join tier_feature f on f.tier_id = s.tier_id and f.feature_key = 'longer_posts'
       where s.user_id = $1 and s.entitled_until > $2`,
      [ana.actor.userId, world.clock.now()],
    );
  const before = await limits();
  await changed(world, ana, premium as PriceId);
  expect(before[0]?.limit_value).toBeLessThan(25_000n);
  expect(await limits()).toEqual([{ limit_value: 25_000n }]);
});
