import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideCreditNotes } from '../../../src/domain/invoice/credit-note.js';
import { aLine } from '../../builders/lifecycle-facts.js';

const usd = (minor: bigint) => ({ minor, currency: 'USD' });
const taxed = aLine({ taxMinor: 190n, ratePpm: 190_000 });

test('a note for a part of a line has its part of the tax, at the rate of the line (P6, T4)', () => {
  expect(decideCreditNotes({ lines: [taxed], currency: 'USD', asked: usd(595n) })).toEqual({
    kind: 'approved',
    notes: [{ position: 0, netMinor: 500n, taxMinor: 95n }],
  });
});

test('a note that names no amount gives back all that is left (P6)', () => {
  const line = { ...taxed, creditedNetMinor: 400n, creditedTaxMinor: 76n };
  expect(decideCreditNotes({ lines: [line], currency: 'USD', asked: null })).toEqual({
    kind: 'approved',
    notes: [{ position: 0, netMinor: 600n, taxMinor: 114n }],
  });
});

test.each([
  ['more than is left', { asked: usd(1_191n) }, 'REFUND_EXCEEDS_CHARGE'],
  [
    'anything of a line given back already',
    { lines: [aLine({ creditedNetMinor: 10_00n })], asked: null },
    'REFUND_EXCEEDS_CHARGE',
  ],
  ['nothing', { asked: usd(0n) }, 'INVALID_INPUT'],
  ['another currency', { asked: { minor: 1n, currency: 'EUR' } }, 'INVALID_INPUT'],
  ['part of a step', { currency: 'HUF', asked: { minor: 50n, currency: 'HUF' } }, 'INVALID_INPUT'],
  ['a line that was not paid', { lines: [aLine({ isPaid: false })], asked: null }, 'INVALID_STATE'],
])('a note for %s is refused (P3, P6)', (_, more, code) => {
  expect(decideCreditNotes({ lines: [taxed], currency: 'USD', ...more })).toMatchObject({ kind: 'refused', code });
});

test('a sum over several lines is split by what is left of each (M7)', () => {
  const lines = [aLine({ creditedNetMinor: 900n }), aLine(), aLine({ isPaid: false })];
  const decision = decideCreditNotes({ lines, currency: 'USD', asked: usd(101n) });
  expect(decision).toEqual({
    kind: 'approved',
    notes: [
      { position: 0, netMinor: 9n, taxMinor: 0n },
      { position: 1, netMinor: 92n, taxMinor: 0n },
    ],
  });
});

test('notes of whatever amounts give back the net and the tax of every line exactly, and never more (P6, M7)', () => {
  const amounts = fc.array(fc.bigInt(1n, 1_400n), { maxLength: 12 });
  fc.assert(
    fc.property(amounts, fc.constantFrom('inclusive' as const, 'exclusive' as const), (asked, taxBehavior) => {
      const lines = [{ ...taxed, taxBehavior }, aLine({ netMinor: 333n, taxMinor: 67n, ratePpm: 200_000 })];
      for (const amount of [...asked.map(usd), null]) {
        const decision = decideCreditNotes({ lines, currency: 'USD', asked: amount });
        if (decision.kind === 'refused') continue;
        const sum = decision.notes.reduce((all, note) => all + note.netMinor + note.taxMinor, 0n);
        if (amount !== null && sum !== amount.minor) return false;
        for (const { position, netMinor, taxMinor } of decision.notes) {
          const line = lines[position];
          if (line === undefined || netMinor < 0n || taxMinor < 0n) return false;
          line.creditedNetMinor += netMinor;
          line.creditedTaxMinor += taxMinor;
        }
      }
      return lines.every((line) => line.creditedNetMinor === line.netMinor && line.creditedTaxMinor === line.taxMinor);
    }),
  );
});
