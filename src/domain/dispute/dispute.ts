/** Disputes: begun and decided by the cardholder's bank, known to us only from the provider. */

/** `inquiry`: a question before a dispute, no money moved. `closed`: ended without a verdict. */
export type DisputeStatus = 'inquiry' | 'open' | 'under_review' | 'won' | 'lost' | 'closed';

/**
 * Allowed moves of a dispute, which may be met for the first time in any status. Money moves by the provider's book entries,
 * never by the status.
 */
export const DISPUTE_MOVES = {
  inquiry: ['open', 'under_review', 'won', 'lost', 'closed'],
  open: ['under_review', 'won', 'lost', 'closed'],
  under_review: ['open', 'won', 'lost', 'closed'],
  won: [],
  lost: [],
  closed: [],
} as const satisfies Record<DisputeStatus, readonly DisputeStatus[]>;

/** Whether a dispute may go from one status to another. */
export function mayMoveDispute(from: DisputeStatus, to: DisputeStatus): boolean {
  const targets: readonly DisputeStatus[] = DISPUTE_MOVES[from];
  return targets.includes(to);
}

/**
 * The status to keep when the provider tells one: `won` only together with the entry that gives the money back, or the books
 * would hold a won dispute that is still withdrawn; until then the dispute stays as it was.
 */
export function decideDispute(
  current: DisputeStatus | null,
  told: { status: DisputeStatus; isWithdrawn: boolean; isReinstated: boolean },
): DisputeStatus {
  const isTooEarly = told.status === 'won' && told.isWithdrawn && !told.isReinstated;
  if (current === null) return isTooEarly ? 'under_review' : told.status;
  return !isTooEarly && mayMoveDispute(current, told.status) ? told.status : current;
}
