/** Coupons at the checkout and on a running subscription: what they take off, who gets one, and when it is given back (rules V10). */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { SubscriptionId, TransactionId } from '../../src/domain/ids.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor } from '../../src/usecases/contract.js';
import { Gate, withDatabaseHooks } from '../crash/wiring.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { giveCredit, publishTerms, somePerson, takenFrom, wishFor } from '../support/buying.js';
import { eventually } from '../support/eventually.js';
import { finishStep, newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const HOUR = 3_600_000;
let world: World;
let basic: string;
let premium: string;
let premiumYear: string;

/** Coupons of this suite, each limited to one claim. */
const LIMITED = ['RACE', 'DECLINE', 'GIVEUP', 'LAPSE', 'LOST'].map((code, i) => ({
  id: `01941f29-7c60-7000-8000-00000000000${i}`,
  code,
  percentOffBps: 1_000,
  intervals: ['month'],
  maxRedemptions: 1,
}));

beforeAll(async () => {
  world = await startWorld();
  [basic, premium, premiumYear] = [
    await priceId(world, { tier: 'basic' }),
    await priceId(world, { tier: 'premium' }),
    await priceId(world, { tier: 'premium', interval: 'year' }),
  ];
  const firstWeek = { id: '01941f29-7c61-7000-8000-000000000000', code: 'FIRSTWEEK', percentOffBps: 10_000, durationPeriods: 1 };
  const faster = { id: '01941f29-7c61-7000-8000-000000000001', code: 'FASTER', percentOffBps: 2_000, maxRedemptions: 1 };
  await publishTerms(world, {
    coupons: [...LIMITED, { ...faster, intervals: ['month'] }, { ...firstWeek, intervals: ['week'] }],
  });
});
afterEach(async () => {
  await world.clearFaults();
  await expectSoundBooks(world);
});
afterAll(async () => {
  await expectBooksOfProvider(world);
  await world.stop();
});

const codesOf = ({ refusals }: { refusals: readonly { code: string }[] }): string[] => refusals.map(({ code }) => code);

async function subscriptionOf({ userId }: Actor) {
  const [row] = await world.query<{ id: SubscriptionId; status: string; period_start: Date; period_end: Date; version: number }>(
    'select id, status, period_start, period_end, version from subscription where user_id = $1 order by id desc limit 1',
    [userId],
  );
  return row;
}

async function redemptionsOf({ userId }: Actor) {
  return world.query<{ code: string; periods_left: number | null; is_over: boolean }>(
    `select c.code, r.periods_left, r.ended_at is not null as is_over from coupon_redemption r join coupon c on c.id = r.coupon_id
     where r.user_id = $1 order by r.id`,
    [userId],
  );
}

async function redeemed(code: string): Promise<number | undefined> {
  const [row] = await world.query<{ redeemed: number }>(
    'select u.redeemed from coupon_usage u join coupon c on c.id = u.coupon_id where c.code = $1',
    [code],
  );
  return row?.redeemed;
}

test('a quarter off is charged less a quarter, and the preview had said so to the cent', async () => {
  const ana = await somePerson(world);
  const preview = await world.commands.couponPreview(ana, { code: 'welcome25', priceId: wishFor(premium).priceId });
  expect(preview?.sums).toMatchObject({ subtotalMinor: 800n, discountMinor: 200n, dueMinor: 600n });
  const shown = { minor: preview?.sums.dueMinor ?? 0n, currency: 'USD' };
  const answer = await world.commands.subscribe(ana, wishFor(premium, { coupon: 'welcome25', expectedAmount: shown }));
  expect(answer).toMatchObject({ refusals: [], isReplay: false });
  expect(await takenFrom(world, ana)).toEqual([600]);
  expect(await redemptionsOf(ana)).toEqual([{ code: 'WELCOME25', periods_left: 2, is_over: false }]);
  const [line] = await world.query('select amount::int, discount::int, tax::int from invoice_line where user_id = $1', [
    ana.userId,
  ]);
  expect(line).toEqual({ amount: 600, discount: 200, tax: 0 });
});

test('a fixed amount above the price makes it free: active at once, nothing charged, no card needed, and the rest is lost', async () => {
  const ben = someUser('ben');
  const answer = await world.commands.subscribe(ben, wishFor(basic, { coupon: 'FIVEOFF' }));
  expect(answer).toMatchObject({ transactionId: null, refusals: [] });
  const subscription = await subscriptionOf(ben);
  expect(subscription?.status).toBe('active');
  expect(await redemptionsOf(ben)).toEqual([{ code: 'FIVEOFF', periods_left: 0, is_over: false }]);
  const invoices = await world.query('select status, total::int from invoice where user_id = $1', [ben.userId]);
  expect(invoices).toEqual([{ status: 'paid', total: 0 }]);
  expect(await world.query('select from transaction where user_id = $1', [ben.userId])).toEqual([]);
  const [event] = await world.query('select kind, status from subscription_event where user_id = $1', [ben.userId]);
  expect(event).toEqual({ kind: 'created', status: 'active' });
});

test('a repeat of a request that cost nothing answers alike, also when the next period has been charged since', async () => {
  const cleo = await somePerson(world);
  const wish = wishFor(await priceId(world, { tier: 'premium', interval: 'week' }), { coupon: 'FIRSTWEEK' });
  const first = await world.commands.subscribe(cleo, wish);
  expect(first).toMatchObject({ transactionId: null, refusals: [], isReplay: false });
  await world.advance(7 * 24 * HOUR + 60_000);
  await world.work();
  expect(await takenFrom(world, cleo)).toEqual([250]);
  expect(await world.commands.subscribe(cleo, wish)).toEqual({ ...first, isReplay: true });
  expect(await redemptionsOf(cleo)).toHaveLength(1);
});

test('the last of a limited coupon goes to one of two who claim it at the same time', async () => {
  const [dan, eve] = [await somePerson(world), await somePerson(world)];
  const commit = new Gate();
  const held = withDatabaseHooks(world.gateway, {
    commit: async (write) => {
      await commit.pass();
      await write();
    },
  });
  const first = makeCommands(held).subscribe(dan, wishFor(premium, { coupon: 'RACE' }));
  await commit.reached();
  const second = world.commands.subscribe(eve, wishFor(premium, { coupon: 'RACE' }));
  await waitForLock();
  commit.open();
  expect(codesOf(await first)).toEqual([]);
  const late = await second;
  expect(late.refusals).toMatchObject([
    { code: 'COUPON_NOT_APPLICABLE', message: 'The coupon is used up.', field: ['input', 'coupon'] },
  ]);
  expect(await redeemed('RACE')).toBe(1);
  expect(await subscriptionOf(eve)).toBeUndefined();
  expect(await takenFrom(world, dan)).toEqual([720]);
});

test('one person with two accounts and one card gets a coupon once, also at the same time', async () => {
  const card = newKey();
  const [fay, fox] = [await somePerson(world, 'pm_card_visa', card), await somePerson(world, 'pm_card_visa', card)];
  const commit = new Gate();
  const held = withDatabaseHooks(world.gateway, {
    commit: async (write) => {
      await commit.pass();
      await write();
    },
  });
  const first = makeCommands(held).subscribe(fay, wishFor(premium, { coupon: 'WELCOME25' }));
  await commit.reached();
  const second = world.commands.subscribe(fox, wishFor(premium, { coupon: 'WELCOME25' }));
  await waitForLock();
  commit.open();
  expect(codesOf(await first)).toEqual([]);
  expect((await second).refusals).toMatchObject([
    { code: 'COUPON_NOT_APPLICABLE', message: 'The coupon was claimed by this person before.' },
  ]);
});

test('a coupon is had once by a user: not again with the next subscription, nor with another card', async () => {
  const gil = await somePerson(world);
  const { subscriptionId } = await world.commands.subscribe(gil, wishFor(premium, { coupon: 'WELCOME25' }));
  await world.commands.cancelSubscription(gil, {
    subscriptionId: subscriptionId as SubscriptionId,
    immediately: true,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  await withCard(world, gil, 'pm_card_mastercard');
  expect(codesOf(await world.commands.subscribe(gil, wishFor(premium, { coupon: 'WELCOME25' })))).toEqual([
    'COUPON_NOT_APPLICABLE',
  ]);
  expect(await world.commands.couponPreview(gil, { code: 'WELCOME25', priceId: wishFor(premium).priceId })).toBeNull();
});

test.each([
  ['of a code that nobody published', 'NOSUCH'],
  ['of a text that can be no code', 'A\u0000B'],
])('a coupon %s does not apply, and nothing is begun', async (_, coupon) => {
  const hal = await somePerson(world);
  expect(codesOf(await world.commands.subscribe(hal, wishFor(premium, { coupon })))).toEqual(['COUPON_NOT_APPLICABLE']);
  expect(await world.commands.couponPreview(hal, { code: coupon, priceId: wishFor(premium).priceId })).toBeNull();
  expect(await subscriptionOf(hal)).toBeUndefined();
});

test('a coupon for months does not discount a year', async () => {
  const ida = await somePerson(world);
  expect((await world.commands.subscribe(ida, wishFor(premiumYear, { coupon: 'WELCOME25' }))).refusals).toMatchObject([
    { code: 'COUPON_NOT_APPLICABLE', message: 'The coupon is not for this price.' },
  ]);
});

test('a coupon whose payment is declined may be claimed again, by anybody and by the same person', async () => {
  const jan = await somePerson(world, 'pm_card_chargeCustomerFail');
  const wish = wishFor(premium, { coupon: 'DECLINE' });
  expect(codesOf(await world.commands.subscribe(jan, wish))).toEqual(['PAYMENT_DECLINED']);
  expect(await redeemed('DECLINE')).toBe(0);
  expect(await redemptionsOf(jan)).toEqual([{ code: 'DECLINE', periods_left: null, is_over: true }]);
  expect(codesOf(await world.commands.subscribe(jan, wish))).toEqual(['PAYMENT_DECLINED']);
  expect(await redeemed('DECLINE')).toBe(0);
  await withCard(world, jan);
  expect(codesOf(await world.commands.subscribe(jan, wishFor(premium, { coupon: 'DECLINE' })))).toEqual([]);
  expect(await redeemed('DECLINE')).toBe(1);
  expect(await takenFrom(world, jan)).toEqual([720]);
});

async function openStepOf({ userId }: Actor): Promise<string> {
  const [attempt] = await world.query<{ next_action: { redirectUrl: string } | null }>(
    'select next_action from payment_attempt where user_id = $1',
    [userId],
  );
  return attempt?.next_action?.redirectUrl ?? '';
}

test('a coupon whose payment is given up or lapses is given back once, whoever notices it (bug 20)', async () => {
  const kim = await somePerson(world, 'pm_card_threeDSecure2Required');
  const given = await world.commands.subscribe(kim, wishFor(premium, { coupon: 'GIVEUP' }));
  expect(await redeemed('GIVEUP')).toBe(1);
  await world.commands.cancelSubscription(kim, {
    subscriptionId: given.subscriptionId as SubscriptionId,
    immediately: true,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  await world.receiveEvents();
  await world.work('webhooks', 'payments');
  expect(await redeemed('GIVEUP')).toBe(0);

  const lea = await somePerson(world, 'pm_card_threeDSecure2Required');
  await world.commands.subscribe(lea, wishFor(premium, { coupon: 'LAPSE' }));
  await world.advance(23 * HOUR + 60_000);
  await world.work('payments');
  await world.receiveEvents();
  await world.work('webhooks');
  expect(await redeemed('LAPSE')).toBe(0);
  expect(await redemptionsOf(lea)).toEqual([{ code: 'LAPSE', periods_left: null, is_over: true }]);

  const max = await somePerson(world, 'pm_card_threeDSecure2Required');
  const failed = await world.commands.subscribe(max, wishFor(premium, { coupon: 'LAPSE' }));
  await finishStep(await openStepOf(max), 'fail');
  await world.receiveEvents();
  await world.work('webhooks');
  await world.commands.confirmPayment(max, { transactionId: failed.transactionId as TransactionId });
  await world.work('payments');
  expect(await redeemed('LAPSE')).toBe(0);
});

test('a coupon is given back with the money when the payment was given up and the provider was faster', async () => {
  const mia = await somePerson(world, 'pm_card_threeDSecure2Required');
  const begun = await world.commands.subscribe(mia, wishFor(premium, { coupon: 'FASTER' }));
  await finishStep(await openStepOf(mia));
  await world.commands.cancelSubscription(mia, {
    subscriptionId: begun.subscriptionId as SubscriptionId,
    immediately: true,
    reason: null,
    comment: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
  });
  await world.work('payments');
  await world.advance(2 * 60_000);
  await world.work('refunds');
  expect((await subscriptionOf(mia))?.status).toBe('canceled');
  const charges = (await world.truth()).charges.filter(({ amount }) => amount === 720 - 80);
  expect(charges.map(({ paid, amount_refunded: back }) => ({ paid, back }))).toEqual([{ paid: true, back: 640 }]);
  expect(await redeemed('FASTER')).toBe(0);
});

test('a coupon stays claimed while nobody knows how its payment ended, and is given back when it surely was not made', async () => {
  const ned = await somePerson(world);
  await world.fault({ operation: 'payment_intents.create', kind: 'error_before', count: 1 });
  await world.commands.subscribe(ned, wishFor(premium, { coupon: 'LOST' }));
  expect(await redeemed('LOST')).toBe(1);
  for (let minutes = 0; minutes < 40; minutes += 5) {
    await world.work('payments');
    await world.advance(5 * 60_000);
  }
  await world.work('payments');
  expect((await subscriptionOf(ned))?.status).toBe('incomplete_expired');
  expect(await redeemed('LOST')).toBe(0);
});

test('two requests of one user with two keys, as a reloaded page sends them, begin one subscription and charge once (bug 15)', async () => {
  const ola = await somePerson(world);
  const answers = await Promise.all([
    world.commands.subscribe(ola, wishFor(premium, { coupon: 'WELCOME25' })),
    world.commands.subscribe(ola, wishFor(premium, { coupon: 'WELCOME25' })),
  ]);
  expect(answers.flatMap(codesOf)).toEqual(['ALREADY_SUBSCRIBED']);
  expect(await takenFrom(world, ola)).toEqual([600]);
  const pia = someUser();
  const free = await Promise.all([1, 2].map(() => world.commands.subscribe(pia, wishFor(basic, { coupon: 'FIVEOFF' }))));
  expect(free.flatMap(codesOf)).toEqual(['ALREADY_SUBSCRIBED']);
  expect(await redemptionsOf(pia)).toHaveLength(1);
});

test('a coupon put on a running subscription works from the next invoice on; another takes its place; the same again changes nothing', async () => {
  const quin = await somePerson(world);
  const { subscriptionId } = await world.commands.subscribe(quin, wishFor(premium));
  // It was just begun.
  const apply = (code: string) => world.commands.applyCoupon(quin, { subscriptionId: subscriptionId as SubscriptionId, code });
  expect(await apply('welcome25')).toEqual({ subscriptionId, refusals: [], isReplay: false });
  expect(await apply('WELCOME25')).toEqual({ subscriptionId, refusals: [], isReplay: false });
  const version = (await subscriptionOf(quin))?.version;
  expect(await redemptionsOf(quin)).toEqual([{ code: 'WELCOME25', periods_left: 3, is_over: false }]);
  expect(codesOf(await apply('FOUNDER50'))).toEqual([]);
  expect(await redemptionsOf(quin)).toEqual([
    { code: 'WELCOME25', periods_left: 3, is_over: true },
    { code: 'FOUNDER50', periods_left: null, is_over: false },
  ]);
  expect(await redeemed('FOUNDER50')).toBe(1);
  expect((await subscriptionOf(quin))?.version).toBe((version ?? 0) + 1);
  expect((await apply('WELCOME25')).refusals).toMatchObject([{ code: 'COUPON_NOT_APPLICABLE', field: ['input', 'code'] }]);
  const [event] = await world.query<{ kind: string; cause: string }>(
    'select kind, cause from subscription_event where user_id = $1 order by version desc limit 1',
    [quin.userId],
  );
  expect(event).toEqual({ kind: 'coupon_applied', cause: 'user' });
  expect(await takenFrom(world, quin)).toEqual([800]);
});

test("a coupon is put on nobody else's subscription, nor on one that does not run", async () => {
  const ray = await somePerson(world, 'pm_card_threeDSecure2Required');
  const { subscriptionId } = await world.commands.subscribe(ray, wishFor(premium));
  const apply = (actor: Actor) =>
    world.commands.applyCoupon(actor, { subscriptionId: subscriptionId as SubscriptionId, code: 'WELCOME25' });
  expect(codesOf(await apply(someUser()))).toEqual(['NOT_FOUND']);
  expect(codesOf(await apply(await somePerson(world)))).toEqual(['NOT_FOUND']);
  expect(codesOf(await apply(ray))).toEqual(['INVALID_STATE']);
});

test('what a code would give counts the balance, is the same for somebody without an account, and leaves no trace', async () => {
  const priceOf = wishFor(premium).priceId;
  const stranger = someUser();
  const preview = await world.commands.couponPreview(stranger, { code: 'WELCOME25', priceId: priceOf });
  expect(preview?.sums).toMatchObject({ dueMinor: 600n });
  expect(preview?.lines).toMatchObject([{ description: 'Premium', discountMinor: 200n }]);
  expect(await world.query('select from customer where user_id = $1', [stranger.userId])).toEqual([]);
  const rich = await somePerson(world);
  await giveCredit(world, rich, 250n);
  const less = await world.commands.couponPreview(rich, { code: 'WELCOME25', priceId: priceOf });
  expect(less?.sums).toMatchObject({ creditAppliedMinor: 250n, dueMinor: 350n });
  expect(await redemptionsOf(rich)).toEqual([]);
});

/** Waits until somebody waits for a row that somebody else holds. */
async function waitForLock(): Promise<void> {
  await eventually(async () => {
    const [waiting] = await world.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    expect(waiting?.n).toBeGreaterThan(0);
  });
}
