import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseValue } from 'graphql';
import { CountryCode, CurrencyCode, DateOnly, DateTime, SafeInt } from '../../src/resolvers/types/scalars.js';

test.each([
  ['2026-03-01T09:30:00Z', '2026-03-01T09:30:00.000Z'],
  ['2026-03-01T09:30:00.5+02:00', '2026-03-01T07:30:00.500Z'],
  ['2026-03-01t09:30:00.123456z', '2026-03-01T09:30:00.123Z'],
  ['2024-02-29T23:59:59-01:00', '2024-03-01T00:59:59.000Z'],
])('the instant %s is %s', (text, utc) => {
  expect(DateTime.serialize(DateTime.parseValue(text))).toBe(utc);
});

test.each([
  '2026-03-01T09:30:00',
  '2026-03-01',
  '2026-02-30T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-03-01T24:00:00Z',
  '2026-03-01 09:30:00Z',
  '',
  5,
  null,
  new Date(),
])('the instant %j is refused', (value) => {
  expect(() => DateTime.parseValue(value)).toThrow(/DateTime cannot represent/);
});

test('every instant that goes out can come in again', () => {
  const instants = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
  fc.assert(fc.property(instants, (at) => expect(DateTime.parseValue(DateTime.serialize(at))).toEqual(at)));
  expect(() => DateTime.serialize(new Date(Number.NaN))).toThrow();
});

test('a day exists in the calendar', () => {
  expect(DateOnly.parseValue('2024-02-29')).toBe('2024-02-29');
  for (const wrong of ['2026-02-29', '2026-2-1', '20260201', '']) expect(() => DateOnly.parseValue(wrong)).toThrow();
});

test('currencies and countries are those of ISO, in upper case', () => {
  expect(['USD', 'JPY', 'KWD'].map((code) => CurrencyCode.parseValue(code))).toEqual(['USD', 'JPY', 'KWD']);
  for (const wrong of ['usd', 'US', 'XYZ', 'BTC', '', 840]) expect(() => CurrencyCode.parseValue(wrong)).toThrow();
  expect(['DE', 'US'].map((code) => CountryCode.parseValue(code))).toEqual(['DE', 'US']);
  for (const wrong of ['de', 'DEU', 'ZZ', 'UK', '']) expect(() => CountryCode.parseValue(wrong)).toThrow();
});

test('every safe integer goes through, as a variable, as a literal and out of a row', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (n) => {
      expect(SafeInt.parseValue(n)).toBe(n);
      expect(SafeInt.parseLiteral(parseValue(String(n)))).toBe(n);
      expect(SafeInt.serialize(BigInt(n))).toBe(n);
    }),
  );
});

test.each(['9007199254740992', '-9007199254740992', '9007199254740993', '1.0', '1e3', '"1"', 'true', 'null'])(
  'the literal %s is no SafeInt',
  (text) => {
    expect(() => SafeInt.parseLiteral(parseValue(text))).toThrow(/SafeInt cannot represent/);
  },
);

test.each([2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', true, 1n, null])('the variable %p is no SafeInt', (value) => {
  expect(() => SafeInt.parseValue(value)).toThrow(/SafeInt cannot represent/);
});

test('a bigint that JSON numbers cannot hold is refused rather than rounded', () => {
  expect(() => SafeInt.serialize(2n ** 53n)).toThrow(/SafeInt cannot represent/);
});
