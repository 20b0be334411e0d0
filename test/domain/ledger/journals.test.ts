import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { accountId, CHART, chartRows } from '../../../src/domain/ledger/chart.js';
import * as journals from '../../../src/domain/ledger/journals.js';
import type { Movement } from '../../../src/domain/ledger/journals.js';
import { CURRENCIES } from '../../../src/domain/money/currency.js';

const { ALLOWED_MOVEMENTS } = journals;

function sums(movements: readonly Movement[]): Record<string, bigint> {
  const sum: Record<string, bigint> = {};
  for (const { debit, credit, amountMinor } of movements) {
    sum[debit] = (sum[debit] ?? 0n) + amountMinor;
    sum[credit] = (sum[credit] ?? 0n) - amountMinor;
  }
  return Object.fromEntries(Object.entries(sum).filter(([, value]) => value !== 0n));
}

test('the code and the nightly check of the books allow the same movements', () => {
  const sql = readFileSync('data/invariants.sql', 'utf8');
  const query = sql.slice(sql.indexOf('i01_known_movement'), sql.indexOf('i02_trial_balance'));
  const listed = [...query.matchAll(/\('(\w+)','(\w+)','(\w+)'\)/g)].map(
    ([, event, debit, credit]) => `${event} ${debit} ${credit}`,
  );
  const allowed = Object.entries(ALLOWED_MOVEMENTS).flatMap(([event, pairs]) =>
    pairs.map(([debit, credit]) => `${event} ${debit} ${credit}`),
  );
  expect(allowed.sort()).toEqual(listed.sort());
});

const minor = fc.bigInt({ min: 0n, max: 10n ** 12n });
const positive = fc.bigInt({ min: 1n, max: 10n ** 12n });
const currency = fc.constantFrom('USD', 'JPY', 'KWD');
const kind = fc.constantFrom('period' as const, 'purchase' as const);
const invoice = fc.record({ kind, netMinor: minor, taxMinor: minor, currency });
const refund = fc
  .record({ currency, invoiceNetMinor: positive, invoiceTaxMinor: minor, part: fc.nat(1_000), earned: fc.nat(1_000) })
  .map(({ part, earned, ...rest }) => {
    const total = rest.invoiceNetMinor + rest.invoiceTaxMinor;
    const amountMinor = (total * BigInt(part)) / 1_000n || 1n;
    return { ...rest, amountMinor, unearnedMinor: (rest.invoiceNetMinor * BigInt(earned)) / 1_000n };
  });
const balanceUse = fc.record({ creditAppliedMinor: minor, carriedMinor: minor, debitCollectedMinor: minor });
const anyJournal = fc.oneof(
  invoice.map(journals.invoiceFinalized),
  fc.tuple(positive, currency, fc.boolean()).map((a) => journals.paymentSucceeded(...a)),
  fc.tuple(positive, currency).map((a) => journals.fxSettlement(...a)),
  fc.tuple(fc.bigInt({ min: -100n, max: 100n }), currency).map((a) => journals.providerFee(...a)),
  refund.map(journals.refundRequested),
  refund.map((r) => journals.refundCanceled(journals.refundRequested(r))),
  fc.tuple(positive, currency).map((a) => journals.refundSettled(...a)),
  fc.tuple(positive, currency).map((a) => journals.refundFailed(...a)),
  fc.tuple(positive, minor, currency).map((a) => journals.disputeWithdrawn(...a)),
  fc.tuple(positive, minor, currency).map((a) => journals.disputeReinstated(...a)),
  fc.tuple(positive, minor, currency).map((a) => journals.disputeLost(...a)),
  fc.tuple(invoice, fc.nat(100)).map(([i, part]) => journals.invoiceVoided(i, (i.netMinor * BigInt(part)) / 100n)),
  fc.tuple(positive, currency).map((a) => journals.orphanReceipt(...a)),
  fc.tuple(balanceUse, currency).map((a) => journals.balanceUsed(...a)),
  fc.tuple(balanceUse, currency).map((a) => journals.balanceReleased(...a)),
  fc
    .tuple(fc.record({ netMinor: minor, taxMinor: minor, unearnedMinor: minor }), currency)
    .map((a) => journals.prorationCredit(...a)),
);

test('every journal has positive amounts, legs of its own and only allowed pairs of accounts', () => {
  fc.assert(
    fc.property(anyJournal, (movements) => {
      expect(new Set(movements.map((m) => m.leg)).size).toBe(movements.length);
      for (const { event, leg, debit, credit, amountMinor } of movements) {
        expect(amountMinor > 0n).toBe(true);
        const [from, to] = leg.startsWith('undo:') ? [credit, debit] : [debit, credit];
        expect(ALLOWED_MOVEMENTS[event].some(([d, c]) => d === from && c === to)).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('the parts of a refund sum to it exactly, and none is negative', () => {
  fc.assert(
    fc.property(refund, (r) => {
      const { unearned, earned, tax } = journals.refundParts(r);
      return (
        unearned + earned + tax === r.amountMinor && unearned >= 0n && earned >= 0n && tax >= 0n && unearned <= r.unearnedMinor
      );
    }),
  );
});

test('a month of 10.00 with 1.00 tax, refunded whole on day 10, leaves only the fee and what was earned and given back', () => {
  const sold = { kind: 'period' as const, netMinor: 1_000n, taxMinor: 100n, currency: 'USD' };
  const movements = [
    ...journals.invoiceFinalized(sold),
    ...journals.paymentSucceeded(1_100n, 'USD', false),
    ...journals.providerFee(62n, 'USD'),
    ...journals.refundRequested({
      amountMinor: 1_100n,
      currency: 'USD',
      invoiceNetMinor: 1_000n,
      invoiceTaxMinor: 100n,
      unearnedMinor: 667n,
    }),
    ...journals.refundSettled(1_100n, 'USD'),
  ];
  // The 333 earned day by day are posted by the day's own journal and are not here.
  expect(sums(movements)).toEqual({ provider_clearing: -62n, provider_fees: 62n, deferred_revenue: -333n, refunds: 333n });
});

test('half of 8.00 given back on the first day is taken from what is not yet earned', () => {
  const half = { amountMinor: 400n, currency: 'USD', invoiceNetMinor: 800n, invoiceTaxMinor: 0n, unearnedMinor: 800n };
  expect(journals.refundRequested(half)).toEqual([
    {
      event: 'refund_requested',
      leg: 'unearned',
      debit: 'deferred_revenue',
      credit: 'refunds_payable',
      amountMinor: 400n,
      currency: 'USD',
    },
  ]);
});

test('a purchase is revenue at once, and its refund is taken from it', () => {
  const sold = { kind: 'purchase' as const, netMinor: 500n, taxMinor: 0n, currency: 'USD' };
  expect(sums(journals.invoiceFinalized(sold))).toEqual({ customer_receivable: 500n, revenue: -500n });
  expect(sums(journals.invoiceVoided(sold, 0n))).toEqual({ customer_receivable: -500n, revenue: 500n });
  const back = { amountMinor: 500n, currency: 'USD', invoiceNetMinor: 500n, invoiceTaxMinor: 0n, unearnedMinor: 0n };
  expect(sums(journals.refundRequested(back))).toEqual({ refunds: 500n, refunds_payable: -500n });
});

test('a voided invoice owes nothing, whatever was earned of it', () => {
  fc.assert(
    fc.property(invoice, fc.nat(100), (sold, part) => {
      const unearned = (sold.netMinor * BigInt(part)) / 100n;
      const left = sums([...journals.invoiceFinalized(sold), ...journals.invoiceVoided(sold, unearned)]);
      return (left['customer_receivable'] ?? 0n) === 0n && (left['tax_payable'] ?? 0n) === 0n;
    }),
  );
});

test('a canceled refund leaves the books as if it had never been asked for', () => {
  fc.assert(
    fc.property(refund, (r) => {
      const requested = journals.refundRequested(r);
      return Object.keys(sums([...requested, ...journals.refundCanceled(requested)])).length === 0;
    }),
  );
});

test('an invoice that is voided leaves the balance as it was', () => {
  fc.assert(
    fc.property(balanceUse, (use) => {
      const movements = [...journals.balanceUsed(use, 'USD'), ...journals.balanceReleased(use, 'USD')];
      return Object.keys(sums(movements)).length === 0;
    }),
  );
});

test('what is too small to be collected stands as a debit of the balance until the next invoice (M6)', () => {
  const none = { creditAppliedMinor: 0n, carriedMinor: 0n, debitCollectedMinor: 0n };
  const carried = journals.balanceUsed({ ...none, carriedMinor: 30n }, 'USD');
  expect(sums(carried)).toEqual({ customer_credit: 30n, customer_receivable: -30n });
  expect(sums([...carried, ...journals.balanceUsed({ ...none, debitCollectedMinor: 30n }, 'USD')])).toEqual({});
});

test('a credit by the second may take what counts as earned by the day (P5)', () => {
  // At two in the night of the 15th day of 28: seconds left are more than the days that are not yet earned.
  const credit = { netMinor: 511n, taxMinor: 97n, unearnedMinor: 500n };
  expect(sums(journals.prorationCredit(credit, 'EUR'))).toEqual({
    deferred_revenue: 500n,
    refunds: 11n,
    tax_payable: 97n,
    customer_credit: -608n,
  });
});

test('a refund with credit notes takes the tax that they say', () => {
  const noted = { amountMinor: 333n, currency: 'USD', invoiceNetMinor: 1_000n, invoiceTaxMinor: 190n, unearnedMinor: 1_000n };
  expect(journals.refundParts(noted).tax).toBe(53n);
  expect(journals.refundParts({ ...noted, noteTaxMinor: 54n })).toEqual({ unearned: 279n, earned: 0n, tax: 54n });
});

test('a failed refund ends as the credit of the customer', () => {
  const movements = [...journals.refundSettled(400n, 'USD'), ...journals.refundFailed(400n, 'USD')];
  expect(sums(movements)).toEqual({ refunds_payable: 400n, customer_credit: -400n });
});

test('a won dispute leaves only its fee; a lost one is a loss of what was earned', () => {
  const won = [...journals.disputeWithdrawn(800n, 1_500n, 'USD'), ...journals.disputeReinstated(800n, 0n, 'USD')];
  expect(sums(won)).toEqual({ provider_clearing: -1_500n, dispute_fees: 1_500n });
  const lost = [...journals.disputeWithdrawn(800n, 0n, 'USD'), ...journals.disputeLost(800n, 300n, 'USD')];
  expect(sums(lost)).toEqual({ provider_clearing: -800n, deferred_revenue: 300n, chargeback_loss: 500n });
});

test('a charge settled in another currency waits in fx_clearing in both', () => {
  expect(journals.paymentSucceeded(1_000n, 'EUR', true)[0]).toMatchObject({
    debit: 'fx_clearing',
    currency: 'EUR',
    leg: 'presentment',
  });
  expect(journals.fxSettlement(1_080n, 'USD')[0]).toMatchObject({ credit: 'fx_clearing', currency: 'USD', leg: 'settlement' });
});

test('what cannot be posted is a bug and says so', () => {
  expect(() => journals.refundSettled(-1n, 'USD')).toThrow('a movement has a positive amount');
  expect(() => journals.refundCanceled(journals.refundSettled(1n, 'USD'))).toThrow('only a request is undone');
  const tooMuch = { amountMinor: 801n, currency: 'USD', invoiceNetMinor: 800n, invoiceTaxMinor: 0n, unearnedMinor: 0n };
  expect(() => journals.refundRequested(tooMuch)).toThrow('a refund is part of its invoice');
});

test('every account of every currency and merchant account has an id of its own that says which it is', () => {
  const currencies = [...CURRENCIES.values()];
  const rows = chartRows(currencies, [1, 2]);
  expect(new Set(rows.map((r) => r.id)).size).toBe(rows.length);
  expect(Math.max(...rows.map((r) => r.id))).toBeLessThan(2 ** 31);
  const perProvider = Object.values(CHART).filter((a) => a.isPerProvider).length;
  expect(rows.length).toBe(currencies.length * (Object.keys(CHART).length + perProvider));
  expect(rows.find((r) => r.id === 84_001)).toMatchObject({
    code: 'customer_receivable',
    currency: 'USD',
    providerAccountId: null,
  });
  expect(rows.find((r) => r.id === 184_002)).toMatchObject({ code: 'provider_clearing', currency: 'USD', providerAccountId: 1 });
  for (const row of rows) {
    const numeric = CURRENCIES.get(row.currency)?.numeric ?? 0;
    expect(accountId(row.code, numeric, row.providerAccountId ?? 2)).toBe(row.id);
  }
});
