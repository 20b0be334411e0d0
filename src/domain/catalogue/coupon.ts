/** Coupons: who may claim one, what it takes off, and for how many periods (rules V10). */
import { stepOf } from '../money/currency.js';
import { steppedQuotient } from '../money/money.js';
import type { SubscriptionStatus } from '../subscription/subscription.js';

/** A coupon as it was published. It takes off either a share or a fixed amount. */
export interface Coupon {
  id: string;
  code: string;
  /** Basis points, 1 to 10,000 (2,500 is 25 %); null for a fixed amount. */
  percentOffBps: number | null;
  /** Fixed amounts by currency, minor units; null for a share. */
  amountsOff: Readonly<Record<string, bigint>> | null;
  /** For how many invoiced periods it works; null: all. */
  durationPeriods: number | null;
  /** Units of the intervals that it may be used with: one for three months does not discount a year. */
  intervalUnits: readonly string[];
  /** Last moment to claim it is before this; null: no end. */
  redeemBy: Date | null;
  /** null: no limit. */
  maxRedemptions: number | null;
}

const CODE_FORM = /^[A-Z0-9][A-Z0-9_-]{2,39}$/i;

/** The code of a coupon as it is kept, from what a user typed: case and spaces around it do not matter. null: no coupon can have it. */
export function parseCouponCode(text: string): string | null {
  const code = text.trim();
  // Asked first: capitals of other alphabets' letters may be of this one.
  return CODE_FORM.test(code) ? code.toUpperCase() : null;
}

/** A coupon at work on a subscription. */
export interface RunningCoupon {
  coupon: Coupon;
  /** Periods still to be invoiced with it; null: all. */
  periodsLeft: number | null;
}

/** What claiming a coupon looks at. */
export interface CouponFacts {
  /** null: no coupon has this code. */
  coupon: Coupon | null;
  price: { currency: string; intervalUnit: string };
  redeemedCount: number;
  /** One of the person's identities has had it (rules V3 tells who is one person). */
  isUsedByPerson: boolean;
  now: Date;
}

/** A coupon that does not apply; `field` is the path of the input field that names it. */
export interface CouponRefused {
  kind: 'refused';
  code: 'COUPON_NOT_APPLICABLE';
  message: string;
  field: string[];
}

/**
 * Whether a code may be claimed for a price. The count of redemptions is held by the database too, as two may claim the last one
 * at the same time. Refuses COUPON_NOT_APPLICABLE.
 */
export function decideCoupon(
  facts: CouponFacts,
  field: string[] = ['input', 'coupon'],
): { kind: 'approved'; coupon: Coupon } | CouponRefused {
  const { coupon, price, now } = facts;
  const refused = (message: string): CouponRefused => ({ kind: 'refused', code: 'COUPON_NOT_APPLICABLE', message, field });
  if (coupon === null) return refused('There is no such coupon.');
  if (coupon.redeemBy !== null && now >= coupon.redeemBy) return refused('The coupon can no longer be claimed.');
  if (!worksFor(coupon, price)) return refused('The coupon is not for this price.');
  if (facts.isUsedByPerson) return refused('The coupon was claimed by this person before.');
  if (coupon.maxRedemptions !== null && facts.redeemedCount >= coupon.maxRedemptions) return refused('The coupon is used up.');
  return { kind: 'approved', coupon };
}

/**
 * Whether a coupon may be put on a running subscription; the one that runs is replaced (one per subscription). The one that runs
 * already is left as it is, so that asking twice does no harm. Refuses INVALID_STATE for what does not renew, and what decideCoupon
 * refuses.
 */
export function decideApplyCoupon(
  subscription: { status: SubscriptionStatus; running: RunningCoupon | null },
  facts: CouponFacts,
):
  | { kind: 'approved'; running: RunningCoupon; replacesCouponId: string | null }
  | { kind: 'unchanged' }
  | CouponRefused
  | { kind: 'refused'; code: 'INVALID_STATE'; message: string; field: string[] } {
  const { status, running } = subscription;
  if (status !== 'active' && status !== 'trialing') {
    const message = 'Only a subscription that runs takes a coupon.';
    return { kind: 'refused', code: 'INVALID_STATE', message, field: ['input', 'subscriptionId'] };
  }
  if (running !== null && running.coupon.id === facts.coupon?.id) return { kind: 'unchanged' };
  const decision = decideCoupon(facts, ['input', 'code']);
  if (decision.kind === 'refused') return decision;
  const { coupon } = decision;
  return {
    kind: 'approved',
    running: { coupon, periodsLeft: coupon.durationPeriods },
    replacesCouponId: running?.coupon.id ?? null,
  };
}

/**
 * What a coupon takes off an amount, minor units, never more than the amount: of a fixed one the rest is lost. 0 where it does
 * not work for the price.
 */
export function discountOf(
  coupon: Coupon | null,
  price: { currency: string; intervalUnit: string },
  amountMinor: bigint,
): bigint {
  if (coupon === null || !worksFor(coupon, price)) return 0n;
  const off =
    coupon.percentOffBps === null
      ? (coupon.amountsOff?.[price.currency] ?? 0n)
      : steppedQuotient(amountMinor * BigInt(coupon.percentOffBps), 10_000n, stepOf(price.currency));
  return off < amountMinor ? off : amountMinor;
}

/** The coupon that works on the next invoiced period; null when none does, or none any more. */
export function couponForNextPeriod(running: RunningCoupon | null): Coupon | null {
  return running === null || running.periodsLeft === 0 ? null : running.coupon;
}

/**
 * A running coupon after a period was invoiced: one of zero counts too, a pause does not (rules V9, V10). A period at an interval
 * that the coupon is not for counts as well.
 */
export function afterInvoicedPeriod(running: RunningCoupon): RunningCoupon {
  const { coupon, periodsLeft } = running;
  return { coupon, periodsLeft: periodsLeft === null ? null : Math.max(periodsLeft - 1, 0) };
}

function worksFor(coupon: Coupon, price: { currency: string; intervalUnit: string }): boolean {
  const isForCurrency = coupon.percentOffBps !== null || coupon.amountsOff?.[price.currency] !== undefined;
  return isForCurrency && coupon.intervalUnits.includes(price.intervalUnit);
}
