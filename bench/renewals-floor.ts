/**
 * What renewals cost without HTTP: with a provider in memory, beside one statement that writes the same rows; beside many subscriptions that are
 * not due; and what memory is kept when very many come in a row.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { ALL_BUCKETS, slotsOfBuckets } from '../src/platform/slots.js';
import { removeEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from '../src/platform/embedded-postgres.js';
import { SystemRandom } from '../src/platform/random.js';
import { eachAtMost } from '../src/platform/repeat.js';
import type { ChargeRequest, PaymentFact } from '../src/ports/provider.js';
import { stripeProvider } from '../src/providers/stripe/adapter.js';
import { openDatabase } from '../src/store/database.js';
import { migrate } from '../src/store/migrate.js';
import type { Cashier } from '../src/usecases/cashier.js';
import { doDue } from '../src/usecases/do-due.js';
import { publishCatalogue, readCatalogue } from '../src/usecases/publish-catalogue.js';
import { Quotes } from '../src/usecases/quotes.js';
import { makeCollector } from '../src/usecases/renew.js';
import { quantile, type Bench, type Finding } from './bench.js';
import { analyzeDue, writeDueRows } from './due-subscriptions.js';
import { processTimes } from './process-times.js';

const ACCOUNT = 1;
const WANTED_OF_FLOOR = 0.35;
/** What still counts as the same cost, and as flat. */
const SAME_WITHIN = 1.25;
const GROWN_AT_MOST_MIB = 8;
/** Rounds alone and beside many, in turn: a machine is faster in one quarter of an hour than in the next. One more comes before, and counts for nothing. */
const PAIRS = 3;
/** Batches of the floor, of billing and of collecting alike. */
const BATCH = 500;
/** As a worker has them in flight. */
const IN_FLIGHT = 256;
const SLOTS = 16;
const TOLD_EVERY = 50_000;

/** The bench. */
export const renewalsFloor: Bench = {
  name: 'renewals-floor',
  size: { of: 'subscriptions', usual: 20_000 },
  also: [
    { of: 'not-due', usual: 10_000_000 },
    { of: 'in-a-row', usual: 1_000_000 },
  ],
  question:
    'What does a renewal cost with a provider in memory, beside one statement that writes the same rows, beside many that are not due, and what is kept of a million?',
  run: async (count, tell, [notDue = 0, inARow = 0]) => {
    const dataDir = await mkdtemp(path.join(os.tmpdir(), 'bench-floor-'));
    const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
    try {
      return await measure(server, { count, notDue, inARow }, tell);
    } finally {
      await server.stop();
      await removeEmbeddedPostgres(dataDir);
      await rm(dataDir, { recursive: true, force: true });
    }
  },
};

/** What one turn over many renewals cost. */
interface Cost {
  perSecond: number;
  /** Microseconds of CPU of a renewal. */
  databaseUs: number;
  processUs: number;
}

interface Sizes {
  count: number;
  notDue: number;
  inARow: number;
}

async function measure(
  server: EmbeddedPostgres,
  { count, notDue, inARow }: Sizes,
  tell: (line: string) => void,
): Promise<Finding> {
  const places: Place[] = [];
  const open = async (database: string): Promise<Place> => {
    const place = await openPlace(server, database);
    places.push(place);
    return place;
  };
  try {
    const alone = await open('alone');
    const few = Math.ceil(count / 10);
    // What is compiled and planned the first time counts for none of them.
    await alone.writeDue('warm', few);
    await renewAll(alone.cashier, few);
    tell(`One statement for ${count} renewals.`);
    await alone.writeDue('floor', count);
    const floor = await costOf(count, () => writeFloor(alone.pool, count));
    tell(`The product for ${count} renewals.`);
    await alone.writeDue('product', count);
    const product = await costOf(count, () => renewAll(alone.cashier, count));

    tell(`Writing ${notDue} subscriptions that are not due.`);
    const crowded = await open('crowded');
    await writeNotDue(crowded.pool, notDue, tell);
    const pairs: { alone: Cost; beside: Cost }[] = [];
    for (let round = 0; round <= PAIRS; round++) {
      tell(
        `${count} renewals alone, and as many beside those that are not due: ${round === 0 ? 'warming up' : `${round} of ${PAIRS}`}.`,
      );
      const costIn = async (place: Place): Promise<Cost> => {
        await place.writeDue(`pair${round}`, count);
        return costOf(count, () => renewAll(place.cashier, count));
      };
      const [first, second] = round % 2 === 0 ? [alone, crowded] : [crowded, alone];
      const costs = new Map([
        [first, await costIn(first)],
        [second, await costIn(second)],
      ]);
      const [costAlone, costBeside] = [costs.get(alone), costs.get(crowded)];
      if (round > 0 && costAlone && costBeside) pairs.push({ alone: costAlone, beside: costBeside });
    }
    const small = memoryMiB();
    tell(`Writing ${inARow} that are due.`);
    await crowded.writeDue('row', inARow);
    tell(`The product for ${inARow} renewals.`);
    const row = await costOf(inARow, () => renewAll(crowded.cashier, inARow, tell));
    const large = memoryMiB();
    const renewed = (await alone.renewed()) + (await crowded.renewed());
    const before = few + count + count + 2 * (PAIRS + 1) * count;
    const ofFloor = product.perSecond / floor.perSecond;
    const besideOfAlone = quantile(
      pairs.map((pair) => cpuUs(pair.beside) / cpuUs(pair.alone)),
      0.5,
    );
    return {
      ratios: [
        { what: 'renewals a second of what one statement writes', value: ofFloor, unit: 'x' },
        { what: 'CPU of one statement, of what a renewal takes in all', value: floor.databaseUs / cpuUs(product), unit: 'x' },
        { what: `CPU of a renewal beside ${notDue} that are not due, of one alone`, value: besideOfAlone, unit: 'x' },
      ],
      figures: [
        { what: 'renewals by one statement', value: floor.perSecond, unit: '/s' },
        { what: 'renewals, provider in memory', value: product.perSecond, unit: '/s' },
        { what: 'one statement, a renewal in the database', value: floor.databaseUs, unit: 'us CPU' },
        { what: 'a renewal in the database', value: product.databaseUs, unit: 'us CPU' },
        { what: 'a renewal in our process', value: product.processUs, unit: 'us CPU' },
        ...pairs.flatMap((pair, at) => [
          { what: `pair ${at + 1}, CPU of a renewal alone`, value: cpuUs(pair.alone), unit: 'us CPU' as const },
          { what: `pair ${at + 1}, CPU of a renewal beside those not due`, value: cpuUs(pair.beside), unit: 'us CPU' as const },
        ]),
        { what: `renewals, ${inARow} in a row`, value: row.perSecond, unit: '/s' },
        { what: `CPU of a renewal, ${inARow} in a row beside them`, value: cpuUs(row), unit: 'us CPU' },
        { what: `memory kept after ${before - count}`, value: small.kept * 1_024, unit: 'KiB' },
        { what: `memory kept after ${before - count + inARow}`, value: large.kept * 1_024, unit: 'KiB' },
        { what: `memory taken from the system after ${before - count}`, value: small.resident * 1_024, unit: 'KiB' },
        { what: 'memory taken from the system at the end', value: large.resident * 1_024, unit: 'KiB' },
      ],
      bounds: [
        { what: `at least ${WANTED_OF_FLOOR} of what one statement writes`, holds: ofFloor >= WANTED_OF_FLOOR },
        {
          what: `memory kept grows by less than ${GROWN_AT_MOST_MIB} MiB with ${inARow} more`,
          holds: large.kept - small.kept < GROWN_AT_MOST_MIB,
        },
        { what: `the same cost within ${SAME_WITHIN} beside those that are not due`, holds: besideOfAlone <= SAME_WITHIN },
        { what: 'each is renewed once', holds: renewed === before + inARow },
      ],
    };
  } finally {
    for (const place of places) await place.close();
  }
}

/** A database of its own in the same server. */
interface Place {
  /** As the owner. */
  pool: pg.Pool;
  cashier: Cashier;
  /** Writes so many that are due, of users whose ids begin so. */
  writeDue(prefix: string, many: number): Promise<void>;
  /** How many were renewed once. */
  renewed(): Promise<number>;
  close(): Promise<void>;
}

async function openPlace(server: EmbeddedPostgres, database: string): Promise<Place> {
  const admin = new pg.Client({ ...server, database: 'postgres' });
  await admin.connect();
  await admin.query(`create database ${database}`);
  await admin.end();
  const options = { host: server.host, port: server.port, database, username: server.user };
  await migrate(options, new Date());
  const pool = new pg.Pool({ ...server, database, max: 4 });
  const source = await openDatabase(options, 'pay_worker', 24);
  const client = await pool.connect();
  await publishCatalogue(client, readCatalogue(await readFile('data/catalogue.json', 'utf8')), new Date());
  client.release();
  return {
    pool,
    cashier: inMemory(source),
    writeDue: async (prefix, many) => {
      const endsAt = new Date(Date.now() - 1_000);
      await writeDueRows({ pool, methodOf: methodsApart(), customer: 'cus_bench', count: many, endsAt, prefix });
      await analyzeDue(pool);
    },
    renewed: async () => {
      const { rows } = await pool.query<{ renewed: number }>(
        'select count(*)::int as renewed from subscription where period_number = 1',
      );
      return rows[0]?.renewed ?? 0;
    },
    close: async () => {
      await source.destroy();
      await pool.end();
    },
  };
}

function cpuUs({ databaseUs, processUs }: Cost): number {
  return databaseUs + processUs;
}

/** A cashier whose provider answers at once. */
function inMemory(source: DataSource): Cashier {
  const provider = stripeProvider({
    apiKey: 'sk_test_bench',
    webhookSecrets: [],
    publishableKey: null,
    apiBase: 'http://127.0.0.1:9',
    accountId: ACCOUNT,
    timeoutMs: 1_000,
  });
  return {
    tx: { source, clock: { now: () => new Date() }, random: new SystemRandom(), onCommitted: () => undefined },
    provider: { ...provider, charge: async (request) => ({ kind: 'fact', fact: paid(request), requestId: null }) },
    env: 'bench',
    monotonicMs: () => performance.now(),
    pause: () => Promise.resolve(),
    giftSecret: () => '',
    defaultReturnUrl: '',
    isReturnUrlAllowed: () => false,
    events: {
      providerCalled: () => undefined,
      findingOpened: () => undefined,
      statusChanged: () => undefined,
      webhook: () => undefined,
    },
    quotes: new Quotes('signs the quotes of a bench'),
  };
}

function paid(request: ChargeRequest): PaymentFact {
  const mark = randomBytes(12).toString('hex');
  const feeMinor = 35n;
  return {
    objectId: `pi_${mark}`,
    status: 'succeeded',
    chargeId: `ch_${mark}`,
    amountMinor: request.amountMinor,
    currency: request.currency,
    intentRef: request.intentRef,
    decline: null,
    nextAction: null,
    statementDescriptor: 'BENCH',
    records: [
      {
        nativeId: `txn_${mark}`,
        nativeType: 'charge',
        kind: 'charge',
        objectId: `ch_${mark}`,
        parentObjectId: null,
        grossMinor: request.amountMinor,
        feeMinor,
        netMinor: request.amountMinor - feeMinor,
        currency: request.currency,
        occurredAt: new Date(),
        status: 'pending',
        raw: `{"id":"txn_${mark}"}`,
      },
    ],
  } as PaymentFact;
}

/** Bills and collects until all are renewed, as a worker's chores do it side by side. */
async function renewAll(cashier: Cashier, count: number, tell: (line: string) => void = () => undefined): Promise<void> {
  const collector = makeCollector(cashier, (items, work) => eachAtMost(items, IN_FLIGHT, work));
  const slots = slotsOfBuckets(SLOTS);
  let billed = 0;
  let sent = 0;
  const billing = async (): Promise<void> => {
    for (let slot = 0; billed < count; slot++) {
      const { looked, failures } = await doDue(cashier, { spreadMs: 0 }, slots[slot % SLOTS] ?? ALL_BUCKETS, BATCH);
      if (failures.length > 0) throw new AggregateError(failures);
      billed += looked;
    }
  };
  const collecting = async (): Promise<void> => {
    for (let slot = 0; sent < count; slot++) {
      const { claimed, failures } = await collector.collect(
        slots[slot % SLOTS] ?? ALL_BUCKETS,
        IN_FLIGHT,
        async (wanted) => wanted,
      );
      if (failures.length > 0) throw new AggregateError(failures);
      if (Math.floor((sent + claimed) / TOLD_EVERY) > Math.floor(sent / TOLD_EVERY))
        tell(`${sent + claimed} of ${count} renewed`);
      sent += claimed;
    }
  };
  await Promise.all([billing(), collecting()]);
}

/** The same rows as a renewal leaves, by one statement for each batch. */
async function writeFloor(pool: pg.Pool, count: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query(
      'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off',
    );
    for (let done = 0; done < count;) {
      const { rows } = await client.query<{ done: number }>({ name: 'floor', text: FLOOR, values: [new Date(), BATCH] });
      done += rows[0]?.done ?? 0;
      if (rows[0]?.done === 0) throw new Error('Nothing was due any more.');
    }
  } finally {
    client.release(true);
  }
}

/** A new id in the bucket of its row. */
const ID = `(substr(uuidv7()::text, 1, 15) || lpad(to_hex(bucket::int), 3, '0') || substr(uuidv7()::text, 19))::uuid`;
const FLOOR = `with due as materialized (
     select s.bucket, s.id, s.user_id, s.price_id, s.payment_method_id, s.version, s.period_end, s.period_end + interval '1 month' as next_end
     from subscription s where s.next_action_at <= $1 and s.status = 'active' limit $2 for update skip locked)
   , k as materialized (
     select d.*, p.amount, p.currency, t.name, ${ID} as invoice, ${ID} as intent, ${ID} as attempt, ${ID} as record, md5(d.id::text) as mark
     from due d join price p on p.id = d.price_id join tier t on t.id = p.tier_id)
   , bill as (
     insert into invoice (bucket, id, user_id, kind, subscription_id, epoch, period_number, period_start, period_end, currency, net, tax, status, finalized_at, paid_at)
     select bucket, invoice, user_id, 'period', id, 0, 1, period_end, next_end, currency, amount, 0, 'paid', $1, $1 from k)
   , line as (
     insert into invoice_line (bucket, invoice_id, position, user_id, description, price_id, amount, period_start, period_end)
     select bucket, invoice, 1, user_id, name, price_id, amount, period_end, next_end from k)
   , schedule as (
     insert into revenue_schedule (bucket, invoice_id, seq, user_id, currency, net, starts_on, ends_on)
     select bucket, invoice, 1, user_id, currency, amount, period_end::date, next_end::date from k)
   , intents as (
     insert into payment_intent (bucket, id, user_id, invoice_id, amount, currency, status) select bucket, intent, user_id, invoice, amount, currency, 'succeeded' from k)
   , attempts as (
     insert into payment_attempt (bucket, id, user_id, payment_intent_id, number, provider_account_id, payment_method_id, amount, currency, cause, is_off_session,
       idempotency_key, request_fingerprint, status, provider_object_id, provider_charge_id, sent_at, call_deadline_at, key_valid_until)
     select bucket, attempt, user_id, intent, 1, ${ACCOUNT}, payment_method_id, amount, currency, 'renewal', true, 'att:floor:' || attempt, decode(mark, 'hex'), 'succeeded',
       'pi_' || mark, 'ch_' || mark, $1, $1, $1 from k)
   , history as (
     insert into transaction (bucket, id, user_id, kind, status, amount, currency, provider_account_id, payment_method_id, subscription_id, invoice_id, settled_at, version)
     select bucket, attempt, user_id, 'charge', 'succeeded', amount, currency, ${ACCOUNT}, payment_method_id, id, invoice, $1, 1 from k)
   , happened as (
     insert into transaction_event (bucket, transaction_id, version, user_id, status, at, cause)
     select bucket, attempt, 0, user_id, 'pending', $1, 'renewal' from k union all select bucket, attempt, 1, user_id, 'succeeded', $1, 'renewal' from k)
   , posted as (
     insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, user_id, invoice_id, effective_at, posted_at)
     select k.bucket, m.source, m.event, '', a.one, a.two, k.currency, m.amount, k.user_id, m.invoice, $1, $1
     from k cross join lateral (values (k.invoice, 'invoice_finalized', k.amount, k.invoice), (k.attempt, 'payment_succeeded', k.amount, k.invoice),
       (k.record, 'provider_fee', 35, null)) m (source, event, amount, invoice)
     cross join lateral (select min(id) as one, max(id) as two from ledger_account where currency = k.currency) a)
   , ref as (
     insert into provider_ref (bucket, object_id, provider_account_id, kind, id)
     select key_bucket('pi_' || mark), 'pi_' || mark, ${ACCOUNT}, 'payment_intent', intent from k
     union all select key_bucket('ch_' || mark), 'ch_' || mark, ${ACCOUNT}, 'charge', attempt from k)
   , record as (
     insert into provider_record (bucket, id, provider_account_id, native_id, native_type, kind, object_id, our_ref, gross, fee, net, currency, occurred_at, day, status,
       digest, matched_id, matched_type, matched_by)
     select bucket, record, ${ACCOUNT}, 'txn_' || mark, 'charge', 'charge', 'ch_' || mark, intent, amount, 35, amount - 35, currency, $1, $1::date, 'pending', decode(mark, 'hex'),
       attempt, 'transaction', 'M1' from k)
   , renewed as (
     update subscription s set period_number = 1, period_start = k.period_end, period_end = k.next_end, entitled_until = k.next_end, next_action_at = k.next_end,
       version = s.version + 1 from k where s.bucket = k.bucket and s.id = k.id)
   , told as (
     insert into subscription_event (bucket, subscription_id, version, user_id, kind, status, cause, at)
     select bucket, id, version + 1, user_id, 'renewed', 'active', 'renewal', $1 from k)
   , bumped as (
     update customer c set feed_seq = c.feed_seq + 6 from k where c.bucket = k.bucket and c.user_id = k.user_id returning k.*, c.feed_seq - 6 as before)
   , change as materialized (select b.bucket, b.user_id, b.attempt, b.before + n as seq from bumped b cross join generate_series(1, 6) n)
   , feed as (
     insert into feed_entry (bucket, user_id, seq, at, change, subject_id, version, status) select bucket, user_id, seq, $1, 'payment_status', attempt, 1, 'succeeded' from change)
   , outbox as (
     insert into outbox_event (bucket, id, user_id, seq, type, data)
     select bucket, ${ID}, user_id, seq, 'payment_status', jsonb_build_object('subjectId', attempt, 'version', 1, 'status', 'succeeded', 'previousStatus', 'pending') from change)
   select count(*)::int as done from k`;

/** Subscriptions that end in a year, with their customers, written by SQL alone. */
async function writeNotDue(pool: pg.Pool, count: number, tell: (line: string) => void): Promise<void> {
  const portion = 100_000;
  for (let first = 0; first < count; first += portion) {
    if (first > 0 && first % (10 * portion) === 0) tell(`${first} of ${count} written`);
    await pool.query(
      `with k as materialized (
         select 'later-' || n as user_id, key_bucket('later-' || n) as bucket from generate_series($1::int, $2::int) n)
       , customers as (insert into customer (bucket, user_id) select bucket, user_id from k)
       insert into subscription (bucket, id, user_id, tier_group, tier_id, price_id, status, anchor_local, zone, period_start, period_end, entitled_until, next_action_at)
       select k.bucket, ${ID}, k.user_id, t.tier_group, t.id, p.id, 'active', localtimestamp, 'UTC', now(), now() + interval '1 year', now() + interval '1 year',
         now() + interval '1 year'
       from k cross join (select * from price where interval_unit = 'year' and currency = 'USD' limit 1) p join tier t on t.id = p.tier_id`,
      [first, Math.min(first + portion, count) - 1],
    );
  }
  await pool.query('vacuum analyze customer, subscription');
}

/** Within a bucket no two methods may be one of the provider's. */
function methodsApart(): (bucket: number) => string {
  return () => `pm_${randomBytes(12).toString('hex')}`;
}

/** Runs work over so many renewals and tells its cost. */
async function costOf(count: number, work: () => Promise<void>): Promise<Cost> {
  const before = await cpuMs();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  // A connection that was closed is counted with its server when it has ended.
  await pause(500);
  const after = await cpuMs();
  return {
    perSecond: count / seconds,
    databaseUs: ((after.database - before.database) * 1_000) / count,
    processUs: ((after.process - before.process) * 1_000) / count,
  };
}

/** CPU of this process, and of the server below it. */
async function cpuMs(): Promise<{ process: number; database: number }> {
  const all = await processTimes();
  const ours = new Set([process.pid]);
  for (const pid of ours) for (const one of all) if (one.parent === pid) ours.add(one.pid);
  const { user, system } = process.cpuUsage();
  const database = all
    .filter(({ pid, command }) => ours.has(pid) && command.includes('postgres'))
    .reduce((sum, { ownMs, childrenMs, command }) => sum + ownMs + (command.includes('/bin/postgres') ? childrenMs : 0), 0);
  return { process: (user + system) / 1_000, database };
}

/** Memory that is in use after a collection, and memory taken from the system. */
function memoryMiB(): { kept: number; resident: number } {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { kept: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 };
}
