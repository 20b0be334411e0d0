/** Buckets that lie side by side, from the first to the last, both included: what one look of a worker goes through. */
export type Slot = readonly [first: number, last: number];

/** Every bucket there is. */
export const ALL_BUCKETS: Slot = [0, 4095];

/** All buckets in this many slots, a power of two. */
export function slotsOfBuckets(count: number): Slot[] {
  const width = (ALL_BUCKETS[1] + 1) / count;
  return Array.from({ length: count }, (_, nth) => [nth * width, (nth + 1) * width - 1]);
}
