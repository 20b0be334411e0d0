/** Users with a subscription and a history each, made by the database itself; the same again for the same number. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { pgConfig, type DatabaseOptions } from '../../src/platform/database-options.js';
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { migrate } from '../../src/store/migrate.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';

/** Transactions of each user. */
export const TRANSACTIONS_EACH = 30;

/** A database with the rows, running. */
export interface DataSet {
  options: DatabaseOptions;
  dataDir: string;
  /** Of the server's first process. */
  postmasterPid(): Promise<number>;
  stop(): Promise<void>;
}

/** The user ids of a data set are `u1` to `u<count>`. */
export const userIdOf = (n: number): string => `u${n}`;

/** Starts the database of this many users, and fills it the first time. It is kept under .data for the next run. */
export async function openDataSet(users: number, tell: (line: string) => void): Promise<DataSet> {
  const dataDir = path.resolve('.data', `bench-reads-${users}`);
  const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
  const options: DatabaseOptions = { host: server.host, port: server.port, username: server.user, database: 'postgres' };
  const client = new pg.Client(pgConfig(options));
  try {
    await migrate(options, new Date());
    await client.connect();
    const { rows } = await client.query<{ count: number }>('select count(*)::int as count from customer');
    if (rows[0]?.count === 0) {
      tell(`Making ${users} users with ${TRANSACTIONS_EACH} transactions each. They are kept in ${dataDir}.`);
      await fill(client, users);
    }
    await client.query(VIEWS);
    await client.end();
  } catch (error) {
    await client.end();
    await server.stop();
    throw error;
  }
  return {
    options,
    dataDir,
    postmasterPid: async () =>
      Number((await readFile(path.join(server.host, `.s.PGSQL.${server.port}.lock`), 'utf8')).split('\n')[0]),
    stop: () => server.stop(),
  };
}

async function fill(client: pg.Client, users: number): Promise<void> {
  await publishCatalogue(client, readCatalogue(await readFile('data/catalogue.json', 'utf8')), new Date());
  await client.query('begin'); // all of it, or the next run begins anew
  // As makeId does: 48 bits of time, version 7, 12 bits of bucket, variant, and here a hash in place of chance.
  await client.query(`create or replace function pg_temp.made_id(bucket int, at_ms bigint, seed text) returns uuid language sql as
    $$ select (lpad(to_hex(at_ms), 12, '0') || '7' || lpad(to_hex(bucket), 3, '0') || '8' || substr(md5(seed), 1, 15))::uuid $$`);
  await client.query(
    `insert into customer (bucket, user_id) select key_bucket('u' || n), 'u' || n from generate_series(1, ${users}) n`,
  );
  await client.query(`
    with offered as (
      select id, tier_id, row_number() over (order by id) - 1 as at, count(*) over () as count
      from price where tier_id is not null and interval_unit = 'month' and currency = 'USD')
    insert into subscription (bucket, id, user_id, tier_group, tier_id, price_id, status, anchor_local, zone, period_start, period_end, entitled_until)
    select key_bucket('u' || n), pg_temp.made_id(key_bucket('u' || n), ${BEGUN_MS} + n, 'sub' || n), 'u' || n, 'membership', tier_id, id, 'active',
      '2026-01-01 00:00:00', 'UTC', '2026-01-01T00:00:00Z', '2036-01-01T00:00:00Z', '2036-01-02T00:00:00Z'
    from generate_series(1, ${users}) n join offered on offered.at = n % offered.count`);
  // One after the other for all users, as history comes: a user's lines lie far apart.
  for (let line = 0; line < TRANSACTIONS_EACH; line += 1) {
    await client.query(`
      insert into transaction (bucket, id, user_id, kind, status, amount, currency, provider_account_id, statement_descriptor, settled_at)
      select key_bucket('u' || n), pg_temp.made_id(key_bucket('u' || n), ${BEGUN_MS} + ${line} * 86400000::bigint + n, 'txn${line} ' || n), 'u' || n,
        'charge', 'succeeded', 100 + (n * 7919 + ${line} * 104729) % 90000, 'USD', 1, 'NETWORK PREMIUM', to_timestamp((${BEGUN_MS} + ${line} * 86400000::bigint + n) / 1000.0)
      from generate_series(1, ${users}) n`);
  }
  await client.query('commit');
  await client.query('vacuum analyze');
  await client.query('checkpoint');
}

/** What PostGraphile is shown; comments say what a view does not: its keys. */
const VIEWS = `
  drop schema if exists bench_api cascade;
  create schema bench_api;
  create view bench_api.tier as select id, key, name, rank from public.tier;
  comment on view bench_api.tier is E'@primaryKey id';
  create view bench_api.membership as select bucket, id, user_id, tier_id, status from public.subscription
    where status in ('trialing', 'active', 'past_due', 'paused');
  comment on view bench_api.membership is E'@primaryKey bucket,id\\n@unique bucket,user_id\\n@foreignKey (tier_id) references bench_api.tier (id)';
  create view bench_api.payment as
    select bucket, id, user_id, kind, status, amount, currency, statement_descriptor, settled_at from public.transaction;
  comment on view bench_api.payment is E'@primaryKey bucket,id'`;

/** 2026-01-01T00:00:00Z. */
const BEGUN_MS = Date.UTC(2026, 0, 1);
