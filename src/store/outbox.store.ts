import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A user whose feed grew, and the last number in it. */
export interface Wake {
  userId: string;
  seq: bigint;
}

// The update does not ask again whether its rows are unpublished; they are locked. Asked so, once the planner has learned that hardly any are, it would
// look for each of them through all that are and lately were: of a thousand due at once a million were read.
const CLAIM_OUTBOX = statement<[Date, number], { user_id: string | null; seq: bigint | null; rows: number }>(
  'claim_outbox',
  `with waiting as materialized (
     select bucket, id from outbox_event where published_at is null order by id limit $2 for update skip locked)
   , published as (
     update outbox_event o set published_at = $1 from waiting w where o.bucket = w.bucket and o.id = w.id
     returning o.user_id, o.seq)
   select user_id, max(seq) as seq, count(*)::int as rows from published group by user_id`,
);

/**
 * Marks up to `limit` rows as published and tells whose feeds they were in; the caller publishes after the commit.
 * @returns the users, and how many rows were marked: several may be of one user, some of none
 */
export async function claimOutbox(uow: UnitOfWork, limit: number): Promise<{ wakes: Wake[]; rowCount: number }> {
  const users = await uow.run(CLAIM_OUTBOX, [uow.now, limit]);
  return {
    wakes: users.flatMap(({ user_id, seq }) => (user_id === null || seq === null ? [] : [{ userId: user_id, seq }])),
    rowCount: users.reduce((sum, { rows }) => sum + rows, 0),
  };
}

const NOTIFY = statement<[string, string[]], never>(
  'notify_feed',
  'select pg_notify($1, payload) from unnest($2::text[]) payload',
);

/** Wakes every listener of a channel, once for each payload; a payload is a hint, the table the truth. */
export async function notify(uow: UnitOfWork, channel: string, payloads: string[]): Promise<void> {
  await uow.run(NOTIFY, [channel, payloads]);
}
