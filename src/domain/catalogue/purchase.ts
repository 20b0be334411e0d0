/** Buying a product once. */
import { composeInvoice, type InvoiceSums } from '../invoice/invoice.js';
import { lineOf, type InvoiceLine } from '../invoice/line.js';
import { STRIPE_MAXIMUM } from '../money/currency.js';
import type { Money } from '../money/money.js';
import type { TaxBehavior } from '../tax/tax.js';
import {
  NO_SUCH_PRICE,
  refuseMethod,
  refuseOtherAmount,
  refuseUnsold,
  type MethodFacts,
  type OfferedPrice,
  type OfferRefusal,
} from './price.js';

/** Most pieces in one purchase. */
export const MAX_QUANTITY = 100;

/** What buying looks at, read under the customer's lock. */
export interface PurchaseFacts {
  /** null: no such price, or it is a tier's. */
  price: (OfferedPrice & { id: string; taxBehavior: TaxBehavior }) | null;
  quantity: number;
  /** Where the customer lives; null: not known. */
  country: string | null;
  /** Rate at the moment of the charge, parts per million (rules T4). */
  ratePpm: number;
  /** What we owe the customer in the price's currency; negative: what the customer owes us. Minor units. */
  balanceMinor: bigint;
  /** What the user was shown as due, for all pieces. */
  expectedAmount: Money | null;
  /** The method named, or the default one. */
  method: MethodFacts | null;
  /** The request named the method. */
  isMethodAsked: boolean;
  now: Date;
}

/** A refusal to sell; `field` is the path of the offending input field. */
export interface PurchaseRefused {
  kind: 'refused';
  code: OfferRefusal['code'] | 'INVALID_INPUT';
  message: string;
  field: string[] | null;
}

/** What is invoiced. Where nothing is due it is handed over at once. */
export interface PurchaseQuote {
  kind: 'approved';
  line: InvoiceLine;
  sums: InvoiceSums;
}

/**
 * Decides whether a user may buy, and what for all pieces is invoiced and due. The first reason in this order is the refusal:
 * quantity, price, amount, method. Without a name no method is needed where nothing is due (rules V2).
 */
export function quotePurchase(facts: PurchaseFacts): PurchaseQuote | PurchaseRefused {
  const { price, quantity, now } = facts;
  const field = ['input', 'quantity'];
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MAX_QUANTITY) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: `The quantity must be from 1 to ${MAX_QUANTITY}.`, field };
  }
  if (price === null) return { kind: 'refused', ...NO_SUCH_PRICE };
  const unsold = refuseUnsold(price, facts);
  if (unsold !== null) return { kind: 'refused', ...unsold };
  const { currency } = price.amount;
  const line = lineOf({
    priceId: price.id,
    start: now,
    end: now,
    listMinor: price.amount.minor * BigInt(quantity),
    discountMinor: 0n,
    currency,
    ratePpm: facts.ratePpm,
    taxBehavior: price.taxBehavior,
    isProration: false,
  });
  const sums = composeInvoice([line], currency, facts.balanceMinor);
  if (sums.dueMinor > STRIPE_MAXIMUM) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'So many cost more than one payment can take.', field };
  }
  const isMethodNeeded = sums.dueMinor > 0n || facts.isMethodAsked;
  const refusal =
    refuseOtherAmount({ minor: sums.dueMinor, currency }, facts.expectedAmount) ??
    (isMethodNeeded ? refuseMethod(facts.method, facts.isMethodAsked, price.acceptedKinds) : null);
  return refusal === null ? { kind: 'approved', line, sums } : { kind: 'refused', ...refusal };
}
