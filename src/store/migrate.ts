import pg from 'pg';
import { DataSource } from 'typeorm';
import { Main1700000000001 } from '../../migrations/0001-main.js';
import { Absence1700000000002 } from '../../migrations/0002-absence.js';
import { ListingCursor1700000000003 } from '../../migrations/0003-listing-cursor.js';
import { LateAppearances1700000000004 } from '../../migrations/0004-late-appearances.js';
import { Renewals1700000000005 } from '../../migrations/0005-renewals.js';
import { Lifecycle1700000000006 } from '../../migrations/0006-lifecycle.js';
import { Coupons1700000000007 } from '../../migrations/0007-coupons.js';
import { TierChanges1700000000008 } from '../../migrations/0008-tier-changes.js';
import { Gifts1700000000009 } from '../../migrations/0009-gifts.js';
import { Documents1700000000010 } from '../../migrations/0010-documents.js';
import { KnownEvents1700000000011 } from '../../migrations/0011-known-events.js';
import { Claims1700000000012 } from '../../migrations/0012-claims.js';
import { ListingTurns1700000000013 } from '../../migrations/0013-listing-turns.js';
import { SentRenewals1700000000014 } from '../../migrations/0014-sent-renewals.js';
import { RevenueStart1700000000015 } from '../../migrations/0015-revenue-start.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { keepPartitions } from './partitions.js';

/** Session lock of whoever migrates; a number of our own, the same for ever. */
const MIGRATE_LOCK = 7_020_418;
const POLL_MS = 200;

/** What one run did. */
export interface Migrated {
  /** Names of the migrations that were run now; none when the database was up to date. */
  migrations: string[];
  /** Partitions made now. */
  partitions: string[];
}

/**
 * Brings the database up to date: all migrations, then partitions for `now` and ahead. Safe to run twice and by several at once:
 * one works, the others wait for it and find nothing left to do.
 * @param now instant on the process's clock; partitions are made for it, never for the database's own time
 * @throws Error of the database; a migration that failed left nothing behind
 */
export async function migrate(options: DatabaseOptions, now: Date): Promise<Migrated> {
  const client = new pg.Client(pgConfig(options));
  await client.connect();
  try {
    await lockOutOthers(client);
    const migrations = await runMigrations(options);
    const partitions = await keepPartitions(client, now);
    return { migrations, partitions };
  } finally {
    await client.end(); // Gives the lock back too.
  }
}

/** Whether the tables are there at all. */
export async function isMigrated(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isMigrated: boolean }>(`select to_regclass('price') is not null as "isMigrated"`);
  return rows[0]?.isMigrated ?? false;
}

/** Asks again and again instead of waiting inside a statement, whose snapshot would hold up a `create index concurrently`. */
async function lockOutOthers(client: pg.Client): Promise<void> {
  for (;;) {
    const answer = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [MIGRATE_LOCK]);
    if (answer.rows[0]?.locked) return;
    await client.query('select pg_sleep($1)', [POLL_MS / 1000]);
  }
}

async function runMigrations(options: DatabaseOptions): Promise<string[]> {
  const source = new DataSource({
    type: 'postgres',
    ...options,
    migrations: [
      Main1700000000001,
      Absence1700000000002,
      ListingCursor1700000000003,
      LateAppearances1700000000004,
      Renewals1700000000005,
      Lifecycle1700000000006,
      Coupons1700000000007,
      TierChanges1700000000008,
      Gifts1700000000009,
      Documents1700000000010,
      KnownEvents1700000000011,
      Claims1700000000012,
      ListingTurns1700000000013,
      SentRenewals1700000000014,
      RevenueStart1700000000015,
    ],
    migrationsTransactionMode: 'each',
    synchronize: false,
    installExtensions: false,
  });
  await source.initialize();
  try {
    return (await source.runMigrations()).map((migration) => migration.name);
  } finally {
    await source.destroy();
  }
}
