/** What a change would cost is what it costs: quotes, and hundreds of drawn changes whose preview is compared with what was really taken. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PriceId } from '../../src/domain/ids.js';
import { isoDay } from '../../src/domain/time/periods.js';
import { Quotes } from '../../src/usecases/quotes.js';
import type { TierChangePreview } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { cancellation, letSleep, subscription } from '../support/lives.js';
import { change, changed, invoicesOf, rowOf, sell, subscriberTo, takenFrom, type Subscriber } from '../support/tier-changes.js';
import { someUser, startWorld, withCard, type World } from '../support/world.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
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
beforeEach(async () => letSleep(world));
afterAll(async () => world.stop());

async function previewOf(
  { actor, id }: Subscriber,
  newPriceId: PriceId,
  timing: 'now' | 'period_end' | null = null,
): Promise<TierChangePreview> {
  const preview = await world.commands.previewTierChange(actor, { subscriptionId: id, newPriceId, timing });
  if (preview === null) throw new Error('the change would be refused');
  return preview;
}

/** A quarter of the way into a period of 10.00. */
async function early(): Promise<Subscriber> {
  const ana = await subscriberTo(world, month.basic);
  const { period_start: start, period_end: end } = await rowOf(world, ana.id);
  await world.advance((end.getTime() - start.getTime()) / 4);
  return ana;
}

test('a quote that was shown is what is charged, minutes later, counted from its second', async () => {
  const ana = await early();
  const shown = await previewOf(ana, month.top);
  expect(shown).toMatchObject({
    isUpgrade: true,
    dueNow: { minor: 5550n },
    credit: { minor: 750n },
    next: { sums: { dueMinor: 8400n } },
  });
  expect(shown.expiresAt.getTime() - shown.effectiveAt.getTime()).toBeGreaterThan(10 * MINUTE - 1);
  await world.advance(9 * MINUTE);
  await changed(world, ana, month.top, { quoteId: shown.quoteId });
  expect(await takenFrom(world, ana)).toEqual(['1000', '5550']);
  const [line] = await world.query<{ period_start: Date }>(
    'select period_start from invoice_line where user_id = $1 order by invoice_id desc, position desc limit 1',
    [ana.actor.userId],
  );
  expect(line?.period_start).toEqual(shown.effectiveAt);
  await expectSoundBooks(world);
});

test('a quote is off when it is over, or when anything it was made of has moved', async () => {
  const ana = await early();
  const { quoteId } = await previewOf(ana, month.top);
  const codes = async (more: object = {}) =>
    (await world.commands.changeTier(ana.actor, change(ana.id, month.top, { quoteId, ...more }))).refusals.map(
      ({ code }) => code,
    );
  const while_ = async (text: string, undo: string): Promise<string[]> => {
    await world.query(text, [ana.id]);
    const found = await codes();
    await world.query(undo, [ana.id]);
    return found;
  };
  expect(
    await while_(
      'update subscription set version = version + 1 where id = $1',
      'update subscription set version = version - 1 where id = $1',
    ),
  ).toEqual(['PRICE_CHANGED']);
  const credit = `insert into customer_credit select bucket, user_id, 'USD', 1 from subscription where id = $1
    on conflict (bucket, user_id, currency) do update set balance = 1`;
  const none = 'update customer_credit c set balance = 0 from subscription s where s.id = $1 and c.user_id = s.user_id';
  expect(await while_(credit, none)).toEqual(['PRICE_CHANGED']);
  const tax = `with rate as (insert into tax_rate (country, valid_from, rate_ppm) values ('MT', '2026-01-01', 180000))
    update customer c set country = 'MT' from subscription s where s.id = $1 and c.user_id = s.user_id`;
  const nowhere = 'update customer c set country = null from subscription s where s.id = $1 and c.user_id = s.user_id';
  expect(await while_(tax, nowhere)).toEqual(['PRICE_CHANGED']);
  expect(await codes({ newPriceId: month.premium })).toEqual(['INVALID_INPUT']);
  expect(await codes({ timing: 'period_end' })).toEqual(['INVALID_INPUT']);
  expect(await codes({ expectedVersion: 99 })).toEqual(['STALE_VERSION']);
  await world.advance(10 * MINUTE);
  expect(await codes()).toEqual(['PRICE_CHANGED']);
  expect(await invoicesOf(world, ana)).toEqual(['period paid: 1000']);
});

test('a quote is good for the user it was made for, and not one bit of it may be changed', () => {
  const quotes = new Quotes('some secret');
  const quote = {
    subscriptionId: 'a',
    priceId: 'b',
    subscriptionVersion: 3,
    timing: null,
    quotedAt: new Date('2026-02-01T00:00:00.123Z'),
    digest: 'c',
  };
  const id = quotes.seal('ana', quote);
  expect(quotes.open('ana', id)).toEqual(quote);
  expect(quotes.open('ben', id)).toBeNull();
  expect(new Quotes('another secret').open('ana', id)).toBeNull();
  const bytes = Buffer.from(id, 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const forged = Buffer.from(bytes);
    forged[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(quotes.open('ana', forged.toString('base64url'))).toBeNull();
  }
  for (const odd of ['', '=', 'x'.repeat(10_000)]) expect(quotes.open('ana', odd)).toBeNull();
});

test('the preview of what would be refused is null, as is that of a subscription that is not there', async () => {
  const [ana, ben] = [await early(), await subscriberTo(world, month.basic)];
  const preview = (who: Subscriber, id = who.id, price = month.top) =>
    world.commands.previewTierChange(who.actor, { subscriptionId: id, newPriceId: price, timing: null });
  expect(await preview(ana, ben.id)).toBeNull();
  expect(await preview(ana, ana.id, month.basic)).toBeNull();
  expect(await preview({ ...ana, actor: someUser() }, ana.id)).toBeNull();
});

test('a change that waits is previewed with the next invoice at its price', async () => {
  const ana = await early();
  const { period_end: end } = await rowOf(world, ana.id);
  expect(await previewOf(ana, month.small)).toMatchObject({
    isUpgrade: false,
    effectiveAt: end,
    dueNow: { minor: 0n },
    credit: { minor: 0n },
    next: { chargeAt: end, price: { id: month.small }, sums: { dueMinor: 400n } },
  });
});

/** What was taken for a subscription, invoiced, given back of its lines and by notes, and what its user's balance is. */
async function sumsOf({ actor, id }: Subscriber) {
  const [row] = await world.query<Record<'taken' | 'total' | 'credited' | 'notes' | 'balance', bigint>>(
    `select coalesce((select sum(amount) from transaction where subscription_id = $1 and kind = 'charge' and status = 'succeeded'), 0)::bigint as taken,
       coalesce((select sum(total) from invoice where subscription_id = $1 and status = 'paid'), 0)::bigint as total,
       coalesce((select sum(l.credited) from invoice_line l join invoice i on i.id = l.invoice_id where i.subscription_id = $1), 0)::bigint as credited,
       coalesce((select sum(n.net + n.tax) from credit_note n join invoice i on i.id = n.invoice_id where i.subscription_id = $1), 0)::bigint as notes,
       coalesce((select balance from customer_credit where user_id = $2 and currency = 'USD'), 0) as balance`,
    [id, actor.userId],
  );
  if (!row) throw new Error('a select of one row gave none');
  return row;
}

/** Drawn changes, and how many of them each subscription makes; `TIER_CHANGES=10000 npm test -- test/usecases/change-tier-preview` draws more. */
const CHANGES = Number(process.env['TIER_CHANGES'] ?? 240);
const PER_SUBSCRIPTION = 5;
const GROUPS = 6;
/** So few that the minutes of all their waits end before any period does: nobody here needs a renewal. */
const PER_PART = 240;
const SEED = Number(process.env['SEED'] ?? 20_261_127);

type Menu = Record<string, PriceId>;

/** One menu for each subscription of a customer. */
async function menusToDrawFrom(): Promise<Menu[]> {
  const menus = [];
  for (let group = 0; group < GROUPS; group++) {
    menus.push(
      await sell(world, {
        low: { rank: 1, amount: 300 },
        lowYear: { rank: 1, amount: 3000, unit: 'year' },
        week: { rank: 2, amount: 249, unit: 'week', taxBehavior: 'inclusive' },
        middle: { rank: 2, amount: 800, taxBehavior: 'inclusive' },
        middleYear: { rank: 2, amount: 8000, unit: 'year' },
        high: { rank: 3, amount: 1599 },
        odd: { rank: 4, amount: 61 },
        same: { rank: 5, amount: 1599 },
      }),
    );
  }
  return menus;
}

const drawn = fc.record({
  price: fc.nat(7),
  timing: fc.constantFrom(null, 'now' as const, 'now' as const, 'period_end' as const),
  waitMs: fc.integer({ min: 0, max: 9 * MINUTE }),
  country: fc.constantFrom(null, 'DE', 'FR'),
  hasCoupon: fc.boolean(),
});
type Draw = typeof drawn extends fc.Arbitrary<infer One> ? One : never;

/** New subscriptions, one for each menu of each customer, some with a third off. */
async function newSubscribers(menus: Menu[], draws: Draw[], couponId: string): Promise<{ of: Subscriber; menu: Menu }[]> {
  const customers = Math.ceil(draws.length / PER_SUBSCRIPTION / GROUPS);
  const actors = await Promise.all(Array.from({ length: customers }, () => withCard(world, someUser())));
  const subscribers: { of: Subscriber; menu: Menu }[] = [];
  for (const actor of actors) {
    for (const menu of menus) {
      const { low } = menu;
      if (low === undefined) throw new Error('a menu without its lowest price');
      const { subscriptionId, transactionId } = await world.commands.subscribe(actor, subscription(low));
      if (subscriptionId === null) throw new Error('not subscribed');
      if (draws[subscribers.length]?.hasCoupon) {
        await world.query(
          `insert into coupon_redemption (bucket, id, user_id, coupon_id, subscription_id, periods_left)
           select bucket, id, user_id, $2, id, 3 from subscription where id = $1`,
          [subscriptionId, couponId],
        );
      }
      subscribers.push({ of: { actor, id: subscriptionId, transactionId }, menu });
    }
  }
  return subscribers;
}

/** Previews a change, waits, makes it and compares: gives what came of it, by a word or the code of its refusal. */
async function previewedAndMade(of: Subscriber, menu: Menu, draw: Draw): Promise<string[]> {
  await world.query('update customer set country = $2 where user_id = $1', [of.actor.userId, draw.country]);
  const price = Object.values(menu)[draw.price];
  if (price === undefined) throw new Error('no such price');
  const preview = await world.commands.previewTierChange(of.actor, {
    subscriptionId: of.id,
    newPriceId: price,
    timing: draw.timing,
  });
  const command = change(of.id, price, { timing: draw.timing, quoteId: preview?.quoteId ?? null });
  const before = await sumsOf(of);
  const quotedOn = isoDay(world.clock.now());
  if (preview !== null) await world.advance(draw.waitMs);
  const answer = await world.commands.changeTier(of.actor, command);
  const after = await sumsOf(of);
  // Midnight has passed since, and with it a rate of tax: the quote is off.
  const isOff = answer.refusals[0]?.code === 'PRICE_CHANGED' && isoDay(world.clock.now()) !== quotedOn;
  if (preview === null || isOff) {
    expect(answer.refusals).toHaveLength(1);
    expect(after).toEqual(before);
    return answer.refusals.map(({ code }) => code);
  }
  expect(answer.refusals).toEqual([]);
  const { dueNow, credit } = preview;
  expect({ draw, taken: after.taken - before.taken, credited: after.credited - before.credited }).toEqual({
    draw,
    taken: dueNow.minor,
    credited: credit.minor,
  });
  // Nothing is made or lost: what a change costs is paid by card, by the balance, or waits in it.
  const [cost, note] = [after.total - before.total, after.notes - before.notes];
  expect({ draw, balance: after.balance - before.balance }).toEqual({ draw, balance: note + dueNow.minor - cost });
  const paid = dueNow.minor > 0n ? 'charged' : cost > 0n ? 'by balance' : 'for nothing';
  return note > 0n ? [paid, dueNow.minor > 0n ? 'note and charge' : 'note'] : [paid];
}

test(
  `of ${CHANGES} drawn changes each takes what its preview said, from the card and from the balance, to the cent`,
  async () => {
    const menus = await menusToDrawFrom();
    const couponId = '01950000-0000-7000-a000-00000000c0de';
    await world.query(
      `insert into coupon (id, code, percent_off_bps, duration_periods, interval_units) values ($1, 'THIRD', 3333, 3, '{month,year,week}')`,
      [couponId],
    );
    const all = fc.sample(drawn, { numRuns: CHANGES, seed: SEED });
    const seen = new Map<string, number>();
    for (let from = 0; from < all.length; from += PER_PART) {
      const draws = all.slice(from, from + PER_PART);
      const today = world.clock.now().getTime();
      const day = (n: number): string => new Date(today + n * DAY).toISOString().slice(0, 10);
      await world.query(
        "insert into tax_rate (country, valid_from, rate_ppm) values ('DE', $1, 190000), ('DE', $2, 0), ('DE', $3, 70000), ('FR', $1, 200000)",
        [day(0), day(2), day(4)],
      );
      const subscribers = await newSubscribers(menus, draws, couponId);
      for (let turn = 0; turn < PER_SUBSCRIPTION; turn++) {
        await world.advance(DAY + 5_003_000);
        await world.work('revenue');
        for (const [i, { of, menu }] of subscribers.entries()) {
          const draw = draws[turn * subscribers.length + i];
          if (draw === undefined) break;
          for (const what of await previewedAndMade(of, menu, draw)) seen.set(what, (seen.get(what) ?? 0) + 1);
        }
      }
      for (const { of } of subscribers) {
        expect((await world.commands.cancelSubscription(of.actor, cancellation(of.id, true))).refusals).toEqual([]);
      }
      await world.work('refunds');
    }
    await expectSoundBooks(world);
    await expectBooksOfProvider(world);
    const wanted = ['charged', 'by balance', 'for nothing', 'note', 'INVALID_INPUT'];
    expect(wanted.filter((what) => !seen.has(what))).toEqual([]);
  },
  60_000 + CHANGES * 100,
);
