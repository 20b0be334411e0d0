import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  bucketOf,
  deriveId,
  ID_PREFIXES,
  idTimeMs,
  isUuid,
  makeId,
  parseAnyPublicId,
  parsePublicId,
  publicId,
} from '../../src/domain/ids.js';

const kinds = fc.constantFrom(...ID_PREFIXES);
const buckets = fc.nat(4_095);
const instants = fc.integer({ min: 0, max: Date.UTC(3000, 0, 1) });
const random = fc.uint8Array({ minLength: 8, maxLength: 16 });
const ids = fc
  .tuple(kinds, buckets, instants, random)
  .map(([kind, bucket, at, bytes]) => ({ kind, bucket, at, id: makeId(kind, bucket, at, bytes) }));

test('an id is a UUIDv7 that tells its bucket and its instant', () => {
  fc.assert(
    fc.property(ids, ({ bucket, at, id }) => {
      return isUuid(id) && id[14] === '7' && '89ab'.includes(id[19] ?? '') && bucketOf(id) === bucket && idTimeMs(id) === at;
    }),
  );
});

test('the public text leads back to the id, and only as the kind it is', () => {
  fc.assert(
    fc.property(ids, kinds, ({ kind, id }, other) => {
      const text = publicId(kind, id);
      expect(text).toMatch(/^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
      expect(parseAnyPublicId(text)).toEqual({ kind, id });
      expect(parsePublicId(other, text)).toBe(other === kind ? id : null);
    }),
  );
});

test('ids of one bucket are in the order of their instants, and so are their public texts', () => {
  fc.assert(
    fc.property(buckets, instants, fc.integer({ min: 1, max: 1_000_000 }), random, random, (bucket, at, later, a, b) => {
      const [first, second] = [makeId('txn', bucket, at, a), makeId('txn', bucket, at + later, b)];
      return first < second && publicId('txn', first) < publicId('txn', second);
    }),
  );
});

test('what is derived from a parent lies in the bucket of the parent, and is the same each time', () => {
  fc.assert(
    fc.property(ids, instants, fc.array(fc.nat(15), { minLength: 32, maxLength: 32 }), ({ id, bucket }, at, hash) => {
      const hex = hash.map((n) => n.toString(16)).join('');
      const derived = deriveId('txn', id, hex, at);
      return (
        isUuid(derived) && bucketOf(derived) === bucket && idTimeMs(derived) === at && derived === deriveId('txn', id, hex, at)
      );
    }),
  );
});

test.each([
  ['nothing', ''],
  ['a bare UUID', '01941f29-7c00-7d92-8855-1ddec8235bab'],
  ['an unknown prefix', 'usr_01j00000000000000000000000'],
  ['a letter that is not in the alphabet', 'txn_01j0000000000000000000000u'],
  ['upper case', 'txn_01J00000000000000000000000'],
  ['more than 128 bits', 'txn_81j00000000000000000000000'],
  ['too few characters', 'txn_01j0000000000000000000000'],
  ['something after it', 'txn_01j00000000000000000000000\n'],
])('%s is no public id', (_, text) => {
  expect(parseAnyPublicId(text)).toBeNull();
});
