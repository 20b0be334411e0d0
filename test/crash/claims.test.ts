/** Who comes second: at the customer's lock, at a client's key, and at a claim when the lock is not there. By construction, not by chance. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { keepHouse } from '../../src/usecases/keep-house.js';
import { applyWebhooks } from '../../src/usecases/apply-webhooks.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor, RefundCommand } from '../../src/usecases/contract.js';
import { resolvePayment } from '../../src/usecases/resolve-payment.js';
import { sendPayment } from '../../src/usecases/send-payment.js';
import { resolveRefund, sendRefund } from '../../src/usecases/send-refund.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { eventually } from '../support/eventually.js';
import { oneByOne, newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';
import { barrier, Gate, recorded, withCalls, withDatabaseHooks, withoutCustomerLock } from './wiring.js';

let world: World;
let premium: PriceId;
let badge: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [product] = await world.query<{ key: string }>('select key from product where unlocks is not null');
  badge = (await priceId(world, { product: product?.key ?? '' })) as PriceId;
});

afterAll(async () => world.stop());

const buying = (idempotencyKey = newKey(), quantity = 1) => ({
  priceId: badge,
  quantity,
  paymentMethodId: null,
  expectedAmount: null,
  returnUrl: null,
  idempotencyKey,
});

const refunding = (transactionId: TransactionId, minor: bigint): RefundCommand => ({
  transactionId,
  amount: { minor, currency: 'USD' },
  reason: 'requested',
  note: null,
  endSubscription: false,
  idempotencyKey: newKey(),
});

async function sold(actor: Actor, cashier = world.gateway): Promise<TransactionId> {
  const { transactionId } = await makeCommands(cashier).subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (transactionId === null) throw new Error('nothing was sold');
  return transactionId;
}

async function paidCharges(actor: Actor) {
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  return (await world.truth()).charges.filter((charge) => charge.customer === row?.object_id && charge.paid);
}

/** A gateway that stands still before its first commit until it is let go. */
function heldBeforeCommit(): { cashier: Cashier; commit: Gate } {
  const commit = new Gate();
  const cashier = withDatabaseHooks(world.gateway, {
    commit: async (write) => {
      await commit.pass();
      await write();
    },
  });
  return { cashier, commit };
}

/** Lets go of a commit as soon as the other unit of work waits for it, or has ended without waiting. */
async function letGoWhenAwaited(commit: Gate, other: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  const ended = (): void => void (hasEnded = true);
  void other.then(ended, ended);
  await eventually(async () => {
    const [waiting] = await world.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    expect(hasEnded || (waiting?.n ?? 0) > 0).toBe(true);
  });
  commit.open();
}

test('a refund that is asked for while another one decides waits for it, and sees what is left', async () => {
  const charge = await sold(await withCard(world, someUser()));
  const { cashier, commit } = heldBeforeCommit();
  const first = makeCommands(cashier).refund(someStaff('support'), refunding(charge, 480n));
  await commit.reached();
  const second = world.commands.refund(someStaff('support'), refunding(charge, 480n));
  await letGoWhenAwaited(commit, second);
  const answers = await Promise.all([first, second]);
  expect(answers.map(({ refusals }) => refusals.map(({ code }) => code))).toEqual([[], ['REFUND_EXCEEDS_CHARGE']]);
});

test('two requests with one key, at two gateways at the same instant, buy once and answer alike', async () => {
  const ana = await withCard(world, someUser());
  const key = newKey();
  const { cashier, commit } = heldBeforeCommit();
  const first = makeCommands(cashier).purchase(ana, buying(key));
  await commit.reached();
  const second = world.commands.purchase(ana, buying(key));
  await letGoWhenAwaited(commit, second);
  const answers = await Promise.all([first, second]);
  expect(answers.map(({ refusals, isReplay }) => [refusals, isReplay])).toEqual([
    [[], false],
    [[], true],
  ]);
  expect(new Set(answers.map(({ purchaseId }) => purchaseId)).size).toBe(1);
  expect(await paidCharges(ana)).toHaveLength(1);
});

test('a key that comes again with another input buys nothing more', async () => {
  const ana = await withCard(world, someUser());
  const key = newKey();
  await world.commands.purchase(ana, buying(key));
  const again = await world.commands.purchase(ana, buying(key, 2));
  expect(again.refusals.map(({ code }) => code)).toEqual(['IDEMPOTENCY_KEY_REUSED']);
  expect(again.transactionId).toBeNull();
  expect(await paidCharges(ana)).toHaveLength(1);
});

/** A process that stops before its call to the provider, so that what it began is left unsent or claimed. */
function stoppingBefore(call: 'claim' | 'call'): Cashier {
  const stopped = (): never => {
    throw new Error('stopped');
  };
  if (call === 'call') return withCalls(world.gateway, stopped);
  let commits = 0;
  return withDatabaseHooks(world.gateway, { commit: async (write) => (++commits > 1 ? stopped() : write()) });
}

/** Two workers without the customer's lock, who meet before they write the row that they both have read. */
function lockless(table: 'payment_attempt' | 'refund') {
  const meet = barrier(2);
  const workers = [world.worker, world.gateway].map((cashier) =>
    recorded(
      withDatabaseHooks(cashier, {
        statement: async (text) => {
          if (text.startsWith(`UPDATE "${table}"`)) await meet.pass();
          return withoutCustomerLock(text);
        },
      }),
    ),
  );
  return { cashiers: workers.map(({ cashier }) => cashier), calls: () => workers.flatMap(({ calls }) => calls) };
}

async function unsentCharge(actor: Actor): Promise<TransactionId> {
  await expect(sold(actor, stoppingBefore('claim'))).rejects.toThrow('stopped');
  const [row] = await world.query<{ id: TransactionId }>(
    "select id from payment_attempt where user_id = $1 and status = 'created'",
    [actor.userId],
  );
  if (!row) throw new Error('nothing is left unsent');
  return row.id;
}

async function leftRefund(charge: TransactionId, stop: 'claim' | 'call'): Promise<TransactionId> {
  let dies = stoppingBefore('call');
  if (stop === 'claim') {
    let commits = 0;
    // Between its first and its claiming unit of work a refund reads whose it is.
    dies = withDatabaseHooks(world.gateway, {
      commit: async (write) => {
        if (++commits > 2) throw new Error('stopped');
        await write();
      },
    });
  }
  await expect(makeCommands(dies).refund(someStaff('support'), refunding(charge, 300n))).rejects.toThrow('stopped');
  const [row] = await world.query<{ id: TransactionId }>('select id from refund where payment_attempt_id = $1', [charge]);
  if (!row) throw new Error('no refund was begun');
  return row.id;
}

test('without the customer lock, of two who send one charge at the same instant one sends it; the version decides', async () => {
  const ana = await withCard(world, someUser());
  const id = await unsentCharge(ana);
  const { cashiers, calls } = lockless('payment_attempt');
  const ends = await Promise.allSettled(cashiers.map((cashier) => sendPayment(cashier, { id, userId: ana.userId })));
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(calls()).toEqual(['charge']);
  expect(await paidCharges(ana)).toHaveLength(1);
});

test('without the customer lock, of two who look into one charge at the same instant one asks; the version decides', async () => {
  const ana = await withCard(world, someUser());
  await expect(sold(ana, stoppingBefore('call'))).rejects.toThrow('stopped');
  const [row] = await world.query<{ id: TransactionId }>('select id from payment_attempt where user_id = $1', [ana.userId]);
  await world.advance(2 * 60_000);
  const { cashiers, calls } = lockless('payment_attempt');
  const ref = { id: row?.id ?? ('' as TransactionId), userId: ana.userId };
  await Promise.all(cashiers.map((cashier) => resolvePayment(cashier, ref, 'due')));
  expect(calls()).toEqual(['charge']);
  expect(await paidCharges(ana)).toHaveLength(1);
});

test('without the customer lock, of two who send one refund at the same instant one sends it; the version decides', async () => {
  const ana = await withCard(world, someUser());
  const id = await leftRefund(await sold(ana), 'claim');
  const { cashiers, calls } = lockless('refund');
  await Promise.all(cashiers.map((cashier) => sendRefund(cashier, { id, userId: ana.userId })));
  expect(calls()).toEqual(['refund']);
  expect((await paidCharges(ana))[0]?.amount_refunded).toBe(300);
});

test('without the customer lock, of two who look into one refund at the same instant one asks; the version decides', async () => {
  const ana = await withCard(world, someUser());
  const id = await leftRefund(await sold(ana), 'call');
  await world.advance(2 * 60_000);
  const { cashiers, calls } = lockless('refund');
  await Promise.all(cashiers.map((cashier) => resolveRefund(cashier, { id, userId: ana.userId })));
  expect(calls()).toEqual(['refund']);
  expect((await paidCharges(ana))[0]?.amount_refunded).toBe(300);
});

test('without the customer lock, of two who record the answers of one charge one writes them; the version decides', async () => {
  const ana = await withCard(world, someUser());
  await world.fault({ operation: 'payment_intents.create', kind: 'timeout_after', count: 1 });
  const id = await sold(ana);
  await world.advance(2 * 60_000);
  await world.receiveEvents();
  const meet = barrier(2);
  // The probe and the webhook have both read the attempt when the first of them writes anything.
  const cashierOf = (cashier: Cashier): Cashier =>
    withDatabaseHooks(cashier, {
      statement: async (text) => {
        if (text.startsWith('insert into provider_ref')) await meet.pass();
        return withoutCustomerLock(text);
      },
    });
  const ref = { id, userId: ana.userId };
  await Promise.all([
    resolvePayment(cashierOf(world.gateway), ref, 'due'),
    applyWebhooks(cashierOf(world.worker), ALL_BUCKETS, 64, oneByOne),
  ]);
  const told = await world.query<{ status: string }>(
    "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
    [ana.userId],
  );
  expect(told.map(({ status }) => status)).toEqual(['pending', 'unknown', 'succeeded']);
  expect(
    await world.query(`select from ledger_movement where event = 'payment_succeeded' and source_id = $1`, [id]),
  ).toHaveLength(1);
});

test('a charge that is on its way is not sent again, whoever asks', async () => {
  const ana = await withCard(world, someUser());
  const call = new Gate();
  const { cashier, calls } = recorded(
    withCalls(world.gateway, async (_, made) => {
      await call.pass();
      return made();
    }),
  );
  const selling = sold(ana, cashier);
  await call.reached();
  const [row] = await world.query<{ id: TransactionId }>('select id from payment_attempt where user_id = $1', [ana.userId]);
  const other = recorded(world.worker);
  await sendPayment(other.cashier, { id: row?.id ?? ('' as TransactionId), userId: ana.userId });
  expect(other.calls).toEqual([]);
  call.open();
  await selling;
  expect(calls).toEqual(['charge']);
});

test('a refund that is on its way is not sent again, whoever asks', async () => {
  const ana = await withCard(world, someUser());
  const charge = await sold(ana);
  const call = new Gate();
  const held = withCalls(world.gateway, async (_, made) => {
    await call.pass();
    return made();
  });
  const refunded = makeCommands(held).refund(someStaff('support'), refunding(charge, 300n));
  await call.reached();
  const [row] = await world.query<{ id: TransactionId }>('select id from refund where payment_attempt_id = $1', [charge]);
  const other = recorded(world.worker);
  await sendRefund(other.cashier, { id: row?.id ?? ('' as TransactionId), userId: ana.userId });
  expect(other.calls).toEqual([]);
  call.open();
  expect((await refunded).refusals).toEqual([]);
});

test('after all this the books are sound', async () => {
  await expectSoundBooks(world);
});

test('two workers that roll balances up at once add what is new to each balance once', async () => {
  const HOUR_MS = 3_600_000;
  const ana = await withCard(world, someUser());
  await world.commands.purchase(ana, buying());
  await world.advance(HOUR_MS);
  await keepHouse(world.worker); // Each account has a balance.
  await world.commands.purchase(ana, buying());
  await world.advance(HOUR_MS);
  const holder = await world.db.ownerPool.connect();
  const waiting = async (): Promise<number> => {
    const [row] = await world.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into ledger_balance%'`,
    );
    return row?.n ?? 0;
  };
  try {
    await holder.query('begin');
    await holder.query('select from ledger_balance for update');
    // The first has its sums, and waits to write them; then the second comes, a moment later by its clock.
    const first = keepHouse(world.worker);
    await eventually(async () => expect(await waiting()).toBe(1));
    world.clock.advance(1_000);
    let isOver = false;
    const second = keepHouse(world.worker).then(() => {
      isOver = true;
    });
    await eventually(async () => expect(isOver || (await waiting()) === 2).toBe(true));
    await holder.query('commit');
    await Promise.all([first, second]);
  } finally {
    holder.release(true); // What it still holds where something failed goes with it.
  }
  await expectSoundBooks(world);
});
