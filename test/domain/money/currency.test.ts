import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CURRENCIES, currencyOf, decimalText, isMultipleOfStep, parseCurrency } from '../../../src/domain/money/currency.js';

const INTL_WRONG = 'AFN ALL COP HUF IDR IRR KPW LAK LBP MGA MMK PKR SOS SYP YER'.split(' ');

test('codes and ISO numbers are unique, and every code is one that ICU knows too', () => {
  const all = [...CURRENCIES.values()];
  expect(new Set(all.map((c) => c.numeric)).size).toBe(all.length);
  // Units of account and the newest codes are not in every ICU's list.
  const known = new Set([...Intl.supportedValuesOf('currency'), ...'CLF UYI UYW SLE VED XCG ZWG'.split(' ')]);
  expect(all.map((c) => c.code).filter((code) => !known.has(code))).toEqual([]);
});

test('digits follow ISO 4217 where Intl says otherwise, and agree with Intl elsewhere', () => {
  for (const code of INTL_WRONG) expect([code, currencyOf(code)?.exponent]).toEqual([code, 2]);
  expect(currencyOf('IQD')?.exponent).toBe(3);
  const exempt = new Set([...INTL_WRONG, 'IQD']);
  for (const { code, exponent } of CURRENCIES.values()) {
    const digits = new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions().maximumFractionDigits;
    if (!exempt.has(code)) expect([code, exponent]).toEqual([code, ['CLF', 'UYW'].includes(code) ? 4 : digits]);
  }
});

test.each<{ currency: string; exponent: number; step: bigint; minimum: bigint | null }>`
  currency | exponent | step    | minimum
  ${'USD'} | ${2}     | ${1n}   | ${50n}
  ${'GBP'} | ${2}     | ${1n}   | ${30n}
  ${'JPY'} | ${0}     | ${1n}   | ${50n}
  ${'ISK'} | ${0}     | ${1n}   | ${null}
  ${'HUF'} | ${2}     | ${100n} | ${17500n}
  ${'KWD'} | ${3}     | ${10n}  | ${null}
`('$currency has $exponent digits and moves in steps of $step', ({ currency, exponent, step, minimum }) => {
  expect(currencyOf(currency)).toMatchObject({ exponent, step, stripeMinimum: minimum, isSold: true });
});

test.each(['IQD', 'LYD', 'CLF', 'UYI', 'UYW'])('%s is known and not sold', (code) => {
  expect(currencyOf(code)?.isSold).toBe(false);
});

test.each<{ minor: bigint; currency: string; text: string }>`
  minor     | currency | text
  ${499n}   | ${'USD'} | ${'4.99'}
  ${5n}     | ${'USD'} | ${'0.05'}
  ${0n}     | ${'USD'} | ${'0.00'}
  ${-5n}    | ${'USD'} | ${'-0.05'}
  ${500n}   | ${'JPY'} | ${'500'}
  ${1250n}  | ${'KWD'} | ${'1.250'}
  ${12345n} | ${'CLF'} | ${'1.2345'}
`('$minor $currency is written $text', ({ minor, currency, text }) => {
  expect(decimalText({ minor, currency })).toBe(text);
});

test('the decimal text reads back as the same amount', () => {
  const codes = fc.constantFrom(...CURRENCIES.keys());
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), codes, (minor, currency) => {
      const text = decimalText({ minor, currency });
      return BigInt(text.replace('.', '')) === minor && (text.split('.')[1]?.length ?? 0) === currencyOf(currency)?.exponent;
    }),
  );
});

test('providers write currencies in lower case, and an unknown one is refused', () => {
  expect(parseCurrency('usd')).toBe('USD');
  expect(parseCurrency('xyz')).toBeNull();
  expect(parseCurrency('')).toBeNull();
});

test('an amount in dinars must end in 0, one in dollars need not', () => {
  expect(isMultipleOfStep({ minor: 1_255n, currency: 'KWD' })).toBe(false);
  expect(isMultipleOfStep({ minor: 1_250n, currency: 'KWD' })).toBe(true);
  expect(isMultipleOfStep({ minor: 1_255n, currency: 'USD' })).toBe(true);
});
