import type { Catalogue } from './catalogue.reads.js';
import { keyedStatement } from './reader.js';
import { userAtColumns, type UserAt } from './viewer.js';

/** The tier on a user's profile. */
export interface DisplayTierRow {
  o: number;
  tierId: string;
}

/** Tiers that users enjoy now and do not hide; public. */
export const displayTiers = keyedStatement<UserAt, DisplayTierRow>(
  'display_tiers',
  `select k.o::int as o, s.tier_id as "tierId"
   from unnest($1::smallint[], $2::text[], $3::timestamptz[]) with ordinality as k(bucket, user_id, at, o)
   join customer c on c.bucket = k.bucket and c.user_id = k.user_id and c.shows_tier
   join subscription s on s.bucket = k.bucket and s.user_id = k.user_id
   where k.at < s.entitled_until and s.hold = 'none'`,
  userAtColumns,
);

/** The tier of highest rank among those a user shows; null when there is none. */
export function highestTier(rows: readonly DisplayTierRow[], catalogue: Catalogue): string | null {
  let best: { id: string; rank: number } | null = null;
  for (const { tierId } of rows) {
    const rank = catalogue.tier(tierId)?.rank;
    if (rank !== undefined && (!best || rank > best.rank)) best = { id: tierId, rank };
  }
  return best?.id ?? null;
}
