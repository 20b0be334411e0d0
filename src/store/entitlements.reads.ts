import { bucketOf } from '../domain/ids.js';
import { keyedStatement } from './reader.js';
import { userAtColumns, type UserAt } from './viewer.js';

const KEYS = `unnest($1::smallint[], $2::text[], $3::timestamptz[]) with ordinality as k(bucket, user_id, at, o)`;

/** A subscription that gives its tier's features now. */
export interface EntitledSubscriptionRow {
  o: number;
  id: string;
  tierId: string;
  status: string;
  /** Somebody else pays for it. */
  isGift: boolean;
  entitledUntil: Date;
}

/** Subscriptions that give access now: a pure function of the row (rules S1). */
export const entitledSubscriptions = keyedStatement<UserAt, EntitledSubscriptionRow>(
  'entitled_subscriptions',
  `select k.o::int as o, s.id, s.tier_id as "tierId", s.status,
     s.gift_id is not null and not s.renews_after_gift as "isGift", s.entitled_until as "entitledUntil"
   from ${KEYS}
   join subscription s on s.bucket = k.bucket and s.user_id = k.user_id
   where k.at < s.entitled_until and s.hold = 'none'`,
  userAtColumns,
);

/** A right that comes from a purchase or from staff. */
export interface GrantRow {
  o: number;
  featureKey: string;
  limit: bigint | null;
  purchaseId: string | null;
  expiresAt: Date | null;
}

/** Rights from purchases and staff that hold now. */
export const grantsInForce = keyedStatement<UserAt, GrantRow>(
  'grants_in_force',
  `select k.o::int as o, g.feature_key as "featureKey", g.limit_value as "limit", g.purchase_id as "purchaseId", g.expires_at as "expiresAt"
   from ${KEYS}
   join entitlement_grant g on g.bucket = k.bucket and g.user_id = k.user_id
   where g.revoked_at is null and (g.expires_at is null or k.at < g.expires_at)`,
  userAtColumns,
);

/** A right that staff have just given, by its row: for the agent whose audit entry of it was written, and for nobody else. */
export const grantsForStaff = keyedStatement<string, GrantRow & { userId: string }>(
  'grants_for_staff',
  `select k.o::int as o, g.user_id as "userId", g.feature_key as "featureKey", g.limit_value as "limit", g.purchase_id as "purchaseId",
     g.expires_at as "expiresAt"
   from unnest($1::smallint[], $2::uuid[]) with ordinality as k(bucket, id, o)
   join entitlement_grant g on g.bucket = k.bucket and g.id = k.id`,
  (ids) => [ids.map(bucketOf), [...ids]],
);

/** One right to use one feature. */
export interface EntitlementRight {
  readonly featureKey: string;
  /** null: unlimited, or not a feature with a limit. */
  readonly limit: bigint | null;
  readonly source: 'SUBSCRIPTION' | 'PURCHASE' | 'GIFT' | 'GRANT' | 'GRACE';
  readonly subscriptionId: string | null;
  /** null: does not lapse. */
  readonly expiresAt: Date | null;
}

/**
 * The union of what subscriptions, purchases and staff give, one right for each feature, by feature key. Where several give the
 * same feature the strongest limit wins (no limit is stronger than any), then the one that lasts longest.
 */
export function unionOfRights(
  subscriptions: readonly EntitledSubscriptionRow[],
  grants: readonly GrantRow[],
  featuresOf: (tierId: string) => readonly { featureKey: string; limit: bigint | null }[],
): EntitlementRight[] {
  const all: EntitlementRight[] = [
    ...subscriptions.flatMap((s) =>
      featuresOf(s.tierId).map((given) => ({
        featureKey: given.featureKey,
        limit: given.limit,
        source: sourceOf(s),
        subscriptionId: s.id,
        expiresAt: s.entitledUntil,
      })),
    ),
    ...grants.map(rightOfGrant),
  ];
  const best = new Map<string, EntitlementRight>();
  for (const right of all) {
    const other = best.get(right.featureKey);
    if (!other || isStronger(right, other)) best.set(right.featureKey, right);
  }
  return [...best.values()].sort((a, b) => (a.featureKey < b.featureKey ? -1 : 1));
}

/** The right that a purchase or staff gives. */
export function rightOfGrant({ featureKey, limit, purchaseId, expiresAt }: GrantRow): EntitlementRight {
  return { featureKey, limit, source: purchaseId === null ? 'GRANT' : 'PURCHASE', subscriptionId: null, expiresAt };
}

function sourceOf({ status, isGift }: EntitledSubscriptionRow): EntitlementRight['source'] {
  if (status === 'past_due') return 'GRACE';
  return isGift ? 'GIFT' : 'SUBSCRIPTION';
}

function isStronger(a: EntitlementRight, b: EntitlementRight): boolean {
  if (a.limit !== b.limit) return a.limit === null || (b.limit !== null && a.limit > b.limit);
  if (a.expiresAt === null || b.expiresAt === null) return a.expiresAt === null && b.expiresAt !== null;
  return a.expiresAt > b.expiresAt;
}
