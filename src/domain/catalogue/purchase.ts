/** Buying a product once. */
import { STRIPE_MAXIMUM } from '../money/currency.js';
import type { Money } from '../money/money.js';
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
  price: OfferedPrice | null;
  quantity: number;
  /** For all pieces. */
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

/**
 * Decides whether a user may buy, and for how much in all. The first reason in this order is the refusal: quantity, price,
 * amount, method.
 */
export function decidePurchase(facts: PurchaseFacts): { kind: 'approved'; amount: Money } | PurchaseRefused {
  const { price, quantity, now } = facts;
  const field = ['input', 'quantity'];
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MAX_QUANTITY) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: `The quantity must be from 1 to ${MAX_QUANTITY}.`, field };
  }
  if (price === null) return { kind: 'refused', ...NO_SUCH_PRICE };
  const unsold = refuseUnsold(price, now);
  if (unsold !== null) return { kind: 'refused', ...unsold };
  const amount = { minor: price.amount.minor * BigInt(quantity), currency: price.amount.currency };
  if (amount.minor > STRIPE_MAXIMUM) {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'So many cost more than one payment can take.', field };
  }
  const refusal =
    refuseOtherAmount(amount, facts.expectedAmount) ?? refuseMethod(facts.method, facts.isMethodAsked, price.acceptedKinds);
  return refusal === null ? { kind: 'approved', amount } : { kind: 'refused', ...refusal };
}
