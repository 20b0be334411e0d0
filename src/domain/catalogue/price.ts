/** Prices: immutable rows; a new amount is a new row (rules T1). */
import type { PriceId } from '../ids.js';
import type { Money } from '../money/money.js';

/** The country of a price that holds in any country. */
export const ANY_COUNTRY = 'ZZ';

/** When a price may be bought: in [validFrom, validTo). */
export interface PriceSpan {
  validFrom: Date;
  /** null: no end is set. */
  validTo: Date | null;
}

/** What `priceAt` looks at. */
export interface PriceKey extends PriceSpan {
  id: PriceId;
  /** The tier or product it is for. */
  subjectId: string;
  /** null for a product. */
  intervalUnit: 'week' | 'month' | 'year' | null;
  intervalCount: number | null;
  country: string;
  currency: string;
}

/** Whether a price may be bought now. */
export function isOnSale(price: PriceSpan, now: Date): boolean {
  return price.validFrom <= now && (price.validTo === null || now < price.validTo);
}

/**
 * The price for a subject, interval, country and currency at an instant: that of the country, else that of any country, else
 * null; never converted.
 */
export function priceAt<P extends PriceKey>(
  prices: readonly P[],
  wanted: Pick<PriceKey, 'subjectId' | 'intervalUnit' | 'intervalCount' | 'country' | 'currency'>,
  now: Date,
): P | null {
  const matching = prices.filter(
    (p) =>
      p.subjectId === wanted.subjectId &&
      p.intervalUnit === wanted.intervalUnit &&
      p.intervalCount === wanted.intervalCount &&
      p.currency === wanted.currency &&
      isOnSale(p, now),
  );
  return matching.find((p) => p.country === wanted.country) ?? matching.find((p) => p.country === ANY_COUNTRY) ?? null;
}

/** A price that somebody wants to buy at. */
export interface OfferedPrice extends PriceSpan {
  amount: Money;
  /** ISO 3166-1 alpha-2, or ANY_COUNTRY. */
  country: string;
  /** The tier's status; products have none and are `active`. */
  status: 'draft' | 'active' | 'retired';
  /** Kinds of payment method it may be paid with. */
  acceptedKinds: readonly string[];
}

/** A payment method as far as paying with it goes. */
export interface MethodFacts {
  kind: string;
  status: 'pending_verification' | 'active' | 'expired' | 'failed' | 'removed';
}

/** A reason not to sell. `field` is the path of the offending input field. */
export interface OfferRefusal {
  code: 'NOT_FOUND' | 'NOT_FOR_SALE' | 'PRICE_CHANGED' | 'PAYMENT_METHOD_UNUSABLE';
  message: string;
  field: string[] | null;
}

/** The refusal of a price that does not exist. */
export const NO_SUCH_PRICE: OfferRefusal = { code: 'NOT_FOUND', message: 'There is no such price.', field: ['input', 'priceId'] };

/**
 * Refuses a price that nobody was offered yet (NOT_FOUND), and one that is not on sale now or only in another country than the customer's
 * (NOT_FOR_SALE).
 * @param to.country where the customer lives; null: not known, and no price is refused for it
 */
export function refuseUnsold(
  price: Omit<OfferedPrice, 'amount'>,
  { country, now }: { country: string | null; now: Date },
): OfferRefusal | null {
  if (price.status === 'draft') return NO_SUCH_PRICE;
  const refused = (message: string): OfferRefusal => ({ code: 'NOT_FOR_SALE', message, field: ['input', 'priceId'] });
  if (price.status !== 'active' || !isOnSale(price, now)) return refused('This price is not on sale.');
  const isSoldThere = price.country === ANY_COUNTRY || country === null || price.country === country;
  return isSoldThere ? null : refused('This price is not sold in the country of the customer.');
}

/** Refuses an amount other than the one the customer was shown (PRICE_CHANGED). */
export function refuseOtherAmount(due: Money, expected: Money | null): OfferRefusal | null {
  if (expected === null || (expected.minor === due.minor && expected.currency === due.currency)) return null;
  return { code: 'PRICE_CHANGED', message: 'The amount is not the one the user was shown.', field: ['input', 'expectedAmount'] };
}

/**
 * Refuses a method that does not exist (`asked` but null: NOT_FOUND), and one that cannot pay: none at all, not active, or of a
 * kind that the price does not accept (PAYMENT_METHOD_UNUSABLE).
 * @param isAsked the customer named the method; else it is the default one
 */
export function refuseMethod(
  method: MethodFacts | null,
  isAsked: boolean,
  acceptedKinds: readonly string[],
): OfferRefusal | null {
  const field = ['input', 'paymentMethodId'];
  const unusable = (message: string): OfferRefusal => ({ code: 'PAYMENT_METHOD_UNUSABLE', message, field });
  if (method === null || method.status === 'removed') {
    if (isAsked) return { code: 'NOT_FOUND', message: 'There is no such payment method.', field };
    return unusable('There is no default payment method.');
  }
  if (method.status !== 'active') return unusable(`The payment method is ${method.status.replace('_', ' ')}.`);
  if (!acceptedKinds.includes(method.kind)) return unusable('This price cannot be paid with this kind of payment method.');
  return null;
}
