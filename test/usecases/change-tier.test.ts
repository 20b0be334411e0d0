import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId } from '../../src/domain/ids.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { letSleep, stepUrl } from '../support/lives.js';
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
import { finishStep, startWorld, withCard, type World } from '../support/world.js';

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
afterEach(async () => world.clearFaults());
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
  await goTo(world, '2027-01-31T09:00:00Z');
  const [ana, ben] = [await subscriberTo(world, month.basic), await subscriberTo(world, prices.eight)];

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
