import type { SubscriptionState } from './subscriptions.reads.js';
import { keyedStatement } from './reader.js';
import { ownedColumns, type OwnedKey } from './viewer.js';

/** What is known today of how a subscription goes on: what its next invoice is computed from. Amounts in minor units. */
export interface SubscriptionPlanRow {
  o: number;
  userId: string;
  status: SubscriptionState;
  tierGroup: string;
  priceId: string;
  pendingPriceId: string | null;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  resumesAt: Date | null;
  prepaidPeriods: number;
  isGift: boolean;
  isOptedIn: boolean;
  epoch: number;
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  anchorLocal: string;
  zone: string;
  /** There is something that can be charged. */
  hasMethod: boolean;
  /** In the currency of its price; negative: the user owes it. */
  balance: bigint;
  country: string | null;
  /** Every rate of the country; days as YYYY-MM-DD. */
  taxRates: { country: string; region: string | null; taxCode: string; validFrom: string; ratePpm: number }[];
  /** The coupon at work; null when none is. */
  couponId: string | null;
  /** Periods still to be invoiced with it; null for all. */
  periodsLeft: number | null;
}

/** How subscriptions of their owners go on. */
export const subscriptionPlans = keyedStatement<OwnedKey, SubscriptionPlanRow>(
  'subscription_plans',
  `select k.o::int as o, s.user_id as "userId", s.status, s.tier_group as "tierGroup", s.price_id as "priceId",
     s.pending_price_id as "pendingPriceId", s.cancel_at_period_end as "cancelAtPeriodEnd", s.pause_at_period_end as "pauseAtPeriodEnd",
     s.resumes_at as "resumesAt", s.prepaid_periods as "prepaidPeriods", s.gift_id is not null as "isGift", s.renews_after_gift as "isOptedIn",
     s.epoch, s.period_number as "periodNumber", s.period_start as "periodStart", s.period_end as "periodEnd",
     s.anchor_local::text as "anchorLocal", s.zone, m.id is not null as "hasMethod", coalesce(b.balance, 0) as balance, c.country,
     coalesce(t.rates, '[]') as "taxRates", r.coupon_id as "couponId", r.periods_left as "periodsLeft"
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join subscription s on s.bucket = k.bucket and s.id = k.id
   join customer c on c.bucket = s.bucket and c.user_id = s.user_id
   join price p on p.id = s.price_id
   left join customer_credit b on b.bucket = s.bucket and b.user_id = s.user_id and b.currency = p.currency
   left join lateral (
     select w.id from payment_method w
     where w.bucket = s.bucket and w.user_id = s.user_id and w.status = 'active' and w.id in (s.payment_method_id, c.default_payment_method_id) limit 1) m on true
   left join lateral (
     select jsonb_agg(jsonb_build_object('country', x.country, 'region', nullif(x.region, ''), 'taxCode', x.tax_code, 'validFrom', x.valid_from,
       'ratePpm', x.rate_ppm)) as rates from tax_rate x where x.country = c.country) t on true
   left join coupon_redemption r on r.bucket = s.bucket and r.subscription_id = s.id and r.ended_at is null
   where s.user_id = k.user_id`,
  ownedColumns,
);
