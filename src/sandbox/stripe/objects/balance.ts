import type { Stripe } from 'stripe';
import { resourceMissing } from '../api-error.js';
import { converted, exchangeRate } from '../currencies.js';
import { withStatus } from '../expand.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { text } from '../parameters.js';
import type { StoredBalanceTransaction } from '../shapes.js';
import type { State, Unit } from '../state.js';

const DAY_SECONDS = 86_400;

/** Days until a charge's funds may be paid out (Stripe, payouts in the United States: T+2). */
const SETTLEMENT_DAYS = 2;

/** A movement of our balance. */
interface Movement {
  type: Stripe.BalanceTransaction['type'];
  reportingCategory: string;
  /** Signed, minor units of `currency`. */
  amount: number;
  currency: string;
  /** What the provider keeps, told the amount in the settlement currency; minor units of that currency. */
  fee?: { of(settledAmount: number, currency: string): number; description: string };
  /** Id of the charge, refund, dispute or payout. */
  source: string;
  description: string | null;
  isAvailableAtOnce?: boolean;
}

/** Writes a movement into the books. Payouts are in their own currency already; all else settles where the settings say. */
export function recordMovement(unit: Unit, movement: Movement): StoredBalanceTransaction {
  const settlement = unit.state.settings.settlementCurrency;
  const currency = movement.type.startsWith('payout') ? movement.currency : (settlement ?? movement.currency);
  const amount = converted(movement.amount, movement.currency, currency);
  const fee = movement.fee?.of(amount, currency) ?? 0;
  const created = unit.seconds;
  return unit.put(unit.state.balanceTransactions, {
    id: unit.id('txn'),
    object: 'balance_transaction',
    amount,
    available_on: movement.isAvailableAtOnce || amount < 0 ? created : created + SETTLEMENT_DAYS * DAY_SECONDS,
    balance_type: 'payments',
    created,
    currency,
    description: movement.description,
    exchange_rate: currency === movement.currency ? null : exchangeRate(movement.currency, currency),
    fee,
    fee_details:
      fee === 0
        ? []
        : [{ amount: fee, application: null, currency, description: movement.fee?.description ?? null, type: 'stripe_fee' }],
    net: amount - fee,
    reporting_category: movement.reportingCategory,
    source: movement.source,
    status: 'pending',
    type: movement.type,
  });
}

/** What there is of one currency, minor units: funds that may be paid out, and funds still on their way. */
export function balanceOf(state: State): Map<string, { available: number; pending: number }> {
  const balance = new Map<string, { available: number; pending: number }>();
  for (const { currency, net, available_on } of state.balanceTransactions.oldestFirst()) {
    const sums = balance.get(currency) ?? { available: 0, pending: 0 };
    sums[available_on * 1000 <= state.now ? 'available' : 'pending'] += net;
    balance.set(currency, sums);
  }
  return balance;
}

function presentBalance(state: State): Stripe.Balance {
  const sums = [...balanceOf(state)];
  const side = (which: 'available' | 'pending'): Stripe.Balance['available'] =>
    (sums.length > 0 ? sums : ([['usd', { available: 0, pending: 0 }]] as const)).map(([currency, amounts]) => ({
      amount: amounts[which],
      currency,
      source_types: { card: amounts[which] },
    }));
  return { object: 'balance', available: side('available'), livemode: false, pending: side('pending') };
}

/** Balance and its movements. */
export const balanceOperations: Operation[] = [
  operation({
    name: 'balance.retrieve',
    method: 'GET',
    path: '/v1/balance',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state }) => presentBalance(state),
  }),
  operation({
    name: 'balance_transactions.retrieve',
    method: 'GET',
    path: '/v1/balance_transactions/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ state, id }) {
      const found = state.balanceTransactions.get(id);
      if (!found) throw resourceMissing('balance transaction', id);
      return withStatus(state, found);
    },
  }),
  operation({
    name: 'balance_transactions.list',
    method: 'GET',
    path: '/v1/balance_transactions',
    parameters: { ...LIST_PARAMETERS, ...CREATED, currency: text(), payout: text(), source: text(), type: text() },
    run({ state }, wanted) {
      const of = wanted.source === undefined ? undefined : ({ field: 'source', value: wanted.source } as const);
      const lines = page(
        '/v1/balance_transactions',
        state.balanceTransactions,
        wanted,
        of,
        (row) =>
          (wanted.currency === undefined || row.currency === wanted.currency) &&
          (wanted.type === undefined || row.type === wanted.type) &&
          (wanted.payout === undefined || state.payoutLines.get(row.id)?.payout === wanted.payout),
      );
      return { ...lines, data: lines.data.map((row) => withStatus(state, row)) };
    },
  }),
];
