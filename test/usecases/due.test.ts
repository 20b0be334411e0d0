/** What falls due of a subscription by itself, from the rows that the verbs leave. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { letSleep, paymentsOf, subscription } from '../support/lives.js';
import { priceId, someUser, startWorld, withCard, type World } from '../support/world.js';

const DAY = 86_400_000;

let world: World;
let basic: PriceId;
let premium: PriceId;
let premiumYearly: PriceId;

beforeAll(async () => {
  world = await startWorld();
  basic = (await priceId(world, { tier: 'basic' })) as PriceId;
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [yearly] = await world.query<{ id: PriceId }>(
    `select p.id from price p join tier t on t.id = p.tier_id where t.key = 'premium' and p.interval_unit = 'year' and p.currency = 'USD'`,
  );
  if (!yearly) throw new Error('no yearly price');
  premiumYearly = yearly.id;
});
beforeEach(async () => letSleep(world));
afterAll(async () => world.stop());

interface Row {
  status: string;
  epoch: number;
  period_number: number;
  period_start: Date;
  period_end: Date;
  entitled_until: Date;
  next_action_at: Date | null;
  price_id: string;
  tier_id: string;
  pending_price_id: string | null;
  prepaid_periods: number;
  end_reason: string | null;
  trial_ends_at: Date | null;
  anchor_local: string;
  pause_at_period_end: boolean;
  resumes_at: Date | null;
}

/** A subscriber with a card, whose first period is paid, and as the verbs have left the row. */
async function subscriber(
  name: string,
  { price = premium, token, set = {} }: { price?: PriceId; token?: string; set?: Record<string, unknown> } = {},
): Promise<{ actor: Actor; id: SubscriptionId }> {
  const actor = await withCard(world, someUser(name));
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(price));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  if (token !== undefined) await withCard(world, actor, token);
  await put(subscriptionId, set);
  return { actor, id: subscriptionId };
}

async function put(id: SubscriptionId, set: Record<string, unknown>): Promise<void> {
  for (const [column, value] of Object.entries(set))
    await world.query(`update subscription set ${column} = $2 where id = $1`, [id, value]);
}

async function rowOf(id: SubscriptionId): Promise<Row> {
  const [row] = await world.query<Row & object>('select * from subscription where id = $1', [id]);
  if (!row) throw new Error('no subscription');
  return row;
}

/** Moves everybody's time to just after an instant. */
const toJustAfter = (at: Date): Promise<void> => world.advance(at.getTime() - world.clock.now().getTime() + 1_000);
const work = (): Promise<void> => world.work('due', 'renewals 1', 'payments');

/** What the provider took from a user, in the order of time, minor units. */
async function taken(actor: Actor): Promise<number[]> {
  return (await paymentsOf(world, actor)).filter(({ status }) => status === 'succeeded').map(({ amount }) => amount);
}

/** The newest invoice. */
async function lastInvoice(id: SubscriptionId) {
  const [invoice] = await world.query<{
    kind: string;
    status: string;
    net: bigint;
    tax: bigint;
    credit_applied: bigint;
    debit_collected: bigint;
    carried: bigint;
  }>('select * from invoice where subscription_id = $1 order by id desc limit 1', [id]);
  if (!invoice) throw new Error('no invoice');
  return invoice;
}

async function coupon(code: string, columns: { percent?: number; amounts?: object; periods?: number }): Promise<string> {
  const [made] = await world.query<{ id: string }>(
    `insert into coupon (id, code, percent_off_bps, amounts_off, duration_periods, interval_units)
     values (gen_random_uuid(), $1, $2, $3, $4, '{month}') returning id`,
    [code, columns.percent ?? null, columns.amounts ?? null, columns.periods ?? null],
  );
  if (!made) throw new Error('no coupon');
  return made.id;
}

const atWork = async (actor: Actor, id: SubscriptionId, couponId: string, left: number | null): Promise<void> => {
  await world.query(
    `insert into coupon_redemption (bucket, id, user_id, coupon_id, subscription_id, periods_left)
     values (id_bucket($1), $1, $2, $3, $1, $4)`,
    [id, actor.userId, couponId, left],
  );
};

const credit = async (actor: Actor, minor: number): Promise<void> => {
  const client = await world.db.ownerPool.connect();
  try {
    await client.query('begin');
    await client.query(
      `insert into customer_credit (bucket, user_id, currency, balance) values (key_bucket($1), $1, 'USD', $2)`,
      [actor.userId, minor],
    );
    // As a credit of goodwill would be posted; a debit stands on the other side.
    await client.query(
      `insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, user_id, effective_at, posted_at)
       select s.bucket, i.id, case when $2::bigint > 0 then 'goodwill_credit' else 'credit_applied' end, 'test', d.id, c.id, 'USD', abs($2::bigint), $1, s.period_start, s.period_start
       from subscription s join invoice i on i.subscription_id = s.id join ledger_account d on d.code = case when $2::bigint > 0 then 'refunds' else 'customer_credit' end and d.currency = 'USD'
       join ledger_account c on c.code = case when $2::bigint > 0 then 'customer_credit' else 'customer_receivable' end and c.currency = 'USD'
       where s.user_id = $1`,
      [actor.userId, minor],
    );
    await client.query('commit');
  } finally {
    client.release();
  }
};

test('a coupon for two periods takes its share off two renewals, and then the full price is charged (V10)', async () => {
  const { actor, id } = await subscriber('ana');
  await atWork(actor, id, await coupon('QUARTER', { percent: 2_500, periods: 2 }), 2);
  for (let n = 0; n < 3; n++) {
    await toJustAfter((await rowOf(id)).period_end);
    await work();
  }
  expect(await taken(actor)).toEqual([800, 600, 600, 800]);
  const [redemption] = await world.query(
    'select periods_left, ended_at is not null as is_over from coupon_redemption where subscription_id = $1',
    [id],
  );
  expect(redemption).toEqual({ periods_left: 0, is_over: true });
  await expectSoundBooks(world);
});

test('a renewal that costs nothing is invoiced and paid at once, uses a period of its coupon, and asks no provider', async () => {
  const { actor, id } = await subscriber('ben');
  await atWork(actor, id, await coupon('FREE', { amounts: { USD: 5_000 }, periods: 1 }), 1);
  const before = await rowOf(id);
  await toJustAfter(before.period_end);
  await world.work('due');
  expect(await rowOf(id)).toMatchObject({ status: 'active', period_number: 1, period_start: before.period_end });
  expect(await lastInvoice(id)).toMatchObject({ status: 'paid', net: 0n });
  expect(await taken(actor)).toEqual([800]);
  await expectSoundBooks(world);
});

test('the balance pays first, and the card the rest; a renewal it pays alone needs no card (P7)', async () => {
  const { actor, id } = await subscriber('cem');
  await credit(actor, 1_000);
  await toJustAfter((await rowOf(id)).period_end);
  await work();
  expect(await lastInvoice(id)).toMatchObject({ status: 'paid', credit_applied: 800n });
  await toJustAfter((await rowOf(id)).period_end);
  await work();
  expect(await taken(actor)).toEqual([800, 600]);
  expect(await lastInvoice(id)).toMatchObject({ status: 'paid', credit_applied: 200n });
  expect(await rowOf(id)).toMatchObject({ period_number: 2 });
  await expectSoundBooks(world);
});

test('what the customer owes from before is collected with the next renewal (M6)', async () => {
  const { actor, id } = await subscriber('dana');
  await credit(actor, -30);
  await toJustAfter((await rowOf(id)).period_end);
  await work();
  expect(await taken(actor)).toEqual([800, 830]);
  expect(await lastInvoice(id)).toMatchObject({ status: 'paid', net: 800n, debit_collected: 30n });
  const [balance] = await world.query('select balance from customer_credit where user_id = $1', [actor.userId]);
  expect(balance).toEqual({ balance: 0n });
  await expectSoundBooks(world);
});

test('tax is that of the customer and of the first day of the period (T4)', async () => {
  const { actor, id } = await subscriber('emil');
  const { period_end: at } = await rowOf(id);
  const day = (ms: number): string => new Date(at.getTime() + ms).toISOString().slice(0, 10);
  await world.query(
    `insert into tax_rate (country, valid_from, rate_ppm) values ('DE', '2020-01-01', 190000), ('DE', $1, 250000), ('DE', $2, 500000)`,
    [day(0), day(DAY)],
  );
  await world.query(`update customer set country = 'DE' where user_id = $1`, [actor.userId]);
  await toJustAfter(at);
  await work();
  expect(await lastInvoice(id)).toMatchObject({ status: 'paid', net: 640n, tax: 160n });
  expect(await taken(actor)).toEqual([800, 800]);
  await expectSoundBooks(world);
});

test('a lower tier that waited takes effect with the period, at its price (V4)', async () => {
  const { actor, id } = await subscriber('fay', { set: { pending_price_id: basic } });
  const before = await rowOf(id);
  await toJustAfter(before.period_end);
  await world.work('due');
  expect(await rowOf(id)).toMatchObject({ price_id: premium, pending_price_id: basic });
  await work();
  const after = await rowOf(id);
  expect(after).toMatchObject({ status: 'active', price_id: basic, pending_price_id: null, epoch: 0, period_number: 1 });
  expect(after.tier_id).not.toBe(before.tier_id);
  expect(await taken(actor)).toEqual([800, 300]);
});

test('another interval that waited begins with an anchor of its own at the end of the period (B5)', async () => {
  const { actor, id } = await subscriber('gil', { set: { pending_price_id: premiumYearly } });
  const before = await rowOf(id);
  await toJustAfter(before.period_end);
  await work();
  const after = await rowOf(id);
  expect(after).toMatchObject({
    status: 'active',
    epoch: 1,
    period_number: 0,
    period_start: before.period_end,
    price_id: premiumYearly,
  });
  expect(after.period_end.getUTCFullYear()).toBe(before.period_end.getUTCFullYear() + 1);
  expect(await taken(actor)).toEqual([800, 8_000]);
  await expectSoundBooks(world);
});

test('a price that is not sold any more when its time comes is dropped, the old one charged, and a person told (V4)', async () => {
  const { actor, id } = await subscriber('hana', { set: { pending_price_id: basic } });
  const { period_end: at } = await rowOf(id);
  await world.query('update price set valid_to = $2 where id = $1', [basic, at]);
  try {
    await toJustAfter(at);
    await work();
  } finally {
    await world.query('update price set valid_to = null where id = $1', [basic]);
  }
  expect(await rowOf(id)).toMatchObject({ price_id: premium, pending_price_id: null, period_number: 1 });
  expect(await taken(actor)).toEqual([800, 800]);
  const findings = await world.query('select kind from recon_finding where subject_id = $1', [id]);
  expect(findings).toEqual([{ kind: 'pending_price_gone' }]);
});

test('a pause begins where the period ends, nothing is charged in it, and a full period when it is over (V9)', async () => {
  const { actor, id } = await subscriber('ida');
  const { period_end: pausedAt } = await rowOf(id);
  const resumesAt = new Date(pausedAt.getTime() + 40 * DAY);
  await put(id, { pause_at_period_end: true, resumes_at: resumesAt, entitled_until: pausedAt });
  await toJustAfter(pausedAt);
  await work();
  expect(await rowOf(id)).toMatchObject({
    status: 'paused',
    pause_at_period_end: false,
    entitled_until: pausedAt,
    next_action_at: resumesAt,
  });
  await toJustAfter(new Date(pausedAt.getTime() + 39 * DAY));
  await work();
  expect(await taken(actor)).toEqual([800]);
  await toJustAfter(resumesAt);
  await work();
  const after = await rowOf(id);
  expect(after).toMatchObject({ status: 'active', epoch: 1, period_number: 0, resumes_at: null });
  expect(after.period_start.getTime()).toBeGreaterThanOrEqual(resumesAt.getTime());
  expect(await taken(actor)).toEqual([800, 800]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a pause whose end can not be paid for goes on; it is tried again after one and three days, then waits for the customer (V9)', async () => {
  const { actor, id } = await subscriber('jon', { token: 'pm_card_chargeCustomerFail' });
  const { period_end: pausedAt } = await rowOf(id);
  const resumesAt = new Date(pausedAt.getTime() + 10 * DAY);
  await put(id, { pause_at_period_end: true, resumes_at: resumesAt });
  await toJustAfter(pausedAt);
  await work();
  for (const day of [0, 1, 3]) {
    await toJustAfter(new Date(resumesAt.getTime() + day * DAY));
    await work();
    expect((await rowOf(id)).status).toBe('paused');
  }
  expect(await rowOf(id)).toMatchObject({ status: 'paused', next_action_at: null });
  const invoices = await world.query(`select status from invoice where subscription_id = $1 and epoch = 1`, [id]);
  expect(invoices).toEqual([{ status: 'void' }, { status: 'void' }, { status: 'void' }]);
  expect(await taken(actor)).toEqual([800]);
  await expectSoundBooks(world);
});

test('a pause without an end ends the subscription after 180 days', async () => {
  const { actor, id } = await subscriber('kim', { set: { pause_at_period_end: true } });
  const { period_end: pausedAt } = await rowOf(id);
  await toJustAfter(pausedAt);
  await work();
  await toJustAfter(new Date(pausedAt.getTime() + 180 * DAY));
  await work();
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', end_reason: 'pause_over' });
  expect(await taken(actor)).toEqual([800]);
});

test('prepaid periods are used before anything is charged, and a gift that is used up ends (V11)', async () => {
  const { actor, id } = await subscriber('lea');
  await put(id, { gift_id: id, prepaid_periods: 1 });
  const before = await rowOf(id);
  await toJustAfter(before.period_end);
  await work();
  expect(await rowOf(id)).toMatchObject({
    status: 'active',
    period_number: 1,
    prepaid_periods: 0,
    period_start: before.period_end,
  });
  await toJustAfter((await rowOf(id)).period_end);
  await work();
  expect(await rowOf(id)).toMatchObject({ status: 'canceled', end_reason: 'gift_over' });
  expect(await taken(actor)).toEqual([800]);
});

test('a gift that is used up is charged to a recipient who wants to go on (V11)', async () => {
  const { actor, id } = await subscriber('mia');
  await put(id, { gift_id: id, renews_after_gift: true });
  await toJustAfter((await rowOf(id)).period_end);
  await work();
  expect(await rowOf(id)).toMatchObject({ status: 'active', period_number: 1 });
  expect(await taken(actor)).toEqual([800, 800]);
});

/** Makes a subscription one that is in its trial, to end in ten days. */
async function inTrial(id: SubscriptionId, told: 'told' | 'planned' | 'not planned'): Promise<Date> {
  const now = world.clock.now();
  const endsAt = new Date(Math.floor(now.getTime() / 1_000) * 1_000 + 10 * DAY);
  await put(id, {
    status: 'trialing',
    period_start: new Date(endsAt.getTime() - 10 * DAY),
    period_end: endsAt,
    trial_ends_at: endsAt,
    next_action_at: endsAt,
  });
  if (told !== 'not planned')
    for (const days of [8, 4])
      await world.query(
        `insert into notice (bucket, id, user_id, subscription_id, kind, due_at, sent_at, message_id, next_action_at)
         select bucket, derive_id(id, $3, now()), user_id, id, 'trial_ending', $2::timestamptz, case when $4 then $2::timestamptz end, case when $4 then 'mail-' || $3 end,
           case when not $4 then $2::timestamptz end from subscription where id = $1`,
        [id, new Date(endsAt.getTime() - days * DAY), String(days), told === 'told'],
      );
  return endsAt;
}

test('a trial whose end was told is charged, and its first paid period has an anchor of its own (V3, B5)', async () => {
  const { actor, id } = await subscriber('nia');
  const endsAt = await inTrial(id, 'told');
  await toJustAfter(endsAt);
  await work();
  expect(await rowOf(id)).toMatchObject({
    status: 'active',
    epoch: 1,
    period_number: 0,
    period_start: endsAt,
    trial_ends_at: endsAt,
  });
  expect(await taken(actor)).toEqual([800, 800]);
  const events = await world.query<{ kind: string }>(
    'select kind from subscription_event where subscription_id = $1 order by version desc limit 1',
    [id],
  );
  expect(events).toEqual([{ kind: 'converted' }]);
});

test('a trial of whose end nobody was told goes on for eight days, and a person is told (C2)', async () => {
  const { actor, id } = await subscriber('ole');
  const endsAt = await inTrial(id, 'not planned');
  await toJustAfter(endsAt);
  await work();
  const after = await rowOf(id);
  expect(after).toMatchObject({ status: 'trialing', next_action_at: after.trial_ends_at });
  expect((after.trial_ends_at ?? endsAt).getTime() - endsAt.getTime()).toBeGreaterThanOrEqual(8 * DAY);
  expect(await taken(actor)).toEqual([800]);
  expect(await world.query('select kind from recon_finding where subject_id = $1', [id])).toEqual([{ kind: 'trial_untold' }]);
  await world.work('notices');
  await toJustAfter(new Date((after.trial_ends_at ?? endsAt).getTime() - 4 * DAY));
  await world.work('notices');
  await toJustAfter(after.trial_ends_at ?? endsAt);
  await work();
  expect(await rowOf(id)).toMatchObject({ status: 'active', epoch: 1 });
});

test('notices go out when they are due, once each, and none to whoever has ended; told of its end, the trial is charged', async () => {
  const [ria, sam] = [await subscriber('ria'), await subscriber('sam')];
  const endsAt = await inTrial(ria.id, 'planned');
  await inTrial(sam.id, 'planned');
  const sent = async (id: SubscriptionId): Promise<number> =>
    (await world.query('select from notice where subscription_id = $1 and message_id is not null and sent_at >= due_at', [id]))
      .length;
  await world.work('notices');
  expect(await sent(ria.id)).toBe(0);
  await toJustAfter(new Date(endsAt.getTime() - 8 * DAY));
  await world.work('notices');
  await world.work('notices');
  expect([await sent(ria.id), await sent(sam.id)]).toEqual([1, 1]);
  await put(sam.id, { status: 'canceled', next_action_at: null });
  await toJustAfter(new Date(endsAt.getTime() - 4 * DAY));
  await world.work('notices');
  expect([await sent(ria.id), await sent(sam.id)]).toEqual([2, 1]);
  await toJustAfter(endsAt);
  await work();
  expect((await rowOf(ria.id)).status).toBe('active');
  expect(await taken(ria.actor)).toEqual([800, 800]);
});

test('a declined trial is past due, and a trial without a method ends (V3, S4)', async () => {
  const pat = await subscriber('pat', { token: 'pm_card_chargeCustomerFail' });
  const quinn = await subscriber('quinn');
  const endsAt = await inTrial(pat.id, 'told');
  await inTrial(quinn.id, 'told');
  await world.query(`update payment_method set status = 'removed' where user_id = $1`, [quinn.actor.userId]);
  await toJustAfter(endsAt);
  await work();
  expect((await rowOf(pat.id)).status).toBe('past_due');
  expect(await rowOf(quinn.id)).toMatchObject({ status: 'canceled', end_reason: 'trial_over' });
});
