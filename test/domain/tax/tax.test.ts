import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rateAt, taxOf, type TaxRate } from '../../../src/domain/tax/tax.js';

test('tax is added to an exclusive price and is part of an inclusive one (T3)', () => {
  expect(taxOf(1_000n, 190_000, 'exclusive', 'EUR')).toEqual({ netMinor: 1_000n, taxMinor: 190n, totalMinor: 1_190n });
  expect(taxOf(1_190n, 190_000, 'inclusive', 'EUR')).toEqual({ netMinor: 1_000n, taxMinor: 190n, totalMinor: 1_190n });
  expect(taxOf(1_000n, 0, 'exclusive', 'EUR')).toEqual({ netMinor: 1_000n, taxMinor: 0n, totalMinor: 1_000n });
});

test('tax is rounded half up, and to what the currency can move (T3, M4)', () => {
  expect(taxOf(25n, 100_000, 'exclusive', 'USD').taxMinor).toBe(3n);
  expect(taxOf(24n, 100_000, 'exclusive', 'USD').taxMinor).toBe(2n);
  expect(taxOf(99_900n, 270_000, 'exclusive', 'HUF').taxMinor).toBe(27_000n);
  expect(taxOf(4_980n, 50_000, 'exclusive', 'KWD').taxMinor).toBe(250n);
});

test('net and tax are never negative and sum to the total (T3)', () => {
  fc.assert(
    fc.property(
      fc.bigInt(0n, 99_999_999n),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.constantFrom('inclusive' as const, 'exclusive' as const),
      (amount, ratePpm, behavior) => {
        const { netMinor, taxMinor, totalMinor } = taxOf(amount, ratePpm, behavior, 'EUR');
        const isWhole = behavior === 'inclusive' ? totalMinor === amount : netMinor === amount;
        return isWhole && netMinor >= 0n && taxMinor >= 0n && netMinor + taxMinor === totalMinor;
      },
    ),
  );
});

const rate = (more: Partial<TaxRate>): TaxRate => ({
  country: 'DE',
  region: null,
  taxCode: 'digital',
  validFrom: '2020-01-01',
  ratePpm: 190_000,
  ...more,
});

test('the rate is the latest of the region, else of the country, else nothing (T3, T4)', () => {
  const rates = [
    rate({}),
    rate({ validFrom: '2026-07-01', ratePpm: 160_000 }),
    rate({ region: 'X', validFrom: '2026-03-01', ratePpm: 70_000 }),
  ];
  const at = (day: string, region: string | null = null, country = 'DE') =>
    rateAt(rates, { country, region, taxCode: 'digital' }, new Date(`${day}T23:59:59Z`));
  expect(at('2026-06-30')).toBe(190_000);
  expect(at('2026-07-01')).toBe(160_000);
  expect(at('2026-07-01', 'X')).toBe(70_000);
  expect(at('2026-02-28', 'X')).toBe(190_000);
  expect(at('2019-12-31')).toBe(0);
  expect(at('2026-07-01', null, 'FR')).toBe(0);
});
