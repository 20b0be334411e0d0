/** What an amount depends on beside its price: tax, the customer's balance, and a coupon with the person who claims it. */
import { parseCouponCode, type CouponFacts } from '../domain/catalogue/coupon.js';
import { identitiesOf, type PersonFacts } from '../domain/subscription/trial.js';
import { customerRateAt } from '../domain/tax/tax.js';
import { isCouponUsed, loadCoupon } from '../store/coupons.store.js';
import { loadCredit } from '../store/credit.store.js';
import type { PaymentMethodRow } from '../store/payment-methods.store.js';
import { listTaxRates } from '../store/tax.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** What a customer pays on top of a price, and what of it the balance pays. */
export interface CustomerTerms {
  /** Parts per million. */
  ratePpm: number;
  /** What we owe the customer, minor units; negative: what the customer owes us. */
  balanceMinor: bigint;
}

/**
 * The tax rate of the customer's country at an instant, and the customer's balance in a currency. No country is known, or none of its
 * rates published: no tax.
 * @param at the moment of the charge, or of a renewal the start of its period (rules T4)
 */
export async function loadTerms(
  uow: UnitOfWork,
  customer: { userId: string; country: string | null },
  currency: string,
  at: Date,
): Promise<CustomerTerms> {
  const { userId, country } = customer;
  const rates = country === null ? [] : await listTaxRates(uow, [country]);
  return {
    ratePpm: customerRateAt(rates, country, at),
    balanceMinor: await loadCredit(uow, userId, currency),
  };
}

/** What tells the user apart as a person, as far as it is known here: the user, and the card that would be charged. */
export function personOf(userId: string, method: PaymentMethodRow | null): PersonFacts {
  const cardFingerprint = method?.kind === 'card' ? method.fingerprint : null;
  return { userId, emailHash: null, cardFingerprint, paypalPayerId: null, bankFingerprint: null };
}

/** What claiming a coupon looks at, of a code as a user typed it. */
export async function loadCouponFacts(
  uow: UnitOfWork,
  text: string,
  person: PersonFacts,
): Promise<Pick<CouponFacts, 'coupon' | 'redeemedCount' | 'isUsedByPerson'>> {
  const code = parseCouponCode(text);
  const known = code === null ? null : await loadCoupon(uow, code);
  if (known === null) return { coupon: null, redeemedCount: 0, isUsedByPerson: false };
  return { ...known, isUsedByPerson: await isCouponUsed(uow, known.coupon.id, identitiesOf(person)) };
}
