/** Free trials: who may have one, when it ends, and what happens then (rules V3, C2). */
import type { MethodFacts } from '../catalogue/price.js';

/** What tells a person apart; null where it is not known. Hashes and fingerprints, never an address or a number. */
export interface PersonFacts {
  userId: string;
  /** Hash of `normalizedEmail`. */
  emailHash: string | null;
  cardFingerprint: string | null;
  paypalPayerId: string | null;
  bankFingerprint: string | null;
}

/** The marks by which a person is known again: a trial is had once by each of them in a group of tiers, for ever (rules V3). */
export function identitiesOf(person: PersonFacts): string[] {
  const marks: [string, string | null][] = [
    ['user', person.userId],
    ['mail', person.emailHash],
    ['card', person.cardFingerprint],
    ['paypal', person.paypalPayerId],
    ['bank', person.bankFingerprint],
  ];
  return marks.flatMap(([kind, mark]) => (mark === null ? [] : [`${kind}:${mark}`]));
}

/** An address as its mailbox is known: lower case, without the tag after a plus, and without the dots that Gmail ignores. */
export function normalizedEmail(address: string): string {
  const [local = '', domain = ''] = address.trim().toLowerCase().split('@');
  const [name = ''] = local.split('+');
  const isGmail = domain === 'gmail.com' || domain === 'googlemail.com';
  return isGmail ? `${name.replaceAll('.', '')}@gmail.com` : `${name}@${domain}`;
}

/** What a trial without a method does at its end: the policy of every price (rules V3). */
export const TRIAL_WITHOUT_METHOD: 'end' | 'pause' = 'end';

/** What granting a trial looks at. */
export interface TrialFacts {
  /** Of the price; 0: it has none. */
  trialDays: number;
  person: PersonFacts;
  /** Those of the person's identities that have had a trial in the group. */
  usedIdentities: readonly string[];
  /** The method to be charged at the end; null: none. */
  method: MethodFacts | null;
  /** What a trial without a method does at its end. */
  withoutMethod: 'end' | 'pause';
}

export type TrialDecision =
  | { kind: 'approved'; identities: string[]; atEnd: 'charge' | 'end' | 'pause' }
  | {
      kind: 'refused';
      code: 'INVALID_INPUT' | 'TRIAL_ALREADY_USED' | 'PAYMENT_METHOD_UNUSABLE';
      message: string;
      field: string[];
    };

/**
 * Whether a person may have a trial (rules V3). Refuses INVALID_INPUT (the price has none), TRIAL_ALREADY_USED, and
 * PAYMENT_METHOD_UNUSABLE for a card that cannot be known again, as it would give trials without end.
 */
export function decideTrial(facts: TrialFacts): TrialDecision {
  const field = ['input', 'useTrial'];
  if (facts.trialDays <= 0) return { kind: 'refused', code: 'INVALID_INPUT', message: 'This price has no trial.', field };
  if (facts.method?.kind === 'card' && facts.person.cardFingerprint === null) {
    const message = 'A trial needs a card that can be told apart.';
    return { kind: 'refused', code: 'PAYMENT_METHOD_UNUSABLE', message, field: ['input', 'paymentMethodId'] };
  }
  const identities = identitiesOf(facts.person);
  if (identities.some((identity) => facts.usedIdentities.includes(identity))) {
    return { kind: 'refused', code: 'TRIAL_ALREADY_USED', message: 'This trial was had before.', field };
  }
  return { kind: 'approved', identities, atEnd: facts.method === null ? facts.withoutMethod : 'charge' };
}

/** What the end of a trial looks at. */
export interface TrialEndFacts {
  trialEndsAt: Date;
  cancelAtPeriodEnd: boolean;
  hasMethod: boolean;
  withoutMethod: 'end' | 'pause';
  /** A notice of this end is proven sent (rules C2). */
  isNoticeSent: boolean;
}

/** A trial of whose end nobody was told goes on this long, so that there is time to tell (rules C2). */
export const UNTOLD_TRIAL_DAYS = 8;

/**
 * - `convert`: the first paid period begins at the end of the trial, with a new anchor (rules B5).
 * - `postpone`: nobody was told of the end: the trial goes on, and a person is alerted.
 */
export type TrialEndDecision =
  | { kind: 'not_due' }
  | { kind: 'convert'; anchorAt: Date }
  | { kind: 'postpone'; trialEndsAt: Date }
  | { kind: 'pause'; pausedAt: Date }
  | { kind: 'end'; endedAt: Date; endReason: 'customer' | 'trial_over' };

/** What happens at the end of a trial (rules S4, V3, C2). A cancellation wins over all else. */
export function decideTrialEnd(facts: TrialEndFacts, now: Date): TrialEndDecision {
  const { trialEndsAt } = facts;
  if (now < trialEndsAt) return { kind: 'not_due' };
  if (facts.cancelAtPeriodEnd) return { kind: 'end', endedAt: trialEndsAt, endReason: 'customer' };
  if (!facts.hasMethod) {
    if (facts.withoutMethod === 'pause') return { kind: 'pause', pausedAt: trialEndsAt };
    return { kind: 'end', endedAt: trialEndsAt, endReason: 'trial_over' };
  }
  if (!facts.isNoticeSent) {
    // From now, not from the end that has passed: else after an outage the new end would be over before anybody is told.
    return { kind: 'postpone', trialEndsAt: new Date(now.getTime() + UNTOLD_TRIAL_DAYS * 86_400_000) };
  }
  return { kind: 'convert', anchorAt: trialEndsAt };
}
