/** Refunds: their states, how much may be given back, by whom, and what a refund ends. */
import { currencyOf, decimalText, isMultipleOfStep } from '../money/currency.js';
import type { Money } from '../money/money.js';
import { invariant } from '../invariant.js';
import type { TransactionStatus } from '../payment/attempt.js';
import { refundableAmount, refundedAmount, type ChargeFacts } from './refundable.js';

/** `pending`: the provider accepted it and has debited us, the customer's bank has not confirmed. */
export type RefundStatus = 'created' | 'sent' | 'unknown' | 'pending' | 'succeeded' | 'failed' | 'canceled';

/**
 * Allowed moves of a refund. `canceled`: the provider refused to begin it; `failed`: accepted, and the money came back to us,
 * even days after `succeeded`.
 */
export const REFUND_MOVES = {
  created: ['sent', 'canceled'],
  sent: ['unknown', 'pending', 'succeeded', 'failed', 'canceled'],
  unknown: ['pending', 'succeeded', 'failed', 'canceled'],
  pending: ['succeeded', 'failed'],
  succeeded: ['failed'],
  failed: [],
  canceled: [],
} as const satisfies Record<RefundStatus, readonly RefundStatus[]>;

/** Whether a refund may go from one status to another. */
export function mayMoveRefund(from: RefundStatus, to: RefundStatus): boolean {
  const targets: readonly RefundStatus[] = REFUND_MOVES[from];
  return targets.includes(to);
}

/** The status that the customer's line of history shows for a refund. */
export function refundTransactionStatusOf(status: RefundStatus): TransactionStatus {
  switch (status) {
    case 'created':
    case 'sent':
      return 'pending';
    case 'pending':
      return 'processing';
    default:
      return status;
  }
}

/** A refund that the provider accepted but the bank has not confirmed is looked at this often, besides its webhooks. */
export const PENDING_EVERY_MS = 6 * 3_600_000;

/** What a provider's fact does to a refund. `late`: we had taken it for dead, and the money went all the same. */
export type RefundFactDecision = { kind: 'apply'; to: RefundStatus } | { kind: 'nothing' } | { kind: 'late' };

/**
 * Decides what a provider's fact does to a refund; older news does nothing. A refund that the provider cancels after it had
 * accepted it has given us the money back: for us it failed, whether we heard of the acceptance or not.
 * @param wasDebited the provider's books hold a debit for it: the sign of acceptance that a canceled one still carries
 */
export function decideRefundFact(
  current: RefundStatus,
  fact: 'pending' | 'succeeded' | 'failed' | 'canceled',
  wasDebited: boolean,
): RefundFactDecision {
  // Not sent as far as we know (a lost write): sending it again under its key will tell.
  if (current === 'created') return { kind: 'nothing' };
  const wasAccepted = current === 'pending' || current === 'succeeded' || current === 'failed';
  const to = fact === 'canceled' && (wasAccepted || wasDebited) ? 'failed' : fact;
  if (to === current) return { kind: 'nothing' };
  if (mayMoveRefund(current, to)) return { kind: 'apply', to };
  // A refund may fail after it succeeded, so whatever else is told of an accepted one is older news. One that was taken for dead and failed
  // has moved nothing.
  return wasAccepted || fact === 'failed' ? { kind: 'nothing' } : { kind: 'late' };
}

/** What `decideRefund` looks at. */
export interface RefundAsked extends ChargeFacts {
  currency: string;
  /** null: all that is left. */
  asked: Money | null;
}

export type RefundDecision =
  | { kind: 'approved'; amount: Money }
  | {
      kind: 'refused';
      code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE';
      message: string;
      field: string[] | null;
    };

/**
 * How much of a charge is given back. Must be asked under the customer's lock, or two refunds of 60 of a charge of 100 both
 * pass. Refuses INVALID_INPUT (amount not positive, not a multiple of the currency's step, other currency), INVALID_STATE
 * (charge not succeeded; disputed; part of an inquiry) and REFUND_EXCEEDS_CHARGE.
 */
export function decideRefund(facts: RefundAsked): RefundDecision {
  const { asked, currency } = facts;
  const field = ['input', 'amount'];
  if (asked !== null) {
    if (asked.currency !== currency) return refused('INVALID_INPUT', `The charge is in ${currency}.`, field);
    if (asked.minor <= 0n) return refused('INVALID_INPUT', 'The amount must be positive.', field);
    if (!isMultipleOfStep(asked)) {
      const step = decimalText({ minor: currencyOf(currency)?.step ?? 1n, currency });
      return refused('INVALID_INPUT', `The amount must be a multiple of ${step} ${currency}.`, field);
    }
  }
  if (facts.status !== 'succeeded') return refused('INVALID_STATE', 'Only a charge that succeeded can be refunded.', null);
  if (facts.disputes.some((d) => d.status === 'open' || d.status === 'under_review' || d.status === 'lost')) {
    return refused('INVALID_STATE', 'The charge is disputed: the money is decided on by the bank.', null);
  }
  const left = refundableAmount(facts);
  const amount = asked ?? { minor: left, currency };
  if (amount.minor === 0n || amount.minor > left) {
    return refused(
      'REFUND_EXCEEDS_CHARGE',
      `Only ${decimalText({ minor: left, currency })} ${currency} is left to refund.`,
      field,
    );
  }
  if (facts.disputes.some((d) => d.status === 'inquiry') && amount.minor !== left) {
    return refused(
      'INVALID_STATE',
      'While the bank inquires, the charge can only be refunded in full, which ends the inquiry.',
      field,
    );
  }
  invariant(amount.minor > 0n, 'an approved refund is positive', { amount, left });
  return { kind: 'approved', amount };
}

function refused(
  code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE',
  message: string,
  field: string[] | null,
): RefundDecision {
  return { kind: 'refused', code, message, field };
}

/** What decides whether an accepted refund ends what was bought. */
export interface RefundEndFacts {
  chargeMinor: bigint;
  /** All refunds of the charge, this one included as accepted. */
  refunds: ChargeFacts['refunds'];
  /** Why this refund was given: the duplicate of another charge paid for nothing, so it ends nothing. */
  reason: 'requested' | 'duplicate' | 'fraudulent' | 'service_failure' | 'legal';
  /** The staff member asked to end it whatever the amount. */
  isEndAsked: boolean;
  /** The charge paid for the subscription's present period (false for an older one); true for a purchase. */
  isCurrentPeriod: boolean;
}

/**
 * Whether a refund ends the subscription (or revokes the purchase), once the provider has accepted it: when the whole charge
 * of the current period is given back, by however many refunds, be it to the card or, where that failed, as credit; for suspected
 * fraud; or when asked (rules 12).
 */
export function refundEndsSubscription(facts: RefundEndFacts): boolean {
  if (facts.isEndAsked || facts.reason === 'fraudulent') return true;
  if (facts.reason === 'duplicate' || !facts.isCurrentPeriod) return false;
  const accepted = facts.refunds.filter((r) => r.status === 'pending' || r.status === 'succeeded' || r.status === 'failed');
  return refundedAmount(accepted) >= facts.chargeMinor;
}

/**
 * The most that a support agent may refund at once, minor units: about 100 US dollars in each currency, in round figures, set
 * by hand and not by the day's rate. A currency that is not here needs the scope monetization:finance.
 */
export const SUPPORT_REFUND_LIMIT: ReadonlyMap<string, bigint> = new Map([
  ['USD', 100_00n],
  ['EUR', 100_00n],
  ['GBP', 80_00n],
  ['INR', 8_500_00n],
  ['BRL', 550_00n],
  ['JPY', 15_000n],
  ['KWD', 30_000n],
]);

/** Whether the scopes of a staff member's token allow a refund of that amount. */
export function isWithinAgentLimit(scopes: ReadonlySet<string>, money: Money): boolean {
  if (scopes.has('monetization:finance')) return true;
  return scopes.has('monetization:support') && money.minor <= (SUPPORT_REFUND_LIMIT.get(money.currency) ?? 0n);
}
