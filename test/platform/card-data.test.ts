import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeId, publicId } from '../../src/domain/ids.js';
import { findCardDataIn, findCardNumber, redactCardNumbers } from '../../src/platform/card-data.js';

const PREFIXES: [prefix: string, length: number][] = [
  ['4', 16],
  ['4', 19],
  ['51', 16],
  ['2221', 16],
  ['2720', 16],
  ['34', 15],
  ['37', 15],
  ['6011', 16],
  ['644', 16],
  ['65', 19],
  ['3528', 16],
  ['3589', 19],
  ['300', 14],
  ['36', 14],
  ['39', 16],
  ['62', 17],
  ['62', 18],
  ['50', 16],
  ['67', 18],
];

/** A number with a valid check digit; made here, so that none stands in the repository. */
function cardNumber(prefix: string, length: number, filler: readonly number[]): string {
  const body = (prefix + filler.join('')).slice(0, length - 1);
  const doubled = Array.from(body)
    .reverse()
    .map((char, i) => (i % 2 === 0 ? Number(char) * 2 : Number(char)));
  const sum = doubled.reduce((total, n) => total + (n > 9 ? n - 9 : n), 0);
  return body + ((10 - (sum % 10)) % 10);
}

const cards = fc
  .tuple(fc.constantFrom(...PREFIXES), fc.array(fc.nat(9), { minLength: 18, maxLength: 18 }))
  .map(([[prefix, length], filler]) => cardNumber(prefix, length, filler));

const grouped = (separator: string) => (card: string) => card.replaceAll(/(\d{4})(?=\d)/g, `$1${separator}`);
const shifted = (zero: number) => (card: string) =>
  Array.from(card)
    .map((d) => String.fromCodePoint(zero + Number(d)))
    .join('');
const DISGUISES: Record<string, (card: string) => string> = {
  plain: (card) => card,
  spaced: grouped(' '),
  hyphenated: grouped('-'),
  dotted: grouped('.'),
  'with no-break spaces': grouped('\u00a0'),
  'with en dashes': grouped('\u2013'),
  'with zero-width spaces': grouped('\u200b'),
  quoted: (card) => `"${card}"`,
  'in a sentence': (card) => `my card is ${card}, thanks`,
  'in a query string': (card) => `a=1&card=${card}&b=2`,
  'in a GraphQL document': (card) => `mutation { pay(input: {card: "${card}"}) { id } }`,
  'in full-width digits': shifted(0xff10),
  'in Arabic-Indic digits': shifted(0x0660),
  'in Devanagari digits': shifted(0x0966),
  'URL-encoded': (card) =>
    Array.from(card)
      .map((d) => `%3${d}`)
      .join(''),
  'URL-encoded with plus signs': grouped('+'),
  'with JSON escapes': (card) =>
    Array.from(card)
      .map((d) => `\\u003${d}`)
      .join(''),
  'in base64': (card) => Buffer.from(`card=${card}`).toString('base64'),
  'in base64url': (card) => Buffer.from(`card=${card}`).toString('base64url'),
};

test.each(Object.keys(DISGUISES))('a card number %s is found, wherever it stands', (name) => {
  const disguise = DISGUISES[name] ?? String;
  const surfaces: ((text: string) => unknown)[] = [
    (text) => text,
    (text) => ({ input: { cards: [{ value: text }] } }),
    (text) => ({ variables: { [text]: true } }),
  ];
  fc.assert(
    fc.property(
      cards,
      fc.constantFrom(...surfaces),
      (card, surface) => findCardDataIn(surface(disguise(card)), { exemptKeys: new Set() }) !== null,
    ),
    { numRuns: 2_000 },
  );
});

const now = Date.UTC(2026, 0, 1);
const id = () => publicId('txn', makeId('txn', Math.floor(Math.random() * 4_096), now + Math.random() * 1e10, randomBytes(8)));
const digits = (count: number) => Array.from(randomBytes(count), (b) => b % 10).join('');
const LEGITIMATE: Record<string, () => string> = {
  UUIDs: randomUUID,
  'public ids': id,
  'keys of ours': () => `att:local:${id()}`,
  'hex digests': () => randomBytes(32).toString('hex'),
  'milliseconds since 1970': () => String(Math.floor(now + Math.random() * 1e10)),
  'microseconds since 1970': () => `${Math.floor(now + Math.random() * 1e10)}${digits(3)}`,
  'ISO instants': () => new Date(now + Math.random() * 1e11).toISOString(),
  'phone numbers': () => `+${digits(12)}`,
  'phone numbers without a plus': () => `${1 + Math.floor(Math.random() * 9)}${digits(11)}`,
  'tokens of providers': () => `pm_${randomBytes(12).toString('hex')}`,
};

test.each(Object.keys(LEGITIMATE))('10,000 %s are not taken for card numbers', (name) => {
  const make = LEGITIMATE[name] ?? String;
  const taken: string[] = [];
  for (let i = 0; i < 10_000; i++) {
    const value = make();
    if (findCardDataIn({ input: { value } }, { exemptKeys: new Set() }) !== null) taken.push(value);
  }
  expect(taken).toEqual([]);
});

test('in strict form a number that is part of an id, a decimal or a word is left alone; in loose form it is found', () => {
  fc.assert(
    fc.property(
      cards,
      fc.constantFrom('x', '7', '_', '+', '-', '0.'),
      fc.constantFrom('x', '_', 'é', '-x'),
      (card, head, tail) => {
        const joined = [head + card, card + tail];
        return joined.every((text) => findCardNumber(text, 'loose') && !findCardNumber(text, 'strict'));
      },
    ),
  );
});

test('a UUID whose digits happen to be a card number is still a UUID', () => {
  fc.assert(
    fc.property(cards, (card) => {
      const uuid = `${card.slice(0, 8)}-${card.slice(8, 12)}-${card.slice(12).padEnd(4, '0').slice(0, 4)}-9bd1-85eddb6b2da4`;
      return findCardDataIn({ idempotencyKey: uuid }, { exemptKeys: new Set() }) === null;
    }),
  );
});

test('in free text a number is found next to anything', () => {
  fc.assert(
    fc.property(cards, (card) => {
      const path = findCardDataIn({ input: { note: `card:x${card}x` } }, { exemptKeys: new Set() });
      return path?.join('.') === 'input.note';
    }),
  );
});

test('ids that others give out are not read', () => {
  fc.assert(
    fc.property(cards, (card) => {
      const options = { exemptKeys: new Set(['userId']) };
      return findCardDataIn({ userId: card }, options) === null && findCardDataIn({ other: card }, options) !== null;
    }),
  );
});

test.each(['cvc', 'CVV2', 'cid', 'security_code', 'securityCode', 'card-security-code'])(
  'three or four digits under %s are a security code',
  (key) => {
    const exemptKeys = new Set<string>();
    expect(findCardDataIn({ a: [{ [key]: '123' }] }, { exemptKeys })).toEqual(['a', '0', key]);
    expect(findCardDataIn({ [key]: 1234 }, { exemptKeys })).toEqual([key]);
    expect(findCardDataIn({ [key]: '12345' }, { exemptKeys })).toBeNull();
    expect(findCardDataIn({ count: 123 }, { exemptKeys })).toBeNull();
  },
);

test('a number of JSON is read as its digits', () => {
  const card = Number(cardNumber('4', 16, Array(18).fill(2)));
  expect(findCardDataIn([0, card], { exemptKeys: new Set() })).toEqual(['1']);
});

test('what is nested without end is refused, not followed', () => {
  let value: unknown = 'end';
  for (let i = 0; i < 10_000; i++) value = [value];
  expect(findCardDataIn(value, { exemptKeys: new Set() })).not.toBeNull();
});

test('redaction leaves no card number behind and does not touch a text without one', () => {
  fc.assert(
    fc.property(
      cards,
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.constantFrom(...Object.keys(DISGUISES).slice(0, 11)),
      (card, around, name) => {
        const text = `${around}${DISGUISES[name]?.(card)}${around}`;
        const redacted = redactCardNumbers(text);
        return redacted.includes('[card number]') && !findCardNumber(redacted, 'loose');
      },
    ),
    { numRuns: 2_000 },
  );
  expect(redactCardNumbers('ﬁrst line\u00a0of 12 345 €')).toBe('ﬁrst line\u00a0of 12 345 €');
});
