/** Coupons at work on subscriptions. */
import { bucketOf } from '../domain/ids.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const USE_PERIOD = statement<[number, string, string, Date], never>(
  'use_coupon_period',
  `update coupon_redemption set periods_left = periods_left - 1, ended_at = case when periods_left = 1 then $4::timestamptz end
   where bucket = $1 and subscription_id = $2 and coupon_id = $3 and ended_at is null and periods_left > 0`,
);

/** A period was entered with a coupon: one period less of it is left, and with the last one it ends (rules V10). */
export async function useCouponPeriod(uow: UnitOfWork, subscriptionId: string, couponId: string): Promise<void> {
  await uow.run(USE_PERIOD, [bucketOf(subscriptionId), subscriptionId, couponId, uow.now]);
}
