/**
 * The states of an attempt (one external operation under one idempotency key) and of its payment intent (one decision to
 * collect an invoice), and what a fact told by the provider does to them. Facts come from answers, webhooks and listings in
 * any order and more than once; the rank created < sent < requires_action < processing < end makes older news do nothing.
 */

export type AttemptStatus =
  | 'created'
  | 'sent'
  | 'unknown'
  | 'requires_action'
  | 'processing'
  | 'succeeded'
  | 'declined'
  | 'canceled'
  | 'not_executed'
  | 'late_failed';

/** Allowed moves of an attempt; anything else is a broken invariant. `created` -> `canceled` only if it was never sent. */
export const ATTEMPT_MOVES = {
  created: ['sent', 'canceled'],
  sent: ['succeeded', 'declined', 'requires_action', 'processing', 'unknown', 'not_executed', 'canceled'],
  unknown: ['succeeded', 'declined', 'requires_action', 'processing', 'not_executed', 'canceled'],
  requires_action: ['processing', 'succeeded', 'declined', 'canceled'],
  processing: ['succeeded', 'declined', 'canceled'],
  succeeded: ['late_failed'],
  declined: [],
  canceled: [],
  not_executed: [],
  late_failed: [],
} as const satisfies Record<AttemptStatus, readonly AttemptStatus[]>;

/** Whether an attempt may go from one status to another. */
export function mayMove(from: AttemptStatus, to: AttemptStatus): boolean {
  const targets: readonly AttemptStatus[] = ATTEMPT_MOVES[from];
  return targets.includes(to);
}

export type IntentStatus =
  | 'created'
  | 'in_flight'
  | 'requires_action'
  | 'processing'
  | 'retry_wait'
  | 'succeeded'
  | 'failed'
  | 'canceled';

/** Allowed moves of a payment intent. `retry_wait` belongs to renewals: a first payment that fails ends its intent. */
export const INTENT_MOVES = {
  created: ['in_flight', 'requires_action', 'processing', 'succeeded', 'retry_wait', 'failed', 'canceled'],
  in_flight: ['requires_action', 'processing', 'succeeded', 'retry_wait', 'failed', 'canceled'],
  requires_action: ['processing', 'succeeded', 'retry_wait', 'failed', 'canceled'],
  processing: ['succeeded', 'retry_wait', 'failed', 'canceled'],
  retry_wait: ['in_flight', 'failed', 'canceled'],
  succeeded: ['failed'],
  failed: [],
  canceled: [],
} as const satisfies Record<IntentStatus, readonly IntentStatus[]>;

/** Whether a payment intent may go from one status to another. */
export function mayMoveIntent(from: IntentStatus, to: IntentStatus): boolean {
  const targets: readonly IntentStatus[] = INTENT_MOVES[from];
  return targets.includes(to);
}

export type TransactionStatus = 'pending' | 'requires_action' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'unknown';

/** The status that the customer's line of history shows for an attempt. */
export function transactionStatusOf(status: AttemptStatus): TransactionStatus {
  switch (status) {
    case 'created':
    case 'sent':
      return 'pending';
    case 'declined':
    case 'not_executed':
    case 'late_failed':
      return 'failed';
    default:
      return status;
  }
}

/** Whether an attempt has its outcome; only `succeeded` may still move (a returned debit). */
export function isEnd(status: AttemptStatus): boolean {
  return RANK[status] === END;
}

const END = 4;
const RANK: Record<AttemptStatus, number> = {
  created: 0,
  sent: 1,
  unknown: 1,
  requires_action: 2,
  processing: 3,
  succeeded: END,
  declined: END,
  canceled: END,
  not_executed: END,
  late_failed: END,
};

/** What the provider said of the payment, as far as the decision needs it. */
export interface AttemptFact {
  status: 'succeeded' | 'processing' | 'requires_action' | 'declined' | 'canceled' | 'not_executed';
  /** The object carries the error of a declined try. */
  hasPaymentError: boolean;
  /** The client got the secret, so that it can try again on the same object without us. */
  wasSecretGiven: boolean;
  /** We have decided to cancel at the provider, and the cancel may be on its way. */
  isCancelAsked: boolean;
}

/**
 * What to do about a fact.
 * - `cancel_first`: declined while the client can still pay the same object; only the provider's cancel settles it.
 * - `contradiction`: two different outcomes; nothing is edited, a finding is raised. `late_appearance`: money moved (or may
 *   move) for an attempt that we had taken for dead. The remedy is done at once, since the customer was told that nothing
 *   happened: `cancel` an object that could still take money, `refund` what was taken; null leaves it to a person.
 */
export type AttemptDecision =
  | { kind: 'apply'; to: AttemptStatus }
  | { kind: 'nothing' }
  | { kind: 'cancel_first' }
  | { kind: 'contradiction'; finding: 'late_appearance' | 'contradiction'; remedy: 'cancel' | 'refund' | null };

/** Decides what a provider's fact does to an attempt. */
export function decideAttempt(current: AttemptStatus, fact: AttemptFact): AttemptDecision {
  if (isEnd(current)) return afterTheEnd(current, fact);
  // Not sent as far as we know (a lost write): sending it again under its key will tell; `created` moves nowhere else.
  if (current === 'created' || fact.status === 'not_executed') return { kind: 'nothing' };
  if (fact.status === 'declined' && fact.wasSecretGiven)
    return fact.isCancelAsked ? { kind: 'nothing' } : { kind: 'cancel_first' };
  const to = fact.status === 'canceled' && fact.hasPaymentError ? 'declined' : fact.status;
  return RANK[to] > RANK[current] ? { kind: 'apply', to } : { kind: 'nothing' };
}

function afterTheEnd(current: AttemptStatus, fact: AttemptFact): AttemptDecision {
  switch (fact.status) {
    case 'succeeded': {
      if (current === 'succeeded') return { kind: 'nothing' };
      const wasNothing = current === 'not_executed' || current === 'canceled';
      return { kind: 'contradiction', finding: 'late_appearance', remedy: wasNothing ? 'refund' : null };
    }
    case 'declined':
    case 'canceled':
      // No money moved in either case: only a success is contradicted.
      return current === 'succeeded' ? { kind: 'contradiction', finding: 'contradiction', remedy: null } : { kind: 'nothing' };
    case 'requires_action':
    case 'processing':
    case 'not_executed':
      // We concluded that no object exists, and here it is, able to take money.
      return current === 'not_executed'
        ? { kind: 'contradiction', finding: 'late_appearance', remedy: 'cancel' }
        : { kind: 'nothing' };
  }
}

/** How a first payment may end without money. */
export type FirstPaymentEnd = 'declined' | 'not_executed' | 'canceled';

/**
 * What becomes of the rest when a first payment (subscribe, purchase) ends without money: there is no dunning, the customer
 * begins anew.
 */
export function firstPaymentEnd(to: FirstPaymentEnd) {
  return {
    intent: to === 'canceled' ? 'canceled' : 'failed',
    invoice: 'void',
    subscription: 'incomplete_expired',
    purchase: 'failed',
  } as const;
}

/** The status of the intent of a first payment while its attempt stands so. */
export function intentStatusOf(attempt: AttemptStatus): IntentStatus {
  switch (attempt) {
    case 'sent':
    case 'unknown':
      return 'in_flight';
    case 'declined':
    case 'not_executed':
    case 'late_failed':
      return 'failed';
    default:
      return attempt;
  }
}
