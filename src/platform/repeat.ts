import { setTimeout as wait } from 'node:timers/promises';

/** Work that is done again and again until it is stopped. */
export interface Repeated {
  /** Ends the waiting, lets running work finish. */
  stop(): Promise<void>;
}

/**
 * Runs `work`, waits `everyMs`, and so on; when it says that there is more, at once again. A failure is reported and the next turn comes
 * after a growing pause, up to 30 s: a broken database is not hammered.
 */
export function repeat(options: {
  everyMs: number;
  /** Before the first turn; 0 when left out. */
  afterMs?: number;
  work: () => Promise<boolean>;
  onError: (error: unknown) => void;
}): Repeated {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    let failures = 0;
    if (options.afterMs) await wait(options.afterMs, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) {
      let hasMore = false;
      try {
        hasMore = await options.work();
        failures = 0;
      } catch (error) {
        failures++;
        options.onError(error);
      }
      if (hasMore) continue;
      const pauseMs = failures === 0 ? options.everyMs : Math.min(options.everyMs * 2 ** failures, 30_000);
      await wait(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

/** Does work for each of some items, so many at a time as whoever made it decided. */
export type ForEach = <T>(items: readonly T[], work: (item: T) => Promise<void>) => Promise<void>;

/**
 * Runs `work` over the items, at most `limit` at a time. Every item has its turn, whatever becomes of the others.
 * @throws AggregateError of all that failed, when the last has ended
 */
export async function eachAtMost<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const failures: unknown[] = [];
  // The lanes share one iterator: whoever is free takes the next item.
  const lane = async (): Promise<void> => {
    for (const item of left) {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} of ${items.length} failed`);
}
