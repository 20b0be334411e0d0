/** What subscribing costs and begins: the one function behind its preview and its charge (rules V2, V3, V5). */
import { decideCoupon, type CouponFacts, type RunningCoupon } from '../catalogue/coupon.js';
import {
  NO_SUCH_PRICE,
  refuseMethod,
  refuseOtherAmount,
  refuseUnsold,
  type MethodFacts,
  type OfferRefusal,
} from '../catalogue/price.js';
import type { SubscriptionId } from '../ids.js';
import { composeInvoice, type InvoiceSums } from '../invoice/invoice.js';
import type { InvoiceLine } from '../invoice/line.js';
import { STRIPE_MAXIMUM } from '../money/currency.js';
import type { Money } from '../money/money.js';
import { anchorLocalOf, periodOf, type OpenedPeriod } from '../time/periods.js';
import type { TargetPrice } from './change-tier.js';
import { periodLine, type Span } from './proration.js';
import { decideTrial, type TrialFacts } from './trial.js';

/** What a quote for subscribing looks at, read under the customer's lock. */
export interface SubscribeQuoteFacts {
  /** null: no such price, or it is a product's. */
  price: TargetPrice | null;
  /** The live subscription of the user in the tier's group. */
  live: { id: SubscriptionId } | null;
  /** null: no code was given. */
  coupon: Pick<CouponFacts, 'coupon' | 'redeemedCount' | 'isUsedByPerson'> | null;
  /** null: no trial was asked for. */
  trial: Omit<TrialFacts, 'method'> | null;
  /** Where the customer lives; null: not known. */
  country: string | null;
  /** The customer's zone, which the subscription keeps (rules B4). */
  zone: string;
  /** Rate at the moment of the charge, parts per million (rules T4). */
  ratePpm: number;
  /** What we owe the customer in the price's currency; negative: what the customer owes us. */
  balanceMinor: bigint;
  /** What the user was shown as due. */
  expectedAmount: Money | null;
  method: MethodFacts | null;
  isMethodAsked: boolean;
  now: Date;
}

/** What begins. `active` only where nothing must be collected; `incomplete` until the first payment is done (rules S4). */
export interface SubscribeQuote {
  kind: 'approved';
  status: 'trialing' | 'active' | 'incomplete';
  anchorLocal: string;
  period: OpenedPeriod;
  /** null: no trial. The first paid period begins at its end with an anchor of its own (rules B5). */
  trial: { endsAt: Date; atEnd: 'charge' | 'end' | 'pause'; identities: string[] } | null;
  /** null in a trial: nothing is invoiced. */
  line: InvoiceLine | null;
  sums: InvoiceSums;
  /** Claimed with it; a trial does not use up a period of it (rules V10). */
  running: RunningCoupon | null;
}

/** A refusal to subscribe; `subscriptionId` is the one in the way. */
export interface SubscribeRefused {
  kind: 'refused';
  code: OfferRefusal['code'] | 'ALREADY_SUBSCRIBED' | 'COUPON_NOT_APPLICABLE' | 'TRIAL_ALREADY_USED' | 'INVALID_INPUT';
  message: string;
  field: string[] | null;
  subscriptionId?: SubscriptionId;
}

/**
 * What subscribing would begin and cost, or why it may not be. The first reason in this order is the refusal: price, live
 * subscription, coupon, trial, amount, method.
 */
export function quoteSubscribe(facts: SubscribeQuoteFacts): SubscribeQuote | SubscribeRefused {
  const { price, now } = facts;
  if (price === null) return { kind: 'refused', ...NO_SUCH_PRICE };
  const { currency } = price;
  const unsold = refuseUnsold(price, facts);
  if (unsold !== null) return { kind: 'refused', ...unsold };
  if (facts.live !== null) {
    const message = 'The user has a subscription in this group of tiers already.';
    return { kind: 'refused', code: 'ALREADY_SUBSCRIBED', message, field: null, subscriptionId: facts.live.id };
  }
  const claimed = facts.coupon === null ? null : decideCoupon({ ...facts.coupon, price, now });
  if (claimed?.kind === 'refused') return claimed;
  const methodRefusal = refuseMethod(facts.method, facts.isMethodAsked, price.acceptedKinds);
  // A default method that cannot pay is none: the trial ends by the policy for that.
  const method = methodRefusal === null ? facts.method : null;
  const trial = facts.trial === null ? null : decideTrial({ ...facts.trial, method });
  if (trial?.kind === 'refused') return trial;
  const anchorLocal = anchorLocalOf(now, facts.zone);
  const span =
    trial === null
      ? firstPeriod(price, anchorLocal, facts.zone)
      : periodOf({ anchorLocal, zone: facts.zone, unit: 'day', count: facts.trial?.trialDays ?? 0, n: 0 });
  const coupon = facts.coupon?.coupon ?? null;
  const line = trial === null ? periodLine(price, span, coupon, facts.ratePpm) : null;
  const sums = composeInvoice(line === null ? [] : [line], currency, facts.balanceMinor);
  if (sums.dueMinor > STRIPE_MAXIMUM) {
    const message = 'It costs more than one payment can take.';
    return { kind: 'refused', code: 'INVALID_INPUT', message, field: ['input', 'priceId'] };
  }
  // A method that is named must be one; without a name none is needed where nothing is due (rules V2).
  const isMethodNeeded = sums.dueMinor > 0n || facts.isMethodAsked;
  const refusal =
    refuseOtherAmount({ minor: sums.dueMinor, currency }, facts.expectedAmount) ?? (isMethodNeeded ? methodRefusal : null);
  if (refusal !== null) return { kind: 'refused', ...refusal };
  const periodsLeft = coupon?.durationPeriods ?? null;
  const isInvoiced = line !== null && periodsLeft !== null;
  return {
    kind: 'approved',
    status: trial !== null ? 'trialing' : sums.dueMinor > 0n ? 'incomplete' : 'active',
    anchorLocal,
    period: { epoch: 0, n: 0, ...span },
    trial: trial && { endsAt: span.end, atEnd: trial.atEnd, identities: trial.identities },
    line,
    sums,
    running: coupon && { coupon, periodsLeft: isInvoiced ? periodsLeft - 1 : periodsLeft },
  };
}

/** What showing the worth of a code looks at. Whether the user could subscribe, and with what to pay, does not matter. */
export interface CouponPreviewFacts extends Pick<
  SubscribeQuoteFacts,
  'price' | 'country' | 'zone' | 'ratePpm' | 'balanceMinor' | 'now'
> {
  coupon: NonNullable<SubscribeQuoteFacts['coupon']>;
}

/** The first invoice at a price with a code, as subscribing now without a trial would make it; or why the code gives nothing. */
export function previewCoupon(
  facts: CouponPreviewFacts,
): { kind: 'approved'; line: InvoiceLine; sums: InvoiceSums; chargeAt: Date } | SubscribeRefused {
  const { price, now } = facts;
  if (price === null) return { kind: 'refused', ...NO_SUCH_PRICE };
  const unsold = refuseUnsold(price, facts);
  if (unsold !== null) return { kind: 'refused', ...unsold };
  const decision = decideCoupon({ ...facts.coupon, price, now });
  if (decision.kind === 'refused') return decision;
  const span = firstPeriod(price, anchorLocalOf(now, facts.zone), facts.zone);
  const line = periodLine(price, span, facts.coupon.coupon, facts.ratePpm);
  return { kind: 'approved', line, sums: composeInvoice([line], price.currency, facts.balanceMinor), chargeAt: now };
}

function firstPeriod(price: TargetPrice, anchorLocal: string, zone: string): Span {
  return periodOf({ anchorLocal, zone, unit: price.intervalUnit, count: price.intervalCount, n: 0 });
}
