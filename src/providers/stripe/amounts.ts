import { invariant } from '../../domain/invariant.js';

/**
 * Factors between our minor units (ISO 4217) and Stripe's `amount`, where the two differ (docs.stripe.com/currencies, special cases):
 * ISK and UGX have no decimals but are sent with two; MGA has two but is sent with none.
 */
const TIMES: Readonly<Record<string, bigint>> = { ISK: 100n, UGX: 100n };
const DIVIDED: Readonly<Record<string, bigint>> = { MGA: 100n };
/** Three-decimal currencies: the last digit must be 0. */
const LAST_DIGIT_ZERO = new Set(['BHD', 'JOD', 'KWD', 'OMR', 'TND']);

/**
 * Stripe's `amount` of an amount in our minor units. Stripe takes integers up to 99,999,999.
 * @throws InvariantBroken when the amount is not a multiple of the currency's step: the price was wrong, nothing may be sent
 */
export function toStripeAmount(minor: bigint, currency: string): number {
  const divided = DIVIDED[currency];
  invariant(divided === undefined || minor % divided === 0n, 'an amount is a multiple of the currency step', { minor, currency });
  invariant(!LAST_DIGIT_ZERO.has(currency) || minor % 10n === 0n, 'the last digit of a three-decimal amount is 0', {
    minor,
    currency,
  });
  const amount = divided === undefined ? minor * (TIMES[currency] ?? 1n) : minor / divided;
  invariant(amount > 0n && amount <= 99_999_999n, 'an amount is within what Stripe takes', { minor, currency });
  return Number(amount);
}

/** Our minor units of Stripe's signed integer `amount`; `currency` in Stripe's lower case or ours. A fraction of our unit is rounded towards zero only where ISO has no such unit. */
export function fromStripeAmount(amount: number, currency: string): bigint {
  invariant(Number.isSafeInteger(amount), 'an amount is a whole number', { amount, currency });
  const code = currency.toUpperCase();
  const times = TIMES[code];
  if (times !== undefined) return BigInt(amount) / times;
  return BigInt(amount) * (DIVIDED[code] ?? 1n);
}
