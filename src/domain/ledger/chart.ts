/**
 * The chart of accounts: one account for each code and currency, and for some codes also for each of our merchant accounts at
 * a provider, so that each can be compared with what that provider says it holds for us.
 */
import { invariant } from '../invariant.js';

export type AccountClass = 'asset' | 'liability' | 'income' | 'expense';

/** What is fixed about an account code. `number` is part of account ids and never changes or is used again. */
export interface AccountFacts {
  number: number;
  class: AccountClass;
  isPerProvider: boolean;
}

export const CHART = {
  customer_receivable: { number: 1, class: 'asset', isPerProvider: false },
  /** Our whole balance at the provider. */
  provider_clearing: { number: 2, class: 'asset', isPerProvider: true },
  provider_reserve: { number: 3, class: 'asset', isPerProvider: true },
  payout_in_transit: { number: 4, class: 'asset', isPerProvider: true },
  bank: { number: 5, class: 'asset', isPerProvider: false },
  disputes_held: { number: 6, class: 'asset', isPerProvider: true },
  /** Money that nothing of ours explains; may have either sign. */
  suspense: { number: 7, class: 'asset', isPerProvider: true },
  fx_clearing: { number: 8, class: 'asset', isPerProvider: false },
  deferred_revenue: { number: 20, class: 'liability', isPerProvider: false },
  tax_payable: { number: 21, class: 'liability', isPerProvider: false },
  customer_credit: { number: 22, class: 'liability', isPerProvider: false },
  refunds_payable: { number: 23, class: 'liability', isPerProvider: false },
  /** The provider has credited us, the customer's debit is not confirmed. */
  pending_receipts: { number: 24, class: 'liability', isPerProvider: false },
  revenue: { number: 40, class: 'income', isPerProvider: false },
  /** Contra account of revenue: what was given back of it. */
  refunds: { number: 41, class: 'income', isPerProvider: false },
  fx_gain_loss: { number: 42, class: 'income', isPerProvider: false },
  provider_fees: { number: 60, class: 'expense', isPerProvider: true },
  dispute_fees: { number: 61, class: 'expense', isPerProvider: true },
  chargeback_loss: { number: 62, class: 'expense', isPerProvider: false },
  bad_debt: { number: 63, class: 'expense', isPerProvider: false },
} as const satisfies Record<string, AccountFacts>;

export type AccountCode = keyof typeof CHART;

/** A row of the chart. */
export interface ChartRow {
  id: number;
  code: AccountCode;
  class: AccountClass;
  currency: string;
  providerAccountId: number | null;
}

/** Ids are 32-bit integers; this leaves room for every ISO number and account number of as many merchant accounts. */
const MAX_PROVIDER_ACCOUNTS = 20_000;

/**
 * The id of an account: merchant account x 100,000 + ISO 4217 number of the currency x 100 + number of the code. The merchant
 * account is 0 for codes that are not kept per provider. The same in every cell, so nothing has to be looked up to post:
 * 84001 is customer_receivable in USD, 184002 is provider_clearing of merchant account 1 in USD.
 */
export function accountId(code: AccountCode, currencyNumber: number, providerAccountId: number): number {
  const { number, isPerProvider } = CHART[code];
  invariant(currencyNumber > 0 && currencyNumber < 1_000, 'a currency has an ISO number', { currencyNumber });
  invariant(providerAccountId > 0 && providerAccountId <= MAX_PROVIDER_ACCOUNTS, 'a merchant account has a small number', {
    providerAccountId,
  });
  return (isPerProvider ? providerAccountId : 0) * 100_000 + currencyNumber * 100 + number;
}

/** Every account of these currencies and merchant accounts, ordered by id. */
export function chartRows(
  currencies: readonly { code: string; numeric: number }[],
  providerAccountIds: readonly number[],
): ChartRow[] {
  const rows: ChartRow[] = [];
  for (const [code, facts] of accounts()) {
    for (const currency of currencies) {
      for (const providerAccountId of facts.isPerProvider ? providerAccountIds : [null]) {
        const id = accountId(code, currency.numeric, providerAccountId ?? 1);
        rows.push({ id, code, class: facts.class, currency: currency.code, providerAccountId });
      }
    }
  }
  return rows.sort((a, b) => a.id - b.id);
}

function accounts(): [AccountCode, AccountFacts][] {
  return Object.entries(CHART) as [AccountCode, AccountFacts][];
}
