/** Rights that staff give for a while, apart from any subscription or purchase. */

/** What granting looks at. */
export interface GrantFacts {
  /** null: no such feature. */
  feature: { key: string } | null;
  expiresAt: Date;
  /** Why. */
  note: string;
  now: Date;
}

/** Longest a right is granted for (the contract's). */
export const MAX_GRANT_DAYS = 366;

export type GrantDecision =
  | { kind: 'approved'; featureKey: string; expiresAt: Date }
  | { kind: 'refused'; code: 'NOT_FOUND' | 'INVALID_INPUT'; message: string; field: string[] };

/** Decides a grant. Refuses NOT_FOUND (no such feature) and INVALID_INPUT (no reason given; not ahead, or more than a year). */
export function decideGrant({ feature, expiresAt, note, now }: GrantFacts): GrantDecision {
  if (feature === null) {
    return { kind: 'refused', code: 'NOT_FOUND', message: 'There is no such feature.', field: ['input', 'feature'] };
  }
  if (note.trim() === '') {
    return { kind: 'refused', code: 'INVALID_INPUT', message: 'Say why.', field: ['input', 'note'] };
  }
  const aheadMs = expiresAt.getTime() - now.getTime();
  if (aheadMs <= 0 || aheadMs > MAX_GRANT_DAYS * 86_400_000) {
    const message = 'A right is granted until an instant ahead, at most a year.';
    return { kind: 'refused', code: 'INVALID_INPUT', message, field: ['input', 'expiresAt'] };
  }
  return { kind: 'approved', featureKey: feature.key, expiresAt };
}
