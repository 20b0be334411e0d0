import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  composeInvoice,
  documentNumber,
  INVOICE_MOVES,
  mayMoveInvoice,
  parseDocumentNumber,
} from '../../../src/domain/invoice/invoice.js';
import { aLine } from '../../builders/lifecycle-facts.js';

test('an open invoice is paid, voided or given up, and never changes again (P8)', () => {
  expect(mayMoveInvoice('draft', 'open')).toBe(true);
  expect(mayMoveInvoice('open', 'draft')).toBe(false);
  expect(Object.entries(INVOICE_MOVES).filter(([, to]) => to.length === 0)).toHaveLength(3);
});

test('the total is the sum of the lines, and the tax the sum of theirs (M7)', () => {
  const lines = [aLine({ taxMinor: 190n, discountMinor: 250n }), aLine({ netMinor: -500n, taxMinor: -95n })];
  expect(composeInvoice(lines, 'USD', 0n)).toEqual({
    subtotalMinor: 750n,
    discountMinor: 250n,
    netMinor: 500n,
    taxMinor: 95n,
    totalMinor: 595n,
    creditAppliedMinor: 0n,
    debitCollectedMinor: 0n,
    dueMinor: 595n,
    carriedMinor: 0n,
    settlement: 'charge',
    balanceAfterMinor: 0n,
  });
});

test.each<{ total: number; balance: number; due: number; settlement: string; after: number }>`
  total   | balance  | due      | settlement   | after
  ${1000} | ${0}     | ${1_000} | ${'charge'}  | ${0}
  ${1000} | ${300}   | ${700}   | ${'charge'}  | ${0}
  ${1000} | ${1_000} | ${0}     | ${'balance'} | ${0}
  ${1000} | ${1_500} | ${0}     | ${'balance'} | ${500}
  ${1000} | ${951}   | ${0}     | ${'carried'} | ${-49}
  ${1000} | ${950}   | ${50}    | ${'charge'}  | ${0}
  ${1000} | ${-49}   | ${1_049} | ${'charge'}  | ${0}
  ${49}   | ${0}     | ${0}     | ${'carried'} | ${-49}
  ${20}   | ${-20}   | ${0}     | ${'carried'} | ${-40}
  ${30}   | ${-20}   | ${50}    | ${'charge'}  | ${0}
  ${0}    | ${300}   | ${0}     | ${'nothing'} | ${300}
  ${0}    | ${-20}   | ${0}     | ${'nothing'} | ${-20}
`('of $total with a balance of $balance, $due is due by $settlement (P7, M6)', ({ total, balance, due, settlement, after }) => {
  const sums = composeInvoice([aLine({ netMinor: BigInt(total) })], 'USD', BigInt(balance));
  expect(sums).toMatchObject({ dueMinor: BigInt(due), settlement, balanceAfterMinor: BigInt(after) });
});

test('nothing is made or lost between invoice, balance and payment, and no payment is too small (M6, P7)', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 5_000n), fc.bigInt(-49n, 5_000n), (total, balance) => {
      const sums = composeInvoice([aLine({ netMinor: total })], 'USD', balance);
      const isPaid = sums.balanceAfterMinor === balance - total + sums.dueMinor;
      return isPaid && (sums.dueMinor === 0n || sums.dueMinor >= 50n) && sums.balanceAfterMinor > -50n;
    }),
  );
});

test('an invoice below zero is a bug: what is given back beyond it is a credit note (P5)', () => {
  expect(() => composeInvoice([aLine({ netMinor: -1n })], 'USD', 0n)).toThrow('an invoice is not negative');
});

test('documents are numbered without a gap, each number in one way only (P8)', () => {
  expect(documentNumber('invoice', 42n)).toBe('INV-00000042');
  expect(documentNumber('credit_note', 123_456_789n)).toBe('CRN-123456789');
  expect(() => documentNumber('invoice', 0n)).toThrow('counted from 1');
  for (const text of ['INV-42', 'INV-00000000', 'INV-000000042', 'CRN-00000042', 'inv-00000042', '00000042']) {
    expect(parseDocumentNumber('invoice', text)).toBeNull();
  }
  fc.assert(fc.property(fc.bigInt(1n, 10n ** 12n), (n) => parseDocumentNumber('invoice', documentNumber('invoice', n)) === n));
});
