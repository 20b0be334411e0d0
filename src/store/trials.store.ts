/** Trials: who has had one. */
import { keyBucket } from '../platform/json.js';
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
