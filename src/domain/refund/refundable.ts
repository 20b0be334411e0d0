import type { AttemptStatus } from '../payment/attempt.js';
import type { DisputeStatus } from '../dispute/dispute.js';
import type { RefundStatus } from './refund.js';

/** A charge with everything that was given back of it. Amounts in minor units of the charge's currency. */
export interface ChargeFacts {
  status: AttemptStatus;
  amountMinor: bigint;
  refunds: readonly { status: RefundStatus; amountMinor: bigint }[];
  disputes: readonly { status: DisputeStatus; amountMinor: bigint; isWithdrawn: boolean }[];
  /** Of what it paid, given to the customer's balance by credit notes (rules P6): what is left of an old tier at a change. */
  notedMinor: bigint;
}

/**
 * What is left to refund, minor units, never negative: captured less refunds that are not canceled, less what went to the balance by
 * notes, less what disputes have withdrawn and not given back (rules F1, P6). 0 for a charge that did not succeed.
 */
export function refundableAmount(charge: ChargeFacts): bigint {
  if (charge.status !== 'succeeded') return 0n;
  const disputed = charge.disputes.filter((d) => d.isWithdrawn && d.status !== 'won').reduce((sum, d) => sum + d.amountMinor, 0n);
  const left = charge.amountMinor - refundedAmount(charge.refunds) - charge.notedMinor - disputed;
  return left > 0n ? left : 0n;
}

/**
 * Sum of the refunds that were given or may still be given: all but the canceled, minor units. One that failed was given too: the customer
 * has its amount as credit (rules F2), and paid out again it would be given twice.
 */
export function refundedAmount(refunds: ChargeFacts['refunds']): bigint {
  return refunds.filter((r) => r.status !== 'canceled').reduce((sum, r) => sum + r.amountMinor, 0n);
}
