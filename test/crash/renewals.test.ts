/** Renewals that meet others: another worker, an event, a cancellation, a stop of the process. Every order is made, none is waited for. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId } from '../../src/domain/ids.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import type { ChargeRequest } from '../../src/ports/provider.js';
import { LEASE_MS, SEND_GUARD_MS } from '../../src/domain/payment/schedule.js';
import { startPresence } from '../../src/store/presence.js';
import { makeChores } from '../../src/worker/chores.js';
import { writeDueSubscriptions } from '../../bench/due-subscriptions.js';
import { applyWebhooks } from '../../src/usecases/apply-webhooks.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import type { Actor } from '../../src/usecases/contract.js';
import { doDue } from '../../src/usecases/do-due.js';
import { makeCollector } from '../../src/usecases/renew.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { cancellation, letSleep, paymentsOf, subscription } from '../support/lives.js';
import { permutations } from '../support/permutations.js';
import { oneByOne, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';
import { holding, slow } from './scene.js';
import { barrier, recorded, withCalls, withDatabaseHooks } from './wiring.js';

const MONTH = 31 * 86_400_000;
const LIMIT = 50;

let world: World;
let premium: PriceId;
let actor: Actor;
let id: SubscriptionId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
beforeEach(async () => begin());
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

/** Somebody whose period has just ended; nobody else is due. */
async function begin(): Promise<void> {
  await letSleep(world);
  actor = await withCard(world, someUser());
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(premium));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  id = subscriptionId;
  await world.advance(MONTH);
}

/** A call that reaches the provider and whose answer reaches nobody: the process is killed in it. */
async function dying(request: ChargeRequest): Promise<never> {
  await world.worker.provider.charge(request);
  throw new Error('killed');
}

/** How renewals of the present hour stand. */
async function attemptsOf() {
  return world.query(`select status from payment_attempt where cause = 'renewal' and sent_at > $1 order by id`, [
    new Date(world.clock.now().getTime() - 600_000),
  ]);
}

const bill = (cashier = world.worker) => doDue(cashier, { spreadMs: 0 }, ALL_BUCKETS, LIMIT);
const collect = (cashier: Cashier = world.worker) =>
  makeCollector(cashier, oneByOne).collect(ALL_BUCKETS, LIMIT, async (wanted) => wanted);
const cancelNow = () => world.commands.cancelSubscription(actor, cancellation(id, true));

/** What the provider kept of each of the user's payments, in the order of time. */
async function kept(): Promise<number[]> {
  const ids = new Set((await paymentsOf(world, actor)).map((intent) => intent.id));
  const { charges } = await world.truth();
  const hers = charges.filter(({ payment_intent: payment }) => typeof payment === 'string' && ids.has(payment));
  return hers.map((charge) => (charge.paid ? charge.amount - charge.amount_refunded : 0));
}

/** Lets the worker end what is open. */
async function settle(): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await world.advance(LEASE_MS + 60_000);
    await world.work('payments', 'refunds');
  }
}

const billsOf = () => world.query('select period_number, status from invoice where user_id = $1 order by id', [actor.userId]);

test('two workers that bill at the same moment write one bill', async () => {
  const both = barrier(2);
  const meeting = (cashier: Cashier): Cashier =>
    withDatabaseHooks(cashier, {
      statement: async (text) => {
        if (text.includes('for update of c skip locked') && text.includes('from subscription')) await both.pass();
        return text;
      },
    });
  await Promise.all([bill(meeting(world.worker)), bill(meeting(world.worker))]);
  expect(await billsOf()).toEqual([
    { period_number: 0, status: 'paid' },
    { period_number: 1, status: 'open' },
  ]);
  await collect();
  expect(await kept()).toEqual([800, 800]);
});

test('of two workers that charge at the same moment one charges', async () => {
  await bill();
  const both = barrier(2);
  const meeting = (): { cashier: Cashier; calls: string[] } =>
    recorded(
      withDatabaseHooks(world.worker, {
        statement: async (text) => {
          if (text.includes('for update of c skip locked')) await both.pass();
          return text;
        },
      }),
    );
  const [one, other] = [meeting(), meeting()];
  await Promise.all([collect(one.cashier), collect(other.cashier)]);
  expect([...one.calls, ...other.calls]).toEqual(['charge']);
  expect(await kept()).toEqual([800, 800]);
});

test('a worker that was stopped after it claimed a renewal does not send it; the resolver does, after the lease', async () => {
  await bill();
  const stopped = recorded(slow(world.worker, SEND_GUARD_MS + 1));
  await collect(stopped.cashier);
  expect([stopped.calls, await kept()]).toEqual([[], [800]]);
  await settle();
  expect(await kept()).toEqual([800, 800]);
  expect(await billsOf()).toEqual([
    { period_number: 0, status: 'paid' },
    { period_number: 1, status: 'paid' },
  ]);
});

test('what a killed worker had sent is found out together, by the same request, as soon as its lease is over', async () => {
  for (const _ of [1, 2]) {
    const other = await withCard(world, someUser());
    await world.commands.subscribe(other, subscription(premium));
  }
  await world.advance(MONTH);
  await bill();
  await collect({ ...world.worker, provider: { ...world.worker.provider, charge: dying } }).catch(() => undefined);
  expect(await attemptsOf()).toEqual([{ status: 'sent' }, { status: 'sent' }, { status: 'sent' }]);
  const recover = () => makeCollector(world.worker, oneByOne).recover(ALL_BUCKETS, LIMIT);
  // Its answer is overdue, and its worker may still be about to write it.
  await world.advance(LEASE_MS - 10_000);
  expect((await recover()).claimed).toBe(0);
  await world.advance(11_000);
  expect(await recover()).toEqual({ claimed: 3, failures: [] });
  expect(await attemptsOf()).toEqual([{ status: 'succeeded' }, { status: 'succeeded' }, { status: 'succeeded' }]);
  expect((await recover()).claimed).toBe(0);
  expect(await kept()).toEqual([800, 800]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('what a worker had claimed is free the moment the worker is gone, and not while it lives', async () => {
  const presence = await startPresence(world.db.options);
  await bill();
  const killed = { ...world.worker, presence: () => presence.number(), provider: { ...world.worker.provider, charge: dying } };
  await collect(killed).catch(() => undefined);
  const recover = () => makeCollector(world.worker, oneByOne).recover(ALL_BUCKETS, LIMIT);
  expect((await recover()).claimed).toBe(0);
  await presence.stop();
  expect(presence.number()).toBe(null);
  // The server notices a moment later.
  let found = 0;
  for (const limit = Date.now() + 10_000; found === 0 && Date.now() < limit;) found = (await recover()).claimed;
  expect(found).toBe(1);
  expect(await attemptsOf()).toEqual([{ status: 'succeeded' }]);
  expect(await kept()).toEqual([800, 800]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a worker that found lost renewals asks for the rest of them before it sends new ones', async () => {
  const [MOST_AT_FIRST, LOST] = [16, 18];
  const billMore = async (prefix: string, count: number): Promise<void> => {
    const endsAt = new Date(world.clock.now().getTime() - 1_000);
    await writeDueSubscriptions({ pool: world.db.ownerPool, stripePort: world.standIn.port, count, endsAt, prefix });
    await bill();
  };
  await billMore('lost', LOST - 1);
  const dead = { ...world.worker, provider: { ...world.worker.provider, charge: dying } };
  for (const _ of [1, 2]) await collect(dead);
  await world.advance(LEASE_MS + 1_000);
  await billMore('new', 1);
  const { cashier, calls } = recorded(world.worker);
  const failures: unknown[] = [];
  const chores = makeChores(cashier, {
    messenger: null,
    channel: 'test',
    maintain: async () => undefined,
    report: (error) => void failures.push(error),
    renewals: { spreadMs: 0, callsPerSecond: 100_000, machineNow: () => new Date() },
  });
  const turnOf = (name: string) => chores.find((chore) => chore.name === name)?.run();
  const left = async () => {
    const rows = await world.query<{ status: string; count: number }>(
      `select status, count(*)::int as count from payment_attempt where cause = 'renewal' and status in ('created', 'sent') group by status`,
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  };
  expect(await left()).toEqual({ created: 1, sent: LOST });
  expect(await turnOf('lost renewals')).toBe(true);
  expect(await left()).toEqual({ created: 1, sent: LOST - MOST_AT_FIRST });
  expect(await turnOf('renewals 1')).toBe(true);
  expect(await left()).toEqual({ created: 1 });
  expect(await turnOf('renewals 1')).toBe(true);
  expect(await left()).toEqual({});
  expect([calls.length, failures]).toEqual([LOST + 1, []]);
  await expectBooksOfProvider(world);
});

test('what a worker could not send in time it gives back, and another sends it before the lease would be over', async () => {
  await bill();
  const stopped = recorded(slow(world.worker, SEND_GUARD_MS + 1));
  await collect(stopped.cashier);
  await world.advance(1_000);
  expect(await makeCollector(world.worker, oneByOne).recover(ALL_BUCKETS, LIMIT)).toEqual({ claimed: 1, failures: [] });
  expect([stopped.calls, await kept()]).toEqual([[], [800, 800]]);
  await expectSoundBooks(world);
});

test('a renewal whose event comes before its own answer is recorded once', async () => {
  await bill();
  const early = withCalls(world.worker, async (name, call) => {
    const answer = await call();
    if (name === 'charge') {
      await world.receiveEvents({ newest: 10 });
      await world.work('webhooks');
    }
    return answer;
  });
  const { failures } = await collect(early);
  expect(failures).toEqual([]);
  expect(await kept()).toEqual([800, 800]);
  expect(await world.query('select status, period_number from subscription where id = $1', [id])).toEqual([
    { status: 'active', period_number: 1 },
  ]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('renewals whose answers are lost are written together, as their events tell of them', async () => {
  const others = [await withCard(world, someUser()), await withCard(world, someUser())];
  for (const other of others) await world.commands.subscribe(other, subscription(premium));
  await world.receiveEvents();
  await world.work('webhooks');
  await world.advance(MONTH);
  await bill();
  await collect({ ...world.worker, provider: { ...world.worker.provider, charge: dying } });
  expect(await attemptsOf()).toEqual([{ status: 'sent' }, { status: 'sent' }, { status: 'sent' }]);
  await world.receiveEvents({ newest: 20 });
  const written: string[] = [];
  const writing = withDatabaseHooks(world.worker, {
    statement: async (text) => {
      if (text.includes('insert into transaction_event')) written.push(text);
      return text;
    },
  });
  const { failures } = await applyWebhooks(writing, ALL_BUCKETS, LIMIT, (items, work) => eachAtMost(items, LIMIT, work));
  expect(failures).toEqual([]);
  expect(written.length).toBeLessThan(3);
  expect(
    await world.query(
      `select distinct e.status, e.cause from transaction_event e join payment_attempt a on a.id = e.transaction_id
       where a.cause = 'renewal' and a.sent_at > $1 and e.version > 0`,
      [new Date(world.clock.now().getTime() - 600_000)],
    ),
  ).toEqual([{ status: 'succeeded', cause: 'provider_event' }]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a renewal that another cell takes over goes out as it was billed, and again by whoever finds it', async () => {
  await bill();
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  await collect({ ...world.worker, env: 'elsewhere' });
  await world.clearFaults();
  await settle();
  expect(await kept()).toEqual([800, 800]);
  const intents = await paymentsOf(world, actor);
  expect(new Set(intents.map(({ metadata }) => metadata['env']))).toEqual(new Set([world.worker.env]));
  expect(await world.query(`select kind from recon_finding where status = 'open'`)).toEqual([]);
});

test('a cancellation while the call is under way gives the money back in full', async () => {
  await bill();
  const { cashier, call } = holding(world.worker, 'charge');
  const charging = collect(cashier);
  await call.reached();
  expect((await cancelNow()).refusals).toEqual([]);
  call.open();
  expect((await charging).failures).toEqual([]);
  await settle();
  expect(await kept()).toEqual([800, 0]);
  expect(await world.query('select status from subscription where id = $1', [id])).toEqual([{ status: 'canceled' }]);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a subscription whose method was removed between billing and charging is not charged by it: it is billed anew, and past due without another', async () => {
  await bill();
  await world.query(`update payment_method set status = 'removed' where user_id = $1`, [actor.userId]);
  const { cashier, calls } = recorded(world.worker);
  await collect(cashier);
  await bill();
  await collect(cashier);
  expect(calls).toEqual([]);
  expect(await kept()).toEqual([800]);
  expect(await world.query('select status from subscription where id = $1', [id])).toEqual([{ status: 'past_due' }]);
});

const STEPS = {
  bill: async () => void (await bill()),
  collect: async () => void (await collect()),
  cancel: async () => void (await cancelNow()),
  events: async () => {
    await world.receiveEvents({ newest: 20 });
    await world.work('webhooks');
  },
} as const;
type Step = keyof typeof STEPS;

/** Nothing is charged before it was billed. */
const RACES = permutations<Step>(['bill', 'collect', 'cancel', 'events']).filter(
  (order) => order.indexOf('bill') < order.indexOf('collect'),
);

test.each(RACES.flatMap((order) => [true, false].map((isLost) => ({ order, isLost }))))(
  'in this order, answer lost: $isLost, nobody is charged after a cancel or gets it back in full: $order',
  async ({ order, isLost }) => {
    if (isLost) await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
    let wasPaid = false;
    for (const step of order) {
      if (step === 'cancel') {
        const [row] = await world.query<{ period_number: number }>('select period_number from subscription where id = $1', [id]);
        wasPaid = row?.period_number === 1;
      }
      await STEPS[step]();
    }
    await world.clearFaults();
    await bill();
    await collect();
    await settle();
    const total = (await kept()).reduce((sum, amount) => sum + amount, 0);
    expect(total).toBe(wasPaid ? 1_600 : 800);
    expect(await world.query('select status from subscription where id = $1', [id])).toEqual([{ status: 'canceled' }]);
    await expectSoundBooks(world);
  },
);
