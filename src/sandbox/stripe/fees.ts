import { converted, roundedQuotient } from './currencies.js';

/**
 * What the stand-in keeps of each movement. Modelled on Stripe's public price list for the United States: 2.9 % and 0.30 USD of a card
 * charge, 1.5 % more for a card of another country, 15.00 USD for a dispute (not given back when it is won); refunds and payouts cost
 * nothing, and the fee of a refunded charge is not given back. Fixed parts in other currencies are converted by the fixed table.
 */
const CARD_PER_MILLE = 29n;
const FOREIGN_CARD_PER_MILLE = 15n;
const CARD_FIXED_USD = 30;
const DISPUTE_USD = 1500;

/** Minor units of the settlement currency. */
export function chargeFee(settledAmount: number, currency: string, cardCountry: string | null): number {
  const perMille = CARD_PER_MILLE + (cardCountry === 'US' ? 0n : FOREIGN_CARD_PER_MILLE);
  return Number(roundedQuotient(BigInt(settledAmount) * perMille, 1000n)) + converted(CARD_FIXED_USD, 'usd', currency);
}

/** Minor units of the settlement currency. */
export function disputeFee(currency: string): number {
  return converted(DISPUTE_USD, 'usd', currency);
}
