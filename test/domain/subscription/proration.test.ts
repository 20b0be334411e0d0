import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { totalOf, unusedOf, type PastLine } from '../../../src/domain/invoice/line.js';
import { CURRENCIES, stepOf } from '../../../src/domain/money/currency.js';
import {
  addedQuota,
  coveringLine,
  periodLine,
  restLine,
  settleChange,
  type BilledPrice,
} from '../../../src/domain/subscription/proration.js';
import { taxOf } from '../../../src/domain/tax/tax.js';
import { aLine, aPaidLine, aPrice } from '../../builders/lifecycle-facts.js';

const period = { start: new Date('2025-01-31T09:00:00Z'), end: new Date('2025-02-28T09:00:00Z') };
const at = (text: string) => new Date(text);
const costing = (amountMinor: bigint): BilledPrice => aPrice({ amountMinor });

/** The lines after a change is paid: what was given back of the old one, and the new one. */
function changed(
  lines: readonly PastLine[],
  price: BilledPrice,
  when: Date,
  ratePpm = 0,
): { lines: PastLine[]; dueMinor: bigint } {
  const old = coveringLine(lines, when);
  const newLine = restLine(price, when, period, null, ratePpm);
  const { credit } = settleChange(old, newLine, when, price.currency);
  const given = lines.map((line) =>
    line === old
      ? {
          ...line,
          creditedNetMinor: line.creditedNetMinor + credit.netMinor,
          creditedTaxMinor: line.creditedTaxMinor + credit.taxMinor,
        }
      : line,
  );
  return { lines: [...given, aPaidLine(newLine)], dueMinor: totalOf(newLine) - credit.netMinor - credit.taxMinor };
}

function isBetween(amount: bigint, most: bigint): boolean {
  return amount >= 0n && amount <= most;
}

test('half way through the period an upgrade gives back half of the old price and charges half of the new (P4)', () => {
  expect(unusedOf(aLine(), at('2025-02-14T09:00:00Z'), 'USD').netMinor).toBe(500n);
  expect(restLine(costing(25_00n), at('2025-02-14T09:00:00Z'), period, null, 0).netMinor).toBe(1_250n);
  expect(changed([aLine()], costing(25_00n), at('2025-02-14T09:00:00Z')).dueMinor).toBe(750n);
});

test("a second upgrade gives back of the line of the first, over that line's own length (P2, P4)", () => {
  const first = changed([aLine({ netMinor: 800n })], costing(16_00n), at('2025-02-10T15:30:07Z'));
  expect(first.lines[0]?.creditedNetMinor).toBe(507n);
  expect(first.lines[1]?.netMinor).toBe(1_013n);
  expect(first.dueMinor).toBe(506n);
  const second = changed(first.lines, costing(84_00n), at('2025-02-20T00:00:00Z'));
  expect(second.lines[1]?.creditedNetMinor).toBe(479n);
  expect(second.lines[2]?.netMinor).toBe(2_513n);
  expect(second.dueMinor).toBe(2_034n);
});

test('a change at the start of a period counts all of it, and one at the end nothing (P4)', () => {
  expect(changed([aLine()], costing(25_00n), period.start).dueMinor).toBe(1_500n);
  expect(unusedOf(aLine(), period.end, 'USD')).toEqual({ netMinor: 0n, taxMinor: 0n });
  expect(restLine(costing(25_00n), period.end, period, null, 0).netMinor).toBe(0n);
});

test('an unpaid line gives nothing back: its invoice is reduced instead (P3)', () => {
  expect(unusedOf(aLine({ isPaid: false }), period.start, 'USD')).toEqual({ netMinor: 0n, taxMinor: 0n });
});

test('what was refunded or disputed of a line is not given back again (P3)', () => {
  const refunded = aLine({ creditedNetMinor: 800n });
  expect(unusedOf(refunded, at('2025-02-14T09:00:00Z'), 'USD').netMinor).toBe(200n);
});

test('the credit of a discounted period is of what was paid, not of the list price (P2)', () => {
  const halved = aPaidLine({ ...aLine(), netMinor: 500n, discountMinor: 500n });
  expect(unusedOf(halved, at('2025-02-14T09:00:00Z'), 'USD').netMinor).toBe(250n);
});

test('the tax in a credit is by the rate of its line, though the rate has changed since (T4)', () => {
  const taxed = aLine({ taxMinor: 190n, ratePpm: 190_000 });
  expect(unusedOf(taxed, at('2025-02-14T09:00:00Z'), 'USD')).toEqual({ netMinor: 500n, taxMinor: 95n });
  const inclusive = aLine({ netMinor: 840n, taxMinor: 160n, ratePpm: 190_000, taxBehavior: 'inclusive' });
  expect(unusedOf(inclusive, at('2025-02-14T09:00:00Z'), 'USD')).toEqual({ netMinor: 420n, taxMinor: 80n });
});

test('a credit beyond the new line is a note to the balance, and the invoice stays whole (P5)', () => {
  const cheaper = restLine(costing(400n), at('2025-02-14T09:00:00Z'), period, null, 0);
  const settled = settleChange(aLine(), cheaper, at('2025-02-14T09:00:00Z'), 'USD');
  expect(settled).toEqual({ lines: [cheaper], credit: { netMinor: 500n, taxMinor: 0n }, isCreditNote: true });
});

test('an upgrade adds to a quota the difference for the rest, and down and up again adds nothing (P5)', () => {
  const half = at('2025-02-14T09:00:00Z');
  expect(addedQuota(100n, 300n, half, period)).toBe(100n);
  expect(addedQuota(300n, 100n, half, period)).toBe(0n);
  expect(addedQuota(300n, 300n, half, period)).toBe(0n);
});

const sold = [...CURRENCIES.values()].filter(({ isSold }) => isSold).map(({ code }) => code);
const chains = fc.constantFrom(...sold).chain((currency) =>
  fc.record({
    currency: fc.constant(currency),
    behavior: fc.constantFrom('inclusive' as const, 'exclusive' as const),
    rates: fc.array(fc.constantFrom(0, 55_000, 77_000, 190_000, 200_000, 255_000), { minLength: 6, maxLength: 6 }),
    prices: fc.array(
      fc.bigInt(0n, 100_000n).map((n) => n * stepOf(currency)),
      { minLength: 2, maxLength: 6 },
    ),
    seconds: fc.array(fc.integer({ min: 0, max: 2_419_200 }), { minLength: 5, maxLength: 5 }),
  }),
);

test('whatever is changed how often: nothing is negative, no line gives back more than it has, and all is off the exact cost by roundings only (P4)', () => {
  fc.assert(
    fc.property(chains, ({ currency, behavior, rates, prices, seconds }) => {
      const priced = (amountMinor = 0n): BilledPrice => ({ ...aPrice({ amountMinor, currency }), taxBehavior: behavior });
      const whole = 2_419_200n;
      let lines = [aPaidLine(periodLine(priced(prices[0]), period, null, rates[0] ?? 0))];
      const changes = seconds.slice(0, prices.length - 1).toSorted((a, b) => a - b);
      // The exact cost, times the length of the period: each price for as long as it ran.
      let exact = 0n;
      let from = 0;
      changes.forEach((second, i) => {
        exact += (prices[i] ?? 0n) * BigInt(second - from);
        from = second;
        const when = new Date(period.start.getTime() + second * 1_000);
        lines = changed(lines, priced(prices[i + 1]), when, rates[i + 1]).lines;
      });
      exact += (prices[changes.length] ?? 0n) * (whole - BigInt(from));
      let paid = 0n;
      for (const line of lines) {
        const isWithin = isBetween(line.creditedNetMinor, line.netMinor) && isBetween(line.creditedTaxMinor, line.taxMinor);
        if (!isWithin || totalOf(line) % stepOf(currency) !== 0n) return false;
        const isExclusive = behavior === 'exclusive';
        paid += line.netMinor - line.creditedNetMinor + (isExclusive ? 0n : line.taxMinor - line.creditedTaxMinor);
      }
      const off = paid * whole - exact;
      const allowed = BigInt(changes.length + 1) * stepOf(currency) * whole;
      return isBetween(off < 0n ? -off : off, allowed);
    }),
    { numRuns: 10_000 },
  );
});

test('a change and its way back in the same second cost nothing (P4)', () => {
  const some = fc.tuple(fc.bigInt(0n, 1_000_000n), fc.bigInt(0n, 1_000_000n), fc.integer({ min: 0, max: 2_419_199 }));
  fc.assert(
    fc.property(some, fc.constantFrom(0, 200_000), ([one, other, second], ratePpm) => {
      const when = new Date(period.start.getTime() + second * 1_000);
      const there = changed([aPaidLine(periodLine(costing(one), period, null, ratePpm))], costing(other), when, ratePpm);
      const back = changed(there.lines, costing(one), when, ratePpm);
      return there.dueMinor + back.dueMinor === 0n;
    }),
    { numRuns: 2_000 },
  );
});

test('credits of a line by whatever parts give back its net and its tax exactly, at every step by its rate (M7, T4)', () => {
  const parts = fc.array(fc.integer({ min: 0, max: 2_419_200 }), { minLength: 1, maxLength: 6 });
  const line = fc.tuple(
    fc.bigInt(0n, 100_000n),
    fc.constantFrom(0, 1, 55_000, 190_000, 1_000_000),
    fc.constantFrom('inclusive' as const, 'exclusive' as const),
  );
  fc.assert(
    fc.property(line, parts, ([amountMinor, ratePpm, taxBehavior], instants) => {
      let past = aPaidLine(periodLine({ ...costing(amountMinor), taxBehavior }, period, null, ratePpm));
      for (const second of [...instants, 0]) {
        const { netMinor, taxMinor } = unusedOf(past, new Date(period.start.getTime() + second * 1_000), 'USD');
        if (netMinor < 0n || taxMinor < 0n) return false;
        past = {
          ...past,
          creditedNetMinor: past.creditedNetMinor + netMinor,
          creditedTaxMinor: past.creditedTaxMinor + taxMinor,
        };
        const credited = past.creditedNetMinor + (taxBehavior === 'inclusive' ? past.creditedTaxMinor : 0n);
        if (past.creditedTaxMinor !== taxOf(credited, ratePpm, taxBehavior, 'USD').taxMinor) return false;
      }
      return past.creditedNetMinor === past.netMinor && past.creditedTaxMinor === past.taxMinor;
    }),
    { numRuns: 5_000 },
  );
});

test('a line whose tax was counted by somebody else gives back exactly that tax (T4, T5)', () => {
  const estimated = aLine({ taxMinor: 193n, ratePpm: 190_000 });
  const first = unusedOf(estimated, at('2025-02-14T09:00:00Z'), 'USD');
  expect(first).toEqual({ netMinor: 500n, taxMinor: 95n });
  const rest = { ...estimated, creditedNetMinor: first.netMinor, creditedTaxMinor: first.taxMinor };
  expect(unusedOf(rest, period.start, 'USD')).toEqual({ netMinor: 500n, taxMinor: 98n });
});
