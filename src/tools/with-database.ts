import type { DatabaseOptions } from '../platform/database-options.js';
import { useEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { databaseOptions, type Settings } from '../platform/settings.js';

/** Runs a command's work with the database of these settings; an embedded server that does not run is started for as long as that takes. */
export async function withDatabase<T>(
  settings: Pick<Settings, 'database' | 'dataDir'>,
  work: (options: DatabaseOptions) => Promise<T>,
): Promise<T> {
  if (settings.database) return await work(settings.database);
  const borrowed = await useEmbeddedPostgres(settings.dataDir);
  try {
    return await work(databaseOptions(settings));
  } finally {
    await borrowed.release();
  }
}
