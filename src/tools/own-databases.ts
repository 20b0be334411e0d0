import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { Databases } from '../simulate/databases.js';

/** Runs a command's work with databases on a server of its own, which goes with all that is in it, whatever became of the work. */
export async function withOwnDatabases<T>(startsAt: Date, work: (databases: Databases) => Promise<T>): Promise<T> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'own-databases-'));
  const server = await startEmbeddedPostgres({ dataDir, isDurable: false });
  try {
    const admin = { host: server.host, port: server.port, username: server.user, database: 'postgres' };
    return await work(await Databases.open(admin, startsAt));
  } finally {
    await server.stop();
    await removeEmbeddedPostgres(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  }
}
