import type { Stripe } from 'stripe';
import { invalidRequest, resourceMissing } from '../api-error.js';
import { withStatus } from '../expand.js';
import { disputeFee } from '../fees.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { clearableText, flag, group, mergedMetadata, metadata, text } from '../parameters.js';
import type { Errand, StoredDispute } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { recordMovement } from './balance.js';

/**
 * Disputes. Opened right after the charge of certain test cards; a chargeback takes the amount and a fee from our balance at once, an
 * inquiry (warning_...) takes nothing. Evidence whose `uncategorized_text` is winning_evidence, losing_evidence or
 * escalate_inquiry_evidence decides the outcome as soon as it is submitted. The fee is not given back when a dispute is won.
 * Source: Stripe, "Testing disputes" and "Dispute object".
 */

/** Days to answer. */
const EVIDENCE_DAYS = 9;
const DAY_SECONDS = 86_400;

const NETWORK_REASON: Readonly<Record<string, string>> = {
  fraudulent: '10.4',
  product_not_received: '13.1',
  noncompliant: '12.6',
};

const EVIDENCE_TEXTS = [
  'access_activity_log',
  'billing_address',
  'cancellation_policy',
  'cancellation_policy_disclosure',
  'cancellation_rebuttal',
  'customer_communication',
  'customer_email_address',
  'customer_name',
  'customer_purchase_ip',
  'customer_signature',
  'duplicate_charge_documentation',
  'duplicate_charge_explanation',
  'duplicate_charge_id',
  'product_description',
  'receipt',
  'refund_policy',
  'refund_policy_disclosure',
  'refund_refusal_explanation',
  'service_date',
  'service_documentation',
  'shipping_address',
  'shipping_carrier',
  'shipping_date',
  'shipping_documentation',
  'shipping_tracking_number',
  'uncategorized_file',
  'uncategorized_text',
] as const;
type EvidenceText = (typeof EVIDENCE_TEXTS)[number];

function byName<V>(value: V): Record<EvidenceText, V> {
  return Object.fromEntries(EVIDENCE_TEXTS.map((name) => [name, value])) as Record<EvidenceText, V>;
}

function requireDispute(state: State, id: string): StoredDispute {
  const found = state.disputes.get(id);
  if (!found) throw resourceMissing('dispute', id);
  return found;
}

/** The dispute as it stands by the clock. */
function presentDispute(state: State, dispute: StoredDispute): StoredDispute {
  return {
    ...dispute,
    balance_transactions: dispute.balance_transactions.map((line) => withStatus(state, line)),
    evidence_details: { ...dispute.evidence_details, past_due: (dispute.evidence_details.due_by ?? Infinity) * 1000 < state.now },
  };
}

/** Opens a dispute of a charge, or of an equal part of it; refunds already made are not disputed again. */
export function openDispute(unit: Unit, errand: Errand): void {
  const charge = unit.state.charges.get(errand.subject);
  if (!charge) return;
  const amount = Math.floor((charge.amount_captured - charge.amount_refunded) / errand.parts);
  if (amount <= 0) return;
  const { card } = charge.payment_method_details ?? {};
  const opened: StoredDispute = {
    id: unit.id('du'),
    object: 'dispute',
    amount,
    balance_transactions: [],
    charge: charge.id,
    created: unit.seconds,
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: { ...byName(null), enhanced_evidence: {} },
    evidence_details: {
      due_by: unit.seconds + EVIDENCE_DAYS * DAY_SECONDS,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'not_submitted',
    },
    intended_submission_method: null,
    is_charge_refundable: errand.isInquiry,
    livemode: false,
    metadata: {},
    network_reason_code: NETWORK_REASON[errand.reason] ?? null,
    payment_intent: charge.payment_intent,
    payment_method_details: {
      card: {
        brand: card?.brand ?? 'visa',
        case_type: errand.isInquiry ? 'inquiry' : 'chargeback',
        network: card?.network ?? 'visa',
        network_reason_code: NETWORK_REASON[errand.reason] ?? null,
      },
      type: 'card',
    },
    reason: errand.reason,
    status: errand.isInquiry ? 'warning_needs_response' : 'needs_response',
  };
  unit.put(unit.state.charges, { ...charge, disputed: true });
  const dispute = unit.put(unit.state.disputes, errand.isInquiry ? opened : withdrawn(unit, opened));
  unit.emit('charge.dispute.created', dispute);
  if (!errand.isInquiry) unit.emit('charge.dispute.funds_withdrawn', dispute);
}

/** Takes the disputed amount and the fee from our balance. */
function withdrawn(unit: Unit, dispute: StoredDispute): StoredDispute {
  const line = recordMovement(unit, {
    type: 'adjustment',
    reportingCategory: 'dispute',
    amount: -dispute.amount,
    currency: dispute.currency,
    fee: { of: (_amount, currency) => disputeFee(currency), description: 'Dispute fee' },
    source: dispute.id,
    description: `Chargeback withdrawal for ${dispute.charge}`,
  });
  return { ...dispute, balance_transactions: [...dispute.balance_transactions, line] };
}

/** Gives the disputed amount back. */
function reinstated(unit: Unit, dispute: StoredDispute): StoredDispute {
  const line = recordMovement(unit, {
    type: 'adjustment',
    reportingCategory: 'dispute_reversal',
    amount: dispute.amount,
    currency: dispute.currency,
    source: dispute.id,
    description: `Chargeback reversal for ${dispute.charge}`,
    isAvailableAtOnce: true,
  });
  return { ...dispute, balance_transactions: [...dispute.balance_transactions, line], is_charge_refundable: true };
}

/** What the evidence decides; null: nothing yet. */
function verdictOf(evidence: string | null, isInquiry: boolean): 'won' | 'lost' | 'escalated' | null {
  switch (evidence) {
    case 'winning_evidence':
      return 'won';
    case 'losing_evidence':
      return 'lost';
    case 'escalate_inquiry_evidence':
      return isInquiry ? 'escalated' : null;
    default:
      return null;
  }
}

/** Ends or turns a dispute, and tells so. */
function decide(unit: Unit, dispute: StoredDispute, verdict: 'won' | 'lost' | 'escalated'): StoredDispute {
  const isInquiry = isInquiryStatus(dispute.status);
  if (verdict === 'escalated') {
    const escalated: StoredDispute = { ...dispute, is_charge_refundable: false, status: 'needs_response' };
    const turned = unit.put(unit.state.disputes, withdrawn(unit, escalated));
    unit.emit('charge.dispute.updated', turned, { status: dispute.status });
    unit.emit('charge.dispute.funds_withdrawn', turned);
    return turned;
  }
  const hasMoneyBack = verdict === 'won' && !isInquiry;
  const status: Stripe.Dispute.Status = isInquiry ? 'warning_closed' : verdict;
  const closed = unit.put(unit.state.disputes, { ...(hasMoneyBack ? reinstated(unit, dispute) : dispute), status });
  unit.emit('charge.dispute.updated', closed, { status: dispute.status });
  if (hasMoneyBack) unit.emit('charge.dispute.funds_reinstated', closed);
  unit.emit('charge.dispute.closed', closed);
  return closed;
}

function isInquiryStatus(status: string): boolean {
  return status.startsWith('warning_');
}

function isOpen(dispute: StoredDispute): boolean {
  return dispute.status === 'needs_response' || dispute.status === 'warning_needs_response';
}

export const disputeOperations: Operation[] = [
  operation({
    name: 'disputes.retrieve',
    method: 'GET',
    path: '/v1/disputes/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => presentDispute(state, requireDispute(state, id)),
  }),
  operation({
    name: 'disputes.list',
    method: 'GET',
    path: '/v1/disputes',
    parameters: { ...LIST_PARAMETERS, ...CREATED, charge: text(), payment_intent: text() },
    run({ state }, wanted) {
      const of =
        wanted.charge !== undefined
          ? ({ field: 'charge', value: wanted.charge } as const)
          : wanted.payment_intent !== undefined
            ? ({ field: 'payment_intent', value: wanted.payment_intent } as const)
            : undefined;
      const found = page(
        '/v1/disputes',
        state.disputes,
        wanted,
        of,
        (row) => wanted.payment_intent === undefined || row.payment_intent === wanted.payment_intent,
      );
      return { ...found, data: found.data.map((dispute) => presentDispute(state, dispute)) };
    },
  }),
  operation({
    name: 'disputes.update',
    method: 'POST',
    path: '/v1/disputes/:id',
    parameters: { evidence: group(byName(clearableText)), expand: LIST_PARAMETERS.expand, metadata, submit: flag },
    run({ unit, state, id }, given) {
      const before = requireDispute(state, id);
      const labelled = { ...before, metadata: mergedMetadata(before.metadata, given.metadata) };
      if (!given.evidence) {
        const updated = unit.put(state.disputes, labelled);
        unit.emit('charge.dispute.updated', updated);
        return presentDispute(state, updated);
      }
      if (!isOpen(before))
        throw invalidRequest(`This dispute is already closed or under review (${before.status}).`, { param: 'evidence' });
      const changed = Object.fromEntries(Object.entries(given.evidence).filter(([, value]) => value !== undefined));
      const evidence = { ...before.evidence, ...changed };
      const isSubmitted = given.submit !== false;
      const { evidence_details: details } = before;
      const updated = unit.put(state.disputes, {
        ...labelled,
        evidence,
        evidence_details: {
          ...details,
          has_evidence: true,
          submission_count: details.submission_count + (isSubmitted ? 1 : 0),
          submission_method: isSubmitted ? 'manual' : details.submission_method,
        },
        status: !isSubmitted ? before.status : isInquiryStatus(before.status) ? 'warning_under_review' : 'under_review',
      });
      unit.emit('charge.dispute.updated', updated, { status: before.status });
      const verdict = isSubmitted ? verdictOf(evidence.uncategorized_text, isInquiryStatus(before.status)) : null;
      return presentDispute(state, verdict ? decide(unit, updated, verdict) : updated);
    },
  }),
  operation({
    name: 'disputes.close',
    method: 'POST',
    path: '/v1/disputes/:id/close',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }) {
      const before = requireDispute(state, id);
      if (before.status !== 'needs_response')
        throw invalidRequest(`This dispute cannot be closed: its status is ${before.status}.`);
      return presentDispute(state, decide(unit, before, 'lost'));
    },
  }),
];
