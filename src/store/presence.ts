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

/** The presence of one process. */
export interface Presence {
  /** What its claims are marked with; null while nobody could see it: then their leases alone hold them. */
  number(): number | null;
  stop(): Promise<void>;
}

/** Becomes present, and again with another number after each loss of the connection. @throws the driver's error when it can not at first */
export async function startPresence(options: DatabaseOptions): Promise<Presence> {
  let held: { client: SteadyClient; number: number } | null = null;
  let isStopped = false;

  async function enter(): Promise<void> {
    const client = new SteadyClient(pgConfig(options));
    const number = randomInt(1, NUMBERS);
    client.once('end', () => {
      held = null;
      if (!isStopped) void enterAgain();
    });
    await client.connect();
    await client.query('select pg_advisory_lock($1, $2)', [PRESENCE_LOCKS, number]);
    held = { client, number };
  }

  async function enterAgain(): Promise<void> {
    while (!isStopped && held === null) {
      await pause(AGAIN_MS, undefined, { ref: false });
      if (!isStopped) await enter().catch(() => undefined);
    }
  }

  await enter();
  return {
    number: () => held?.number ?? null,
    stop: async () => {
      isStopped = true;
      await held?.client.end();
    },
  };
}
