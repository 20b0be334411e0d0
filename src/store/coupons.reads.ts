import { keyedStatement } from './reader.js';
import { ownedColumns, type OwnedKey } from './viewer.js';
import type { SubscriptionState } from './subscriptions.reads.js';

/** The coupon that works on a subscription, with what tells until when. */
export interface DiscountRow {
  o: number;
  couponId: string;
  /** Periods still to be invoiced with it; null for all. */
  periodsLeft: number | null;
  status: SubscriptionState;
  /** YYYY-MM-DD HH:MM:SS, in `zone`. */
  anchorLocal: string;
  zone: string;
  epoch: number;
  periodNumber: number;
  prepaidPeriods: number;
  resumesAt: Date | null;
}

/** Coupons at work on live subscriptions of their owners. */
export const discountsOf = keyedStatement<OwnedKey, DiscountRow>(
  'discounts_of',
  `select k.o::int as o, r.coupon_id as "couponId", r.periods_left as "periodsLeft", s.status, s.anchor_local::text as "anchorLocal",
     s.zone, s.epoch, s.period_number as "periodNumber", s.prepaid_periods as "prepaidPeriods", s.resumes_at as "resumesAt"
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join subscription s on s.bucket = k.bucket and s.id = k.id
   join coupon_redemption r on r.bucket = s.bucket and r.subscription_id = s.id and r.ended_at is null
   where s.user_id = k.user_id and s.status in ('incomplete', 'trialing', 'active', 'past_due', 'paused')`,
  ownedColumns,
);
