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

/** A dispute as the provider tells it: how it stands, and which lines of the provider's books it has. */
export interface ToldDispute {
  status: DisputeStatus;
  /** The amount was taken from our balance. */
  isWithdrawn: boolean;
  /** It was given back. */
  isReinstated: boolean;
}

/**
 * The status to keep when the provider tells one: `won` only together with the entry that gives the money back, or the books
 * would hold a won dispute that is still withdrawn; until then the dispute stays as it was. The other way round, money that is
 * back has been won, whatever the status still says.
 */
export function decideDispute(current: DisputeStatus | null, told: ToldDispute): DisputeStatus {
  const isTooEarly = told.status === 'won' && told.isWithdrawn && !told.isReinstated;
  const isRunning = told.status === 'open' || told.status === 'under_review';
  const status = isRunning && told.isReinstated ? 'won' : told.status;
  if (current === null) return isTooEarly ? 'under_review' : status;
  return !isTooEarly && mayMoveDispute(current, status) ? status : current;
}

/** What a fact about a dispute adds to the books. */
export interface DisputeStep {
  status: DisputeStatus;
  /** Post the withdrawal. */
  withdraws: boolean;
  /** Post that the money came back. */
  reinstates: boolean;
  /** Post the withdrawn amount as lost. */
  loses: boolean;
}

/**
 * Decides what a fact adds to what is booked of a dispute, each once. The loss waits for the withdrawal, which the provider may
 * tell later than the verdict; a dispute that is closed with the money taken is as lost as one that says so.
 */
export function decideDisputeStep(booked: ToldDispute | null, told: ToldDispute): DisputeStep {
  const status = decideDispute(booked?.status ?? null, told);
  const withdraws = told.isWithdrawn && !(booked?.isWithdrawn ?? false);
  const reinstates = told.isReinstated && !(booked?.isReinstated ?? false);
  const isGone = (status === 'lost' || status === 'closed') && (told.isWithdrawn || (booked?.isWithdrawn ?? false));
  const isNews = withdraws || booked?.status !== status;
  return { status, withdraws, reinstates, loses: isGone && isNews && !told.isReinstated };
}

/** Why a subscription gives no access though it is paid for. */
export type Hold = 'none' | 'dispute' | 'fraud';

/** What news of one dispute is to the subscription whose charge it contests. */
export interface HoldFacts {
  hold: Hold;
  /** The dispute as it was kept; null when it is met for the first time. */
  before: DisputeStatus | null;
  status: DisputeStatus;
  /** Some dispute of the charge runs, this one or another. */
  isAnyRunning: boolean;
}

/**
 * Decides the hold, and whether the renewal now needs the customer's yes, which it does once a dispute is over that was not lost. One that
 * is first met when it has been won leaves what it would have left had each of its steps been told.
 */
export function decideHold({ hold, before, status, isAnyRunning }: HoldFacts): { hold: Hold; needsConsent: boolean } {
  const wasRunning = before === 'open' || before === 'under_review';
  const needsConsent = status === 'won' || (status === 'closed' && wasRunning);
  if (isAnyRunning) return { hold: hold === 'none' ? 'dispute' : hold, needsConsent };
  return { hold: hold === 'dispute' ? 'none' : hold, needsConsent };
}
