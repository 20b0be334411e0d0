import pg from 'pg';
import { instantOf, readSandboxTime } from '../platform/clock.js';
import { pgConfig } from '../platform/database-options.js';
import { OneLineError } from '../platform/one-line-error.js';
import { readSettings } from '../platform/settings.js';
import { isMigrated } from '../store/migrate.js';
import { withDatabase } from './with-database.js';

/** What a command works with. */
export interface CommandContext {
  /** A connection as the tables' owner. */
  client: pg.Client;
  /** The present instant of this environment: the test clock's in the sandbox. */
  now: Date;
}

/**
 * Runs a command's work on one connection to the database of this environment.
 * @throws OneLineError when the database was not migrated yet
 */
export async function withConnection<T>(work: (context: CommandContext) => Promise<T>): Promise<T> {
  const settings = readSettings(process.env);
  const now = settings.isSandbox ? instantOf(readSandboxTime(settings.dataDir)) : new Date();
  return await withDatabase(settings, async (options) => {
    const client = new pg.Client(pgConfig(options));
    await client.connect();
    try {
      if (!(await isMigrated(client))) throw new OneLineError('The database has no tables yet: run "npm run -s migrate" first.');
      return await work({ client, now });
    } finally {
      await client.end();
    }
  });
}
