/** What customers are to be told, and what they were: rows decide whether a charge may follow (rules C2). */
import type { KeptNotice, PlannedNotice } from '../domain/consent/notices.js';
import { bucketOf, makeId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import type { Notice } from '../ports/messenger.js';
import type { Random } from '../ports/random.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const PLAN = statement<[number, string, string, string], never>(
  'plan_notices',
  `insert into notice (bucket, id, user_id, subscription_id, kind, due_at, next_action_at)
   select $1, id, $2, $3::uuid, kind, "dueAt", "dueAt" from json_to_recordset($4::json) as r (id uuid, kind text, "dueAt" timestamptz)
   on conflict (bucket, subscription_id, kind, due_at) do nothing`,
);
const LOAD = statement<[number, string], { kind: string; dueAt: Date; sentAt: Date | null; messageId: string | null }>(
  'load_notices',
  `select kind, due_at as "dueAt", sent_at as "sentAt", message_id as "messageId" from notice where bucket = $1 and subscription_id = $2`,
);
const CLAIM = statement<[Slot, Date, number, Date], Notice & { bucket: number; isWanted: boolean }>(
  'claim_notices',
  `update notice n set next_action_at = $4
   from (select k.bucket, k.id, s.status from notice k left join subscription s on s.bucket = k.bucket and s.id = k.subscription_id
         where k.bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and k.next_action_at <= $2 limit $3 for update of k skip locked) d
   where n.bucket = d.bucket and n.id = d.id
   returning n.bucket, n.id, n.user_id as "userId", n.subscription_id as "subscriptionId", n.kind, n.due_at as "dueAt",
     coalesce(d.status, 'active') not in ('canceled', 'unpaid', 'incomplete_expired') as "isWanted"`,
);
const KEEP = statement<[number, string, string | null, Date | null], never>(
  'keep_notice',
  'update notice set message_id = $3, sent_at = $4, next_action_at = null where bucket = $1 and id = $2 and sent_at is null',
);

/** Writes what a subscription's user is to be told, and when; what is planned already stays as it is. */
export async function planNotices(
  uow: UnitOfWork,
  random: Random,
  of: { userId: string; subscriptionId: string },
  planned: readonly PlannedNotice[],
): Promise<void> {
  const bucket = bucketOf(of.subscriptionId);
  const rows = planned.map(({ kind, dueAt }) => ({ id: makeId('whe', bucket, uow.now.getTime(), random.bytes(8)), kind, dueAt }));
  await uow.run(PLAN, [bucket, of.userId, of.subscriptionId, JSON.stringify(rows)]);
}

/** What a customer was told, or is to be, of a subscription. */
export async function listNotices(uow: UnitOfWork, subscriptionId: string): Promise<KeptNotice[]> {
  const rows = await uow.run(LOAD, [bucketOf(subscriptionId), subscriptionId]);
  // Written from plans of these kinds alone.
  return rows.map((row) => ({ ...row, kind: row.kind as KeptNotice['kind'] }));
}

/** Takes up to `limit` notices whose time has come; one that is not kept by `until` is taken again. */
export async function claimNotices(
  uow: UnitOfWork,
  buckets: Slot,
  limit: number,
  until: Date,
): Promise<(Notice & { bucket: number; isWanted: boolean })[]> {
  return uow.run(CLAIM, [buckets, uow.now, limit, until]);
}

/** A notice was taken by its carrier (`messageId`), or is not wanted any more (null). */
export async function keepNotice(
  uow: UnitOfWork,
  notice: { bucket: number; id: string },
  messageId: string | null,
): Promise<void> {
  await uow.run(KEEP, [notice.bucket, notice.id, messageId, messageId === null ? null : uow.now]);
}
