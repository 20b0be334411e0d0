/**
 * A charge at the provider that nothing of ours explains: it succeeded after its attempt was taken for dead. Its money stands in suspense
 * under a finding until it is given back, by us or by hand.
 */

/** A refund of such a charge that is in the books. */
export interface OrphanRefund {
  /** The provider's id of the refund. */
  objectId: string;
  amountMinor: bigint;
  /** It failed afterwards, and the money is in suspense again. */
  isUndone: boolean;
}

/** What a provider's word about a refund of an orphan does. */
export interface OrphanDecision {
  /** `give`: the money leaves suspense; `undo`: it is back there. */
  posting: 'give' | 'undo' | null;
  /** `resolved`: all of it went back; `open`: a person must see to it; `healing`: some is still to go. */
  status: 'resolved' | 'open' | 'healing';
}

/**
 * Decides what a refund at the provider does to an orphan; told twice, it does nothing the second time.
 * @param grossMinor what the charge took, minor units
 * @param booked refunds that are in the books already
 */
export function decideOrphanRefund(
  grossMinor: bigint,
  booked: readonly OrphanRefund[],
  fact: { objectId: string; amountMinor: bigint; status: 'pending' | 'succeeded' | 'failed' | 'canceled' },
): OrphanDecision {
  const known = booked.find(({ objectId }) => objectId === fact.objectId);
  const isGone = fact.status === 'failed' || fact.status === 'canceled';
  const posting = !known ? (isGone ? null : 'give') : isGone && !known.isUndone ? 'undo' : null;
  const before = booked.reduce((sum, refund) => (refund.isUndone ? sum : sum + refund.amountMinor), 0n);
  const back = posting === 'give' ? before + fact.amountMinor : posting === 'undo' ? before - fact.amountMinor : before;
  if (back >= grossMinor) return { posting, status: 'resolved' };
  return { posting, status: isGone ? 'open' : 'healing' };
}
