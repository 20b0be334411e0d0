/** Gifts: periods that one user pays for another (rules V11). */
import { NO_SUCH_PRICE, refuseMethod, refuseUnsold, type MethodFacts } from '../catalogue/price.js';
import { STRIPE_MAXIMUM } from '../money/currency.js';
import { taxOf, type Taxed } from '../tax/tax.js';
import type { TargetPrice } from './change-tier.js';
import type { SubscriptionStatus } from './subscription.js';

export type GiftStatus = 'pending_payment' | 'claimable' | 'claimed' | 'expired' | 'canceled';

/** Allowed moves of a gift. A claimed one is canceled when its payment is lost to a dispute; periods used up stay used. */
export const GIFT_MOVES = {
  pending_payment: ['claimable', 'canceled'],
  claimable: ['claimed', 'expired', 'canceled'],
  claimed: ['canceled'],
  expired: [],
  canceled: [],
} as const satisfies Record<GiftStatus, readonly GiftStatus[]>;

/** Whether a gift may go from one status to another. */
export function mayMoveGift(from: GiftStatus, to: GiftStatus): boolean {
  const targets: readonly GiftStatus[] = GIFT_MOVES[from];
  return targets.includes(to);
}

/** Most periods in one gift (the contract's). */
export const MAX_GIFT_PERIODS = 12;

/** How long a gift may be claimed (rules V11). */
export const CLAIMABLE_MONTHS = 12;

/** A refusal to give or to claim; `field` is the path of the offending input field. */
export interface GiftRefused {
  kind: 'refused';
  code: 'INVALID_INPUT' | 'NOT_FOUND' | 'NOT_FOR_SALE' | 'INVALID_STATE' | 'PAYMENT_METHOD_UNUSABLE' | 'PRICE_CHANGED';
  message: string;
  field: string[] | null;
}

/** What giving looks at. */
export interface GiftFacts {
  /** null: no such price, or it is a product's. */
  price: TargetPrice | null;
  periods: number;
  giverId: string;
  /** null: by a code to hand over. */
  recipientId: string | null;
  ratePpm: number;
  method: MethodFacts | null;
  isMethodAsked: boolean;
  now: Date;
}

/**
 * Whether a gift may be bought, and for how much: so many times the period, tax by the period, so that each unused one can be given
 * back exactly. Refuses INVALID_INPUT (periods, oneself), NOT_FOUND, NOT_FOR_SALE, PAYMENT_METHOD_UNUSABLE.
 */
export function decideGift(
  facts: GiftFacts,
): { kind: 'approved'; perPeriod: Taxed; totalMinor: bigint; claimBy: Date } | GiftRefused {
  const { price, periods, now } = facts;
  const refused = (message: string, field: string): GiftRefused => ({
    kind: 'refused',
    code: 'INVALID_INPUT',
    message,
    field: ['input', field],
  });
  if (!Number.isInteger(periods) || periods < 1 || periods > MAX_GIFT_PERIODS) {
    return refused(`A gift is of 1 to ${MAX_GIFT_PERIODS} periods.`, 'periods');
  }
  if (facts.recipientId === facts.giverId) return refused('A gift is for somebody else.', 'recipientId');
  if (price === null) return { kind: 'refused', ...NO_SUCH_PRICE };
  const unsold = refuseUnsold(price, now);
  if (unsold !== null) return { kind: 'refused', ...unsold };
  const perPeriod = taxOf(price.amountMinor, facts.ratePpm, price.taxBehavior, price.currency);
  const totalMinor = perPeriod.totalMinor * BigInt(periods);
  if (totalMinor > STRIPE_MAXIMUM) return refused('So many cost more than one payment can take.', 'periods');
  const unusable = refuseMethod(facts.method, facts.isMethodAsked, price.acceptedKinds);
  if (unusable !== null) return { kind: 'refused', ...unusable };
  const claimBy = new Date(now);
  claimBy.setUTCMonth(now.getUTCMonth() + CLAIMABLE_MONTHS);
  return { kind: 'approved', perPeriod, totalMinor, claimBy };
}

/** A gift as claiming, using and giving it back look at it. Amounts in minor units. */
export interface BoughtGift {
  status: GiftStatus;
  giverId: string;
  recipientId: string | null;
  claimBy: Date;
  tierId: string;
  priceId: string;
  periods: number;
  /** Periods that have begun. */
  usedPeriods: number;
  /** What was paid for each period, tax included. */
  perPeriodMinor: bigint;
}

/** The recipient's live subscription in the gift's group of tiers. */
export interface LiveSubscription {
  status: SubscriptionStatus;
  cancelAtPeriodEnd: boolean;
  tierId: string;
  priceId: string;
}

/**
 * - `begins`: a subscription of the recipient, its first period paid by the gift.
 * - `extends`: that many periods more are paid before anything is charged.
 * - `to_balance`: the recipient has another tier, the same at other terms, or one that does not go on: the value is theirs to spend.
 */
export type ClaimDecision =
  | { kind: 'begins'; prepaidPeriods: number }
  | { kind: 'extends'; addedPeriods: number }
  | { kind: 'to_balance'; amountMinor: bigint }
  | GiftRefused;

/** Decides a claim (rules V11). Refuses NOT_FOUND for a gift to somebody else, INVALID_STATE, INVALID_INPUT for the giver. */
export function decideClaim(
  gift: BoughtGift | null,
  claimantId: string,
  live: LiveSubscription | null,
  now: Date,
): ClaimDecision {
  const field = ['input', 'giftId'];
  if (gift === null || (gift.recipientId !== null && gift.recipientId !== claimantId)) {
    return { kind: 'refused', code: 'NOT_FOUND', message: 'There is no such gift.', field };
  }
  if (gift.giverId === claimantId) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'A gift is for somebody else.', field };
  }
  if (gift.status !== 'claimable' || now >= gift.claimBy) {
    return { kind: 'refused', code: 'INVALID_STATE', message: 'The gift can not be claimed (any more).', field };
  }
  if (live === null) return { kind: 'begins', prepaidPeriods: gift.periods - 1 };
  const goesOn = (live.status === 'active' || live.status === 'trialing') && !live.cancelAtPeriodEnd;
  if (goesOn && live.tierId === gift.tierId && live.priceId === gift.priceId)
    return { kind: 'extends', addedPeriods: gift.periods };
  return { kind: 'to_balance', amountMinor: gift.perPeriodMinor * BigInt(gift.periods) };
}

/** What a gift that nobody claimed does: at `claimBy` it goes back to its buyer (rules V11). */
export function decideUnclaimed(gift: BoughtGift, now: Date): { kind: 'not_due' } | { kind: 'expire'; refundMinor: bigint } {
  const isDue = gift.status === 'claimable' && now >= gift.claimBy;
  return isDue ? { kind: 'expire', refundMinor: unusedValueOf(gift) } : { kind: 'not_due' };
}

/** What of a gift may still be given back to its buyer: the periods that have not begun, minor units (rules V11). */
export function unusedValueOf(gift: BoughtGift): bigint {
  const isGone = gift.status === 'expired' || gift.status === 'canceled' || gift.status === 'pending_payment';
  return isGone ? 0n : gift.perPeriodMinor * BigInt(gift.periods - gift.usedPeriods);
}

/** Who pays the next period of a subscription. */
export type PrepaidDecision =
  /** The gift: nothing is charged. */
  | { kind: 'prepaid'; prepaidPeriodsLeft: number }
  /** The gift is used up, and nobody said that it should go on. */
  | { kind: 'end'; endReason: 'gift_over' }
  | { kind: 'charge' };

/** Gifts are used up before anything is charged; after the last one only who opted in is charged (rules V11). */
export function decidePrepaid(facts: { prepaidPeriods: number; isGift: boolean; isOptedIn: boolean }): PrepaidDecision {
  if (facts.prepaidPeriods > 0) return { kind: 'prepaid', prepaidPeriodsLeft: facts.prepaidPeriods - 1 };
  return facts.isGift && !facts.isOptedIn ? { kind: 'end', endReason: 'gift_over' } : { kind: 'charge' };
}
