/** A user's feed of changes: how far it goes, what came after a place in it, and the wake-ups that other processes send. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { CATALOGUE_CHANNEL } from './catalogue.store.js';
import { keyedStatement, type Reader } from './reader.js';
import type { TransactionState } from './transactions.reads.js';
import type { ChangeWord } from './unit-of-work.js';
import { bucketOfUser, userColumns } from './viewer.js';

/** One change of something of a user. */
export type FeedRow = {
  /** 1, 2, 3... per user, in the order of commits, without gaps. */
  sequence: bigint;
  /** When the change was committed. */
  at: Date;
  /** The object that changed: a transaction where the change is of a payment's status. */
  subjectId: string;
  /** The subscription that changed, or that the transaction or invoice is for, if any. */
  subscriptionId: string | null;
} & (
  | { change: 'payment_status'; status: TransactionState | null; previousStatus: TransactionState | null }
  | { change: Exclude<ChangeWord, 'payment_status'>; status: string | null; previousStatus: string | null }
);

interface Stretch {
  userId: string;
  after: bigint;
  limitCount: number;
}

/** The last number given in each user's feed. */
export const feedEnds = keyedStatement<string, { o: number; sequence: bigint }>(
  'feed_ends',
  `select k.o::int as o, c.feed_seq as sequence
   from unnest($1::smallint[], $2::text[]) with ordinality as k(bucket, user_id, o)
   join customer c on c.bucket = k.bucket and c.user_id = k.user_id`,
  userColumns,
);

/** What came after a place in each user's feed, in order. */
export const feedAfter = keyedStatement<Stretch, FeedRow & { o: number }>(
  'feed_after',
  `select k.o::int as o, f.*
   from unnest($1::smallint[], $2::text[], $3::bigint[], $4::int[]) with ordinality as k(bucket, user_id, after, limit_count, o)
   cross join lateral (
     select e.seq as sequence, e.at, e.change, e.subject_id as "subjectId", e.status, e.previous_status as "previousStatus",
       case e.change
         when 'payment_status' then (select t.subscription_id from transaction t where t.bucket = e.bucket and t.id = e.subject_id)
         when 'invoice' then (select i.subscription_id from invoice i where i.bucket = e.bucket and i.id = e.subject_id)
         when 'subscription' then e.subject_id end as "subscriptionId"
     from feed_entry e
     where e.bucket = k.bucket and e.user_id = k.user_id and e.seq > k.after
     order by e.seq
     limit k.limit_count) f`,
  (keys) => [
    keys.map((key) => bucketOfUser(key.userId)),
    keys.map((key) => key.userId),
    keys.map((key) => key.after),
    keys.map((key) => key.limitCount),
  ],
);

/** The feed as streams read it. */
export interface FeedReads {
  /** The last number given; 0 for a user without a feed. @throws the driver's error. */
  readEnd(userId: string): Promise<bigint>;
  /** The last number given to each; users without a feed are left out. @throws the driver's error. */
  readEnds(userIds: readonly string[]): Promise<Map<string, bigint>>;
  /** At most `limitCount` changes after `after`, in order. @throws the driver's error. */
  listAfter(userId: string, after: bigint, limitCount: number): Promise<FeedRow[]>;
}

/** The feed, read by `reader`. */
export function feedReads(reader: Reader): FeedReads {
  const readEnds = async (userIds: readonly string[]): Promise<Map<string, bigint>> => {
    const rows = await Promise.all(userIds.map((userId) => reader.rowOf(feedEnds, userId)));
    const ends = new Map<string, bigint>();
    for (const [index, userId] of userIds.entries()) {
      const sequence = rows[index]?.sequence;
      if (sequence !== undefined) ends.set(userId, sequence);
    }
    return ends;
  };
  return {
    readEnds,
    readEnd: async (userId) => (await readEnds([userId])).get(userId) ?? 0n,
    listAfter: (userId, after, limitCount) => reader.rowsOf(feedAfter, { userId, after, limitCount }),
  };
}

/** The channel on which the relay tells every gateway whose feed has grown: JSON, a list of [user id, sequence]. */
export const FEED_WAKE_CHANNEL = 'feed_wake';

/** "The feed of this user reaches at least this far." */
export interface FeedWake {
  userId: string;
  sequence: bigint;
}

/** Reads a notification; a payload that is not ours tells nothing. */
export function parseWakes(payload: string): FeedWake[] {
  let pairs: unknown;
  try {
    pairs = JSON.parse(payload);
  } catch {
    return [];
  }
  if (!Array.isArray(pairs)) return [];
  return pairs.flatMap((pair: unknown): FeedWake[] => {
    if (!Array.isArray(pair)) return [];
    const [userId, sequence] = pair as unknown[];
    return typeof userId === 'string' && Number.isSafeInteger(sequence) ? [{ userId, sequence: BigInt(Number(sequence)) }] : [];
  });
}

/** What listening for wake-ups needs. */
export interface WakeListening {
  /** Where the database is; one connection is held. Not through a pooler that gives connections away after each transaction. */
  connection: pg.ClientConfig;
  onWake: (wake: FeedWake) => void;
  /** Told that another catalogue was published. */
  onCatalogue: () => void;
  /** Called each time the connection is there (again): what was sent meanwhile is lost. */
  onConnected: () => void;
  /** Told when the connection broke or could not be made; it is tried again. */
  report: (error: unknown) => void;
  /** Wait before the connection is tried again, milliseconds. */
  retryMs: number;
}

/** Listens until stopped. Losing the connection is no loss: streams look at the table besides. */
export function listenForWakes(listening: WakeListening): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await listenOnce(listening, stopped.signal).catch(listening.report);
      await delay(listening.retryMs, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

/** One connection's life. */
async function listenOnce(listening: WakeListening, stopped: AbortSignal): Promise<void> {
  const { connection, onWake, onCatalogue, onConnected } = listening;
  const client = new pg.Client({ ...connection, keepAlive: true });
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  const leave = (): void => resolve();
  client.on('error', reject);
  client.on('end', leave);
  client.on('notification', ({ channel, payload }) => {
    if (channel === CATALOGUE_CHANNEL) onCatalogue();
    else parseWakes(payload ?? '').forEach(onWake);
  });
  stopped.addEventListener('abort', leave, { once: true });
  try {
    await client.connect();
    await client.query(`listen ${FEED_WAKE_CHANNEL}`);
    await client.query(`listen ${CATALOGUE_CHANNEL}`);
    if (stopped.aborted) return;
    onConnected();
    await over;
  } finally {
    over.catch(() => undefined); // an error after the end is no news
    stopped.removeEventListener('abort', leave);
    await client.end().catch(() => undefined);
  }
}
