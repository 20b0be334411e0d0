import { invalidRequest, resourceMissing } from '../api-error.js';
import { checkPayoutAmount, isCurrency } from '../currencies.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { instantRange, integer, isWithin, mergedMetadata, metadata, oneOf, required, text } from '../parameters.js';
import type { StoredPayout } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { balanceOf, recordMovement } from './balance.js';

/**
 * Payouts to the merchant's bank. One made by request takes its amount from the available balance, is pending, and is paid two days
 * later by the stand-in's clock (or by `POST /sandbox/advance`). `POST /sandbox/payouts` makes what Stripe makes every day: an automatic
 * payout of all that is available, whose lines `balance_transactions?payout=` then tells.
 */

const ARRIVAL_MS = 2 * 24 * 3_600_000;

function requirePayout(state: State, id: string): StoredPayout {
  const found = state.payouts.get(id);
  if (!found) throw resourceMissing('payout', id);
  return found;
}

interface PayoutRequest {
  amount: number;
  currency: string;
  isAutomatic: boolean;
  description: string | null;
  metadata: Record<string, string>;
  statementDescriptor: string | null;
}

function makePayout(unit: Unit, wanted: PayoutRequest): StoredPayout {
  const { state } = unit;
  const id = unit.id('po');
  const movement = recordMovement(unit, {
    type: 'payout',
    reportingCategory: 'payout',
    amount: -wanted.amount,
    currency: wanted.currency,
    source: id,
    description: wanted.description ?? 'STRIPE PAYOUT',
  });
  const payout = unit.put(state.payouts, {
    id,
    object: 'payout',
    amount: wanted.amount,
    application_fee: null,
    application_fee_amount: null,
    arrival_date: Math.floor((state.now + ARRIVAL_MS) / 1000),
    automatic: wanted.isAutomatic,
    balance_transaction: movement.id,
    created: unit.seconds,
    currency: wanted.currency,
    description: wanted.description ?? 'STRIPE PAYOUT',
    destination: null,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: wanted.metadata,
    method: 'standard',
    original_payout: null,
    payout_method: null,
    reconciliation_status: wanted.isAutomatic ? 'completed' : 'not_applicable',
    reversed_by: null,
    source_type: 'card',
    statement_descriptor: wanted.statementDescriptor,
    status: 'pending',
    trace_id: null,
    type: 'bank_account',
  });
  unit.emit('payout.created', payout);
  unit.put(state.errands, {
    id: unit.id('errand'),
    dueAt: state.now + ARRIVAL_MS,
    kind: 'pay_out',
    subject: id,
    reason: '',
    isInquiry: false,
    parts: 1,
  });
  return payout;
}

/**
 * The daily payout: all available funds of one currency, with the lines that make them up (payouts made by request among them).
 * @throws ApiError 400 when there are none
 */
export function makeAutomaticPayout(unit: Unit, currency: string): StoredPayout {
  const { state } = unit;
  const lines = [...state.balanceTransactions.oldestFirst()].filter(
    (line) => line.currency === currency && line.available_on * 1000 <= state.now && !state.payoutLines.get(line.id),
  );
  const amount = lines.reduce((total, line) => total + line.net, 0);
  if (amount <= 0) throw invalidRequest(`There is nothing to pay out in ${currency}.`, { code: 'balance_insufficient' });
  const payout = makePayout(unit, {
    amount,
    currency,
    isAutomatic: true,
    description: null,
    metadata: {},
    statementDescriptor: null,
  });
  for (const line of lines) unit.put(state.payoutLines, { id: line.id, payout: payout.id });
  if (payout.balance_transaction) unit.put(state.payoutLines, { id: payout.balance_transaction, payout: payout.id });
  unit.emit('payout.reconciliation_completed', payout);
  return payout;
}

/** The money reaches the bank. */
export function payOut(unit: Unit, id: string): void {
  const before = unit.state.payouts.get(id);
  if (before?.status !== 'pending') return;
  const payout = unit.put(unit.state.payouts, { ...before, status: 'paid' });
  unit.emit('payout.updated', payout, { status: before.status });
  unit.emit('payout.paid', payout);
}

export const payoutOperations: Operation[] = [
  operation({
    name: 'payouts.create',
    method: 'POST',
    path: '/v1/payouts',
    parameters: {
      amount: required(integer({ min: 1 })),
      currency: required(text(3)),
      description: text(),
      expand: LIST_PARAMETERS.expand,
      metadata,
      method: oneOf('standard'),
      source_type: oneOf('card'),
      statement_descriptor: text(22),
    },
    run({ unit, state }, given) {
      const currency = given.currency.toLowerCase();
      if (!isCurrency(currency)) throw invalidRequest(`Invalid currency: ${currency}.`, { param: 'currency' });
      checkPayoutAmount(given.amount, currency);
      if ((balanceOf(state).get(currency)?.available ?? 0) < given.amount) {
        throw invalidRequest(
          'You have insufficient funds in your Stripe account. One likely reason you have insufficient funds is that your funds are automatically being paid out; try enabling manual payouts.',
          { code: 'balance_insufficient' },
        );
      }
      return makePayout(unit, {
        amount: given.amount,
        currency,
        isAutomatic: false,
        description: given.description ?? null,
        metadata: mergedMetadata({}, given.metadata),
        statementDescriptor: given.statement_descriptor ?? null,
      });
    },
  }),
  operation({
    name: 'payouts.cancel',
    method: 'POST',
    path: '/v1/payouts/:id/cancel',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }) {
      const before = requirePayout(state, id);
      if (before.status !== 'pending' || before.automatic)
        throw invalidRequest(`Payout ${id} cannot be canceled: its status is ${before.status}.`);
      const movement = recordMovement(unit, {
        type: 'payout_cancel',
        reportingCategory: 'payout_reversal',
        amount: before.amount,
        currency: before.currency,
        source: id,
        description: 'PAYOUT CANCELED',
        isAvailableAtOnce: true,
      });
      const payout = unit.put(state.payouts, { ...before, failure_balance_transaction: movement.id, status: 'canceled' });
      unit.emit('payout.canceled', payout);
      return payout;
    },
  }),
  operation({
    name: 'payouts.retrieve',
    method: 'GET',
    path: '/v1/payouts/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => requirePayout(state, id),
  }),
  operation({
    name: 'payouts.list',
    method: 'GET',
    path: '/v1/payouts',
    parameters: { ...LIST_PARAMETERS, ...CREATED, arrival_date: instantRange, status: text() },
    run: ({ state }, wanted) =>
      page(
        '/v1/payouts',
        state.payouts,
        wanted,
        undefined,
        (row) => isWithin(wanted.arrival_date, row.arrival_date) && (wanted.status === undefined || row.status === wanted.status),
      ),
  }),
];
