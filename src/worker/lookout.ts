/**
 * What an idle worker costs is its looks for work. One question for all kinds of it, asked as often as the most urgent chore looks, stands for a unit of
 * work of each chore that would have found nothing.
 */
import type { Waiting } from '../usecases/look-for-work.js';
import type { Chore } from './chores.js';

/** What was seen is believed for so long, milliseconds; a chore that looks as often as this sees for itself each time. */
const BELIEVED_MS = 100;

/** Says whether there is anything of a kind to do. */
export type Lookout = (what: Waiting, believedMs: number) => Promise<boolean>;

/** The lookout of one worker. @param look asks the database @param monotonicMs milliseconds that only ever grow */
export function makeLookout(look: () => Promise<Record<Waiting, boolean>>, monotonicMs: () => number): Lookout {
  let last: { atMs: number; seen: Promise<Record<Waiting, boolean>> } | null = null;
  return async (what, believedMs) => {
    const nowMs = monotonicMs();
    if (last === null || nowMs - last.atMs >= believedMs) last = { atMs: nowMs, seen: look() };
    const { seen } = last;
    try {
      return (await seen)[what];
    } catch (error) {
      if (last?.seen === seen) last = null;
      throw error;
    }
  };
}

/** A chore's turns, without those in which there is nothing to do. */
export function turnsOf(chore: Chore, lookout: Lookout): () => Promise<boolean> {
  const { waitsFor, everyMs } = chore;
  if (waitsFor === undefined) return () => chore.run();
  const believedMs = everyMs > BELIEVED_MS ? BELIEVED_MS : 0;
  let hasMore = false;
  return async () => {
    if (!hasMore && !(await lookout(waitsFor, believedMs))) return false;
    hasMore = false; // Stands when the turn fails.
    hasMore = await chore.run();
    return hasMore;
  };
}
