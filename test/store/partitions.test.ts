import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { migrate } from '../../src/store/migrate.js';
import { dropOldPartitions, keepPartitions } from '../../src/store/partitions.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const DAY_MS = 86_400_000;
let database: TestDatabase;
let client: pg.PoolClient;
const at = (days: number) => new Date(Date.now() + days * DAY_MS);

beforeAll(async () => {
  database = await testDatabase();
  client = await database.ownerPool.connect();
});
afterAll(async () => {
  client.release();
  await database.drop();
});

async function partitionsOf(table: string): Promise<string[]> {
  const answer = await client.query<{ name: string }>(
    'select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = $1::regclass order by 1',
    [table],
  );
  return answer.rows.map((row) => row.name);
}

/** Every instant from the first partition's start to three days after `now` has a place. */
async function expectPlaceAt(instant: Date): Promise<void> {
  await client.query('begin');
  await client.query(
    "insert into webhook_payload (bucket, id, body) values (1, (substr(id_floor($1)::text, 1, 13) || '-7001-8000-000000000001')::uuid, '')",
    [instant],
  );
  await client.query(
    "insert into feed_entry (bucket, user_id, seq, at, change, subject_id, version) values (1, 'ana', 1, $1, 'payment_status', gen_random_uuid(), 1)",
    [instant],
  );
  await client.query('rollback');
}

test('a database just migrated has partitions for the present step and three more', async () => {
  expect(await partitionsOf('transaction')).toHaveLength(5);
  expect(await partitionsOf('feed_entry')).toHaveLength(5);
  expect(await partitionsOf('feed_entry')).toContain('feed_entry_past');
});

test('keeping partitions again at the same instant makes nothing', async () => {
  const now = new Date();
  await keepPartitions(client, now);
  expect(await keepPartitions(client, now)).toEqual([]);
});

test.each([1, 2, 40, 400, 4000])('a clock that jumps %i days finds a place for every day on the way', async (days) => {
  await keepPartitions(client, at(days));
  for (const day of [days - 1, days, days + 1, days + 2, days + 3, Math.floor(days / 2)]) await expectPlaceAt(at(day));
  expect((await partitionsOf('feed_entry')).length).toBeLessThan(40);
  expect((await partitionsOf('transaction')).length).toBeLessThan(40);
});

test('a clock set back changes nothing', async () => {
  const before = await partitionsOf('outbox_event');
  await keepPartitions(client, at(-3));
  expect(await partitionsOf('outbox_event')).toEqual(before);
});

test('several processes at once make the same partitions once', async () => {
  const clients = await Promise.all([1, 2, 3, 4].map(() => database.ownerPool.connect()));
  const made = await Promise.all(clients.map((each) => keepPartitions(each, at(4100))));
  for (const each of clients) each.release();
  const names = made.flat();
  expect(names.length).toBeGreaterThan(0);
  expect(new Set(names).size).toBe(names.length);
});

test('a worker role on the connection is no hindrance and is there again afterwards', async () => {
  await client.query('set role pay_worker');
  expect((await keepPartitions(client, at(4200))).length).toBeGreaterThan(0);
  expect((await client.query<{ role: string }>('select current_user as role')).rows[0]?.role).toBe('pay_worker');
  await client.query('reset role');
});

test('old partitions go, the ones within their time stay, and an unpublished outbox event keeps its own', async () => {
  const other = await testDatabase();
  const own = await other.ownerPool.connect();
  for (let day = 1; day <= 12; day++) await keepPartitions(own, at(day));
  const waiting = at(2);
  await own.query(
    `insert into outbox_event (bucket, id, type, data) values (1, (substr(id_floor($1)::text, 1, 13) || '-7001-8000-000000000001')::uuid, 't', '{}')`,
    [waiting],
  );
  const dropped = await dropOldPartitions(own, at(12));
  const name = (table: string, day: number) => `${table}_${at(day).toISOString().slice(0, 10).replaceAll('-', '')}`;
  expect(dropped).toContain(name('feed_entry', 4)); // ended on day 5, seven days before
  expect(dropped).not.toContain(name('feed_entry', 5));
  expect(dropped).toContain(name('outbox_event', 8));
  expect(dropped).not.toContain(name('outbox_event', 9));
  expect(dropped).not.toContain(name('outbox_event', 2));
  expect(dropped.filter((each) => each.startsWith('webhook_payload'))).toEqual([]);
  await own.query('update outbox_event set published_at = $1', [at(3)]);
  expect(await dropOldPartitions(own, at(12))).toEqual([name('outbox_event', 2)]);
  own.release();
  await other.drop();
});

test('migrating an up-to-date database, by several at once, does nothing', async () => {
  const other = await testDatabase();
  const now = new Date();
  await migrate(other.options, now);
  const done = await Promise.all([1, 2, 3].map(() => migrate(other.options, now)));
  expect(done).toEqual([1, 2, 3].map(() => ({ migrations: [], partitions: [] })));
  await other.drop();
});
