import { readSandboxClock } from '../platform/clock.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { useEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { loadDotEnv, readSettings } from '../platform/settings.js';

/**
 * Runs one command on the database of this environment: the one that DATABASE_URL names, else the embedded one under DATA_DIR,
 * which is started when nobody runs it, and given back afterwards. `now` is the environment's present instant: the test clock's
 * in the sandbox.
 */
export async function withDatabase<T>(run: (options: DatabaseOptions, now: Date) => Promise<T>): Promise<T> {
  loadDotEnv();
  const { database, dataDir, isSandbox } = readSettings(process.env);
  const now = (isSandbox ? readSandboxClock(dataDir) : null) ?? new Date();
  if (database !== null) return await run(database, now);
  const { host, port, user, release } = await useEmbeddedPostgres(dataDir);
  try {
    return await run({ host, port, username: user, database: 'postgres' }, now);
  } finally {
    await release();
  }
}
