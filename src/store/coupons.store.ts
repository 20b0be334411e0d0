/** Coupons claimed by users: who has had one, how often one was claimed, and which works on a subscription. */
import { bucketOf, type CouponId } from '../domain/ids.js';
import type { Coupon, RunningCoupon } from '../domain/catalogue/coupon.js';
import { keyBucket } from '../platform/json.js';
import { couponOf, type CouponColumns } from './catalogue.store.js';
import { statement } from './statement.js';
import { TakenMeanwhile, type UnitOfWork } from './unit-of-work.js';

const COUPON = `c.id, c.code, c.percent_off_bps as "percentOffBps", c.amounts_off as "amountsOff", c.duration_periods as "durationPeriods",
  c.interval_units as "intervalUnits", c.redeem_by as "redeemBy", c.max_redemptions as "maxRedemptions"`;

const LOAD_COUPON = statement<[string], CouponColumns & { redeemedCount: number }>(
  'load_coupon',
  `select ${COUPON}, coalesce(u.redeemed, 0) as "redeemedCount"
   from coupon c left join coupon_usage u on u.bucket = id_bucket(c.id) and u.coupon_id = c.id where c.code = $1`,
);
const COUPON_BY_ID = statement<[string], CouponColumns>('coupon_by_id', `select ${COUPON} from coupon c where c.id = $1`);
const IS_COUPON_USED = statement<[number[], string[], string], { isUsed: boolean }>(
  'is_coupon_used',
  `select exists (select from unnest($1::smallint[], $2::text[]) as k(bucket, identity)
     join coupon_use u on u.bucket = k.bucket and u.identity = k.identity and u.coupon_id = $3) as "isUsed"`,
);
const COUNT_REDEMPTION = statement<[number, string], { redeemed: number }>(
  'count_redemption',
  `update coupon_usage set redeemed = redeemed + 1 where bucket = $1 and coupon_id = $2 and redeemed < max_redemptions returning redeemed`,
);
const USE_COUPON = statement<[number[], string[], string, string], { identity: string }>(
  'use_coupon',
  `insert into coupon_use (bucket, identity, coupon_id, subscription_id)
   select bucket, identity, $3::uuid, $4::uuid from unnest($1::smallint[], $2::text[]) as k(bucket, identity) order by identity
   on conflict do nothing returning identity`,
);
const ADD_REDEMPTION = statement<[number, string, string, string, string, number | null, string[]], never>(
  'add_redemption',
  `insert into coupon_redemption (bucket, id, user_id, coupon_id, subscription_id, periods_left, identities)
   values ($1, $2, $3, $4, $5, $6, $7)`,
);
const END_REDEMPTION = statement<[number, string, Date], { couponId: string; identities: string[] }>(
  'end_redemption',
  `update coupon_redemption set ended_at = $3 where bucket = $1 and subscription_id = $2 and ended_at is null
   returning coupon_id as "couponId", identities`,
);
const UNCOUNT_REDEMPTION = statement<[number, string], never>(
  'uncount_redemption',
  'update coupon_usage set redeemed = redeemed - 1 where bucket = $1 and coupon_id = $2',
);
const UNUSE_COUPON = statement<[number[], string[], string, string], never>(
  'unuse_coupon',
  `delete from coupon_use u using unnest($1::smallint[], $2::text[]) as k(bucket, identity)
   where u.bucket = k.bucket and u.identity = k.identity and u.coupon_id = $3 and u.subscription_id = $4`,
);
const RUNNING_COUPON = statement<[number, string], CouponColumns & { periodsLeft: number | null }>(
  'running_coupon',
  `select ${COUPON}, r.periods_left as "periodsLeft" from coupon_redemption r join coupon c on c.id = r.coupon_id
   where r.bucket = $1 and r.subscription_id = $2 and r.ended_at is null`,
);

const USE_PERIOD = statement<[number, string, string, Date], never>(
  'use_coupon_period',
  `update coupon_redemption set periods_left = periods_left - 1, ended_at = case when periods_left = 1 then $4::timestamptz end
   where bucket = $1 and subscription_id = $2 and coupon_id = $3 and ended_at is null and periods_left > 0`,
);

/** The coupon of a code, in the form it is kept in, and how often it was claimed; counted only where that is limited. */
export async function loadCoupon(uow: UnitOfWork, code: string): Promise<{ coupon: Coupon; redeemedCount: number } | null> {
  const [row] = await uow.run(LOAD_COUPON, [code]);
  if (row === undefined) return null;
  const { redeemedCount, ...coupon } = row;
  return { coupon: couponOf(coupon), redeemedCount };
}

/** A coupon by its id, whatever became of it since it was published. */
export async function loadCouponById(uow: UnitOfWork, id: string): Promise<Coupon | null> {
  const [row] = await uow.run(COUPON_BY_ID, [id]);
  return row === undefined ? null : couponOf(row);
}

/** Whether any of a person's marks has had the coupon. */
export async function isCouponUsed(uow: UnitOfWork, couponId: string, identities: readonly string[]): Promise<boolean> {
  const [row] = await uow.run(IS_COUPON_USED, [identities.map(keyBucket), [...identities], couponId]);
  return row?.isUsed === true;
}

/** A claim about to be kept. */
export interface NewRedemption {
  /** Of the redemption; in the user's bucket. */
  id: CouponId;
  userId: string;
  subscriptionId: string;
  running: RunningCoupon;
  /** The marks by which the person is known again (rules V3). */
  identities: readonly string[];
}

/**
 * Claims a coupon for a subscription, which has none that works: counted, where it is limited, and noted for each of the person's marks.
 * @throws TakenMeanwhile when another took the last one, or claimed it with one of the marks, since the decision looked
 */
export async function claimCoupon(uow: UnitOfWork, redemption: NewRedemption): Promise<void> {
  const { id, userId, subscriptionId, running, identities } = redemption;
  const { coupon, periodsLeft } = running;
  if (coupon.maxRedemptions !== null) {
    const counted = await uow.run(COUNT_REDEMPTION, [bucketOf(coupon.id), coupon.id]);
    if (counted.length === 0) throw new TakenMeanwhile(`the last of coupon ${coupon.id}`);
  }
  const used = await uow.run(USE_COUPON, [identities.map(keyBucket), [...identities], coupon.id, subscriptionId]);
  if (used.length < identities.length) throw new TakenMeanwhile(`coupon ${coupon.id} by the same person`);
  await uow.run(ADD_REDEMPTION, [bucketOf(id), id, userId, coupon.id, subscriptionId, periodsLeft, [...identities]]);
}

/** Ends the coupon that works on a subscription, because another takes its place. The person has had it all the same. */
export async function endCoupon(uow: UnitOfWork, subscriptionId: string): Promise<void> {
  await uow.run(END_REDEMPTION, [bucketOf(subscriptionId), subscriptionId, uow.now]);
}

/** Gives back the coupon that was claimed with a subscription whose first payment was not made: it may be claimed again. */
export async function releaseCoupon(uow: UnitOfWork, subscriptionId: string): Promise<void> {
  const [released] = await uow.run(END_REDEMPTION, [bucketOf(subscriptionId), subscriptionId, uow.now]);
  if (released === undefined) return;
  const { couponId, identities } = released;
  // Only a limited coupon has a counter; of others no row is met.
  await uow.run(UNCOUNT_REDEMPTION, [bucketOf(couponId), couponId]);
  await uow.run(UNUSE_COUPON, [identities.map(keyBucket), identities, couponId, subscriptionId]);
}

/** A period was entered with a coupon: one period less of it is left, and with the last one it ends (rules V10). */
export async function useCouponPeriod(uow: UnitOfWork, subscriptionId: string, couponId: string): Promise<void> {
  await uow.run(USE_PERIOD, [bucketOf(subscriptionId), subscriptionId, couponId, uow.now]);
}

/** The coupon that works on a subscription; null when none does. */
export async function loadRunningCoupon(uow: UnitOfWork, subscriptionId: string): Promise<RunningCoupon | null> {
  const [row] = await uow.run(RUNNING_COUPON, [bucketOf(subscriptionId), subscriptionId]);
  if (row === undefined) return null;
  const { periodsLeft, ...coupon } = row;
  return { coupon: couponOf(coupon), periodsLeft };
}
