import { ApiError, invalidRequest, resourceMissing } from '../api-error.js';
import { cardNamed } from '../cards.js';
import { checkStep } from '../currencies.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { integer, mergedMetadata, metadata, oneOf, text } from '../parameters.js';
import type { StoredCharge, StoredRefund } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { recordMovement } from './balance.js';
import { requireCharge } from './charges.js';

/**
 * Refunds. Most succeed at once; those of pm_card_pendingRefund stay pending for a while and then succeed, those of pm_card_refundFail
 * succeed and then fail, which puts the money back on our balance and lets the charge be refunded again.
 */

/** How long a refund stays pending, and how long until one fails, by the stand-in's clock. `POST /sandbox/advance` brings both on at once. */
const REFUND_LATER_MS = 5_000;

function requireRefund(state: State, id: string): StoredRefund {
  const found = state.refunds.get(id);
  if (!found) throw resourceMissing('refund', id);
  return found;
}

/** The charge to refund: named itself, or the one that its PaymentIntent succeeded with. */
function chargeToRefund(state: State, given: { charge: string | undefined; payment_intent: string | undefined }): StoredCharge {
  if ((given.charge === undefined) === (given.payment_intent === undefined)) {
    throw invalidRequest('One of the following params should be provided for this request: payment_intent or charge.', {
      code: 'parameter_missing',
      param: 'charge',
    });
  }
  if (given.charge !== undefined) return requireCharge(state, given.charge, 'charge');
  const intent = state.paymentIntents.get(given.payment_intent ?? '');
  if (!intent) throw resourceMissing('payment_intent', given.payment_intent ?? '', 'payment_intent');
  const charge = intent.latest_charge === null ? null : state.charges.get(intent.latest_charge);
  if (intent.status !== 'succeeded' || !charge) {
    throw invalidRequest(`This PaymentIntent (${intent.id}) does not have a successful charge to refund.`, {
      param: 'payment_intent',
    });
  }
  return charge;
}

function checkRefundable(state: State, charge: StoredCharge, amount: number | undefined): number {
  const left = charge.amount_captured - charge.amount_refunded;
  if (charge.status !== 'succeeded')
    throw invalidRequest(`Charge ${charge.id} was not successful and cannot be refunded.`, { param: 'charge' });
  if (state.disputes.where('charge', charge.id).some((dispute) => !dispute.is_charge_refundable)) {
    throw new ApiError(400, {
      type: 'invalid_request_error',
      code: 'charge_disputed',
      message: `Charge ${charge.id} has been charged back; cannot issue a refund.`,
    });
  }
  if (left === 0) {
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, { code: 'charge_already_refunded' });
  }
  if (amount !== undefined && amount > left) {
    throw invalidRequest(`Refund amount (${amount}) is greater than unrefunded amount on charge (${left}).`, { param: 'amount' });
  }
  checkStep(amount ?? left, charge.currency);
  return amount ?? left;
}

/** How refunds of this charge go: the test card decides. */
function refundBehaviour(state: State, charge: StoredCharge): 'at_once' | 'pending' | 'fails' {
  const onFile = state.cards.get(charge.payment_method ?? '');
  return (onFile && cardNamed(onFile.card)?.refund) ?? 'at_once';
}

function refundedBy(unit: Unit, charge: StoredCharge, amount: number): StoredCharge {
  const refunded = charge.amount_refunded + amount;
  return unit.put(unit.state.charges, { ...charge, amount_refunded: refunded, refunded: refunded === charge.amount_captured });
}

/** A pending refund reaches the card. */
export function settleRefund(unit: Unit, id: string): void {
  const before = unit.state.refunds.get(id);
  if (before?.status !== 'pending') return;
  const { pending_reason: _, ...settled } = before;
  const refund = unit.put(unit.state.refunds, { ...settled, status: 'succeeded' });
  unit.emit('refund.updated', refund, { status: 'pending' });
  unit.emit('charge.refund.updated', refund, { status: 'pending' });
}

/** Takes a refund back: its money returns to our balance, and the charge may be refunded again. */
function takeBack(unit: Unit, before: StoredRefund, status: 'failed' | 'canceled', reason: string): StoredRefund {
  const movement = recordMovement(unit, {
    type: 'refund_failure',
    reportingCategory: 'refund_failure',
    amount: before.amount,
    currency: before.currency,
    source: before.id,
    description: 'REFUND FAILURE',
    isAvailableAtOnce: true,
  });
  const { pending_reason: _, ...rest } = before;
  const refund = unit.put(unit.state.refunds, {
    ...rest,
    failure_balance_transaction: movement.id,
    failure_reason: reason,
    status,
  });
  const charge = unit.state.charges.get(before.charge);
  if (charge) refundedBy(unit, charge, -before.amount);
  unit.emit('refund.updated', refund, { status: before.status });
  unit.emit('charge.refund.updated', refund, { status: before.status });
  return refund;
}

/** A refund that the card's bank sends back. */
export function failRefund(unit: Unit, id: string, reason: string): void {
  const before = unit.state.refunds.get(id);
  if (!before || before.status === 'failed' || before.status === 'canceled') return;
  unit.emit('refund.failed', takeBack(unit, before, 'failed', reason));
}

export const refundOperations: Operation[] = [
  operation({
    name: 'refunds.create',
    method: 'POST',
    path: '/v1/refunds',
    parameters: {
      amount: integer({ min: 1 }),
      charge: text(),
      expand: LIST_PARAMETERS.expand,
      metadata,
      payment_intent: text(),
      reason: oneOf('duplicate', 'fraudulent', 'requested_by_customer'),
    },
    run({ unit, state }, given) {
      const charge = chargeToRefund(state, given);
      const amount = checkRefundable(state, charge, given.amount);
      const behaviour = refundBehaviour(state, charge);
      const id = unit.id('re');
      const movement = recordMovement(unit, {
        type: 'refund',
        reportingCategory: 'refund',
        amount: -amount,
        currency: charge.currency,
        source: id,
        description:
          charge.description === null ? `REFUND FOR CHARGE (${charge.id})` : `REFUND FOR CHARGE (${charge.description})`,
      });
      const refund = unit.put(state.refunds, {
        id,
        object: 'refund',
        amount,
        balance_transaction: movement.id,
        charge: charge.id,
        created: unit.seconds,
        currency: charge.currency,
        customer: charge.customer,
        customer_account: null,
        destination_details: {
          card: { reference_status: 'pending', reference_type: 'acquirer_reference_number', type: 'refund' },
          type: 'card',
        },
        metadata: mergedMetadata({}, given.metadata),
        payment_intent: charge.payment_intent,
        payment_method: charge.payment_method,
        ...(behaviour === 'pending' && { pending_reason: 'processing' }),
        reason: given.reason ?? null,
        receipt_number: null,
        source_transfer_reversal: null,
        status: behaviour === 'pending' ? 'pending' : 'succeeded',
        transfer_reversal: null,
      });
      const refunded = refundedBy(unit, charge, amount);
      unit.emit('refund.created', refund);
      unit.emit('charge.refunded', refunded, { amount_refunded: charge.amount_refunded, refunded: charge.refunded });
      if (behaviour !== 'at_once') {
        unit.put(state.errands, {
          id: unit.id('errand'),
          dueAt: state.now + REFUND_LATER_MS,
          kind: behaviour === 'pending' ? 'settle_refund' : 'fail_refund',
          subject: id,
          reason: 'lost_or_stolen_card',
          isInquiry: false,
          parts: 1,
        });
      }
      return refund;
    },
  }),
  operation({
    name: 'refunds.update',
    method: 'POST',
    path: '/v1/refunds/:id',
    parameters: { metadata, expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }, given) {
      const before = requireRefund(state, id);
      const refund = unit.put(state.refunds, { ...before, metadata: mergedMetadata(before.metadata, given.metadata) });
      unit.emit('refund.updated', refund);
      unit.emit('charge.refund.updated', refund);
      return refund;
    },
  }),
  operation({
    name: 'refunds.cancel',
    method: 'POST',
    path: '/v1/refunds/:id/cancel',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }) {
      const before = requireRefund(state, id);
      if (before.status !== 'pending')
        throw invalidRequest(`Refund ${id} has a status of ${before.status} and cannot be canceled.`);
      return takeBack(unit, before, 'canceled', 'merchant_request');
    },
  }),
  operation({
    name: 'refunds.retrieve',
    method: 'GET',
    path: '/v1/refunds/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => requireRefund(state, id),
  }),
  operation({
    name: 'refunds.list',
    method: 'GET',
    path: '/v1/refunds',
    parameters: { ...LIST_PARAMETERS, ...CREATED, charge: text(), payment_intent: text() },
    run({ state }, wanted) {
      const of =
        wanted.charge !== undefined
          ? ({ field: 'charge', value: wanted.charge } as const)
          : wanted.payment_intent !== undefined
            ? ({ field: 'payment_intent', value: wanted.payment_intent } as const)
            : undefined;
      return page(
        '/v1/refunds',
        state.refunds,
        wanted,
        of,
        (row) => wanted.payment_intent === undefined || row.payment_intent === wanted.payment_intent,
      );
    },
  }),
];
