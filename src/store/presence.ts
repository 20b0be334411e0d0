/**
 * How others see that a worker lives: it holds an advisory lock on a connection of its own, which the database gives back the moment the process is
 * gone. A process that is merely stopped keeps it.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { SteadyClient } from '../platform/steady-client.js';

/** First half of the locks' names; a number of our own, the same for ever. */
export const PRESENCE_LOCKS = 7_020_421;
/** Numbers of presences: below this, as the other half of a lock's name is a positive int. */
const NUMBERS = 2 ** 31 - 1;
const AGAIN_MS = 1_000;
const CONNECT_LIMIT_MS = 5_000;

/** The presence of one process. */
export interface Presence {
  /** What its claims are marked with; null while nobody could see it: then their leases alone hold them. */
  number(): number | null;
  stop(): Promise<void>;
}

/** One connection's lock. */
interface Held {
  client: SteadyClient;
  number: number;
  /** Resolves when the connection has ended. */
  gone: Promise<void>;
}

/**
 * Becomes present, and again with another number after each loss of the connection.
 * @param againMs how long to wait before the connection is tried again
 * @throws the driver's error when it can not at first
 */
export async function startPresence(options: DatabaseOptions, againMs = AGAIN_MS): Promise<Presence> {
  let held: Held | null = await enter(options);
  const stopped = new AbortController();
  // One loop: an attempt is over before the next one begins, or they would multiply for as long as the database is away.
  const staying = (async () => {
    while (!stopped.signal.aborted) {
      await held?.gone;
      held = null;
      await pause(againMs, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
      if (!stopped.signal.aborted) held = await enter(options).catch(() => null);
    }
    await held?.client.end();
  })();
  return {
    number: () => held?.number ?? null,
    stop: async () => {
      stopped.abort();
      await held?.client.end();
      await staying;
    },
  };
}

/** Takes a lock on a connection of its own, which is closed when that fails. */
async function enter(options: DatabaseOptions): Promise<Held> {
  const client = new SteadyClient({ ...pgConfig(options), connectionTimeoutMillis: CONNECT_LIMIT_MS });
  const number = randomInt(1, NUMBERS);
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  client.once('end', resolve);
  try {
    await client.connect();
    await client.query('select pg_advisory_lock($1, $2)', [PRESENCE_LOCKS, number]);
    return { client, number, gone };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}
