import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { makeId, type PriceId, type TransactionId } from '../../src/domain/ids.js';
import { addDays, earnedThrough } from '../../src/domain/ledger/revenue.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { openDatabase } from '../../src/store/database.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { recognizeRevenue } from '../../src/usecases/recognize-revenue.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { TestClock } from '../support/clock.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/postgres.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

const DAY = 86_400_000;
const LONG_AGO = '2021-03-30T18:00:00Z';

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterAll(async () => world.stop());

interface DayRow {
  day: string;
  amount: bigint;
  posted: bigint | null;
}

/** What was recognised, by day, with what was posted for it. */
async function days(from: World = world): Promise<DayRow[]> {
  return from.query<DayRow>(
    `select d.day::text, d.amount, case c.code when 'revenue' then m.amount else -m.amount end as posted
     from revenue_day d left join ledger_movement m on m.bucket = d.bucket and m.source_id = d.id and m.event = 'revenue_recognized'
     left join ledger_account c on c.id = m.credit_account_id where d.currency = 'USD' order by d.day`,
  );
}

async function schedules(userId: string) {
  return world.query<{ net: bigint; starts_on: string; ends_on: string; stopped_on: string | null }>(
    'select net, starts_on::text, ends_on::text, stopped_on::text from revenue_schedule where user_id = $1 order by invoice_id, seq',
    [userId],
  );
}

const earnedBy = (rows: Awaited<ReturnType<typeof schedules>>, day: string): bigint =>
  rows.reduce(
    (all, row) =>
      all + earnedThrough({ netMinor: row.net, startsOn: row.starts_on, endsOn: row.ends_on, stoppedOn: row.stopped_on }, day),
    0n,
  );

test('each day of a period earns its part once it is over, a refund stops the rest, and an outage is caught up with (K6, B6)', async () => {
  const ana = await withCard(world, someUser('ana'));
  const { transactionId } = await world.commands.subscribe(ana, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  await world.work('revenue');
  expect(await days()).toEqual([]);
  await world.advance(DAY);
  await world.work('revenue');
  const [first] = await schedules(ana.userId);
  if (!first) throw new Error('a period has a schedule');
  const one = earnedBy([first], first.starts_on);
  expect(one).toBeGreaterThan(0n);
  expect(await days()).toEqual([{ day: first.starts_on, amount: one, posted: one }]);
  await world.work('revenue');
  expect(await days()).toHaveLength(1);
  // Nobody works for ten days; then a part is given back, and nobody works for five more.
  await world.advance(10 * DAY);
  await world.commands.refund(someStaff('finance'), {
    transactionId: transactionId as TransactionId,
    amount: { minor: 300n, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  await world.advance(5 * DAY);
  await world.work('revenue');
  const rows = await schedules(ana.userId);
  expect(rows).toHaveLength(2);
  const closed = await days();
  expect(closed.map(({ day }) => day)).toEqual(Array.from({ length: 16 }, (_, nth) => addDays(first.starts_on, nth)));
  for (const { day, amount, posted } of closed) {
    expect([day, amount, posted]).toEqual([day, earnedBy(rows, day) - earnedBy(rows, addDays(day, -1)), amount]);
  }
  await expectSoundBooks(world);
});

test('a day on which nothing is earned is closed without a posting', async () => {
  const before = (await days()).length;
  await world.advance(400 * DAY);
  await world.work('revenue');
  const closed = await days();
  expect(closed.length).toBe(before + 400);
  expect(closed.at(-1)).toMatchObject({ amount: 0n, posted: null });
});

/** A cashier of a worker on books of nothing but schedules, which a test writes as units of work would. */
async function bareBooks() {
  const db = await testDatabase();
  // Long ago, where one partition reaches over all that a test lets pass.
  const clock = new TestClock(LONG_AGO);
  const source = await openDatabase(db.options, 'pay_worker', 5);
  const cashier: Pick<Cashier, 'tx'> = {
    tx: { source, clock, random: new SystemRandom(), onCommitted: () => undefined },
  };
  await db.ownerPool.query(
    `insert into ledger_account (id, code, class, currency) values (84020, 'deferred_revenue', 'liability', 'USD'),
     (84040, 'revenue', 'income', 'USD'), (84001, 'customer_receivable', 'asset', 'USD')`,
  );
  return {
    db,
    clock,
    cashier: cashier as Cashier,
    stop: async () => {
      await source.destroy();
      await db.drop();
    },
  };
}
type BareBooks = Awaited<ReturnType<typeof bareBooks>>;

interface Written {
  invoiceId: string;
  netMinor: bigint;
  startsOn: string;
  endsOn: string;
  stoppedOn: string | null;
}

/** Runs without foreign keys, which these rows have nothing to point at. */
async function loosely(books: BareBooks, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await books.db.ownerPool.connect();
  try {
    await client.query('begin');
    await client.query('set local session_replication_role = replica');
    await work(client);
    await client.query('commit');
  } finally {
    client.release();
  }
}

/** The day of the books' clock. */
const today = (books: BareBooks): string => books.clock.now().toISOString().slice(0, 10);

async function write(books: BareBooks, schedule: Written): Promise<void> {
  const { invoiceId, netMinor, startsOn, endsOn } = schedule;
  await loosely(books, async (client) => {
    await client.query(
      `insert into revenue_schedule (bucket, invoice_id, user_id, currency, net, starts_on, ends_on) values (1, $1, 'ana', 'USD', $2, $3, $4)`,
      [invoiceId, netMinor, startsOn, endsOn],
    );
    await post(client, books, invoiceId, 'net', 84_001, 84_020, netMinor);
  });
}

async function stop(books: BareBooks, schedule: Written): Promise<void> {
  const stoppedOn = today(books);
  const reversed = schedule.netMinor - earnedThrough(schedule, addDays(stoppedOn, -1));
  schedule.stoppedOn = stoppedOn;
  await loosely(books, async (client) => {
    await client.query('update revenue_schedule set stopped_on = $2, reversed = $3 where invoice_id = $1', [
      schedule.invoiceId,
      stoppedOn,
      reversed,
    ]);
    if (reversed > 0n) await post(client, books, schedule.invoiceId, 'unearned', 84_020, 84_001, reversed);
  });
}

async function post(
  client: pg.PoolClient,
  books: BareBooks,
  source: string,
  leg: string,
  debit: number,
  credit: number,
  amount: bigint,
) {
  await client.query(
    `insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, effective_at, posted_at)
     values (1, $1, $2, $3, $4, $5, 'USD', $6, $7, $7)`,
    [source, leg === 'net' ? 'invoice_finalized' : 'invoice_voided', leg, debit, credit, amount, books.clock.now()],
  );
}

const STEPS = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      netMinor: fc.bigInt({ min: 1n, max: 10_000_000n }),
      in: fc.integer({ min: 0, max: 5 }),
      length: fc.integer({ min: 1, max: 40 }),
    }),
    fc.record({ kind: fc.constant('stop' as const), which: fc.nat() }),
    fc.record({ kind: fc.constant('days pass' as const), count: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant('work' as const), mostDays: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant('roll up' as const) }),
  ),
  { minLength: 5, maxLength: 40 },
);

test('whatever is written and stopped when, and whenever the worker works, each day is posted what the rule says it earned (K6)', async () => {
  const books = await bareBooks();
  try {
    await fc.assert(
      fc.asyncProperty(STEPS, async (steps) => {
        await books.db.ownerPool.query('truncate revenue_schedule, revenue_day, ledger_balance');
        await loosely(
          books,
          async (client) =>
            void (await client.query(
              'alter table ledger_movement disable trigger all; delete from ledger_movement; alter table ledger_movement enable trigger all',
            )),
        );
        books.clock.set(LONG_AGO);
        const written: Written[] = [];
        for (const step of steps) {
          if (step.kind === 'write') {
            const startsOn = addDays(today(books), step.in);
            const invoiceId = makeId('inv', 1, books.clock.now().getTime(), randomBytes(8));
            const one = { invoiceId, netMinor: step.netMinor, startsOn, endsOn: addDays(startsOn, step.length), stoppedOn: null };
            written.push(one);
            await write(books, one);
          } else if (step.kind === 'stop') {
            const running = written.filter(({ stoppedOn }) => stoppedOn === null);
            const one = running[step.which % Math.max(running.length, 1)];
            if (one) await stop(books, one);
          } else if (step.kind === 'days pass') books.clock.advance(step.count * DAY);
          else if (step.kind === 'work') await recognizeRevenue(books.cashier, step.mostDays);
          else await rollUp(books);
        }
        while (await recognizeRevenue(books.cashier, 7));
        const { rows } = await books.db.ownerPool.query<{ day: string; amount: bigint }>(
          'select day::text, amount from revenue_day order by day',
        );
        const through = (day: string): bigint => written.reduce((all, one) => all + earnedThrough(one, day), 0n);
        expect(rows).toEqual(rows.map(({ day }) => ({ day, amount: through(day) - through(addDays(day, -1)) })));
        const first = written.map(({ startsOn }) => startsOn).toSorted()[0];
        const last = new Date(books.clock.now().getTime() - 600_000).toISOString().slice(0, 10);
        const wanted: string[] = [];
        for (let day = first ?? last; day < last; day = addDays(day, 1)) wanted.push(day);
        expect(rows.map(({ day }) => day)).toEqual(wanted);
      }),
      { numRuns: 40 },
    );
  } finally {
    await books.stop();
  }
});

async function rollUp(books: BareBooks): Promise<void> {
  await books.db.ownerPool.query(
    `insert into ledger_balance select a.id, $1, coalesce(sum(e.amount), 0) from ledger_account a
     left join ledger_entry e on e.account_id = a.id and e.posted_at < $1 group by a.id
     on conflict (account_id) do update set rolled_up_to = excluded.rolled_up_to, balance = excluded.balance`,
    [books.clock.now()],
  );
}

test('workers that close days at the same time, and one that dies before its commit, leave each day closed once', async () => {
  const books = await bareBooks();
  const client = new pg.Client(pgConfig(books.db.options));
  await client.connect();
  try {
    const one: Written = {
      invoiceId: makeId('inv', 1, books.clock.now().getTime(), randomBytes(8)),
      netMinor: 3_000n,
      startsOn: today(books),
      endsOn: addDays(today(books), 30),
      stoppedOn: null,
    };
    await write(books, one);
    books.clock.advance(10 * DAY);
    await client.query('begin');
    await client.query('lock table revenue_day in share mode'); // reading goes on, writing waits
    const dying = recognizeRevenue(books.cashier, 7).then(
      () => 'done',
      () => 'died',
    );
    const pool = books.db.ownerPool; // within its transaction the other connection would see one moment of this view for ever
    const waiting = `from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into revenue_day%'`;
    await eventually(async () => expect((await pool.query(`select ${waiting}`)).rowCount).toBe(1));
    await expect(recognizeRevenue(books.cashier, 7)).resolves.toBe(false); // it is another worker's turn
    await pool.query(`select pg_terminate_backend(pid) ${waiting}`);
    expect(await dying).toBe('died');
    await client.query('commit');
    const drain = async (): Promise<void> => {
      while ((await recognizeRevenue(books.cashier, 2)) || (await countDays(client)) < 10n);
    };
    await Promise.all([drain(), drain(), drain()]);
    const { rows } = await client.query(
      'select d.amount, m.amount as posted from revenue_day d join ledger_movement m on m.source_id = d.id order by d.day',
    );
    expect(rows).toEqual(Array.from({ length: 10 }, () => ({ amount: 100n, posted: 100n })));
  } finally {
    await client.end();
    await books.stop();
  }
});

async function countDays(client: pg.Client): Promise<bigint> {
  const { rows } = await client.query<{ n: bigint }>('select count(*) as n from revenue_day');
  return rows[0]?.n ?? 0n;
}
