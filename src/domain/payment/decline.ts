/**
 * What a decline means: the table of classes (may it be tried again, and when) and what each reader may be told.
 * Sources: Stripe "Decline codes" and "Advice codes"; Mastercard merchant advice codes; Visa's categories of response codes.
 */

/** Why a payment failed, in provider-independent terms that a client can act on. */
export interface PaymentFailure {
  category:
    | 'INSUFFICIENT_FUNDS'
    | 'METHOD_INVALID'
    | 'AUTHENTICATION_REQUIRED'
    | 'AUTHENTICATION_FAILED'
    | 'DO_NOT_HONOR'
    | 'FRAUD'
    | 'PROVIDER_ERROR'
    | 'OTHER';
  /** The provider's decline code as this reader may see it. */
  declineCode: string | null;
  isRetryable: boolean;
  advice: 'WAIT' | 'AUTHENTICATE' | 'UPDATE_METHOD' | 'USE_ANOTHER_METHOD' | 'CONTACT_BANK' | 'CONTACT_SUPPORT';
}

/** Strictest first. OURS is our own mistake: no retry helps, but the customer's card is not to blame. */
export const DECLINE_CLASSES = ['FRAUD', 'HARD_NEVER', 'NEW_METHOD', 'CUSTOMER_ACTION', 'OURS', 'SOFT_LATER', 'BACKOFF'] as const;
export type DeclineClass = (typeof DECLINE_CLASSES)[number];

/** What the customer is told, before it becomes a category and an advice. */
export type DeclineReason =
  | 'INSUFFICIENT_FUNDS'
  | 'LIMIT_EXCEEDED'
  | 'CONTACT_BANK'
  | 'DECLINED'
  | 'AUTHENTICATION_REQUIRED'
  | 'AUTHENTICATION_FAILED'
  | 'TEMPORARY_PROBLEM'
  | 'CARD_EXPIRED'
  | 'CARD_DETAILS_INVALID'
  | 'NEW_CARD_REQUIRED'
  | 'CARD_NOT_SUPPORTED'
  | 'PAYMENT_STOPPED';

/** Raw codes of a decline. `code` and `declineCode` are Stripe's; the network's code and advice are two fields, never swapped. */
export interface DeclineFacts {
  code: string | null;
  declineCode: string | null;
  adviceCode: string | null;
  networkDeclineCode: string | null;
  networkAdviceCode: string | null;
}

interface Verdict {
  class: DeclineClass;
  /** null: says when, not why; the reason is then that of the decline code. */
  reason: DeclineReason | null;
}

type Row = readonly [declineClass: DeclineClass, reason: DeclineReason | null, codes: string];

/** Error and decline codes of Stripe (rules 10). */
export const STRIPE_CODES: readonly Row[] = [
  ['SOFT_LATER', 'INSUFFICIENT_FUNDS', 'insufficient_funds'],
  ['SOFT_LATER', 'LIMIT_EXCEEDED', 'card_velocity_exceeded withdrawal_count_limit_exceeded'],
  ['SOFT_LATER', 'CONTACT_BANK', 'do_not_honor no_action_taken try_again_later'],
  ['SOFT_LATER', 'DECLINED', 'generic_decline card_declined'],
  ['CUSTOMER_ACTION', 'CONTACT_BANK', 'approve_with_id call_issuer not_permitted service_not_allowed security_violation'],
  ['CUSTOMER_ACTION', 'AUTHENTICATION_REQUIRED', 'authentication_required mobile_device_authentication_required'],
  ['CUSTOMER_ACTION', 'AUTHENTICATION_FAILED', 'payment_intent_authentication_failure setup_intent_authentication_failure'],
  ['BACKOFF', 'TEMPORARY_PROBLEM', 'processing_error issuer_not_available reenter_transaction'],
  ['NEW_METHOD', 'CARD_EXPIRED', 'expired_card invalid_expiry_month invalid_expiry_year'],
  [
    'NEW_METHOD',
    'CARD_DETAILS_INVALID',
    'incorrect_number invalid_number incorrect_cvc invalid_cvc incorrect_zip incorrect_address',
  ],
  ['NEW_METHOD', 'NEW_CARD_REQUIRED', 'new_account_information_available restricted_card invalid_account'],
  ['NEW_METHOD', 'CARD_NOT_SUPPORTED', 'card_not_supported currency_not_supported transaction_not_allowed'],
  [
    'NEW_METHOD',
    'CONTACT_BANK',
    'incorrect_pin invalid_pin pin_try_exceeded offline_pin_required online_or_offline_pin_required',
  ],
  ['HARD_NEVER', 'NEW_CARD_REQUIRED', 'do_not_try_again previously_declined_do_not_retry'],
  ['HARD_NEVER', 'DECLINED', 'lost_card stolen_card pickup_card'],
  ['HARD_NEVER', 'PAYMENT_STOPPED', 'stop_payment_order revocation_of_authorization revocation_of_all_authorizations'],
  ['FRAUD', 'DECLINED', 'fraudulent merchant_blacklist highest_risk_level elevated_risk_level blocklist rule'],
  ['OURS', 'TEMPORARY_PROBLEM', 'duplicate_transaction invalid_amount amount_too_small testmode_decline parameter_error'],
];

/** Stripe's `advice_code`. */
export const STRIPE_ADVICE: readonly Row[] = [
  ['HARD_NEVER', 'NEW_CARD_REQUIRED', 'do_not_try_again'],
  ['NEW_METHOD', 'CARD_DETAILS_INVALID', 'confirm_card_data'],
  ['SOFT_LATER', null, 'try_again_later'],
];

/** Mastercard's merchant advice codes (`network_advice_code`); 43 is information only. */
export const MASTERCARD_ADVICE: readonly Row[] = [
  ['NEW_METHOD', 'NEW_CARD_REQUIRED', '01 40 41'],
  ['SOFT_LATER', null, '02 24 25 26 27 28 29 30'],
  ['HARD_NEVER', 'NEW_CARD_REQUIRED', '03 08 99'],
  ['OURS', 'TEMPORARY_PROBLEM', '04 05 22'],
  ['HARD_NEVER', 'PAYMENT_STOPPED', '21'],
  ['FRAUD', 'DECLINED', '42'],
];

/** Mastercard responses that mean something only with an advice code; this is what they mean without one. */
export const MASTERCARD_RESPONSES: readonly Row[] = [
  ['NEW_METHOD', 'NEW_CARD_REQUIRED', '79'],
  ['CUSTOMER_ACTION', 'CONTACT_BANK', '82'],
  ['FRAUD', 'DECLINED', '83'],
];

/**
 * Visa's categories 1 (never), 2 (not now) and 3 (data quality) by response code; category 4, all others, says nothing of its
 * own.
 */
export const VISA_RESPONSES: readonly Row[] = [
  ['HARD_NEVER', 'DECLINED', '04 07 41 43'],
  ['HARD_NEVER', 'NEW_CARD_REQUIRED', '12 15 46 57'],
  ['HARD_NEVER', 'PAYMENT_STOPPED', 'R0 R1 R3'],
  ['SOFT_LATER', null, '03 19 51 59 61 62 65 75 78 86 91 93 96 N3 N4'],
  ['NEW_METHOD', 'CARD_DETAILS_INVALID', '14 54 55 82 6P N7'],
  ['CUSTOMER_ACTION', 'AUTHENTICATION_REQUIRED', '1A 70'],
  ['NEW_METHOD', 'NEW_CARD_REQUIRED', '39 52 53'],
];

/**
 * Codes whose true meaning only staff may see; the customer is shown a generic decline (Stripe: "present as generic"; rules
 * D0).
 */
export const MASKED_CODES: ReadonlySet<string> = new Set([
  'lost_card',
  'stolen_card',
  'pickup_card',
  'fraudulent',
  'merchant_blacklist',
]);

/** A code we have never heard of: worth a few tries, and says nothing to the customer. */
const UNKNOWN = { class: 'SOFT_LATER', reason: 'DECLINED' } as const satisfies Verdict;

const BY_STRIPE_CODE = byCode(STRIPE_CODES);
const BY_STRIPE_ADVICE = byCode(STRIPE_ADVICE);
const BY_MASTERCARD_ADVICE = byCode(MASTERCARD_ADVICE);
const BY_MASTERCARD_RESPONSE = byCode(MASTERCARD_RESPONSES);
const BY_VISA_RESPONSE = byCode(VISA_RESPONSES);

/** The code to keep of a decline: the error's own, unless it is the one that all declines of an issuer share; then the issuer's reason. */
export function tellingCode({ code, declineCode }: Pick<DeclineFacts, 'code' | 'declineCode'>): string | null {
  return code === null || code === 'card_declined' ? (declineCode ?? code) : code;
}

/** The class of a decline: the strictest that any of its codes gives. */
export function classifyDecline(codes: DeclineFacts): DeclineClass {
  return judge(codes).class;
}

/**
 * The strictest verdict; among equals the one that says most, in this order: decline code, error code, advices, response
 * code.
 */
function judge(codes: DeclineFacts): { class: DeclineClass; reason: DeclineReason } {
  const verdicts = [
    BY_STRIPE_CODE.get(codes.declineCode ?? ''),
    // The error code of every card decline is `card_declined`: it counts only when no decline code says more.
    codes.declineCode !== null && codes.code === 'card_declined' ? undefined : BY_STRIPE_CODE.get(codes.code ?? ''),
    BY_MASTERCARD_ADVICE.get(codes.networkAdviceCode ?? ''),
    networkVerdict(codes),
    BY_STRIPE_ADVICE.get(codes.adviceCode ?? ''),
  ].filter((verdict) => verdict !== undefined);
  const strictest = verdicts.reduce<Verdict>((best, next) => (isStricter(next, best) ? next : best), verdicts[0] ?? UNKNOWN);
  return { class: strictest.class, reason: strictest.reason ?? verdicts[0]?.reason ?? UNKNOWN.reason };
}

/**
 * Visa and Mastercard share most response codes; an advice code with it tells that the card is Mastercard's and rules
 * instead.
 */
function networkVerdict({ networkDeclineCode, networkAdviceCode }: DeclineFacts): Verdict | undefined {
  if (networkDeclineCode === null || networkAdviceCode !== null) return undefined;
  return BY_VISA_RESPONSE.get(networkDeclineCode) ?? BY_MASTERCARD_RESPONSE.get(networkDeclineCode);
}

function isStricter(a: Verdict, b: Verdict): boolean {
  return DECLINE_CLASSES.indexOf(a.class) < DECLINE_CLASSES.indexOf(b.class);
}

/** What a failed payment is shown from. */
export interface FailureFacts {
  /** null when the provider gave no codes. */
  codes: DeclineFacts | null;
  attemptStatus: 'declined' | 'not_executed' | 'canceled' | 'late_failed';
  /** `staff` sees the raw code and the category FRAUD. */
  reader: 'owner' | 'staff';
  /** No dunning follows: waiting alone brings nothing. */
  isFirstPayment: boolean;
}

/** Why a payment failed, as this reader may see it. A canceled one was an authentication that the customer gave up. */
export function failureOf(facts: FailureFacts): PaymentFailure {
  if (facts.attemptStatus === 'not_executed') {
    return { category: 'PROVIDER_ERROR', declineCode: null, isRetryable: true, advice: 'WAIT' };
  }
  if (facts.attemptStatus === 'canceled') {
    return { category: 'AUTHENTICATION_FAILED', declineCode: null, isRetryable: false, advice: 'AUTHENTICATE' };
  }
  const verdict = facts.codes === null ? UNKNOWN : judge(facts.codes);
  const rawCode = facts.codes?.declineCode ?? facts.codes?.code ?? null;
  const isMasked = verdict.class === 'FRAUD' || (rawCode !== null && MASKED_CODES.has(rawCode));
  const isRetryable = verdict.class === 'SOFT_LATER' || verdict.class === 'BACKOFF';
  const { category, advice } = shown(verdict.reason, facts.isFirstPayment);
  if (!isMasked) return { category, declineCode: rawCode, isRetryable, advice };
  return facts.reader === 'staff'
    ? { category: 'FRAUD', declineCode: rawCode, isRetryable, advice }
    : { category: 'DO_NOT_HONOR', declineCode: 'generic_decline', isRetryable, advice: 'USE_ANOTHER_METHOD' };
}

/** Why a refund failed: nothing the customer's bank can be asked to mend, so support is named. */
export function refundFailure(): PaymentFailure {
  return { category: 'OTHER', declineCode: null, isRetryable: false, advice: 'CONTACT_SUPPORT' };
}

function shown(reason: DeclineReason, isFirstPayment: boolean): Pick<PaymentFailure, 'category' | 'advice'> {
  switch (reason) {
    case 'INSUFFICIENT_FUNDS':
    case 'LIMIT_EXCEEDED':
      return { category: 'INSUFFICIENT_FUNDS', advice: isFirstPayment ? 'USE_ANOTHER_METHOD' : 'WAIT' };
    case 'CARD_EXPIRED':
    case 'CARD_DETAILS_INVALID':
      return { category: 'METHOD_INVALID', advice: 'UPDATE_METHOD' };
    case 'NEW_CARD_REQUIRED':
    case 'CARD_NOT_SUPPORTED':
    case 'PAYMENT_STOPPED':
      return { category: 'METHOD_INVALID', advice: 'USE_ANOTHER_METHOD' };
    case 'AUTHENTICATION_REQUIRED':
      return { category: 'AUTHENTICATION_REQUIRED', advice: 'AUTHENTICATE' };
    case 'AUTHENTICATION_FAILED':
      return { category: 'AUTHENTICATION_FAILED', advice: 'AUTHENTICATE' };
    case 'CONTACT_BANK':
      return { category: 'DO_NOT_HONOR', advice: 'CONTACT_BANK' };
    case 'DECLINED':
      return { category: 'DO_NOT_HONOR', advice: 'USE_ANOTHER_METHOD' };
    case 'TEMPORARY_PROBLEM':
      return { category: 'PROVIDER_ERROR', advice: 'WAIT' };
  }
}

function byCode(rows: readonly Row[]): ReadonlyMap<string, Verdict> {
  return new Map(
    rows.flatMap(([declineClass, reason, codes]) => codes.split(' ').map((code) => [code, { class: declineClass, reason }])),
  );
}
