import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { giveCredit, publishTerms, somePerson, wishFor } from '../support/buying.js';
import { letSleep, subscription } from '../support/lives.js';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const DAY = 86_400_000;

let world: World;
let premium: PriceId;
let weekly: string;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium', currency: 'EUR' })) as PriceId;
  weekly = await priceId(world, { tier: 'premium', interval: 'week' });
  await publishTerms(world, { taxRates: [{ country: 'DE', validFrom: '2025-01-01', ratePpm: 190_000 }] });
});
beforeEach(async () => letSleep(world));
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

/** A customer in a country, whose first period is paid; the balance pays first. */
async function subscriber(country: string | null, balanceMinor = 0n): Promise<{ actor: Actor; id: SubscriptionId }> {
  const actor = await withCard(world, someUser('ana'));
  await world.query('update customer set country = $2 where user_id = $1', [actor.userId, country]);
  if (balanceMinor > 0n) await giveCredit(world, actor, balanceMinor, 'EUR');
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(premium));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  return { actor, id: subscriptionId };
}

const cancelling = (actor: Actor, subscriptionId: SubscriptionId, immediately = true) => {
  const command = { subscriptionId, immediately, reason: null, comment: null, expectedVersion: null, idempotencyKey: newKey() };
  return () => world.commands.cancelSubscription(actor, command);
};
const rowOf = async (id: SubscriptionId) => {
  const [row] = await world.query<{ status: string; end_reason: string | null; cancel_at_period_end: boolean; period_end: Date }>(
    'select * from subscription where id = $1',
    [id],
  );
  if (!row) throw new Error('no subscription');
  return row;
};
const refundsOf = (actor: Actor) =>
  world.query<{ amount: bigint; status: string; reason: string }>(
    'select amount, status, reason from refund where user_id = $1 order by id',
    [actor.userId],
  );
const paidBy = async (actor: Actor) =>
  (await world.query<{ total: bigint }>('select total from invoice where user_id = $1', [actor.userId]))[0]?.total ?? 0n;
const notesOf = (actor: Actor) =>
  world.query<{ net: bigint; tax: bigint; reason: string }>('select net, tax, reason from credit_note where user_id = $1', [
    actor.userId,
  ]);

/** The unused share of a month that began some days ago, to the cent. */
async function unusedShare(actor: Actor, id: SubscriptionId, days: number): Promise<number> {
  const [row] = await world.query<{ length: number }>(
    'select extract(epoch from period_end - period_start)::float8 as length from subscription where id = $1',
    [id],
  );
  const length = row?.length ?? 1;
  return Math.round((Number(await paidBy(actor)) * (length - days * 86_400)) / length);
}

test('a consumer in the EEA who cancels at once in the first days gets the unused share back, with a credit note, once', async () => {
  const { actor, id } = await subscriber('DE');
  await world.advance(10 * DAY);
  const share = await unusedShare(actor, id, 10);
  const ask = cancelling(actor, id);
  expect(await ask()).toMatchObject({ refusals: [], isReplay: false });
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', end_reason: 'customer' });
  const refunds = await refundsOf(actor);
  expect(refunds).toMatchObject([{ status: 'succeeded', reason: 'legal' }]);
  expect(Math.abs(Number(refunds[0]?.amount) - share)).toBeLessThanOrEqual(1);
  const notes = await notesOf(actor);
  expect(notes.map(({ net, tax }) => net + tax)).toEqual([refunds[0]?.amount]);
  expect(await ask()).toMatchObject({ refusals: [], isReplay: true });
  expect(await refundsOf(actor)).toEqual(refunds);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test.each<[string, string | null, number]>([
  ['after the first fourteen days', 'DE', 15],
  ['outside of the countries with that right', 'US', 1],
  ['whose country is not known', null, 1],
])('who cancels at once %s gets nothing back', async (_, country, days) => {
  const { actor, id } = await subscriber(country);
  await world.advance(days * DAY);
  expect((await cancelling(actor, id)()).refusals).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  expect(await refundsOf(actor)).toEqual([]);
  await expectSoundBooks(world);
});

test('cancelling at the end of the period gives nothing back, in the first days neither', async () => {
  const { actor, id } = await subscriber('DE');
  expect((await cancelling(actor, id, false)()).refusals).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'active', cancel_at_period_end: true });
  expect(await refundsOf(actor)).toEqual([]);
});

test('what the balance had paid goes back to the balance, and the card gets back no more than it gave', async () => {
  const { actor, id } = await subscriber('FR', 600n);
  await world.advance(DAY);
  const [charge] = await world.query<{ amount: bigint }>(
    "select amount from transaction where user_id = $1 and kind = 'charge'",
    [actor.userId],
  );
  expect((await cancelling(actor, id)()).refusals).toEqual([]);
  const [refund] = await refundsOf(actor);
  expect(refund?.amount).toBe(charge?.amount);
  const [credit] = await world.query<{ balance: bigint }>('select balance from customer_credit where user_id = $1', [
    actor.userId,
  ]);
  expect(credit?.balance).toBeGreaterThan(0n);
  const notes = await notesOf(actor);
  const noted = notes.reduce((sum, { net, tax }) => sum + net + tax, 0n);
  expect(noted).toBe((refund?.amount ?? 0n) + (credit?.balance ?? 0n));
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('after a change of tier what goes back is spread over both charges, and none gives back more than it took', async () => {
  const basic = (await priceId(world, { tier: 'basic', currency: 'EUR' })) as PriceId;
  const actor = await withCard(world, someUser('cem'));
  await world.query("update customer set country = 'DE' where user_id = $1", [actor.userId]);
  const { subscriptionId } = await world.commands.subscribe(actor, subscription(basic));
  const id = subscriptionId as SubscriptionId;
  await world.advance(DAY);
  const change = { subscriptionId: id, newPriceId: premium, timing: null, quoteId: null, expectedVersion: null };
  expect((await world.commands.changeTier(actor, { ...change, idempotencyKey: newKey() })).refusals).toEqual([]);
  await world.advance(DAY);
  expect((await cancelling(actor, id)()).refusals).toEqual([]);
  const given = await world.query<{ charged: bigint; refunded: bigint }>(
    `select c.amount as charged, r.amount as refunded from transaction c join refund r on r.payment_attempt_id = c.id
     where c.user_id = $1 order by c.id`,
    [actor.userId],
  );
  expect(given).toHaveLength(2);
  expect(given[1]?.refunded).toBe(given[1]?.charged);
  expect(given[0]?.refunded).toBeLessThan(given[0]?.charged ?? 0n);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a subscription that is past due ends at once: what it owes is void, and nothing is tried any more', async () => {
  const { actor, id } = await subscriber('DE');
  await withCard(world, actor, 'pm_card_chargeCustomerFail');
  await world.advance((await rowOf(id)).period_end.getTime() - world.clock.now().getTime() + 1_000);
  await world.query('update subscription set next_action_at = period_end where id = $1', [id]);
  await world.work('due', 'renewals 1');
  expect(await rowOf(id)).toMatchObject({ status: 'past_due' });
  expect((await cancelling(actor, id, false)()).refusals).toEqual([]);
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', end_reason: 'customer' });
  const invoices = await world.query<{ status: string }>('select status from invoice where user_id = $1 order by id', [
    actor.userId,
  ]);
  expect(invoices.map(({ status }) => status)).toEqual(['paid', 'void']);
  expect(await refundsOf(actor)).toEqual([]);
  await expectSoundBooks(world);
});

test.each([true, false])('a trial that is cancelled (at once: %s) costs nothing, then or later', async (immediately) => {
  const actor = await somePerson(world);
  await world.query("update customer set country = 'DE' where user_id = $1", [actor.userId]);
  const trial = await world.commands.subscribe(actor, wishFor(weekly, { useTrial: true }));
  if (trial.subscriptionId === null) throw new Error(JSON.stringify(trial.refusals));
  const id = trial.subscriptionId;
  expect((await cancelling(actor, id, immediately)()).refusals).toEqual([]);
  expect(await rowOf(id)).toMatchObject(
    immediately ? { status: 'canceled' } : { status: 'trialing', cancel_at_period_end: true },
  );
  await world.advance(20 * DAY);
  await world.work('due', 'renewals 1');
  expect(await rowOf(id)).toMatchObject({ status: 'canceled' });
  expect(await world.query('select from transaction where user_id = $1', [actor.userId])).toEqual([]);
  await expectSoundBooks(world);
});
