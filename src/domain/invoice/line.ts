/** Lines of an invoice: what is owed for some time of one price, and what of a line is given back (rules P1 to P3, P6). */
import { invariant } from '../invariant.js';
import { stepOf } from '../money/currency.js';
import { steppedQuotient } from '../money/money.js';
import { taxOf, type TaxBehavior } from '../tax/tax.js';

/** A line as it stands on an invoice. Amounts in minor units; those of a credit are negative. */
export interface InvoiceLine {
  priceId: string;
  /** It covers [start, end). */
  start: Date;
  end: Date;
  /** Net of coupon and tax. */
  netMinor: bigint;
  /** What a coupon took off, written as the price is; never negative. */
  discountMinor: bigint;
  taxMinor: bigint;
  ratePpm: number;
  taxBehavior: TaxBehavior;
  /** It settles part of a period after a change. */
  isProration: boolean;
}

/** A line that was invoiced before, with what became of it. */
export interface PastLine extends InvoiceLine {
  isPaid: boolean;
  /** Given back of it so far by credits, notes, refunds and disputes, without and with regard to tax (rules P3, P6). */
  creditedNetMinor: bigint;
  creditedTaxMinor: bigint;
}

/** What is given back of a line. Amounts in minor units, never negative. */
export interface LineCredit {
  netMinor: bigint;
  taxMinor: bigint;
}

/** What a line is made of; `listMinor` is what the time costs before the coupon, written as the price is. */
export interface LineWanted extends Pick<InvoiceLine, 'priceId' | 'start' | 'end' | 'ratePpm' | 'taxBehavior' | 'isProration'> {
  listMinor: bigint;
  discountMinor: bigint;
  currency: string;
}

/** List price, less the coupon, then tax, in this order (rules T3). */
export function lineOf(wanted: LineWanted): InvoiceLine {
  const { listMinor, discountMinor, currency, ...rest } = wanted;
  invariant(discountMinor >= 0n && discountMinor <= listMinor, 'a coupon takes off no more than there is', { wanted });
  const { netMinor, taxMinor } = taxOf(listMinor - discountMinor, wanted.ratePpm, wanted.taxBehavior, currency);
  return { ...rest, netMinor, discountMinor, taxMinor };
}

/** What the customer pays for a line, minor units. */
export function totalOf(line: Pick<InvoiceLine, 'netMinor' | 'taxMinor'>): bigint {
  return line.netMinor + line.taxMinor;
}

/** Whether a line asks for some time of a price; else it gives back a part of another line. */
export function isService(line: Pick<InvoiceLine, 'netMinor' | 'taxMinor'>): boolean {
  return line.netMinor >= 0n && line.taxMinor >= 0n;
}

/**
 * What is left of a line to be given back: its total less all that went back already (rules P6), never negative. An unpaid line
 * has nothing to give back: its invoice is reduced instead (rules P3).
 */
export function creditableOf(line: PastLine): LineCredit {
  if (!line.isPaid) return { netMinor: 0n, taxMinor: 0n };
  const netMinor = line.netMinor - line.creditedNetMinor;
  const taxMinor = line.taxMinor - line.creditedTaxMinor;
  return { netMinor: netMinor > 0n ? netMinor : 0n, taxMinor: taxMinor > 0n ? taxMinor : 0n };
}

/**
 * The unused part of a line from `at` to its end (rules P2): step * R(amount * r, L * step), no more than is left of it. The tax
 * in it is by the line's own rate, whatever the rate has become (rules T4), counted up from what was given back before, so that
 * credits of a line never sum to another tax than the line's.
 */
export function unusedOf(line: PastLine, at: Date, currency: string): LineCredit {
  const length = seconds(line.start, line.end);
  const rest = seconds(at, line.end);
  invariant(length > 0n, 'a line covers some time', { line });
  if (rest <= 0n) return { netMinor: 0n, taxMinor: 0n };
  const whole = line.taxBehavior === 'exclusive' ? line.netMinor : totalOf(line);
  const wanted = rest >= length ? whole : steppedQuotient(whole * rest, length, stepOf(currency));
  return partOf(line, wanted, currency);
}

/**
 * A part of a line, written as its price is (with or without tax), as a credit of net and tax; no more than is left of it.
 * @param amountMinor not negative
 */
export function partOf(line: PastLine, amountMinor: bigint, currency: string): LineCredit {
  const left = creditableOf(line);
  const isExclusive = line.taxBehavior === 'exclusive';
  const most = isExclusive ? left.netMinor : left.netMinor + left.taxMinor;
  if (amountMinor >= most) return left;
  const before = isExclusive ? line.creditedNetMinor : line.creditedNetMinor + line.creditedTaxMinor;
  const taxUpTo = (amount: bigint) => taxOf(amount, line.ratePpm, line.taxBehavior, currency).taxMinor;
  const tax = taxUpTo(before + amountMinor) - taxUpTo(before);
  if (isExclusive) return { netMinor: amountMinor, taxMinor: between(0n, tax, left.taxMinor) };
  const leastTax = amountMinor - left.netMinor;
  const mostTax = amountMinor < left.taxMinor ? amountMinor : left.taxMinor;
  const taxMinor = between(leastTax > 0n ? leastTax : 0n, tax, mostTax);
  return { netMinor: amountMinor - taxMinor, taxMinor };
}

/** A credit as a line of the invoice that gives it back. */
export function creditLineOf(line: PastLine, from: Date, credit: LineCredit): InvoiceLine {
  return {
    priceId: line.priceId,
    start: from > line.start ? from : line.start,
    end: line.end,
    netMinor: -credit.netMinor,
    discountMinor: 0n,
    taxMinor: -credit.taxMinor,
    ratePpm: line.ratePpm,
    taxBehavior: line.taxBehavior,
    isProration: true,
  };
}

/** Whole seconds from one instant to another, each taken to the second below. */
export function seconds(from: Date, to: Date): bigint {
  return BigInt(Math.floor(to.getTime() / 1_000) - Math.floor(from.getTime() / 1_000));
}

function between(least: bigint, value: bigint, most: bigint): bigint {
  return value < least ? least : value > most ? most : value;
}
