import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideDuplicates } from '../../../src/domain/payment/duplicate.js';

const at = (id: string, second: number) => ({ providerChargeId: id, succeededAt: new Date(second * 1_000) });

test('of two payments of one invoice the first is kept, and the other given back (X3)', () => {
  expect(decideDuplicates([at('b', 2), at('a', 1)], null)).toEqual({ keptId: 'a', refundedIds: ['b'] });
  expect(decideDuplicates([at('a', 1)], null)).toEqual({ keptId: 'a', refundedIds: [] });
  expect(decideDuplicates([], null)).toEqual({ keptId: null, refundedIds: [] });
});

test('what the invoice was paid by stays, though an earlier payment is found later (X3)', () => {
  expect(decideDuplicates([at('a', 1), at('b', 2)], 'b')).toEqual({ keptId: 'b', refundedIds: ['a'] });
});

test('in whatever order and however often they are found, one is kept and each other goes back once (X3)', () => {
  const charges = fc.array(
    fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constant(1)).map(([id]) => at(id, id.codePointAt(0) ?? 0)),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(charges, (found) => {
      const decided = decideDuplicates(found, null);
      const again = decideDuplicates(found.toReversed(), decided.keptId);
      const ids = new Set(found.map(({ providerChargeId }) => providerChargeId));
      return JSON.stringify(again) === JSON.stringify(decided) && decided.refundedIds.length === ids.size - 1;
    }),
  );
});
