import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { embeddedPostgresAddress, startEmbeddedPostgres, type EmbeddedPostgres } from '../platform/embedded-postgres.js';
import { SteadyClient } from '../platform/steady-client.js';

const AGAIN_AFTER_MS = 200;
/** A query of ours that meets a database which is down is asked again for so long. */
const PATIENCE_MS = 60_000;

/** The embedded PostgreSQL of a run, durable, started again whenever it ends. */
export class Database {
  readonly options: DatabaseOptions;
  readonly #dataDir: string;
  readonly #logFile: string;
  readonly #tell: (line: string) => void;
  #server: EmbeddedPostgres | null = null;
  #postmasterPid: number | null = null;
  #isWanted = true;
  #downMs = AGAIN_AFTER_MS;
  #keeping: Promise<void> = Promise.resolve();

  /**
   * @param logFile gets the server's own lines
   * @param tell is told of starts that failed
   */
  constructor(dataDir: string, logFile: string, tell: (line: string) => void) {
    const { host, port, user } = embeddedPostgresAddress(dataDir);
    this.options = { host, port, username: user, database: 'postgres' };
    this.#dataDir = dataDir;
    this.#logFile = logFile;
    this.#tell = tell;
  }

  get isReady(): boolean {
    return this.#server !== null && this.#postmasterPid !== null;
  }

  /** Starts it; from then on it is kept running. */
  async start(): Promise<void> {
    const first = await this.#launch();
    await this.#meet(first);
    this.#keeping = this.#keep(first);
  }

  /** Kills the postmaster; the sessions end with it. */
  kill(downMs: number): boolean {
    const pid = this.#postmasterPid;
    if (pid === null) return false;
    this.#downMs = downMs;
    this.#postmasterPid = null;
    process.kill(pid, 'SIGKILL');
    return true;
  }

  /** A fast shutdown: sessions are cut, everything committed is kept. */
  restart(): boolean {
    if (!this.isReady) return false;
    this.#downMs = 0;
    this.#postmasterPid = null;
    void this.#server?.stop();
    return true;
  }

  /** Cuts every session of others with so much probability. @returns how many */
  async cutSessions(isCut: () => boolean): Promise<number> {
    const sessions = await this.query<{ pid: number }>(
      "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
    const chosen = sessions.filter(() => isCut()).map(({ pid }) => pid);
    await this.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [chosen]);
    return chosen.length;
  }

  /** Asks as the tables' owner, on a connection of its own; again while the database is down. */
  async query<Row extends pg.QueryResultRow>(text: string, params: unknown[] = []): Promise<Row[]> {
    return this.connected(async (client) => (await client.query<Row>(text, params)).rows);
  }

  /** Does reading work on a connection of its own; again from the start when the database goes meanwhile. */
  async connected<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const client = new SteadyClient(pgConfig(this.options));
      try {
        await client.connect();
        return await work(client);
      } catch (error) {
        if (performance.now() > giveUpAt || !isConnectionLost(error)) throw error;
        await pause(AGAIN_AFTER_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async stop(): Promise<void> {
    this.#isWanted = false;
    await this.#server?.stop();
    await this.#keeping;
  }

  async #keep(first: EmbeddedPostgres): Promise<void> {
    for (let server: EmbeddedPostgres | null = first; this.#isWanted;) {
      await server?.exited;
      this.#server = null;
      this.#postmasterPid = null;
      if (!this.#isWanted) return;
      await pause(this.#downMs);
      server = await this.#launch().catch((error: unknown) => {
        this.#tell(error instanceof Error ? error.message : String(error));
        this.#downMs = AGAIN_AFTER_MS;
        return null;
      });
      if (server) await this.#meet(server);
      if (!this.#isWanted) await server?.stop();
    }
  }

  #launch(): Promise<EmbeddedPostgres> {
    return startEmbeddedPostgres({
      dataDir: this.#dataDir,
      isDurable: true,
      log: (lines) => appendFileSync(this.#logFile, lines),
    });
  }

  /** Learns the postmaster's number, unless the server ends before it can be asked. */
  async #meet(server: EmbeddedPostgres): Promise<void> {
    this.#server = server;
    const asked = this.query<{ pid: string }>("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid");
    asked.catch(() => undefined); // Of a server that has ended nobody wants to know.
    const rows = await Promise.race([asked, server.exited]);
    if (Array.isArray(rows)) this.#postmasterPid = Number(rows[0]?.pid);
  }
}

/** Whether a query failed because the database was gone or not there yet; SQLSTATE classes 08 and 57P. */
function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true; // No answer at all: sockets and streams.
  return /^(08|57P|53300)/.test(error.code ?? '');
}
