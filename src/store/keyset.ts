import { bucketOfUser } from './viewer.js';

/** A stretch of a user's list, which is ordered newest (greatest id) first. */
export interface Stretch {
  readonly userId: string;
  /** Only ids less than this; null for no bound. */
  readonly below: string | null;
  /** Only ids greater than this; null for no bound. */
  readonly above: string | null;
  /** Most rows to give. */
  readonly limitCount: number;
}

/** Bounds that no id reaches: ids carry a version digit between them. */
const LOWEST = '00000000-0000-0000-0000-000000000000';
const HIGHEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Smallest id of a millisecond, as the database's id_floor computes it; no real id equals it. */
export function idFloor(at: Date): string {
  const hex = Math.max(0, at.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Parameters $1..$5 of list statements: bucket, user, below, above, limit. */
export function stretchColumns(stretches: readonly Stretch[]): unknown[][] {
  return [
    stretches.map((s) => bucketOfUser(s.userId)),
    stretches.map((s) => s.userId),
    stretches.map((s) => s.below ?? HIGHEST),
    stretches.map((s) => s.above ?? LOWEST),
    stretches.map((s) => s.limitCount),
  ];
}
