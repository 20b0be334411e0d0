/** Stripe's objects in our terms. Pure: one function per object; unknown values of open enums fall to the careful side. */
import type Stripe from 'stripe';
import { z } from 'zod';
import type {
  DeclineCodes,
  DisputeFact,
  MethodFact,
  PaymentFact,
  ProviderEvent,
  ProviderNextAction,
  ProviderRecordFact,
  RefundFact,
  SetupFact,
} from '../../ports/provider.js';
import { fromStripeAmount } from './amounts.js';

/** The part of an error object that tells of a decline; the same on PaymentIntent, SetupIntent and thrown errors. */
interface StripeDecline {
  code?: string | null | undefined;
  decline_code?: string | null | undefined;
  advice_code?: string | null | undefined;
  network_decline_code?: string | null | undefined;
  network_advice_code?: string | null | undefined;
}

/** Codes of a decline, each in its own field, never swapped. */
export function declineOf(error: StripeDecline): DeclineCodes {
  return {
    code: error.code ?? null,
    declineCode: error.decline_code ?? null,
    adviceCode: error.advice_code ?? null,
    networkDeclineCode: error.network_decline_code ?? null,
    networkAdviceCode: error.network_advice_code ?? null,
  };
}

/**
 * How a PaymentIntent stands. `requires_payment_method` with an error is a decline, without one nothing was tried;
 * `requires_capture` can not come of our requests (automatic capture) and counts as processing.
 */
export function paymentOf(intent: Stripe.PaymentIntent, thrown: StripeDecline | null = null): PaymentFact {
  const charge = typeof intent.latest_charge === 'object' ? intent.latest_charge : null;
  const error = thrown ?? intent.last_payment_error;
  const decline = error ? declineOf(error) : null;
  const balance = charge && typeof charge.balance_transaction === 'object' ? charge.balance_transaction : null;
  return {
    objectId: intent.id,
    status: paymentStatus(intent.status, decline !== null),
    chargeId: typeof intent.latest_charge === 'string' ? intent.latest_charge : (charge?.id ?? null),
    amountMinor: fromStripeAmount(intent.amount, intent.currency),
    currency: intent.currency.toUpperCase(),
    intentRef: intent.metadata['intent_id'] ?? null,
    decline,
    nextAction: intent.status === 'requires_action' ? nextActionOf(intent.next_action, intent.client_secret) : null,
    statementDescriptor: charge?.calculated_statement_descriptor ?? null,
    records: balance && charge ? [recordOf(balance, 'charge', charge.id, null)] : [],
  };
}

function paymentStatus(status: Stripe.PaymentIntent.Status, hasError: boolean): PaymentFact['status'] {
  switch (status) {
    case 'succeeded':
      return 'succeeded';
    case 'requires_action':
      return 'requires_action';
    case 'canceled':
      return 'canceled';
    case 'requires_payment_method':
      return hasError ? 'declined' : 'not_executed';
    case 'requires_confirmation':
      return 'not_executed';
    default:
      // processing, requires_capture, and any word Stripe may add: still under way, so it is asked again.
      return 'processing';
  }
}

/** The step the user must do: Stripe's page where it gave one, else its SDK; the secret in both. */
function nextActionOf(
  action: Stripe.PaymentIntent.NextAction | Stripe.SetupIntent.NextAction | null,
  clientSecret: string | null,
): ProviderNextAction {
  const redirectUrl = action?.redirect_to_url?.url ?? null;
  return { type: redirectUrl === null ? 'CONFIRM_WITH_SDK' : 'REDIRECT', clientSecret, redirectUrl };
}

/** How a SetupIntent stands; its method is read when it was asked for with `expand: ['payment_method']`. */
export function setupOf(setup: Stripe.SetupIntent, thrown: StripeDecline | null = null): SetupFact {
  const error = thrown ?? setup.last_setup_error;
  const method = typeof setup.payment_method === 'object' ? setup.payment_method : null;
  const status = setupStatus(setup.status, Boolean(error));
  return {
    objectId: setup.id,
    setupRef: setup.metadata?.['setup_id'] ?? null,
    status,
    method: method ? methodOf(method) : null,
    nextAction: status === 'requires_action' || status === 'open' ? nextActionOf(setup.next_action, setup.client_secret) : null,
    decline: error ? declineOf(error) : null,
  };
}

function setupStatus(status: Stripe.SetupIntent.Status, hasError: boolean): SetupFact['status'] {
  switch (status) {
    case 'succeeded':
      return 'succeeded';
    case 'requires_action':
      return 'requires_action';
    case 'canceled':
      return 'canceled';
    case 'requires_payment_method':
      return hasError ? 'declined' : 'open';
    default:
      return 'open';
  }
}

/** A card as Stripe keeps it. First and middle digits never come; last four and brand do. */
export function methodOf(method: Stripe.PaymentMethod): MethodFact {
  const card = method.card;
  return {
    objectId: method.id,
    kind: 'card',
    fingerprint: card?.fingerprint ?? null,
    brand: card?.brand ?? null,
    last4: card?.last4 ?? null,
    expiryMonth: card?.exp_month ?? null,
    expiryYear: card?.exp_year ?? null,
    wallet: card?.wallet?.type ?? null,
    funding: card?.funding ?? null,
    issuingCountry: card?.country ?? null,
  };
}

/** How a refund stands. Stripe's `pending` and `requires_action` are both pending; an unknown word too. */
export function refundOf(refund: Stripe.Refund): RefundFact {
  const chargeId = idOf(refund.charge);
  const records: ProviderRecordFact[] = [];
  if (refund.balance_transaction && typeof refund.balance_transaction === 'object') {
    records.push(recordOf(refund.balance_transaction, 'refund', refund.id, chargeId));
  }
  if (refund.failure_balance_transaction && typeof refund.failure_balance_transaction === 'object') {
    records.push(recordOf(refund.failure_balance_transaction, 'refund_failure', refund.id, chargeId));
  }
  return {
    objectId: refund.id,
    status:
      refund.status === 'succeeded' || refund.status === 'failed' || refund.status === 'canceled' ? refund.status : 'pending',
    amountMinor: fromStripeAmount(refund.amount, refund.currency),
    currency: refund.currency.toUpperCase(),
    refundRef: refund.metadata?.['refund_id'] ?? null,
    paymentObjectId: idOf(refund.payment_intent),
    chargeId,
    failureReason: refund.failure_reason ?? null,
    records,
  };
}

/**
 * How a dispute stands. Inquiries (warning_*) move no money; `prevented` was refunded by itself and is closed.
 * Appeals are open again. An unknown word counts as open: somebody must look.
 */
export function disputeOf(dispute: Stripe.Dispute): DisputeFact {
  const chargeId = typeof dispute.charge === 'string' ? dispute.charge : dispute.charge.id;
  return {
    objectId: dispute.id,
    paymentObjectId: idOf(dispute.payment_intent),
    chargeId,
    amountMinor: fromStripeAmount(dispute.amount, dispute.currency),
    currency: dispute.currency.toUpperCase(),
    reason: dispute.reason,
    status: disputeStatus(dispute.status),
    evidenceDueAt: dispute.evidence_details.due_by ? new Date(dispute.evidence_details.due_by * 1000) : null,
    records: dispute.balance_transactions.map((line) =>
      recordOf(line, line.amount < 0 ? 'dispute' : 'dispute_reversal', dispute.id, chargeId),
    ),
  };
}

function disputeStatus(status: string): DisputeFact['status'] {
  switch (status) {
    case 'won':
    case 'lost':
      return status;
    case 'under_review':
    case 'appeal_under_review':
      return 'under_review';
    case 'warning_needs_response':
    case 'warning_under_review':
      return 'inquiry';
    case 'warning_closed':
    case 'prevented':
      return 'closed';
    default:
      return 'open';
  }
}

/** One balance transaction. The digest's text holds what never changes of it; `status` turns from pending to available by itself. */
export function recordOf(
  line: Stripe.BalanceTransaction,
  kind: ProviderRecordFact['kind'],
  objectId: string,
  parentObjectId: string | null,
): ProviderRecordFact {
  const { id, amount, fee, net, currency, type, reporting_category, created, exchange_rate } = line;
  return {
    nativeId: id,
    nativeType: type,
    kind,
    objectId,
    parentObjectId,
    grossMinor: fromStripeAmount(amount, currency),
    feeMinor: fromStripeAmount(fee, currency),
    netMinor: fromStripeAmount(net, currency),
    currency: currency.toUpperCase(),
    occurredAt: new Date(created * 1000),
    // A charge in the books is a charge that succeeded; Stripe's own status here is about when the money may be paid out.
    status: 'succeeded',
    raw: JSON.stringify({ id, amount, fee, net, currency, type, reporting_category, created, exchange_rate }),
  };
}

/** What we read of an event's text. Other kinds of notice (thin events, which name an object elsewhere) have another form. */
const EVENT = z.object({
  id: z.string().regex(/^evt_[A-Za-z0-9_]{1,250}$/),
  type: z.string().regex(/^[a-z0-9_.]{1,100}$/),
  created: z.int().positive().max(99_999_999_999),
  data: z.object({
    object: z.object({
      id: z
        .string()
        .regex(/^[\x21-\x7e]{1,255}$/)
        .nullish(),
    }),
  }),
});

/** An event from the text of a webhook whose signature is good; null when it is no event. */
export function readEvent(text: string): ProviderEvent | null {
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch {
    return null;
  }
  const read = EVENT.safeParse(sent);
  if (!read.success) return null;
  const { id, type, created, data } = read.data;
  return {
    eventId: id,
    type,
    objectKind: objectKindOf(type),
    objectId: data.object.id ?? null,
    createdAt: new Date(created * 1000),
  };
}

/** What an event is about; its state is fetched, the event itself is a hint. */
export function eventOf(event: Stripe.Event): ProviderEvent {
  const object = event.data.object;
  const objectId = 'id' in object && typeof object.id === 'string' ? object.id : null;
  return {
    eventId: event.id,
    type: event.type,
    objectKind: objectKindOf(event.type),
    objectId,
    createdAt: new Date(event.created * 1000),
  };
}

/**
 * What an event of this type is about. Events of charges say nothing that those of their payment do not; that a payment was begun says nothing that
 * the event of its outcome, or of the step it waits for, does not, as all of ours are confirmed when they are made.
 */
export function objectKindOf(type: string): ProviderEvent['objectKind'] {
  if (type === 'payment_intent.created') return 'other';
  if (type.startsWith('payment_intent.')) return 'payment';
  if (type.startsWith('charge.dispute.')) return 'dispute';
  if (type.startsWith('refund.') || type === 'charge.refund.updated') return 'refund';
  if (type.startsWith('setup_intent.')) return 'setup';
  return 'other';
}

/** Types of events that tell no more than that a payment succeeded. */
export const SUCCESS_EVENTS: readonly string[] = ['payment_intent.succeeded'];

function idOf(reference: string | { id: string } | null | undefined): string | null {
  return typeof reference === 'string' ? reference : (reference?.id ?? null);
}
