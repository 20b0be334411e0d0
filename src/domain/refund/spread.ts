import { invariant } from '../invariant.js';

/** A charge of the period with what of it can still be refunded (`refundableAmount`), minor units. */
export interface SpreadCharge {
  refundableMinor: bigint;
}

/**
 * Spreads a sum that goes back over the charges that paid for it, latest first: after a change the line that is given back was paid by
 * more than one charge, and none gives back more than it took (rules F1). What was paid from the customer's balance goes back to it.
 * @param charges in the order in which they were made
 */
export function spreadRefund(
  amountMinor: bigint,
  charges: readonly SpreadCharge[],
): { perChargeMinor: bigint[]; toBalanceMinor: bigint } {
  invariant(amountMinor >= 0n, 'what goes back is not negative', { amountMinor });
  let left = amountMinor;
  const perChargeMinor = charges
    .toReversed()
    .map(({ refundableMinor }) => {
      const part = left < refundableMinor ? left : refundableMinor;
      left -= part;
      return part;
    })
    .toReversed();
  return { perChargeMinor, toBalanceMinor: left };
}
