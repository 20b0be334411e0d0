/**
 * What a cancellation brings with it besides the end: open invoices, payments on their way, money back (rules V6 to V8, D8).
 * Whether and when it ends is `decideCancel`'s.
 */
import type { CreditNote } from '../invoice/credit-note.js';
import { creditableOf, unusedOf, type PastLine } from '../invoice/line.js';
import { mayMove, type AttemptStatus } from '../payment/attempt.js';
import { coveringLine } from './proration.js';
import type { CancelDecision, SubscriptionStatus } from './subscription.js';

/** What is asked back when it ends now. The customer's own verb asks for nothing; staff and the law may. */
export type RefundAsked = 'none' | 'prorated' | 'full';

/** What comes with the end of a subscription. */
export interface CancelConsequences {
  /** The invoice that is not paid is voided; its period was never paid for. */
  voidsOpenInvoice: boolean;
  /** Attempts that were not sent are dropped in the same unit of work (rules D8). */
  dropsScheduled: boolean;
  /** A payment on its way that succeeds all the same is given back in full (rules V6, V7). */
  refundsLateSuccess: boolean;
  /** A flag to pause and a change that waits lose their meaning: cancel wins (rules S). */
  clearsPlans: boolean;
  /** Given back of the period's lines; `position` as in the lines given. */
  refunds: CreditNote[];
}

/**
 * What a decided cancellation brings with it (rules V6). Nothing is given back of a period that was never paid (rules P3), nor of one
 * that is over, as in a pause.
 */
export function consequencesOfCancel(
  subscription: { status: SubscriptionStatus; lines: readonly PastLine[]; currency: string },
  decision: Exclude<CancelDecision, { kind: 'refused' }>,
  refundAsked: RefundAsked,
): CancelConsequences {
  const none: CancelConsequences = {
    voidsOpenInvoice: false,
    dropsScheduled: false,
    refundsLateSuccess: false,
    clearsPlans: false,
    refunds: [],
  };
  switch (decision.kind) {
    case 'unchanged':
    case 'give_up':
      return none;
    case 'at_period_end':
      return { ...none, clearsPlans: true };
    case 'now': {
      const { status } = subscription;
      const isRunning = status === 'active' || status === 'trialing';
      return {
        voidsOpenInvoice: status === 'past_due',
        dropsScheduled: true,
        refundsLateSuccess: true,
        clearsPlans: true,
        refunds: refundsOf(subscription.lines, isRunning ? refundAsked : 'none', decision.endedAt, subscription.currency),
      };
    }
  }
}

/** Prorated: the unused part of the line that covers the instant; full: what is left of every line of the period that runs. */
function refundsOf(lines: readonly PastLine[], asked: RefundAsked, at: Date, currency: string): CreditNote[] {
  if (asked === 'none') return [];
  const covering = coveringLine(lines, at);
  return lines
    .map((line, position) => {
      if (asked === 'full' && line.end > at) return { position, ...creditableOf(line) };
      return asked === 'prorated' && line === covering && line.isPaid
        ? { position, ...unusedOf(line, at, currency) }
        : { position, netMinor: 0n, taxMinor: 0n };
    })
    .filter(({ netMinor, taxMinor }) => netMinor + taxMinor > 0n);
}

/** What a cancellation does to the renewal of the next period. */
export type RenewalRace =
  /** The next period is never owed, and nothing was sent: the attempt and the invoice are dropped. */
  | 'drop'
  /** The next period is never owed, but a payment may have moved: its outcome is awaited, and a success is given back in full. */
  | 'await_and_refund'
  /** The next period is owed and stands; what of it is given back is a matter of policy. */
  | 'stands';

/**
 * Who wins when a cancellation and a renewal meet (rules V7): the instant at which the request reached us decides, against the
 * boundary, not the one at which it got its turn. At the boundary itself the new period has begun.
 * @param attempt the renewal's payment; null: none was made
 */
export function decideCancelAgainstRenewal(requestedAt: Date, boundaryAt: Date, attempt: AttemptStatus | null): RenewalRace {
  if (requestedAt >= boundaryAt) return 'stands';
  const hasMoved = attempt === 'succeeded' || (attempt !== null && attempt !== 'created' && mayMove(attempt, 'succeeded'));
  return hasMoved ? 'await_and_refund' : 'drop';
}

/** Countries whose consumers may withdraw: the European Economic Area and the United Kingdom (rules V8). */
export const WITHDRAWAL_COUNTRIES: ReadonlySet<string> = new Set(
  'AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SK SI ES SE GB'.split(' '),
);

/** How long a consumer may withdraw after the first purchase (rules V8; Directive 2011/83/EU, article 9). */
export const WITHDRAWAL_DAYS = 14;

/** What a withdrawal looks at. */
export interface WithdrawalFacts {
  status: SubscriptionStatus;
  /** ISO 3166 code of the consumer's country. */
  country: string;
  firstPurchaseAt: Date;
  /** A benefit was used since. */
  isUsed: boolean;
  lines: readonly PastLine[];
  currency: string;
  now: Date;
}

/** It ends now, and so much of the period's lines goes back; or why it may not be withdrawn from. */
export type WithdrawalDecision =
  | { kind: 'now'; endedAt: Date; refunds: CreditNote[] }
  | { kind: 'refused'; code: 'INVALID_STATE'; message: string; field: string[] };

/**
 * A consumer's withdrawal (rules V8): it ends now, with the unused share back, or all of it if no benefit was ever used. Refuses
 * INVALID_STATE outside the countries and the days, and for what is not running or was not paid.
 */
export function decideWithdrawal(facts: WithdrawalFacts): WithdrawalDecision {
  const { now, lines, currency } = facts;
  const refused = (message: string): WithdrawalDecision => ({
    kind: 'refused',
    code: 'INVALID_STATE',
    message,
    field: ['input', 'subscriptionId'],
  });
  if (facts.status !== 'active' && facts.status !== 'trialing') return refused('The subscription does not run.');
  if (!WITHDRAWAL_COUNTRIES.has(facts.country)) return refused('There is no right to withdraw in this country.');
  const endsAt = facts.firstPurchaseAt.getTime() + WITHDRAWAL_DAYS * 86_400_000;
  if (now.getTime() >= endsAt) return refused(`Withdrawing was possible for ${WITHDRAWAL_DAYS} days after the first purchase.`);
  if (coveringLine(lines, now)?.isPaid === false) return refused('The payment of the period is not finished.');
  return { kind: 'now', endedAt: now, refunds: refundsOf(lines, facts.isUsed ? 'prorated' : 'full', now, currency) };
}
