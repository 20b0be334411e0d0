/** Tax of a line, in integers, per line; rates come from a dated table (rules T3, T4). */
import { stepOf } from '../money/currency.js';
import { invariant } from '../invariant.js';
import { steppedQuotient } from '../money/money.js';

/** `exclusive`: tax is added to the price; `inclusive`: it is part of it. Of a price it never changes. */
export type TaxBehavior = 'inclusive' | 'exclusive';

/** The tax code of all that is sold: a service that is delivered electronically. */
export const DIGITAL = 'digital';

/** A rate from a day on, until the next one of its key. */
export interface TaxRate {
  country: string;
  /** null: the whole country. */
  region: string | null;
  taxCode: string;
  /** First UTC day on which it rules, YYYY-MM-DD. */
  validFrom: string;
  /** Parts per million: 200,000 is 20 %. */
  ratePpm: number;
}

/** Where and for what a rate is looked up. */
export type TaxKey = Pick<TaxRate, 'country' | 'region' | 'taxCode'>;

/**
 * The rate that rules at an instant, parts per million: the latest of the region, else of the whole country, else 0.
 * @param at the start of the service for a renewal, the moment of the charge otherwise (rules T4)
 */
export function rateAt(rates: readonly TaxRate[], key: TaxKey, at: Date): number {
  const day = at.toISOString().slice(0, 10);
  const latest = (region: string | null): TaxRate | undefined =>
    rates
      .filter((r) => r.country === key.country && r.taxCode === key.taxCode && r.region === region && r.validFrom <= day)
      .toSorted((a, b) => (a.validFrom < b.validFrom ? 1 : -1))[0];
  const found = (key.region === null ? undefined : latest(key.region)) ?? latest(null);
  return found?.ratePpm ?? 0;
}

/**
 * The rate of what is sold here for a customer, parts per million; 0 where no country is known.
 * @param at as of `rateAt`
 */
export function customerRateAt(rates: readonly TaxRate[], country: string | null, at: Date): number {
  return country === null ? 0 : rateAt(rates, { country, region: null, taxCode: DIGITAL }, at);
}

/** An amount with its tax, minor units; `net` + `tax` = `total`. */
export interface Taxed {
  netMinor: bigint;
  taxMinor: bigint;
  totalMinor: bigint;
}

const MILLION = 1_000_000n;

/** The tax in or on an amount that is written as its price is, rounded half up to the currency's step (rules T3). */
export function taxOf(amountMinor: bigint, ratePpm: number, behavior: TaxBehavior, currency: string): Taxed {
  invariant(Number.isInteger(ratePpm) && ratePpm >= 0, 'a rate is a whole number of parts per million', { ratePpm });
  const rate = BigInt(ratePpm);
  const step = stepOf(currency);
  if (behavior === 'exclusive') {
    const taxMinor = steppedQuotient(amountMinor * rate, MILLION, step);
    return { netMinor: amountMinor, taxMinor, totalMinor: amountMinor + taxMinor };
  }
  const taxMinor = steppedQuotient(amountMinor * rate, MILLION + rate, step);
  return { netMinor: amountMinor - taxMinor, taxMinor, totalMinor: amountMinor };
}
