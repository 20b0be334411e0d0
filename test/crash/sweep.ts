import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PriceId } from '../../src/domain/ids.js';
import type { Answered } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { letSleep } from '../support/lives.js';
import { mortal } from '../support/mortal.js';
import { priceId, startWorld, type World } from '../support/world.js';
import { makeLives, type Life, type Stage } from './lives.js';

/**
 * Each life is lived once whole. Then it is lived again and again, cut at one point further each time, before and after each commit and each call to
 * the provider, until it is not cut any more: everything the process had begun is lost, another goes on with the same database, and the client asks
 * again with its key. However it was cut, everything must end as in the whole life.
 */

/** No life has so many points: what goes on longer goes round in circles. */
const MOST_POINTS = 100;
/** Points are many: on a machine that is busy with other tests a life takes its time. */
const LIMIT_MS = 180_000;

let world: World;
let lives: Map<string, Life>;
/** Points swept, by life. */
const swept = new Map<string, number>();

async function someProduct(): Promise<string> {
  const [row] = await world.query<{ key: string }>('select key from product order by key limit 1');
  return row?.key ?? '';
}

/** Lets the worker go on where a dead process ended: long enough for every lease and the safety net. */
async function recover(): Promise<void> {
  for (let minutes = 0; minutes < 4; minutes += 2) {
    await world.advance(2 * 60_000);
    await world.work('payments', 'refunds', 'orphans', 'webhooks', 'due', 'renewals 1', 'gifts', 'relay');
  }
}

/** How everything stands for somebody: at the provider, in our rows, and as it was told last. */
async function standing({ actor }: Stage) {
  const rows = async (sql: string) => world.query<Record<string, unknown>>(sql, [actor.userId]);
  const [customer] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  // Of this customer alone: the whole truth grows with every life.
  const of = { customer: customer?.object_id ?? '', limit: 100 };
  const charges = customer ? (await world.stripe.charges.list(of)).data : [];
  const intents = customer ? (await world.stripe.paymentIntents.list(of)).data : [];
  return {
    charges: charges.map(({ amount, amount_refunded, paid, disputed }) => ({ amount, amount_refunded, paid, disputed })),
    intents: intents.map(({ status }) => status),
    subscriptions: await rows(
      `select status, hold, cancel_at_period_end, end_reason, period_number, price_id, tier_id, pending_price_id from subscription
       where user_id = $1 order by id`,
    ),
    coupons: await rows(
      `select c.code, r.periods_left, r.ended_at is not null as is_over from coupon_redemption r join coupon c on c.id = r.coupon_id
       where r.user_id = $1 order by r.id`,
    ),
    trials: await rows("select tier_group from trial_use where identity = 'user:' || $1"),
    lines: await rows('select amount, tax, credited from invoice_line where user_id = $1 order by invoice_id, position'),
    notes: await rows('select net, tax, voided_at is null as is_good from credit_note where user_id = $1 order by id'),
    balances: await rows('select currency, balance from customer_credit where user_id = $1 order by currency'),
    purchases: await rows('select status from purchase where user_id = $1 order by id'),
    grants: await rows('select feature_key, revoked_at is null as is_live from entitlement_grant where user_id = $1 order by id'),
    gifts: await rows('select status, periods_used from gift where $1 in (user_id, recipient_id) order by id'),
    received: await rows('select periods, revoked, claimed_at is not null as is_claimed from gift_received where user_id = $1'),
    methods: await rows('select status, brand from payment_method where user_id = $1 order by id'),
    setups: await rows('select status from payment_method_setup where user_id = $1 order by id'),
    attempts: await rows('select status from payment_attempt where user_id = $1 order by id'),
    refunds: await rows('select status, amount from refund where user_id = $1 order by id'),
    transactions: await rows('select kind, status, amount from transaction where user_id = $1 order by id'),
    movements: await rows(
      // Which part of a period is earned depends on the hour of the day; what is posted in all does not.
      `select event, sum(amount)::bigint as amount from ledger_movement where user_id = $1 group by event order by event`,
    ),
  };
}

/** What a client holds on to of an answer. */
function gist(answer: Answered) {
  const ids = Object.entries(answer).filter(([name]) => name.endsWith('Id'));
  return { ids, refusals: answer.refusals.map(({ code }) => code) };
}

/** `SWEEP=whole npm test -- test/crash` cuts every life at every point. */
const isWholeSweep = process.env['SWEEP'] === 'whole';

/** Declares the tests that cut the lives whose process is of this kind. */
export function sweep(kind: Life['process']): void {
  const none = { premium: '' as PriceId, higher: '' as PriceId, lower: '' as PriceId, product: '' as PriceId };
  const titles = makeLives({} as World, none).flatMap(({ title, process }) => (process === kind ? [title] : []));

  beforeAll(async () => {
    world = await startWorld();
    const prices = {
      premium: (await priceId(world, { tier: 'premium' })) as PriceId,
      higher: (await priceId(world, { tier: 'premium_plus' })) as PriceId,
      lower: (await priceId(world, { tier: 'basic' })) as PriceId,
      product: (await priceId(world, { product: await someProduct() })) as PriceId,
    };
    lives = new Map(makeLives(world, prices).map((life) => [life.title, life]));
  });
  afterAll(async () => {
    await world.stop();
    const all = [...swept.values()].reduce((sum, points) => sum + points, 0);
    process.stdout.write(`crash sweep: ${all} points of ${swept.size} lives, each cut once\n`);
  });

  test.each(titles)(
    '%s ends the same, and charges no more, wherever its process is cut',
    async (title) => {
      const life = lives.get(title);
      if (!life) throw new Error(title);
      const base = life.process === 'gateway' ? world.gateway : world.worker;

      await letSleep(world);
      const first = await life.prepare();
      const whole = mortal(base);
      await first.run(whole.cashier);
      await first.goOn?.();
      await recover();
      const refusals = first.again ? gist(await first.again()).refusals : [];
      const expected = await standing(first);
      expect(whole.points.length).toBeGreaterThan(1);

      // Another tenth for each life, so that every kind of point is cut in some.
      const isCut = (n: number): boolean =>
        life.cutsInSuite === undefined || isWholeSweep || n > whole.points.length || n % 10 === titles.indexOf(title) % 10;
      for (let n = 1; n <= MOST_POINTS; n++) {
        if (!isCut(n)) continue;
        await letSleep(world);
        const stage = await life.prepare();
        const cut = mortal(base, (_, number) => number === n);
        const ended = await stage.run(cut.cashier).then(
          () => 'answered',
          () => 'broken off',
        );
        const isWhole = !cut.isDead();
        const point = isWhole ? 'nowhere' : cut.points.at(-1);
        expect([point, ended]).toEqual([point, isWhole ? 'answered' : 'broken off']);
        await recover();
        const paidOnce = expected.charges.filter((charge) => charge.paid).length;
        const paid = (await standing(stage)).charges.filter((charge) => charge.paid).length;
        expect({ point, isChargedMore: paid > paidOnce }).toEqual({ point, isChargedMore: false });
        if (stage.again) {
          const answer = gist(await stage.again());
          expect([point, answer.refusals]).toEqual([point, refusals]);
          await stage.goOn?.();
          await recover();
          // A key has one answer: what it names is the same, whenever it is asked for.
          expect([point, gist(await stage.again()).ids]).toEqual([point, answer.ids]);
        }
        expect({ point, ...(await standing(stage)) }).toEqual({ point, ...expected });
        if (isWhole) break;
        swept.set(title, (swept.get(title) ?? 0) + 1);
      }
      await letSleep(world);
      await world.receiveEvents({ newest: 100 });
      await world.work('webhooks', 'relay');
      await expectSoundBooks(world);
      await expectBooksOfProvider(world);
    },
    LIMIT_MS,
  );
}
