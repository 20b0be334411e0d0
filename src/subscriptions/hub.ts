/**
 * Who waits for news of whom, in this process. A wake-up carries no data, only "user u has changes up to n"; the feed table is the
 * truth and each stream reads it. Wake-ups come from three places, and any two of them may fail without a loss:
 *
 *   commit in this process ── wake() ──┐
 *   commit elsewhere ─ NOTIFY ─ listen ┼─► streams of user u ─► read the feed
 *   every 5 s ─ look at the table ─────┘
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../ports/random.js';

/** Users asked about in one look at the table. */
const USERS_PER_LOOK = 1_000;

/** Between two looks whether the last stream has ended. */
const DRAIN_LOOK_MS = 5;

/** How streams are sent away. */
export interface Draining {
  /** Over so long, one user after the other: who is sent away comes back elsewhere at once, and all at once would be a rush. */
  spreadMs: number;
  /** Longest wait for the last stream's end after that: some client may not read. */
  limitMs: number;
  /** Where in its share of the time a user is sent away. */
  random: Pick<Random, 'fraction'>;
}

/** A stream as the hub sees it. */
export interface Waiter {
  /** The user's feed reaches at least up to `sequence`. */
  wake(sequence: bigint): void;
  /** Nothing is known, but something may have been missed: look for yourself. */
  nudge(): void;
  /** The process is going: say so to the client and end. */
  leave(): void;
}

/** What the hub needs. */
export interface HubDependencies {
  /** The end of each user's feed; users without one are left out. */
  readEnds: (userIds: readonly string[]) => Promise<ReadonlyMap<string, bigint>>;
  /** How often open streams are compared with the table, milliseconds. */
  lookEveryMs: number;
  /** Told when a look failed; the next one follows as planned. */
  report: (error: unknown) => void;
}

/** The wake-ups of one process. */
export class FeedHub {
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #dependencies: HubDependencies;
  readonly #stopped = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #isDraining = false;

  constructor(dependencies: HubDependencies) {
    this.#dependencies = dependencies;
  }

  /** Begins the regular look at the table. */
  start(): void {
    this.#looking = this.#lookAgainAndAgain();
  }

  /** Ends the regular look. Streams are not ended: see `drain`. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
  }

  /**
   * Every open stream says RECONNECT and ends, all of one user at a time; a stream that is opened meanwhile does so at once. Resolves when
   * all have ended, or at the limit.
   */
  async drain({ spreadMs, limitMs, random }: Draining): Promise<void> {
    this.#isDraining = true;
    const userIds = [...this.#waiters.keys()];
    const shareMs = spreadMs / Math.max(userIds.length, 1);
    const startedMs = performance.now();
    for (const [index, userId] of userIds.entries()) {
      const waitMs = startedMs + (index + random.fraction()) * shareMs - performance.now();
      if (waitMs >= 1) await delay(waitMs);
      for (const waiter of this.#waiters.get(userId) ?? []) waiter.leave();
    }
    const limit = performance.now() + limitMs;
    while (this.#waiters.size > 0 && performance.now() < limit) await delay(DRAIN_LOOK_MS);
  }

  /** Number of open streams. */
  get openStreams(): number {
    let count = 0;
    for (const waiters of this.#waiters.values()) count += waiters.size;
    return count;
  }

  /** Number of open streams of one user. */
  openStreamsOf(userId: string): number {
    return this.#waiters.get(userId)?.size ?? 0;
  }

  /** From now on `waiter` hears of this user's changes. Returns what ends that. */
  register(userId: string, waiter: Waiter): () => void {
    const waiters = this.#waiters.get(userId) ?? new Set();
    this.#waiters.set(userId, waiters.add(waiter));
    if (this.#isDraining) waiter.leave();
    return () => {
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(userId) === waiters) this.#waiters.delete(userId);
    };
  }

  /** Call after a commit that wrote the user's feed up to `sequence`. Cheap when nobody listens. */
  wake(userId: string, sequence: bigint): void {
    for (const waiter of this.#waiters.get(userId) ?? []) waiter.wake(sequence);
  }

  /** Wake-ups may have been lost (the connection that carries them was): every stream reads the table. */
  wakeEverybody(): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.nudge();
  }

  async #lookAgainAndAgain(): Promise<void> {
    while (await this.#waited()) {
      try {
        await this.#look();
      } catch (error) {
        this.#dependencies.report(error);
      }
    }
  }

  /** False once stopped. */
  async #waited(): Promise<boolean> {
    const { signal } = this.#stopped;
    await delay(this.#dependencies.lookEveryMs, undefined, { signal, ref: false }).catch(() => undefined);
    return !signal.aborted;
  }

  async #look(): Promise<void> {
    const userIds = [...this.#waiters.keys()];
    for (let from = 0; from < userIds.length; from += USERS_PER_LOOK) {
      const ends = await this.#dependencies.readEnds(userIds.slice(from, from + USERS_PER_LOOK));
      for (const [userId, sequence] of ends) this.wake(userId, sequence);
    }
  }
}
