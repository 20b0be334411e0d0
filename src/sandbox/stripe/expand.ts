import type { Collection } from './collection.js';
import { invalidRequest } from './api-error.js';
import type { State } from './state.js';

/** Puts objects in the place of their ids, where a request asks for it (`expand`), up to four levels deep as Stripe does. */

const MAX_DEPTH = 4;

type Kept =
  | 'customers'
  | 'paymentMethods'
  | 'setupIntents'
  | 'setupAttempts'
  | 'paymentIntents'
  | 'charges'
  | 'refunds'
  | 'disputes'
  | 'balanceTransactions'
  | 'payouts'
  | 'reviews';

/** What may be expanded: by object, by field, where the id leads. */
const LINKS: Readonly<Record<string, Readonly<Record<string, readonly Kept[]>>>> = {
  customer: {},
  payment_method: { customer: ['customers'] },
  setup_intent: { customer: ['customers'], payment_method: ['paymentMethods'], latest_attempt: ['setupAttempts'] },
  setup_attempt: { customer: ['customers'], payment_method: ['paymentMethods'], setup_intent: ['setupIntents'] },
  payment_intent: {
    customer: ['customers'],
    payment_method: ['paymentMethods'],
    latest_charge: ['charges'],
    review: ['reviews'],
  },
  charge: {
    customer: ['customers'],
    payment_intent: ['paymentIntents'],
    balance_transaction: ['balanceTransactions'],
    review: ['reviews'],
    failure_balance_transaction: ['balanceTransactions'],
  },
  refund: {
    customer: ['customers'],
    charge: ['charges'],
    payment_intent: ['paymentIntents'],
    payment_method: ['paymentMethods'],
    balance_transaction: ['balanceTransactions'],
    failure_balance_transaction: ['balanceTransactions'],
  },
  dispute: { charge: ['charges'], payment_intent: ['paymentIntents'] },
  balance_transaction: { source: ['charges', 'refunds', 'disputes', 'payouts'] },
  payout: { balance_transaction: ['balanceTransactions'], failure_balance_transaction: ['balanceTransactions'] },
  'radar.early_fraud_warning': { charge: ['charges'], payment_intent: ['paymentIntents'] },
  review: { charge: ['charges'], payment_intent: ['paymentIntents'] },
};

type Plain = Record<string, unknown>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A copy of the answer with the named links expanded; refuses what cannot be. */
export function expanded(state: State, answer: object, paths: readonly string[]): object {
  return paths.reduce((result: object, path) => {
    const steps = path.split('.');
    if (steps.filter((step) => step !== 'data').length > MAX_DEPTH) {
      throw invalidRequest(`You cannot expand more than ${MAX_DEPTH} levels of a property. Property: ${path}`, {
        param: 'expand',
      });
    }
    return expandedAt(state, result, steps, path);
  }, answer);
}

function expandedAt(state: State, at: object, steps: readonly string[], path: string): object {
  const [step, ...rest] = steps;
  if (step === undefined || !isPlain(at)) return at;
  if (at['object'] === 'list' && step === 'data' && Array.isArray(at['data'])) {
    return { ...at, data: at['data'].map((row: unknown) => (isPlain(row) ? expandedAt(state, row, rest, path) : row)) };
  }
  const kinds = LINKS[String(at['object'])]?.[step];
  const value = at[step];
  if (!kinds) throw invalidRequest(`This property cannot be expanded (${path}).`, { param: 'expand' });
  const target = typeof value === 'string' ? found(state, kinds, value) : value;
  return isPlain(target) ? { ...at, [step]: expandedAt(state, target, rest, path) } : at;
}

function found(state: State, kinds: readonly Kept[], id: string): object | null {
  for (const kind of kinds) {
    const collection: Pick<Collection<{ id: string }>, 'get'> = state[kind];
    const row = collection.get(id);
    if (row) return kind === 'balanceTransactions' ? withStatus(state, row) : row;
  }
  return state.deletedCustomers.get(id) && kinds.includes('customers') ? { id, object: 'customer', deleted: true } : null;
}

/** A balance transaction as it stands by the clock: pending until its funds are available. */
export function withStatus<Row extends object>(state: State, row: Row): Row {
  return 'available_on' in row ? { ...row, status: Number(row.available_on) * 1000 <= state.now ? 'available' : 'pending' } : row;
}
