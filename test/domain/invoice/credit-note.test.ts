import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideCreditNote } from '../../../src/domain/invoice/credit-note.js';
import { aLine } from '../../builders/lifecycle-facts.js';

const usd = (minor: bigint) => ({ minor, currency: 'USD' });
const taxed = aLine({ taxMinor: 190n, ratePpm: 190_000 });

test('a note for a part of a line has its part of the tax, at the rate of the line (P6, T4)', () => {
  expect(decideCreditNote({ line: taxed, currency: 'USD', asked: usd(595n) })).toEqual({
    kind: 'approved',
    netMinor: 500n,
    taxMinor: 95n,
  });
});

test('a note that names no amount gives back all that is left (P6)', () => {
  const line = { ...taxed, creditedNetMinor: 400n, creditedTaxMinor: 76n };
  expect(decideCreditNote({ line, currency: 'USD', asked: null })).toEqual({ kind: 'approved', netMinor: 600n, taxMinor: 114n });
});

test.each([
  ['more than is left', { asked: usd(1_191n) }, 'REFUND_EXCEEDS_CHARGE'],
  ['anything of a line given back already', { line: aLine({ creditedNetMinor: 10_00n }), asked: null }, 'REFUND_EXCEEDS_CHARGE'],
  ['nothing', { asked: usd(0n) }, 'INVALID_INPUT'],
  ['another currency', { asked: { minor: 1n, currency: 'EUR' } }, 'INVALID_INPUT'],
  ['part of a step', { currency: 'HUF', asked: { minor: 50n, currency: 'HUF' } }, 'INVALID_INPUT'],
  ['a line that was not paid', { line: aLine({ isPaid: false }), asked: null }, 'INVALID_STATE'],
])('a note for %s is refused (P3, P6)', (_, more, code) => {
  expect(decideCreditNote({ line: taxed, currency: 'USD', asked: null, ...more })).toMatchObject({ kind: 'refused', code });
});

test('notes of whatever amounts give back the net and the tax of a line exactly, and never more (P6, M7)', () => {
  const amounts = fc.array(fc.bigInt(1n, 700n), { maxLength: 12 });
  fc.assert(
    fc.property(amounts, fc.constantFrom('inclusive' as const, 'exclusive' as const), (asked, taxBehavior) => {
      let line = { ...taxed, taxBehavior };
      for (const amount of [...asked.map(usd), null]) {
        const note = decideCreditNote({ line, currency: 'USD', asked: amount });
        if (note.kind === 'refused') continue;
        if (amount !== null && note.netMinor + note.taxMinor !== amount.minor) return false;
        if (note.netMinor < 0n || note.taxMinor < 0n) return false;
        line = {
          ...line,
          creditedNetMinor: line.creditedNetMinor + note.netMinor,
          creditedTaxMinor: line.creditedTaxMinor + note.taxMinor,
        };
      }
      return line.creditedNetMinor === line.netMinor && line.creditedTaxMinor === line.taxMinor;
    }),
  );
});
