/** When an open operation is looked at again, by what means, and when it may be given up. All times are instants in UTC. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A provider call is given up after this; its outcome is then unknown. */
export const CALL_TIMEOUT_MS = 20 * SECOND;
/**
 * Later than this after the claim was committed (monotonic clock) nothing is sent: the lease may no longer be ours when it
 * arrives.
 */
export const SEND_GUARD_MS = 5 * SECOND;
/**
 * Later than this after the claim nothing is asked of the provider on the strength of it either: whatever it answered would
 * come after the lease.
 */
export const ASK_GUARD_MS = 40 * SECOND;
/** A claim lasts this long: more than twice the call's timeout and a margin, since an SDK may silently send once more. */
export const LEASE_MS = 60 * SECOND;
/** An operation that its creator did not send at once is sent by the worker after this. */
export const SAFETY_NET_MS = 90 * SECOND;
/**
 * An action that the customer has not done by then is canceled at the provider (the figure of Stripe for incomplete
 * payments).
 */
export const CANCEL_AFTER_MS = 23 * HOUR;

/** Probes of an operation whose outcome is not known, after the deadline of its call; hourly after the last. */
const UNKNOWN_PROBES_MS = [SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE] as const;
const UNKNOWN_LAST_MS = 15 * MINUTE;
const UNKNOWN_EVERY_MS = HOUR;
const ACTION_FIRST_MS = 15 * MINUTE;
const ACTION_EVERY_MS = HOUR;
const PROCESSING_EVERY_MS = 6 * HOUR;
const PROCESSING_LATE_EVERY_MS = DAY;
/** Bank debits report within 4 business days at Stripe; after this many we look once a day. */
const PROCESSING_BUSINESS_DAYS = 5;
/** Jitter keeps many operations of one outage from coming back together. */
const JITTER = 0.2;

/** What the next probe depends on. */
export interface ProbeFacts {
  status: 'sent' | 'unknown' | 'requires_action' | 'processing';
  /** Probes made so far. */
  probes: number;
  callDeadlineAt: Date;
  /** When the status was entered. */
  enteredAt: Date;
  now: Date;
  /** Random, in [0, 1): 0 is the earliest, 1 the latest. */
  jitter: number;
}

/** When to look next; never in the past, and never a burst of missed probes after an outage. */
export function nextProbeAt(facts: ProbeFacts): Date {
  const { now, enteredAt, callDeadlineAt } = facts;
  const jittered = (ms: number) => Math.round(ms * (1 - JITTER + 2 * JITTER * facts.jitter));
  switch (facts.status) {
    case 'sent':
    case 'unknown': {
      const planned = callDeadlineAt.getTime() + jittered(unknownOffset(facts.probes));
      const gap = unknownOffset(facts.probes) - (facts.probes === 0 ? 0 : unknownOffset(facts.probes - 1));
      return new Date(planned > now.getTime() ? planned : now.getTime() + jittered(gap));
    }
    case 'requires_action': {
      const first = enteredAt.getTime() + jittered(ACTION_FIRST_MS);
      const next = first > now.getTime() ? first : now.getTime() + jittered(ACTION_EVERY_MS);
      const cancelAt = enteredAt.getTime() + CANCEL_AFTER_MS;
      return new Date(cancelAt > now.getTime() ? Math.min(next, cancelAt) : next);
    }
    case 'processing': {
      const isLate = businessDaysBetween(enteredAt, now) >= PROCESSING_BUSINESS_DAYS;
      return new Date(now.getTime() + jittered(isLate ? PROCESSING_LATE_EVERY_MS : PROCESSING_EVERY_MS));
    }
  }
}

function unknownOffset(probes: number): number {
  return UNKNOWN_PROBES_MS[probes] ?? UNKNOWN_LAST_MS + (probes - UNKNOWN_PROBES_MS.length + 1) * UNKNOWN_EVERY_MS;
}

/** Mondays to Fridays (UTC) begun after `from` and up to `to`; bank holidays are counted as business days. */
function businessDaysBetween(from: Date, to: Date): number {
  let count = 0;
  const last = Math.floor(to.getTime() / DAY);
  // 2 weeks hold 10 business days, more than anyone asks for: the loop is bounded.
  for (let day = Math.floor(from.getTime() / DAY) + 1; day <= last && count < 10; day++) {
    const weekday = (day + 4) % 7; // 1970-01-01 was a Thursday; 0 is Sunday
    if (weekday !== 0 && weekday !== 6) count++;
  }
  return count;
}

/**
 * How to learn the outcome of an operation.
 * - `retrieve`: the provider's object is known; ask for it.
 * - `resend`: the identical request under the same key is replayed or executed once.
 * - `list`: search the provider's complete listing for our reference; nothing is sent.
 */
export type Means = 'retrieve' | 'resend' | 'list';

/** Chooses the means. A key that may be dead is never sent again, nor is one under which the provider stored a 500. */
export function decideMeans(facts: {
  hasObject: boolean;
  isKeyAlive: boolean;
  isWanted: boolean;
  lastWasReplayed500: boolean;
}): Means {
  if (facts.hasObject) return 'retrieve';
  return facts.isKeyAlive && facts.isWanted && !facts.lastWasReplayed500 ? 'resend' : 'list';
}

/** A listing at Stripe is complete at once; we wait this long after the call's deadline all the same. */
const ABSENCE_BOUND_MS = 15 * MINUTE;
const LISTINGS_APART_MS = 10 * MINUTE;

/** What must be known before an operation may be called not executed. */
export interface AbsenceFacts {
  now: Date;
  callDeadlineAt: Date;
  /** Instants of complete listings that did not show it. */
  emptyListings: readonly Date[];
  /** A webhook, in whatever state, names it. */
  isInInbox: boolean;
}

/**
 * Whether it is certain that the provider never did it: two complete listings, long after the call's deadline and 10 minutes
 * apart, were without it, and no webhook named it. That no call can still be running follows from the first: it is younger
 * than the deadline by far more than a call can last.
 */
export function mayConcludeAbsence(facts: AbsenceFacts): boolean {
  if (facts.isInInbox) return false;
  const [now, deadline] = [facts.now.getTime(), facts.callDeadlineAt.getTime()];
  const counted = facts.emptyListings.map((at) => at.getTime()).filter((at) => at >= deadline + ABSENCE_BOUND_MS && at <= now);
  return Math.max(...counted) - Math.min(...counted) >= LISTINGS_APART_MS;
}

/** An operation that was called absent is looked for again so long after its first empty listing. */
const WATCH_AFTER_MS = [DAY, 2 * DAY, 3 * DAY] as const;

/**
 * When to look again for an operation that was concluded never to have happened; null when it was watched long enough. Skips
 * looks that an outage missed.
 * @param absentSince the first complete listing without it; null when its end was not concluded from listings
 */
export function nextWatchAt(absentSince: Date | null, now: Date): Date | null {
  if (absentSince === null) return null;
  const next = WATCH_AFTER_MS.map((ms) => absentSince.getTime() + ms).find((at) => at > now.getTime());
  return next === undefined ? null : new Date(next);
}

/** What follows from a complete listing that did not show an operation. */
export type AfterEmptyListing = { kind: 'absent' } | { kind: 'look_again'; absentSince: Date | null; at: Date };

/** Listings are planned this much later than they would count, against clocks that differ. */
const PLANNING_MARGIN_MS = 5 * SECOND;

/**
 * Decides after a complete listing, begun at `listedAt` under a lease of ours, that did not show an operation: it is absent, or when to look
 * again.
 * @param facts.absentSince the first such listing that counted; null when none did yet
 * @param facts.isInInbox a webhook, in whatever state, names the operation
 */
export function afterEmptyListing(facts: {
  listedAt: Date;
  callDeadlineAt: Date;
  absentSince: Date | null;
  isInInbox: boolean;
}): AfterEmptyListing {
  const { listedAt: now, callDeadlineAt, isInInbox } = facts;
  const countsFrom = callDeadlineAt.getTime() + ABSENCE_BOUND_MS;
  const absentSince = facts.absentSince ?? (now.getTime() >= countsFrom ? now : null);
  if (absentSince === null) return { kind: 'look_again', absentSince, at: new Date(countsFrom + PLANNING_MARGIN_MS) };
  if (mayConcludeAbsence({ now, callDeadlineAt, emptyListings: [absentSince, now], isInInbox })) return { kind: 'absent' };
  const apart = absentSince.getTime() + LISTINGS_APART_MS;
  // Named by a webhook, it is expected to show: the next listing tells.
  const at = apart > now.getTime() ? apart : now.getTime() + LISTINGS_APART_MS;
  return { kind: 'look_again', absentSince, at: new Date(at + PLANNING_MARGIN_MS) };
}
