import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { removeEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { pgConfig, socketDatabaseUrl } from '../../src/platform/database-options.js';
import { migrate } from '../../src/store/migrate.js';
import { eventually } from './eventually.js';
import type { TestDatabase } from './postgres.js';

/** A durable server of one suite's own, which the suite may kill. */
export interface KillableDatabase extends TestDatabase {
  /** Kills the server by SIGKILL and waits until it has gone. */
  kill(): Promise<void>;
  /** Starts it again over the same data; it recovers by itself. */
  start(): Promise<void>;
}

/** A recovery with the former server's children still leaving takes a few tries. */
const START_LIMIT_MS = 60_000;

/** Starts and migrates one; `drop()` ends it and removes its data. */
export async function startKillableDatabase(): Promise<KillableDatabase> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'killable-'));
  const launch = (): Promise<EmbeddedPostgres> => startEmbeddedPostgres({ dataDir, isDurable: true });
  let server = await launch();
  const { host, port, user } = server;
  const options = { host, port, username: user, database: 'postgres' };
  await migrate(options, new Date());
  const ownerPool = new pg.Pool({ ...pgConfig(options), max: 10 });
  ownerPool.on('error', () => undefined); // Cut off when the server is killed.
  return {
    options,
    url: socketDatabaseUrl({ host, port, user }, 'postgres'),
    ownerPool,
    kill: async () => {
      const { rows } = await ownerPool.query<{ folder: string }>("select current_setting('data_directory') as folder");
      const [pid] = (await readFile(path.join(rows[0]?.folder ?? '', 'postmaster.pid'), 'utf8')).split('\n');
      process.kill(Number(pid), 'SIGKILL');
      await server.exited;
    },
    start: async () => {
      server = await eventually(launch, START_LIMIT_MS);
    },
    drop: async () => {
      await ownerPool.end();
      await server.stop();
      await removeEmbeddedPostgres(dataDir);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
