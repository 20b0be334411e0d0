/** The cards that people of a simulation have: by the name of their token, as a real provider's test cards are told apart. */
import type { DeclineCodes } from '../ports/provider.js';

/** Why an issuer says no. */
export const DECLINES = {
  generic_decline: declined('card_declined', 'generic_decline', null, '05'),
  insufficient_funds: declined('card_declined', 'insufficient_funds', 'try_again_later', '51'),
  lost_card: declined('card_declined', 'lost_card', 'do_not_try_again', '41'),
  expired_card: declined('expired_card', 'expired_card', 'confirm_card_data', '54'),
  authentication_required: declined('authentication_required', 'authentication_required', null, '1A'),
  authentication_failure: declined('payment_intent_authentication_failure', null, null, null),
} as const satisfies Record<string, DeclineCodes>;
export type DeclineName = keyof typeof DECLINES;

function declined(
  code: string,
  declineCode: string | null,
  adviceCode: string | null,
  networkDeclineCode: string | null,
): DeclineCodes {
  return { code, declineCode, adviceCode, networkDeclineCode, networkAdviceCode: null };
}

/** What a card does. */
export interface Card {
  brand: string;
  last4: string;
  country: string;
  /** Asks its holder (3-D Secure): in every payment, or only when it is added. */
  asks: 'never' | 'always' | 'when_added';
  /** Says no to every charge. */
  declines: DeclineName | null;
  /** Says no when it is added too. */
  declinesSetup: boolean;
  refunds: 'at_once' | 'later' | 'come_back';
  /** Its holder contests charges at the bank. */
  isContested: boolean;
}

const PLAIN: Card = {
  brand: 'visa',
  last4: '4242',
  country: 'US',
  asks: 'never',
  declines: null,
  declinesSetup: false,
  refunds: 'at_once',
  isContested: false,
};

/** By the token that a client holds. */
export const CARDS: Readonly<Record<string, Card>> = {
  pm_card_visa: PLAIN,
  pm_card_mastercard: { ...PLAIN, brand: 'mastercard', last4: '4444' },
  pm_card_gb: { ...PLAIN, last4: '0009', country: 'GB' },
  pm_card_threeDSecure2Required: { ...PLAIN, last4: '3220', asks: 'always' },
  pm_card_authenticationRequiredOnSetup: { ...PLAIN, last4: '3155', asks: 'when_added' },
  pm_card_chargeCustomerFail: { ...PLAIN, last4: '0341', declines: 'generic_decline' },
  pm_card_chargeDeclined: { ...PLAIN, last4: '0002', declines: 'generic_decline', declinesSetup: true },
  pm_card_pendingRefund: { ...PLAIN, last4: '7726', refunds: 'later' },
  pm_card_refundFail: { ...PLAIN, last4: '5126', refunds: 'come_back' },
  pm_card_createDispute: { ...PLAIN, last4: '0259', isContested: true },
};
