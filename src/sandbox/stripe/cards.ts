import { createHash } from 'node:crypto';
import type { Stripe } from 'stripe';

/**
 * The test cards, by the names of their tokens, and what each does. Source: Stripe, "Test card numbers". A behaviour's token is known
 * with and without its brand: pm_card_chargeDeclined and pm_card_visa_chargeDeclined are one.
 */

/** Why an issuer declines, as Stripe tells it. */
export interface Decline {
  code: string;
  declineCode: string;
  message: string;
  adviceCode: 'confirm_card_data' | 'do_not_try_again' | 'try_again_later' | null;
  networkDeclineCode: string | null;
  /** Mastercard's advice, for Mastercard cards. */
  networkAdviceCode: string | null;
}

/** When a card asks its holder to authenticate (3-D Secure). */
export type Authentication =
  /** Never. */
  | 'never'
  /** In every payment and setup; without the payer it declines. */
  | 'always'
  /** As `always`, but no more without the payer once set up for that. */
  | 'until_set_up'
  /** With the payer only: the card counts as set up. */
  | 'with_payer_only'
  /** Only when the request asks for 3-D Secure. */
  | 'when_asked';

/** What a test card does. */
interface Behaviour {
  /** Declines every charge. */
  decline?: DeclineName;
  /** With `decline`: setups and attaching decline too. */
  declinesSetup?: boolean;
  authentication: Authentication;
  /** Declines after the holder has authenticated. */
  declineAfterAuthentication?: DeclineName;
  /** Stopped before it reaches the issuer. */
  isBlocked?: boolean;
  risk: 'normal' | 'elevated' | 'highest';
  checks: { cvc: CheckResult; line1: CheckResult; zip: CheckResult };
  /** Disputed right after the charge, in so many equal parts. */
  dispute?: { reason: string; isInquiry: boolean; parts: number };
  hasFraudWarning?: boolean;
  refund: 'at_once' | 'pending' | 'fails';
  /** Funds are available at once. */
  bypassesPending?: boolean;
}

type CheckResult = 'pass' | 'fail' | 'unavailable' | 'unchecked' | null;

/** A test card. */
export interface TestCard extends Behaviour {
  name: string;
  brand: string;
  last4: string;
  country: string;
  funding: 'credit' | 'debit' | 'prepaid';
}

function decline(
  code: string,
  declineCode: string,
  networkDeclineCode: string,
  adviceCode: Decline['adviceCode'],
  message: string,
): Decline {
  return { code, declineCode, message, adviceCode, networkDeclineCode, networkAdviceCode: null };
}

/** The declines that test cards give; every other is reached by a fault. Source: Stripe, "Decline codes" and "Advice codes". */
export const DECLINES = {
  generic_decline: decline('card_declined', 'generic_decline', '05', null, 'Your card was declined.'),
  insufficient_funds: decline(
    'card_declined',
    'insufficient_funds',
    '51',
    'try_again_later',
    'Your card has insufficient funds.',
  ),
  lost_card: decline('card_declined', 'lost_card', '41', 'do_not_try_again', 'Your card was declined.'),
  stolen_card: decline('card_declined', 'stolen_card', '43', 'do_not_try_again', 'Your card was declined.'),
  pickup_card: decline('card_declined', 'pickup_card', '04', 'do_not_try_again', 'Your card was declined.'),
  card_velocity_exceeded: decline(
    'card_declined',
    'card_velocity_exceeded',
    '61',
    'try_again_later',
    'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.',
  ),
  fraudulent: decline('card_declined', 'fraudulent', '59', null, 'Your card was declined.'),
  expired_card: decline('expired_card', 'expired_card', '54', 'confirm_card_data', 'Your card has expired.'),
  incorrect_cvc: decline('incorrect_cvc', 'incorrect_cvc', 'N7', 'confirm_card_data', "Your card's security code is incorrect."),
  processing_error: decline(
    'processing_error',
    'processing_error',
    '96',
    'try_again_later',
    'An error occurred while processing your card. Try again in a little bit.',
  ),
  authentication_required: decline(
    'authentication_required',
    'authentication_required',
    '1A',
    null,
    'Your card was declined. This transaction requires authentication.',
  ),
} as const satisfies Record<string, Decline>;
type DeclineName = keyof typeof DECLINES;

const PLAIN: Behaviour = {
  authentication: 'never',
  risk: 'normal',
  checks: { cvc: 'pass', line1: null, zip: null },
  refund: 'at_once',
};
const VISA = { brand: 'visa', last4: '4242', country: 'US', funding: 'credit' } as const;

function plain(brand: string, last4: string, funding: TestCard['funding'] = 'credit', country = 'US'): Omit<TestCard, 'name'> {
  return { ...PLAIN, brand, last4, funding, country };
}

function visa(last4: string, behaviour: Partial<Behaviour>): Omit<TestCard, 'name'> {
  return { ...PLAIN, ...VISA, last4, ...behaviour };
}

function declining(last4: string, name: DeclineName): Omit<TestCard, 'name'> {
  return visa(last4, { decline: name, declinesSetup: true });
}

function disputed(last4: string, reason: string, more: { isInquiry?: boolean; parts?: number } = {}): Omit<TestCard, 'name'> {
  return visa(last4, { dispute: { reason, isInquiry: more.isInquiry ?? false, parts: more.parts ?? 1 } });
}

function checked(last4: string, checks: Partial<Behaviour['checks']>): Omit<TestCard, 'name'> {
  return visa(last4, { checks: { ...PLAIN.checks, ...checks } });
}

const CARDS: Readonly<Record<string, Omit<TestCard, 'name'>>> = {
  visa: plain('visa', '4242'),
  visa_debit: plain('visa', '5556', 'debit'),
  mastercard: plain('mastercard', '4444'),
  mastercard_debit: plain('mastercard', '8210', 'debit'),
  mastercard_prepaid: plain('mastercard', '5100', 'prepaid'),
  amex: plain('amex', '0005'),
  discover: plain('discover', '1117'),
  diners: plain('diners', '0004'),
  jcb: plain('jcb', '0505', 'credit', 'JP'),
  unionpay: plain('unionpay', '0005', 'credit', 'CN'),
  chargeDeclined: declining('0002', 'generic_decline'),
  chargeDeclinedInsufficientFunds: declining('9995', 'insufficient_funds'),
  chargeDeclinedLostCard: declining('9987', 'lost_card'),
  chargeDeclinedStolenCard: declining('9979', 'stolen_card'),
  chargeDeclinedExpiredCard: declining('0069', 'expired_card'),
  chargeDeclinedIncorrectCvc: declining('0127', 'incorrect_cvc'),
  chargeDeclinedProcessingError: declining('0119', 'processing_error'),
  chargeDeclinedVelocityLimitExceeded: declining('6975', 'card_velocity_exceeded'),
  chargeDeclinedFraudulent: visa('0019', { decline: 'fraudulent', declinesSetup: true }),
  chargeCustomerFail: visa('0341', { decline: 'generic_decline' }),
  authenticationRequired: visa('3184', { authentication: 'always' }),
  authenticationRequiredOnSetup: visa('3155', { authentication: 'until_set_up' }),
  authenticationRequiredSetupForOffSession: visa('0446', { authentication: 'with_payer_only' }),
  authenticationRequiredChargeDeclinedInsufficientFunds: visa('8260', {
    authentication: 'always',
    declineAfterAuthentication: 'insufficient_funds',
  }),
  threeDSecure2Required: visa('3220', { authentication: 'always' }),
  threeDSecureRequired: visa('3063', { authentication: 'always' }),
  threeDSecureRequiredChargeDeclined: visa('1629', { authentication: 'always', declineAfterAuthentication: 'generic_decline' }),
  threeDSecureRequiredProcessingError: visa('1692', { authentication: 'always', declineAfterAuthentication: 'processing_error' }),
  threeDSecureOptional: visa('3055', { authentication: 'when_asked' }),
  threeDSecureOptionalProcessingError: visa('3097', {
    authentication: 'when_asked',
    declineAfterAuthentication: 'processing_error',
  }),
  amex_threeDSecureNotSupported: plain('amex', '0005'),
  radarBlock: visa('0101', { isBlocked: true, risk: 'highest' }),
  riskLevelHighest: visa('4954', { isBlocked: true, risk: 'highest' }),
  riskLevelElevated: visa('9235', { risk: 'elevated' }),
  cvcCheckFail: checked('0101', { cvc: 'fail' }),
  avsFail: checked('0010', { line1: 'fail', zip: 'fail' }),
  avsLine1Fail: checked('0028', { line1: 'fail', zip: 'pass' }),
  avsZipFail: checked('0036', { line1: 'pass', zip: 'fail' }),
  avsUnchecked: checked('0044', { line1: 'unavailable', zip: 'unavailable' }),
  createDispute: disputed('0259', 'fraudulent'),
  createDisputeProductNotReceived: disputed('2685', 'product_not_received'),
  createDisputeInquiry: disputed('1976', 'fraudulent', { isInquiry: true }),
  createMultipleDisputes: disputed('8424', 'fraudulent', { parts: 2 }),
  createCe3EligibleDispute: disputed('0404', 'fraudulent'),
  createComplianceDispute: disputed('8779', 'noncompliant'),
  createIssuerFraudRecord: visa('5423', { hasFraudWarning: true }),
  pendingRefund: visa('7726', { refund: 'pending' }),
  refundFail: visa('5126', { refund: 'fails' }),
  bypassPending: visa('0077', { bypassesPending: true }),
  bypassPendingInternational: { ...visa('3720', { bypassesPending: true }), country: 'GB' },
};

/** Other spellings of the same token, as Stripe's pages have had them. */
const ALIASES: Readonly<Record<string, string>> = {
  threeDSecure2RequiredChargeDeclined: 'threeDSecureRequiredChargeDeclined',
  threeDSecure2RequiredProcessingError: 'threeDSecureRequiredProcessingError',
  threeDSecure2Optional: 'threeDSecureOptional',
  threeDSecure2OptionalProcessingError: 'threeDSecureOptionalProcessingError',
  createProductNotReceivedDispute: 'createDisputeProductNotReceived',
  disputeProductNotReceived: 'createDisputeProductNotReceived',
  createInquiryDispute: 'createDisputeInquiry',
  createDisputeCe3Eligible: 'createCe3EligibleDispute',
  createDisputeCompliance: 'createComplianceDispute',
};

/** Countries with a card of their own: pm_card_gb and so on, each a Visa credit card. */
const COUNTRIES =
  'us ar br ca cl co cr ec mx pa py pe uy ae at be bg by hr cy cz dk ee fi fr de gi gr hu ie is it li lt lu lv mt nl no pl pt ro sa si sk es se ch gb au cn hk in jp my nz sg tw th'.split(
    ' ',
  );

/** The test card of a token such as pm_card_visa; null for a token that Stripe does not have. */
export function cardOfToken(token: string): TestCard | null {
  if (!token.startsWith('pm_card_')) return null;
  const name = token.slice('pm_card_'.length);
  return cardNamed(name) ?? (name.startsWith('visa_') ? cardNamed(name.slice('visa_'.length)) : null);
}

/** A test card by its name in the table. */
export function cardNamed(name: string): TestCard | null {
  const known = ALIASES[name] ?? name;
  const card = Object.hasOwn(CARDS, known) ? CARDS[known] : undefined;
  if (card) return { ...card, name: known };
  const code = COUNTRIES.indexOf(name);
  if (code < 0) return null;
  return { ...plain('visa', String(code * 9).padStart(4, '0'), 'credit', name.toUpperCase()), name };
}

/** Tokens of every card in the table. */
export function allTokens(): string[] {
  return [...Object.keys(CARDS), ...Object.keys(ALIASES), ...COUNTRIES].map((name) => `pm_card_${name}`);
}

/** Same number, same fingerprint: it tells a card apart without its number. */
function fingerprintOf(card: TestCard): string {
  return createHash('sha256')
    .update(`${card.brand}:${card.country}:${card.funding}:${card.last4}`)
    .digest('base64url')
    .replaceAll(/[-_]/g, '0')
    .slice(0, 16);
}

/** The card part of a payment method. Cards expire in December, four years on. */
export function cardDetails(card: TestCard, year: number): Stripe.PaymentMethod.Card {
  return {
    brand: card.brand,
    checks: { address_line1_check: card.checks.line1, address_postal_code_check: card.checks.zip, cvc_check: card.checks.cvc },
    country: card.country,
    display_brand: card.brand === 'amex' ? 'american_express' : card.brand === 'diners' ? 'diners_club' : card.brand,
    exp_month: 12,
    exp_year: year + 4,
    fingerprint: fingerprintOf(card),
    funding: card.funding,
    generated_from: null,
    last4: card.last4,
    networks: { available: [card.brand], preferred: null },
    regulated_status: 'unregulated',
    three_d_secure_usage: { supported: card.name !== 'amex_threeDSecureNotSupported' },
    wallet: null,
  };
}
