/** A payment at the provider that succeeded for an invoice. */
export interface SucceededCharge {
  /** The provider's id of it, unique. */
  providerChargeId: string;
  succeededAt: Date;
}

/**
 * Which of the payments that succeeded for one invoice is kept, and which are given back in full (rules X3). The one that was applied
 * before stays, whatever is found later; else the earliest, ties by id. The same payment found twice (by webhook, look, client or
 * listing) is one. A refund of a duplicate touches neither the kept payment nor what it paid for (rules X4).
 * @param appliedId the payment that the invoice counts as paid by; null: none yet
 */
export function decideDuplicates(
  found: readonly SucceededCharge[],
  appliedId: string | null,
): { keptId: string | null; refundedIds: string[] } {
  const ids = found
    .toSorted((a, b) => a.succeededAt.getTime() - b.succeededAt.getTime() || (a.providerChargeId < b.providerChargeId ? -1 : 1))
    .map(({ providerChargeId }) => providerChargeId);
  const keptId = appliedId ?? ids[0] ?? null;
  return { keptId, refundedIds: [...new Set(ids)].filter((id) => id !== keptId) };
}
