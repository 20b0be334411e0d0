import pg from 'pg';
import { readSandboxClock } from '../platform/clock.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { useEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { OneLineError } from '../platform/one-line-error.js';
import { loadDotEnv, readSettings } from '../platform/settings.js';

/** What a command works with. */
export interface CommandContext {
  /** A connection as the tables' owner. */
  client: pg.Client;
  /** The present instant of this environment: the test clock's in the sandbox. */
  now: Date;
}

/**
 * Runs one command on the database of this environment: the one that DATABASE_URL names, else the embedded one under DATA_DIR,
 * which is started when nobody runs it, and given back afterwards.
 * @throws OneLineError when the database was not migrated yet
 */
export async function withDatabase<T>(run: (context: CommandContext) => Promise<T>): Promise<T> {
  loadDotEnv();
  const { database, dataDir, isSandbox } = readSettings(process.env);
  const now = (isSandbox ? readSandboxClock(dataDir) : null) ?? new Date();
  if (database !== null) return await connected(database, now, run);
  const { host, port, user, release } = await useEmbeddedPostgres(dataDir);
  try {
    return await connected({ host, port, username: user, database: 'postgres' }, now, run);
  } finally {
    await release();
  }
}

async function connected<T>(options: DatabaseOptions, now: Date, run: (context: CommandContext) => Promise<T>): Promise<T> {
  const client = new pg.Client(pgConfig(options));
  await client.connect();
  try {
    const { rows } = await client.query<{ isMigrated: boolean }>(`select to_regclass('price') is not null as "isMigrated"`);
    if (!rows[0]?.isMigrated) throw new OneLineError('The database has no tables yet: run "npm run -s migrate" first.');
    return await run({ client, now });
  } finally {
    await client.end();
  }
}
