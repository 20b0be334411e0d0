/** Recurring revenue: what the subscriptions that run come to in a year, and how that moves (rules K1, K2). */
import { roundedQuotient } from '../money/money.js';
import type { PeriodUnit } from '../time/periods.js';

/** How long a price's amount lasts. */
export interface Interval {
  unit: PeriodUnit;
  count: number;
}

/** Units in a year, as recurring revenue counts them. */
const PER_YEAR = { day: 365n, week: 52n, month: 12n, year: 1n } as const satisfies Record<PeriodUnit, bigint>;

/** An amount every so long as an amount a year, minor units, half up (rules K1). A month's is a twelfth, and only for show. */
export function annualAmount(amountMinor: bigint, { unit, count }: Interval): bigint {
  return roundedQuotient(amountMinor * PER_YEAR[unit], BigInt(count));
}

/** Negative: the first costs less a year than the second; exact. */
export function compareAnnual(a: Interval & { amountMinor: bigint }, b: Interval & { amountMinor: bigint }): number {
  const difference = a.amountMinor * PER_YEAR[a.unit] * BigInt(b.count) - b.amountMinor * PER_YEAR[b.unit] * BigInt(a.count);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Negative: the first interval is shorter than the second; 12 months are a year, and 52 weeks too. */
export function compareLength(a: Interval, b: Interval): number {
  const difference = BigInt(a.count) * PER_YEAR[b.unit] - BigInt(b.count) * PER_YEAR[a.unit];
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** A subscription as recurring revenue sees it at one instant. */
export interface RecurringFacts {
  status: string;
  /** Past due, and still within grace: its benefits hold. */
  isInGrace: boolean;
  isGift: boolean;
  /** What a period costs, net of the running coupon, without tax. Minor units. */
  netMinor: bigint;
  interval: Interval;
}

/** What a subscription adds to the recurring revenue of a year, minor units (rules K1). */
export function annualRevenueOf(facts: RecurringFacts): bigint {
  const counts = !facts.isGift && (facts.status === 'active' || (facts.status === 'past_due' && facts.isInGrace));
  return counts ? annualAmount(facts.netMinor, facts.interval) : 0n;
}

/** How the recurring revenue of one subscription moved. Amounts in minor units, not negative. */
export interface RevenueMove {
  kind: 'new' | 'expansion' | 'contraction' | 'churn' | 'reactivation' | 'none';
  amountMinor: bigint;
}

/**
 * Names a move, so that end = start + new + expansion + reactivation - contraction - churn holds exactly (rules K2).
 * @param hadRevenue the subscription has had revenue before: coming back is a reactivation
 */
export function revenueMove(startMinor: bigint, endMinor: bigint, hadRevenue: boolean): RevenueMove {
  if (startMinor === endMinor) return { kind: 'none', amountMinor: 0n };
  if (startMinor === 0n) return { kind: hadRevenue ? 'reactivation' : 'new', amountMinor: endMinor };
  if (endMinor === 0n) return { kind: 'churn', amountMinor: startMinor };
  if (endMinor > startMinor) return { kind: 'expansion', amountMinor: endMinor - startMinor };
  return { kind: 'contraction', amountMinor: startMinor - endMinor };
}
