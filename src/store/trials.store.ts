/** Trials: who has had one, and what its user is told before it ends. */
import { bucketOf, makeId } from '../domain/ids.js';
import type { PlannedNotice } from '../domain/consent/notices.js';
import { keyBucket } from '../platform/json.js';
import type { Random } from '../ports/random.js';
import { statement } from './statement.js';
import { TakenMeanwhile, type UnitOfWork } from './unit-of-work.js';

const TRIALS_USED = statement<[number[], string[], string], { identity: string }>(
  'trials_used',
  `select u.identity from unnest($1::smallint[], $2::text[]) as k(bucket, identity)
   join trial_use u on u.bucket = k.bucket and u.identity = k.identity and u.tier_group = $3`,
);
const USE_TRIAL = statement<[number[], string[], string, string], { identity: string }>(
  'use_trial',
  `insert into trial_use (bucket, identity, tier_group, subscription_id)
   select bucket, identity, $3::text, $4::uuid from unnest($1::smallint[], $2::text[]) as k(bucket, identity) order by identity
   on conflict do nothing returning identity`,
);
const PLAN_NOTICES = statement<[number, string, string, string], never>(
  'plan_notices',
  `insert into notice (bucket, id, user_id, subscription_id, kind, due_at)
   select $1, id, $2, $3::uuid, kind, "dueAt" from jsonb_to_recordset($4::jsonb) as r (id uuid, kind text, "dueAt" timestamptz)`,
);

/** Those of a person's marks that have had a trial in a group of tiers. */
export async function listTrialsUsed(uow: UnitOfWork, tierGroup: string, identities: readonly string[]): Promise<string[]> {
  const rows = await uow.run(TRIALS_USED, [identities.map(keyBucket), [...identities], tierGroup]);
  return rows.map(({ identity }) => identity);
}

/**
 * Notes that a person has had the trial of a group, for ever, by each of the marks.
 * @throws TakenMeanwhile when one of the marks has got it since the decision looked
 */
export async function claimTrial(
  uow: UnitOfWork,
  trial: { tierGroup: string; subscriptionId: string; identities: readonly string[] },
): Promise<void> {
  const { tierGroup, subscriptionId, identities } = trial;
  const used = await uow.run(USE_TRIAL, [identities.map(keyBucket), [...identities], tierGroup, subscriptionId]);
  if (used.length < identities.length) throw new TakenMeanwhile(`the trial of ${tierGroup} by the same person`);
}

/** Writes what a subscription's user is to be told, and when. Nothing sends it yet, so it is nobody's work: `next_action_at` stays null. */
export async function planNotices(
  uow: UnitOfWork,
  random: Random,
  of: { userId: string; subscriptionId: string },
  planned: readonly PlannedNotice[],
): Promise<void> {
  const bucket = bucketOf(of.subscriptionId);
  const rows = planned.map(({ kind, dueAt }) => {
    return { id: makeId('whe', bucket, uow.now.getTime(), random.bytes(8)), kind, dueAt };
  });
  await uow.run(PLAN_NOTICES, [bucket, of.userId, of.subscriptionId, JSON.stringify(rows)]);
}
