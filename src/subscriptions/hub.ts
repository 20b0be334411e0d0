/**
 * Who waits for news of whom, in this process. A wake-up carries no data, only "user u has changes up to n"; the feed table is the
 * truth and each stream reads it. Wake-ups come from three places, and any two of them may fail without a loss:
 *
 *   commit in this process ── wake() ──┐
 *   commit elsewhere ─ NOTIFY ─ listen ┼─► streams of user u ─► read the feed
 *   every 5 s ─ look at the table ─────┘
 */
import { setTimeout as delay } from 'node:timers/promises';

/** Users asked about in one look at the table. */
const USERS_PER_LOOK = 1_000;

/** Between two looks whether the last stream has ended. */
const DRAIN_LOOK_MS = 5;

/** A stream as the hub sees it. */
export interface Waiter {
  /** The user's feed reaches at least up to `sequence`. */
  wake(sequence: bigint): void;
  /** Nothing is known, but something may have been missed or is about to end: look for yourself. */
  nudge(): void;
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

  /** Whether streams are being sent away. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Every open stream says RECONNECT and ends. Resolves when all have, or after `limitMs`: some client may not read. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    this.wakeEverybody();
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
