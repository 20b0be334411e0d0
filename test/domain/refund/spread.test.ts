import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { spreadRefund } from '../../../src/domain/refund/spread.js';

test('what goes back is taken from the latest charge first, and the rest from those before it (F1)', () => {
  const charges = [{ refundableMinor: 1_000n }, { refundableMinor: 750n }];
  expect(spreadRefund(1_250n, charges)).toEqual({ perChargeMinor: [500n, 750n], toBalanceMinor: 0n });
  expect(spreadRefund(100n, charges)).toEqual({ perChargeMinor: [0n, 100n], toBalanceMinor: 0n });
});

test('what the balance had paid goes back to the balance (F2)', () => {
  expect(spreadRefund(1_250n, [{ refundableMinor: 1_000n }])).toEqual({ perChargeMinor: [1_000n], toBalanceMinor: 250n });
  expect(spreadRefund(300n, [])).toEqual({ perChargeMinor: [], toBalanceMinor: 300n });
});

test('nothing is lost in spreading, and no charge gives back more than it has (F1)', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 5_000n), fc.array(fc.bigInt(0n, 2_000n), { maxLength: 5 }), (amount, left) => {
      const { perChargeMinor, toBalanceMinor } = spreadRefund(
        amount,
        left.map((refundableMinor) => ({ refundableMinor })),
      );
      const sum = perChargeMinor.reduce((all, part) => all + part, toBalanceMinor);
      return sum === amount && perChargeMinor.every((part, i) => part >= 0n && part <= (left[i] ?? 0n));
    }),
  );
});
