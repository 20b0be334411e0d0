/**
 * Partitions by time. Each table has `<table>_past` for everything before its first day, then partitions named by their first
 * day, each ending where the next begins. Always at least three steps lie ahead of the clock, so an insert never lacks a place.
 */
import type pg from 'pg';

interface Partitioned {
  table: string;
  /** By the time inside a UUIDv7, or by an instant. */
  key: 'id' | 'instant';
  step: 'day' | 'month';
  /** Kept this long after their end; null = for ever. */
  keepDays: number | null;
}

const PARTITIONED: readonly Partitioned[] = [
  { table: 'transaction', key: 'id', step: 'month', keepDays: null },
  { table: 'transaction_event', key: 'id', step: 'month', keepDays: null },
  { table: 'ledger_movement', key: 'id', step: 'month', keepDays: null },
  { table: 'audit_entry', key: 'id', step: 'month', keepDays: null },
  { table: 'outbox_event', key: 'id', step: 'day', keepDays: 3 },
  { table: 'webhook_payload', key: 'id', step: 'day', keepDays: 30 },
  { table: 'feed_entry', key: 'instant', step: 'day', keepDays: 7 },
];

/** How many whole steps lie ready after the present one. */
const STEPS_AHEAD = 3;
/** Transaction lock of whoever adds or drops partitions. */
const PARTITIONS_LOCK = 7_020_419;
const DAY_MS = 86_400_000;

/** Names of the partitions of table $1 but `_past`, oldest first. */
const LIST = `
  select c.relname as name
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = $1::regclass and c.relname ~ '_[0-9]{8}$'
  order by c.relname`;

const ADD = 'select add_partitions($1::regclass, $2, $3::date, $4::interval, $5)';

/**
 * Makes the partitions for `now` and three steps ahead, without a gap behind the last one: time that was slept through becomes
 * one wide partition, however long it was. Does nothing when they exist; several at once do it one after the other.
 * @param client a connection whose login owns the tables; any `set role` on it is suspended for the time of the call
 * @returns the names of the new partitions
 */
export async function keepPartitions(client: pg.ClientBase, now: Date): Promise<string[]> {
  const made: string[] = [];
  for (const { table, key, step } of PARTITIONED) {
    const current = startOfStep(now, step, 0);
    const wantedEnd = startOfStep(now, step, STEPS_AHEAD + 1);
    if (firstGap(await list(client, table), step, current) >= wantedEnd) continue;
    await asOwner(client, async () => {
      const before = await list(client, table);
      const gapStart = firstGap(before, step, current); // Read again: another process may have been faster.
      const add = (from: Date, interval: string, count: number) =>
        client.query(ADD, [table, key === 'id', dateOf(from), interval, count]);
      if (before.length > 0 && gapStart < current)
        await add(gapStart, `${(current.getTime() - gapStart.getTime()) / DAY_MS} days`, 1);
      const from = gapStart > current ? gapStart : current;
      await add(from, `1 ${step}`, stepsBetween(from, wantedEnd, step));
      const known = new Set(before.map((partition) => partition.name));
      made.push(...(await list(client, table)).map((partition) => partition.name).filter((name) => !known.has(name)));
    });
  }
  return made;
}

/**
 * Drops what is kept for a limited time only: feed entries after 7 days, raw webhooks after 30, outbox events after 3 and only
 * when every one of them has been published.
 * @param client as for keepPartitions
 * @returns the names of the dropped partitions
 */
export async function dropOldPartitions(client: pg.ClientBase, now: Date): Promise<string[]> {
  const dropped: string[] = [];
  for (const { table, keepDays } of PARTITIONED) {
    if (keepDays === null) continue;
    const partitions = await list(client, table);
    for (const [index, { name }] of partitions.entries()) {
      const end = partitions[index + 1]?.start; // The last one lies ahead of the clock and is never old.
      if (!end || end.getTime() > now.getTime() - keepDays * DAY_MS) break;
      await asOwner(client, async () => {
        await client.query(`lock table ${name} in access exclusive mode`); // The name comes from the catalogue and ends in eight digits.
        if (table === 'outbox_event' && (await hasUnpublished(client, name))) return;
        await client.query(`drop table ${name}`);
        dropped.push(name);
      });
    }
  }
  return dropped;
}

async function hasUnpublished(client: pg.ClientBase, partition: string): Promise<boolean> {
  const answer = await client.query<{ found: boolean }>(
    `select exists (select from ${partition} where published_at is null) as found`,
  );
  return answer.rows[0]?.found !== false;
}

async function list(client: pg.ClientBase, table: string): Promise<{ name: string; start: Date }[]> {
  const answer = await client.query<{ name: string }>(LIST, [table]);
  return answer.rows.map(({ name }) => ({ name, start: dateFrom(name.slice(-8)) }));
}

/**
 * One transaction as the login itself, one process at a time. A new or dropped partition locks the whole table for a moment: behind
 * a long transaction we give up after 5 s rather than hold everybody up, and the next round tries again.
 */
async function asOwner(client: pg.ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await client.query("set local lock_timeout = '5s'");
    await client.query('set local role none');
    await client.query('select pg_advisory_xact_lock($1)', [PARTITIONS_LOCK]);
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Where the partitions end; `current` when there are none yet. */
function firstGap(partitions: { start: Date }[], step: Partitioned['step'], current: Date): Date {
  const last = partitions.at(-1);
  return last ? startOfStep(last.start, step, 1) : current;
}

/** Start (UTC) of the day or month that lies `count` steps after that of `at`. */
function startOfStep(at: Date, step: Partitioned['step'], count: number): Date {
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  return new Date(step === 'month' ? Date.UTC(year, month + count, 1) : Date.UTC(year, month, day + count));
}

function stepsBetween(from: Date, to: Date, step: Partitioned['step']): number {
  let count = 0;
  while (startOfStep(from, step, count) < to) count++;
  return count;
}

function dateOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

function dateFrom(digits: string): Date {
  return new Date(`${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T00:00:00Z`);
}
