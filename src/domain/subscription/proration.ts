/** What a change in the middle of a period costs: the new price for the rest, less the unused part of what was paid (rules P2 to P5). */
import { discountOf, type Coupon } from '../catalogue/coupon.js';
import { invariant } from '../invariant.js';
import {
  creditLineOf,
  isService,
  lineOf,
  seconds,
  unusedOf,
  type InvoiceLine,
  type LineCredit,
  type PastLine,
} from '../invoice/line.js';
import { stepOf } from '../money/currency.js';
import { steppedQuotient } from '../money/money.js';
import type { TaxBehavior } from '../tax/tax.js';

/** A price as far as a line at it goes. */
export interface BilledPrice {
  id: string;
  amountMinor: bigint;
  currency: string;
  intervalUnit: 'week' | 'month' | 'year';
  taxBehavior: TaxBehavior;
}

/** A stretch of time, [start, end). */
export interface Span {
  start: Date;
  end: Date;
}

/** The line of a whole period at a price: list price, less the coupon, then tax (rules T3). */
export function periodLine(price: BilledPrice, period: Span, coupon: Coupon | null, ratePpm: number): InvoiceLine {
  return lineOf({
    priceId: price.id,
    start: period.start,
    end: period.end,
    listMinor: price.amountMinor,
    discountMinor: discountOf(coupon, price, price.amountMinor),
    currency: price.currency,
    ratePpm,
    taxBehavior: price.taxBehavior,
    isProration: false,
  });
}

/** The line of what is left of a period at a price: step * R(amount * r, T * step), the divisor the whole period (rules P2). */
export function restLine(price: BilledPrice, at: Date, period: Span, coupon: Coupon | null, ratePpm: number): InvoiceLine {
  const rest = seconds(at, period.end);
  const whole = seconds(period.start, period.end);
  invariant(rest >= 0n && rest <= whole, 'a change lies in its period', { at, period });
  const share = (amountMinor: bigint) => steppedQuotient(amountMinor * rest, whole, stepOf(price.currency));
  const listMinor = share(price.amountMinor);
  const paidMinor = share(price.amountMinor - discountOf(coupon, price, price.amountMinor));
  return lineOf({
    priceId: price.id,
    start: at,
    end: period.end,
    listMinor,
    discountMinor: listMinor - paidMinor,
    currency: price.currency,
    ratePpm,
    taxBehavior: price.taxBehavior,
    isProration: true,
  });
}

/**
 * The line that covers an instant: after an earlier change that change's own line, never the period's first (rules P2). null when
 * no service was invoiced for it.
 * @param lines in the order in which they were invoiced
 */
export function coveringLine<Line extends PastLine>(lines: readonly Line[], at: Date): Line | null {
  let found: Line | null = null;
  for (const line of lines) {
    if (isService(line) && line.start <= at && at < line.end && (found === null || line.start >= found.start)) found = line;
  }
  return found;
}

/** What settles a change: the lines of its invoice, and what of the old line is given back. */
export interface Settlement {
  lines: InvoiceLine[];
  credit: LineCredit;
  /**
   * The credit is a note to the customer's balance, and the invoice has no line of it: it is more than the new line, in net or in
   * tax, and an invoice is not negative (rules P5). The card is never paid.
   */
  isCreditNote: boolean;
}

/** Settles a change at `at` from the line that covers it to a new line. */
export function settleChange(old: PastLine | null, newLine: InvoiceLine, at: Date, currency: string): Settlement {
  const credit = old?.isPaid ? unusedOf(old, at, currency) : { netMinor: 0n, taxMinor: 0n };
  if (old === null || (credit.netMinor === 0n && credit.taxMinor === 0n))
    return { lines: [newLine], credit, isCreditNote: false };
  const isCreditNote = credit.netMinor > newLine.netMinor || credit.taxMinor > newLine.taxMinor;
  return { lines: isCreditNote ? [newLine] : [creditLineOf(old, at, credit), newLine], credit, isCreditNote };
}

/**
 * What an upgrade adds to a quota that is granted once a period: the difference for the rest of it, rounded down. What was used
 * stays used; a change down takes nothing away, so down and up again refills nothing (rules P5).
 * @param highestLimit the highest limit that was granted in this period so far
 */
export function addedQuota(highestLimit: bigint, newLimit: bigint, at: Date, period: Span): bigint {
  if (newLimit <= highestLimit) return 0n;
  return ((newLimit - highestLimit) * seconds(at, period.end)) / seconds(period.start, period.end);
}
