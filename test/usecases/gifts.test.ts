import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { GiftId, PriceId, TransactionId } from '../../src/domain/ids.js';
import { giftCode, parseGiftCode } from '../../src/domain/subscription/gift-code.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor, RefundAnswer } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { eventually } from '../support/eventually.js';
import { claimByCode, gift, give } from '../support/gifts.js';
import { answerDispute, disputesOf, letProviderWork, letSleep, subscription } from '../support/lives.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

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

const giverOf = (token?: string) => withCard(world, someUser('giver'), token);
const codes = (answer: { refusals: { code: string }[] }) => answer.refusals.map(({ code }) => code);

interface GiftRow {
  status: string;
  recipient_id: string | null;
  subscription_id: string | null;
  periods_used: number;
  next_action_at: Date | null;
  claim_by: Date;
  claim_secret_hash: Buffer;
}
async function giftRow(id: GiftId): Promise<GiftRow> {
  const [row] = await world.query<GiftRow & object>('select * from gift where id = $1', [id]);
  if (!row) throw new Error('no gift');
  return row;
}

interface SubscriptionRow {
  id: string;
  status: string;
  gift_id: string | null;
  payer_id: string | null;
  prepaid_periods: number;
  renews_after_gift: boolean;
  period_start: Date;
  period_end: Date;
  entitled_until: Date;
  next_action_at: Date | null;
}
async function subscriptionOf(actor: Actor): Promise<SubscriptionRow | null> {
  const [row] = await world.query<SubscriptionRow & object>(
    'select * from subscription where user_id = $1 order by id desc limit 1',
    [actor.userId],
  );
  return row ?? null;
}

/** What of a gift's money is earned over which days: the running schedule. */
async function earningOf(id: GiftId): Promise<{ net: bigint; starts_on: string; ends_on: string } | null> {
  const [row] = await world.query<{ net: bigint; starts_on: string; ends_on: string }>(
    `select s.net, s.starts_on::text, s.ends_on::text from revenue_schedule s join invoice i on i.bucket = s.bucket and i.id = s.invoice_id
     where i.gift_id = $1 and s.stopped_on is null`,
    [id],
  );
  return row ?? null;
}
const dayOf = (at: Date | undefined) => at?.toISOString().slice(0, 10);
const balanceOf = async (actor: Actor) =>
  (await world.query<{ balance: bigint }>('select balance from customer_credit where user_id = $1', [actor.userId]))[0]
    ?.balance ?? 0n;

const refunding = (transactionId: TransactionId | null, minor: bigint | null): Promise<RefundAnswer> =>
  world.commands.refund(someStaff('finance'), {
    // Given by a gift that was paid.
    transactionId: transactionId as TransactionId,
    amount: minor === null ? null : { minor, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
const refundsOf = (actor: Actor) =>
  world.query<{ amount: bigint; status: string }>('select amount, status from refund where user_id = $1 order by id', [
    actor.userId,
  ]);

/** Lets the gift's period end and the next one, which it has paid for, begin. */
async function nextPrepaidPeriod(actor: Actor): Promise<void> {
  const row = await subscriptionOf(actor);
  if (!row || row.prepaid_periods === 0) throw new Error('no prepaid period');
  await world.advance(row.period_end.getTime() - world.clock.now().getTime() + 1_000);
  await world.work('due');
}

/** The books hold, once the worker has done what was due of gifts of other tests too. */
async function expectSound(): Promise<void> {
  await world.work('due', 'gifts', 'refunds', 'revenue');
  await expectSoundBooks(world);
}

/** Until so many wait for a gift that somebody holds. */
const untilWaiting = (count: number) =>
  eventually(async () => {
    const [waiting] = await world.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query like '%from gift %'`,
    );
    expect(waiting?.n).toBe(count);
  });

/** Lets those who want the same gift meet: each waits for it before the next one begins, and then they go in that order. */
async function inLine<Answer>(id: GiftId, asks: readonly (() => Promise<Answer>)[]): Promise<Answer[]> {
  const holder = await world.db.ownerPool.connect();
  try {
    await holder.query('begin');
    await holder.query('select from gift where id = $1 for update', [id]);
    const answers: Promise<Answer>[] = [];
    for (const ask of asks) {
      answers.push(ask());
      await untilWaiting(answers.length);
    }
    await holder.query('commit');
    return await Promise.all(answers);
  } finally {
    holder.release();
  }
}

test('a gift by code is paid once, may be claimed for a year, and a repeat shows the same code, which is kept as a hash alone', async () => {
  const ana = await giverOf();
  const command = gift(basic);
  const answer = await world.commands.giftSubscription(ana, command);
  expect(answer).toMatchObject({ refusals: [], isReplay: false });
  const id = answer.giftId as GiftId;
  const row = await giftRow(id);
  expect(row).toMatchObject({ status: 'claimable', recipient_id: null, next_action_at: row.claim_by });
  expect(answer.claimCode).toMatch(/^[0-9a-z]{26}-[0-9a-z]{24}$/);
  expect(row.claim_secret_hash).toHaveLength(32);
  expect(await world.commands.giftSubscription(ana, command)).toEqual({ ...answer, isReplay: true });
  expect((await world.truth()).charges.filter(({ amount, paid }) => paid && amount === 900)).toHaveLength(1);
  expect(await earningOf(id)).toMatchObject({ net: 900n, starts_on: dayOf(row.claim_by) });
  await expectSound();
  await expectBooksOfProvider(world);
});

test('a declined gift is canceled and has no code', async () => {
  const ana = await giverOf('pm_card_chargeCustomerFail');
  const answer = await world.commands.giftSubscription(ana, gift(basic));
  expect(codes(answer)).toEqual(['PAYMENT_DECLINED']);
  expect(answer.claimCode).toBeNull();
  expect(await giftRow(answer.giftId as GiftId)).toMatchObject({ status: 'canceled', next_action_at: null });
  await expectSound();
});

test('a gift to oneself is refused', async () => {
  const ana = await giverOf();
  expect(codes(await world.commands.giftSubscription(ana, gift(basic, { recipientId: ana.userId })))).toEqual(['INVALID_INPUT']);
  const { claimCode } = await give(world, ana, basic);
  expect(codes(await claimByCode(world, ana, claimCode))).toEqual(['INVALID_INPUT']);
});

test('claiming begins a subscription that needs no method, and what was paid is earned over its periods from then on', async () => {
  const [ana, ben] = [await giverOf(), someUser('ben')];
  const { giftId, claimCode } = await give(world, ana, basic);
  await world.advance(40 * DAY);
  const claimed = await claimByCode(world, ben, claimCode);
  expect(claimed).toMatchObject({ giftId, refusals: [], isReplay: false });
  const row = await subscriptionOf(ben);
  expect(row).toMatchObject({
    id: claimed.subscriptionId,
    status: 'active',
    gift_id: giftId,
    payer_id: ana.userId,
    prepaid_periods: 2,
    renews_after_gift: false,
    next_action_at: row?.period_end,
  });
  expect(row?.entitled_until.getTime()).toBe((row?.period_end.getTime() ?? 0) + 6 * 3_600_000);
  await world.work('gifts');
  const end = new Date(row?.period_start ?? 0);
  end.setUTCMonth(end.getUTCMonth() + 3);
  const earning = await earningOf(giftId);
  expect(earning).toMatchObject({ net: 900n, starts_on: dayOf(world.clock.now()) });
  expect(Math.abs(new Date(earning?.ends_on ?? '').getTime() - end.getTime())).toBeLessThan(4 * DAY);
  expect(await giftRow(giftId)).toMatchObject({ status: 'claimed', recipient_id: ben.userId, next_action_at: null });
  expect(await claimByCode(world, ben, claimCode)).toEqual({ ...claimed, isReplay: true });
  await expectSound();
});

test('the recipient of an anonymous gift does not see who pays', async () => {
  const [ana, ben] = [await giverOf(), someUser('ben')];
  const { claimCode } = await give(world, ana, basic, { isAnonymous: true, periods: 1 });
  await claimByCode(world, ben, claimCode);
  const row = await subscriptionOf(ben);
  expect(row).toMatchObject({ payer_id: null, prepaid_periods: 0, entitled_until: row?.period_end });
});

test('a gift by name is told to its recipient, who alone may claim it, by its id', async () => {
  const [ana, ben, eve] = [await giverOf(), someUser('ben'), someUser('eve')];
  const { giftId, claimCode } = await give(world, ana, basic, { recipientId: ben.userId });
  expect(claimCode).toBeNull();
  await world.work('gifts');
  expect(await world.query('select gift_id, claimed_at from gift_received where user_id = $1', [ben.userId])).toEqual([
    { gift_id: giftId, claimed_at: null },
  ]);
  const row = await giftRow(giftId);
  expect(row.next_action_at).toEqual(row.claim_by);
  expect(codes(await world.commands.claimGift(eve, { giftId, secret: null }))).toEqual(['NOT_FOUND']);
  expect(codes(await world.commands.claimGift(ben, { giftId, secret: null }))).toEqual([]);
  expect(await subscriptionOf(ben)).toMatchObject({ gift_id: giftId, prepaid_periods: 2 });
  await world.work('gifts');
  await expectSound();
});

test('a code that is wrong by a letter finds nothing', async () => {
  const ana = await giverOf();
  const { giftId } = await give(world, ana, basic);
  expect(codes(await claimByCode(world, someUser('eve'), giftCode(giftId, '0'.repeat(24))))).toEqual(['NOT_FOUND']);
  expect(codes(await world.commands.claimGift(someUser('eve'), { giftId, secret: null }))).toEqual(['NOT_FOUND']);
  expect(await giftRow(giftId)).toMatchObject({ status: 'claimable' });
});

test('whoever has the same membership gets the periods on top, and pays again after them', async () => {
  const [ana, ben] = [await giverOf(), await withCard(world, someUser('ben'))];
  await world.commands.subscribe(ben, subscription(basic));
  const before = await subscriptionOf(ben);
  const { giftId, claimCode } = await give(world, ana, basic, { periods: 2 });
  expect(await claimByCode(world, ben, claimCode)).toMatchObject({ subscriptionId: before?.id });
  expect(await subscriptionOf(ben)).toMatchObject({
    gift_id: giftId,
    payer_id: null,
    prepaid_periods: 2,
    renews_after_gift: true,
    period_end: before?.period_end,
  });
  await world.work('gifts');
  expect(await earningOf(giftId)).toMatchObject({ net: 600n, starts_on: dayOf(before?.period_end) });
  const second = await give(world, ana, basic, { periods: 1 });
  await claimByCode(world, ben, second.claimCode);
  expect(await subscriptionOf(ben)).toMatchObject({ gift_id: giftId, prepaid_periods: 3, renews_after_gift: true });
  await world.work('gifts');
  expect((await earningOf(second.giftId))?.starts_on).toBe((await earningOf(giftId))?.ends_on);
  await expectSound();
});

test('whoever has another tier gets the value as balance, once, and none of it counts as earned', async () => {
  const [ana, ben] = [await giverOf(), await withCard(world, someUser('ben'))];
  await world.commands.subscribe(ben, subscription(premium));
  const { giftId, claimCode, transactionId } = await give(world, ana, basic);
  expect(await claimByCode(world, ben, claimCode)).toMatchObject({ giftId, subscriptionId: null, refusals: [] });
  expect(await subscriptionOf(ben)).toMatchObject({ gift_id: null, prepaid_periods: 0 });
  await world.work('gifts');
  await world.work('gifts');
  expect(await balanceOf(ben)).toBe(900n);
  expect(await earningOf(giftId)).toBeNull();
  expect(codes(await refunding(transactionId, null))).toEqual(['REFUND_EXCEEDS_CHARGE']);
  await expectSound();
  await expectBooksOfProvider(world);
});

test('of two who claim the same gift at the same moment one has it', async () => {
  const [ana, ben, cem] = [await giverOf(), someUser('ben'), someUser('cem')];
  const { giftId, claimCode } = await give(world, ana, basic);
  const answers = await inLine(giftId, [() => claimByCode(world, ben, claimCode), () => claimByCode(world, cem, claimCode)]);
  expect(answers.map(codes)).toEqual([[], ['NOT_FOUND']]);
  expect(await giftRow(giftId)).toMatchObject({ status: 'claimed', recipient_id: ben.userId });
  expect(await subscriptionOf(cem)).toBeNull();
  await world.work('gifts');
  await expectSound();
});

test('a gift that nobody claimed in a year goes back to its buyer, and is claimed no more', async () => {
  const [ana, ben] = [await giverOf(), someUser('ben')];
  const { giftId, claimCode } = await give(world, ana, basic);
  await world.advance((await giftRow(giftId)).claim_by.getTime() - world.clock.now().getTime() + 1);
  expect(codes(await claimByCode(world, ben, claimCode))).toEqual(['INVALID_STATE']);
  await world.work('gifts');
  expect(await giftRow(giftId)).toMatchObject({ status: 'expired', next_action_at: null });
  expect(await refundsOf(ana)).toEqual([{ amount: 900n, status: 'succeeded' }]);
  expect(await earningOf(giftId)).toBeNull();
  expect(codes(await claimByCode(world, ben, claimCode))).toEqual(['INVALID_STATE']);
  await expectSound();
  await expectBooksOfProvider(world);
});

test.each(['claim', 'end'])(
  'when the %s comes first at the last moment, the gift is used or given back, and never both',
  async (first) => {
    const [ana, ben] = [await giverOf(), someUser('ben')];
    const { giftId, claimCode } = await give(world, ana, basic);
    const row = await giftRow(giftId);
    // The claim was asked for in time; the worker comes at the end.
    const claiming = {
      ...world.gateway,
      tx: { ...world.gateway.tx, clock: { now: () => new Date(row.claim_by.getTime() - 1) } },
    };
    const parsed = parseGiftCode(claimCode ?? '');
    if (parsed === null) throw new Error('no code');
    await world.advance(row.claim_by.getTime() - world.clock.now().getTime() + 1);
    const claim = () => makeCommands(claiming).claimGift(ben, parsed);
    const asks: (() => Promise<unknown>)[] = [claim, () => world.work('gifts')];
    await inLine(giftId, first === 'claim' ? asks : asks.toReversed());
    const isClaimed = first === 'claim';
    expect(await giftRow(giftId)).toMatchObject({ status: isClaimed ? 'claimed' : 'expired' });
    expect(await refundsOf(ana)).toHaveLength(isClaimed ? 0 : 1);
    expect((await subscriptionOf(ben)) !== null).toBe(isClaimed);
    await world.work('gifts');
    await expectSound();
  },
);

test('staff give back an unclaimed gift, and then nobody claims it', async () => {
  const [ana, ben] = [await giverOf(), someUser('ben')];
  const { giftId, claimCode, transactionId } = await give(world, ana, basic);
  expect(codes(await refunding(transactionId, null))).toEqual([]);
  expect(await giftRow(giftId)).toMatchObject({ status: 'canceled' });
  expect(codes(await claimByCode(world, ben, claimCode))).toEqual(['INVALID_STATE']);
  await expectSound();
});

test('of a gift in use only the periods that have not begun are given back, and they are taken from its recipient', async () => {
  const [ana, ben] = [await giverOf(), someUser('ben')];
  const { giftId, claimCode, transactionId } = await give(world, ana, basic, { periods: 4 });
  await claimByCode(world, ben, claimCode);
  await world.work('gifts');
  await nextPrepaidPeriod(ben);
  expect(codes(await refunding(transactionId, 601n))).toEqual(['REFUND_EXCEEDS_CHARGE']);
  expect(codes(await refunding(transactionId, 100n))).toEqual([]);
  expect(await giftRow(giftId)).toMatchObject({ status: 'claimed' });
  expect(await subscriptionOf(ben)).toMatchObject({ prepaid_periods: 2 });
  expect(codes(await refunding(transactionId, null))).toEqual([]);
  expect(await refundsOf(ana)).toMatchObject([{ amount: 100n }, { amount: 500n }]);
  await world.work('gifts');
  expect(await giftRow(giftId)).toMatchObject({ status: 'canceled', periods_used: 2, next_action_at: null });
  const row = await subscriptionOf(ben);
  expect(row).toMatchObject({ status: 'active', prepaid_periods: 0, entitled_until: row?.period_end });
  expect((await earningOf(giftId))?.ends_on).toBe(dayOf(row?.period_end));
  await expectSound();
  await expectBooksOfProvider(world);
});

test('a lost dispute takes back what has not begun, and leaves the period that runs', async () => {
  const [ana, ben] = [await giverOf('pm_card_createDispute'), someUser('ben')];
  const { giftId, claimCode } = await give(world, ana, basic);
  await claimByCode(world, ben, claimCode);
  await world.work('gifts');
  await letProviderWork(world);
  const [dispute] = await disputesOf(world, ana);
  await answerDispute(world, dispute?.id ?? '', 'losing_evidence');
  await letProviderWork(world);
  await world.receiveEvents();
  await world.work('webhooks', 'gifts');
  expect(await giftRow(giftId)).toMatchObject({ status: 'canceled', periods_used: 1 });
  const row = await subscriptionOf(ben);
  expect(row).toMatchObject({ status: 'active', prepaid_periods: 0, entitled_until: row?.period_end });
  await expectSound();
});

test('a gift whose payment is disputed is not given back at its end before the bank has ruled', async () => {
  const ana = await giverOf('pm_card_createDispute');
  const { giftId } = await give(world, ana, basic);
  await letProviderWork(world);
  await world.receiveEvents();
  await world.work('webhooks');
  await world.advance((await giftRow(giftId)).claim_by.getTime() - world.clock.now().getTime() + 1);
  await world.work('gifts');
  expect(await giftRow(giftId)).toMatchObject({ status: 'claimable' });
  expect(await refundsOf(ana)).toEqual([]);
  const [dispute] = await disputesOf(world, ana);
  await answerDispute(world, dispute?.id ?? '', 'losing_evidence');
  await letProviderWork(world);
  await world.receiveEvents();
  await world.work('webhooks', 'gifts');
  expect(await giftRow(giftId)).toMatchObject({ status: 'canceled', next_action_at: null });
  await expectSound();
});
