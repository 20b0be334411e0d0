/** What the next regular invoice of a subscription will be (the contract's `upcomingInvoice` and `nextInvoice`; rules V5). */
import { afterInvoicedPeriod, couponForNextPeriod, type RunningCoupon } from '../catalogue/coupon.js';
import { composeInvoice, type InvoiceSums } from '../invoice/invoice.js';
import type { InvoiceLine } from '../invoice/line.js';
import { customerRateAt, type TaxRate } from '../tax/tax.js';
import { nextPeriod, reanchored, type OpenedPeriod } from '../time/periods.js';
import { decidePendingChange, type ChangeQuote, type ChangeRefused, type RankedPrice, type TargetPrice } from './change-tier.js';
import { periodLine } from './proration.js';
import type { SubscriptionStatus } from './subscription.js';

/** What is looked at. Amounts in minor units. */
export interface UpcomingFacts {
  status: SubscriptionStatus;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  /** End of the pause that is, or is planned; null: none is set. */
  resumesAt: Date | null;
  prepaidPeriods: number;
  isGift: boolean;
  isOptedIn: boolean;
  /** Whether anything can be charged at the end of a trial. */
  hasMethod: boolean;
  current: RankedPrice;
  pending: TargetPrice | null;
  /** The present period; of a trial the trial. */
  period: OpenedPeriod;
  anchorLocal: string;
  zone: string;
  running: RunningCoupon | null;
  /** Rate at the start of the next period, as far as it is known (rules T4). */
  ratePpm: number;
  balanceMinor: bigint;
}

/** An invoice that is to come. */
export interface UpcomingInvoice {
  chargeAt: Date;
  price: RankedPrice;
  period: OpenedPeriod;
  line: InvoiceLine;
  sums: InvoiceSums;
}

/**
 * The next invoice if nothing changes until then; null when there will be none: it has ended or is to end, is past due (the invoice is
 * there already), is paused without an end, or a gift is used up.
 */
export function upcomingInvoice(facts: UpcomingFacts): UpcomingInvoice | null {
  const opened = nextCharged(facts);
  if (opened === null) return null;
  const { price, period } = opened;
  const line = periodLine(price, period, couponForNextPeriod(facts.running), facts.ratePpm);
  const sums = composeInvoice([line], price.currency, facts.balanceMinor);
  return { chargeAt: period.start, price, period, line, sums };
}

/** Where and when which tax rates rule, as far as it is known today. */
export interface TaxRates {
  /** null: nobody knows, and no tax is counted. */
  country: string | null;
  rates: readonly TaxRate[];
}

/** The same with the rate of the day on which the next period begins (rules T4). */
export function upcomingInvoiceTaxed(
  facts: Omit<UpcomingFacts, 'ratePpm'>,
  { country, rates }: TaxRates,
): UpcomingInvoice | null {
  const untaxed = upcomingInvoice({ ...facts, ratePpm: 0 });
  if (untaxed === null || country === null) return untaxed;
  return upcomingInvoice({ ...facts, ratePpm: customerRateAt(rates, country, untaxed.chargeAt) });
}

/**
 * What will be looked at once a change has been made: for the next invoice in its preview. What a change does not tell is taken for the
 * best: a method will be there at the end of a trial, a pause without an end is over at `now`.
 */
export function afterChange(
  facts: Omit<UpcomingFacts, 'ratePpm'>,
  quote: Exclude<ChangeQuote, ChangeRefused>,
  target: TargetPrice,
  now: Date,
): Omit<UpcomingFacts, 'ratePpm'> {
  const known = { ...facts, hasMethod: true, resumesAt: facts.resumesAt ?? (facts.status === 'paused' ? now : facts.period.end) };
  switch (quote.kind) {
    case 'at_period_end':
    case 'at_resume':
      return { ...known, pending: target };
    case 'in_trial':
      return { ...known, current: target, pending: null };
    case 'now': {
      const changed = { ...known, current: target, pending: null, balanceMinor: quote.sums.balanceAfterMinor };
      if (quote.anchor === null) return changed;
      const { anchorLocal, period } = quote.anchor;
      return { ...changed, anchorLocal, period, running: facts.running && afterInvoicedPeriod(facts.running) };
    }
  }
}

/** The next period that is charged, and at which price. */
function nextCharged(facts: UpcomingFacts): { price: RankedPrice; period: OpenedPeriod } | null {
  const { status, period, current, zone } = facts;
  const startsAnew = (at: Date, price: RankedPrice) => ({
    price,
    period: reanchored(period.epoch, at, { zone, unit: price.intervalUnit, count: price.intervalCount }).period,
  });
  const priceAt = (at: Date): RankedPrice => {
    const { pending } = facts;
    return pending !== null && decidePendingChange(current, pending, at).kind === 'take_effect' ? pending : current;
  };
  if (status === 'paused') return facts.resumesAt === null ? null : startsAnew(facts.resumesAt, priceAt(facts.resumesAt));
  if ((status !== 'active' && status !== 'trialing') || facts.cancelAtPeriodEnd) return null;
  if (status === 'trialing') return facts.hasMethod ? startsAnew(period.end, current) : null;
  if (facts.pauseAtPeriodEnd) return facts.resumesAt === null ? null : startsAnew(facts.resumesAt, priceAt(facts.resumesAt));
  if (facts.isGift && !facts.isOptedIn) return null;
  const rule = { anchorLocal: facts.anchorLocal, zone, unit: current.intervalUnit, count: current.intervalCount };
  let last = period;
  for (let left = facts.prepaidPeriods; left > 0; left--) last = nextPeriod(last, rule);
  const price = priceAt(last.end);
  const isSameInterval = price.intervalUnit === current.intervalUnit && price.intervalCount === current.intervalCount;
  return isSameInterval ? { price, period: nextPeriod(last, rule) } : startsAnew(last.end, price);
}
