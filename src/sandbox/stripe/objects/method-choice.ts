import type { Stripe } from 'stripe';
import { flag, group, oneOf, required } from '../parameters.js';

/** Method types that a request may name; only cards can be paid with here. */
export const METHOD_TYPES = oneOf('card', 'link', 'us_bank_account', 'sepa_debit', 'paypal', 'cashapp', 'amazon_pay');

/** The parameter `automatic_payment_methods`. */
export const AUTOMATIC_METHODS = group({ enabled: required(flag), allow_redirects: oneOf('always', 'never') });

/** As kept on the intent: on unless the request names method types, redirects allowed unless it says never. */
export function automaticMethods(
  allowed: readonly string[] | null,
  given: { enabled: boolean; allow_redirects: 'always' | 'never' | undefined } | undefined,
): Stripe.PaymentIntent.AutomaticPaymentMethods | null {
  return allowed ? null : { enabled: given?.enabled ?? true, allow_redirects: given?.allow_redirects ?? 'always' };
}
