/** Gifts: periods that one user pays for another (rules V11). */
import { NO_SUCH_PRICE, refuseMethod, refuseUnsold, type MethodFacts } from '../catalogue/price.js';
import { STRIPE_MAXIMUM } from '../money/currency.js';
import { taxOf, type Taxed } from '../tax/tax.js';
import { boundary, type PeriodRule } from '../time/periods.js';
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
  /** Where the giver lives; null: not known. */
  country: string | null;
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
  const unsold = refuseUnsold(price, facts);
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

/** A gift as claiming looks at it. */
export interface ClaimedGift {
  status: GiftStatus;
  giverId: string;
  recipientId: string | null;
  claimBy: Date;
  tierId: string;
  priceId: string;
  periods: number;
}

/** A gift as using it and giving it back look at it. */
export interface BoughtGift extends Pick<ClaimedGift, 'status' | 'claimBy' | 'periods'> {
  /** Periods that have begun, or whose value went to the recipient's balance. */
  usedPeriods: number;
  /** What was paid for each period, tax included, minor units. */
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
 * - `extends`: that many periods more are paid before anything is charged; one that its user pays for goes on afterwards as it did.
 * - `to_balance`: the recipient has another tier, the same at other terms, or one that does not go on: the value is theirs to spend.
 */
export type ClaimDecision =
  | { kind: 'begins'; prepaidPeriods: number }
  | { kind: 'extends'; addedPeriods: number }
  | { kind: 'to_balance' }
  | GiftRefused;

/** Decides a claim (rules V11). Refuses NOT_FOUND for a gift to somebody else, INVALID_STATE, INVALID_INPUT for the giver. */
export function decideClaim(
  gift: ClaimedGift | null,
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
  return { kind: 'to_balance' };
}

/** Whether a gift that nobody claimed has lapsed: from `claimBy` on it goes back to its buyer (rules V11). */
export function hasLapsed(gift: Pick<BoughtGift, 'status' | 'claimBy'>, now: Date): boolean {
  return gift.status === 'claimable' && now >= gift.claimBy;
}

/** What of a gift goes back to its buyer, if it does: the periods that have not begun, minor units (rules V11). */
export function unusedValueOf(gift: BoughtGift): bigint {
  return gift.status === 'pending_payment' ? 0n : gift.perPeriodMinor * BigInt(gift.periods - gift.usedPeriods);
}

/**
 * Whether what was given back of a gift takes back all of it that has not begun: then it can not be claimed or used any more. A smaller
 * part is a favour and takes no period (rules V11).
 * @param refundedMinor all that was given back of it
 */
export function refundEndsGift(gift: BoughtGift, refundedMinor: bigint): boolean {
  if (gift.status !== 'claimable' && gift.status !== 'claimed') return false;
  const unused = unusedValueOf(gift);
  return refundedMinor > 0n && unused > 0n && refundedMinor >= unused;
}

/** Where the periods of a gift lie in the subscription that it pays for. */
export interface GiftPlace {
  rule: PeriodRule;
  /** Number of the period that runs. */
  periodNumber: number;
  /** Periods to come that gifts have paid for, this one's among them. */
  prepaidPeriods: number;
  /** Of these, those of gifts that were claimed after this one: they are used after it. */
  laterPeriods: number;
  /** Of this gift. */
  periods: number;
}

/** How many periods of a claimed gift have not begun: gifts are used in the order in which they were claimed. */
export function unusedPeriodsOf(place: Omit<GiftPlace, 'rule' | 'periodNumber'>): number {
  const ahead = place.prepaidPeriods - place.laterPeriods;
  return Math.min(Math.max(ahead, 0), place.periods);
}

/** The time that a gift's periods cover: [start, end). Its value is earned over it. */
export function spanOfGift(place: GiftPlace): { start: Date; end: Date } {
  const last = place.periodNumber + Math.max(place.prepaidPeriods - place.laterPeriods, 0);
  const at = (n: number) => boundary({ ...place.rule, n });
  return { start: at(last + 1 - place.periods), end: at(last + 1) };
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
