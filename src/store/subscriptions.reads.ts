import { keyedStatement } from './reader.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { userColumns, ownedColumns, type OwnedKey } from './viewer.js';

/** States of a subscription, as stored. */
export type SubscriptionState =
  | 'incomplete'
  | 'incomplete_expired'
  | 'trialing'
  | 'active'
  | 'past_due'
  | 'paused'
  | 'canceled'
  | 'unpaid';

/** A subscription as the graph shows it. */
export interface SubscriptionRow {
  o: number;
  id: string;
  userId: string;
  /** Who pays where it is not the user (a gift). */
  payerId: string | null;
  tierId: string;
  priceId: string;
  paymentMethodId: string | null;
  status: SubscriptionState;
  periodStart: Date;
  periodEnd: Date;
  /** null: there is or was no trial. */
  trialEndsAt: Date | null;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  /** When a pause in force or planned ends by itself. */
  resumesAt: Date | null;
  canceledAt: Date | null;
  endedAt: Date | null;
  version: number;
}

const COLUMNS = `s.id, s.user_id as "userId", s.payer_id as "payerId", s.tier_id as "tierId", s.price_id as "priceId",
  s.payment_method_id as "paymentMethodId", s.status, s.period_start as "periodStart", s.period_end as "periodEnd",
  s.trial_ends_at as "trialEndsAt", s.cancel_at_period_end as "cancelAtPeriodEnd", s.pause_at_period_end as "pauseAtPeriodEnd",
  s.resumes_at as "resumesAt", s.canceled_at as "canceledAt", s.ended_at as "endedAt", s.version`;

/** Subscriptions of their owners by id. */
export const subscriptionsById = keyedStatement<OwnedKey, SubscriptionRow>(
  'subscriptions_by_id',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join subscription s on s.bucket = k.bucket and s.id = k.id
   where s.user_id = k.user_id`,
  ownedColumns,
);

/** The live subscription of each user that the user would call current: not one whose first payment is still open. */
export const currentSubscriptions = keyedStatement<string, SubscriptionRow>(
  'current_subscriptions',
  `select k.o::int as o, s.*
   from unnest($1::smallint[], $2::text[]) with ordinality as k(bucket, user_id, o)
   cross join lateral (
     select ${COLUMNS}
     from subscription s
     where s.bucket = k.bucket and s.user_id = k.user_id and s.status in ('trialing', 'active', 'past_due', 'paused')
     order by s.id desc
     limit 1) s`,
  userColumns,
);

/** A stretch of a user's subscriptions. */
export interface SubscriptionStretch extends Stretch {
  /** Only these states; null for all. */
  readonly statuses: readonly SubscriptionState[] | null;
}

const pageText = (direction: 'asc' | 'desc'): string =>
  `select k.o::int as o, s.*
   from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::text[])
     with ordinality as k(bucket, user_id, below, above, limit_count, statuses, o)
   cross join lateral (
     select ${COLUMNS}
     from subscription s
     where s.bucket = k.bucket and s.user_id = k.user_id and s.id < k.below and s.id > k.above
       and (k.statuses is null or s.status = any(string_to_array(k.statuses, ',')))
     order by s.id ${direction}
     limit k.limit_count) s`;

const pageColumns = (keys: readonly SubscriptionStretch[]): unknown[][] => [
  ...stretchColumns(keys),
  keys.map((key) => key.statuses?.join(',') ?? null),
];

/** Stretches of users' subscriptions, newest first. */
export const subscriptionsDown = keyedStatement<SubscriptionStretch, SubscriptionRow>(
  'subscriptions_down',
  pageText('desc'),
  pageColumns,
);

/** Stretches of users' subscriptions, oldest first. */
export const subscriptionsUp = keyedStatement<SubscriptionStretch, SubscriptionRow>(
  'subscriptions_up',
  pageText('asc'),
  pageColumns,
);
