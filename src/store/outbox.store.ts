import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A user whose feed grew, and the last number in it. */
export interface Wake {
  userId: string;
  seq: bigint;
}

const CLAIM_OUTBOX = statement<[Date, number], { user_id: string; seq: bigint }>(
  'claim_outbox',
  `with waiting as materialized (
     select bucket, id from outbox_event where published_at is null order by id limit $2 for update skip locked)
   , published as (
     update outbox_event o set published_at = $1 from waiting w where o.bucket = w.bucket and o.id = w.id and o.published_at is null
     returning o.user_id, o.seq)
   select user_id, max(seq) as seq from published where user_id is not null group by user_id`,
);

/** Marks up to `limit` rows as published and tells whose feeds they were in; the caller publishes after the commit. */
export async function claimOutbox(uow: UnitOfWork, limit: number): Promise<Wake[]> {
  const rows = await uow.run(CLAIM_OUTBOX, [uow.now, limit]);
  return rows.map((row) => ({ userId: row.user_id, seq: row.seq }));
}

const NOTIFY = statement<[string, string], never>('notify_feed', 'select pg_notify($1, $2)');

/** Wakes every listener of a channel; the payload is a hint, the table the truth. */
export async function notify(uow: UnitOfWork, channel: string, payload: string): Promise<void> {
  await uow.run(NOTIFY, [channel, payload]);
}
