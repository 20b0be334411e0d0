import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeId } from '../../../src/domain/ids.js';
import { giftCode, giftSecretText, parseGiftCode } from '../../../src/domain/subscription/gift-code.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test('a code says which gift and which secret, in whatever case and with whatever spaces around it', () => {
  fc.assert(
    fc.property(bytes(8), bytes(32), fc.integer({ min: 0, max: 4095 }), (random, key, bucket) => {
      const giftId = makeId('gift', bucket, 1_790_000_000_000, random);
      const secret = giftSecretText(key);
      const code = giftCode(giftId, secret);
      expect(parseGiftCode(code)).toEqual({ giftId, secret });
      expect(parseGiftCode(` ${code.toUpperCase()}\n`)).toEqual({ giftId, secret });
    }),
  );
});

test('a secret has 120 bits: each of its fifteen bytes counts', () => {
  const zeros = new Uint8Array(32);
  const texts = Array.from({ length: 15 }, (_, at) => giftSecretText(zeros.map((_zero, i) => (i === at ? 1 : 0))));
  expect(new Set([...texts, giftSecretText(zeros)]).size).toBe(16);
  expect(giftSecretText(zeros)).toBe('0'.repeat(24));
});

test.each([
  '',
  'gift',
  '01jz-abc',
  `${'0'.repeat(26)}-${'0'.repeat(23)}`,
  `${'0'.repeat(26)}-${'u'.repeat(24)}`,
  `8${'0'.repeat(25)}-${'0'.repeat(24)}`,
])('"%s" is no code', (text) => {
  expect(parseGiftCode(text)).toBeNull();
});
