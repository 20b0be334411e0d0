/** What the worker does, how often, and how much at a time. Each chore may run on many workers at once: rows are claimed, never shared. */
import { eachAtMost, type ForEach } from '../platform/repeat.js';
import { applyWebhooks, fetchMissedEvents } from '../usecases/apply-webhooks.js';
import type { Cashier } from '../usecases/cashier.js';
import { endDueSubscriptions } from '../usecases/end-due-subscriptions.js';
import { giveBackOrphans } from '../usecases/give-back-orphan.js';
import { keepHouse } from '../usecases/keep-house.js';
import { relayChanges } from '../usecases/relay-changes.js';
import { resolveDuePayments, resolveDueRefunds } from '../usecases/resolve-due.js';

/** A piece of work that comes again and again. */
export interface Chore {
  name: string;
  everyMs: number;
  /** One turn. @returns whether there is more to do at once */
  run(): Promise<boolean>;
}

/** Calls to the provider in flight at once. */
const CALLS_AT_ONCE = 16;
/** Rows taken in one turn: enough to keep the calls busy, few enough that a lease outlives the turn. */
const ROWS_A_TURN = 64;
/** All buckets in one statement: on one machine the due indexes are partial and small. On a distributed database a list per shard. */
const BUCKETS = Array.from({ length: 4096 }, (_, bucket) => bucket);

/** What chores need besides the cashier. */
export interface ChoreOptions {
  /** Name of the channel that tells gateways of changes. */
  channel: string;
  /** Partitions and what else only the owner of the tables may do. */
  maintain(): Promise<void>;
  /** Told of what failed about one piece of work alone: it was put off, and the chore went on. */
  report(error: unknown): void;
}

/** Every chore of a worker. */
export function makeChores(cashier: Cashier, options: ChoreOptions): Chore[] {
  const forEach: ForEach = (items, work) => eachAtMost(items, CALLS_AT_ONCE, work);
  return [
    { name: 'relay', everyMs: 200, run: () => relayChanges(cashier, options.channel) },
    {
      name: 'webhooks',
      everyMs: 250,
      run: async () => {
        const { claimed, failures } = await applyWebhooks(cashier, BUCKETS, ROWS_A_TURN, forEach);
        failures.forEach((error) => options.report(error));
        return claimed === ROWS_A_TURN;
      },
    },
    {
      name: 'payments',
      everyMs: 500,
      run: () => resolveDuePayments(cashier, BUCKETS, ROWS_A_TURN, forEach),
    },
    {
      name: 'refunds',
      everyMs: 500,
      run: () => resolveDueRefunds(cashier, BUCKETS, ROWS_A_TURN, forEach),
    },
    {
      name: 'orphans',
      everyMs: 2_000,
      run: () => giveBackOrphans(cashier, BUCKETS, ROWS_A_TURN, forEach),
    },
    {
      name: 'subscriptions',
      everyMs: 2_000,
      run: async () => (await endDueSubscriptions(cashier, BUCKETS, ROWS_A_TURN)) === ROWS_A_TURN,
    },
    {
      name: 'listing',
      everyMs: 5 * 60_000,
      run: async () => {
        await fetchMissedEvents(cashier);
        return false;
      },
    },
    {
      name: 'house',
      everyMs: 60_000,
      run: async () => {
        await keepHouse(cashier);
        return false;
      },
    },
    {
      name: 'partitions',
      everyMs: 3_600_000,
      run: async () => {
        await options.maintain();
        return false;
      },
    },
  ];
}
