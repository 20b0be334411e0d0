import { setTimeout as pause } from 'node:timers/promises';
import type { DatabaseOptions } from '../platform/database-options.js';
import { pgConfig } from '../platform/database-options.js';
import { OneLineError } from '../platform/one-line-error.js';
import { SteadyClient } from '../platform/steady-client.js';
import { sqlState } from './unit-of-work.js';

/** A server that is away, or about to be there: 57P03 is PostgreSQL's word for starting, stopping or recovering. */
const NOT_UP = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', '57P03', '57P01', '08006']);
const LOOK_EVERY_MS = 250;

/**
 * Waits until the database answers, so that a process started beside it, or while it recovers, does not end and begin again. What waiting does not
 * mend (a wrong password, no such database) fails at once.
 * @throws OneLineError when it was away for so long; the driver's error otherwise
 */
export async function untilReachable(options: DatabaseOptions, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const client = new SteadyClient({ ...pgConfig(options), connectionTimeoutMillis: 5_000 });
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      await client.end().catch(() => undefined);
      if (!NOT_UP.has(sqlState(error) ?? '')) throw error;
      if (performance.now() >= until)
        throw new OneLineError(
          `The database at ${options.host}:${options.port} does not answer: start it, or correct DATABASE_URL.`,
        );
    }
    await pause(LOOK_EVERY_MS);
  }
}
