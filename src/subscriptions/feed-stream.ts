/**
 * One client's stream of its user's changes: READY, then what was missed, then what happens. Registers for wake-ups first and reads
 * the table afterwards, so nothing falls between the two. Rows are read when the client is ready for more, a page at a time, so a slow
 * client costs the same memory as a fast one.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Clock } from '../ports/clock.js';
import type { FeedReads, FeedRow } from '../store/feed.reads.js';
import type { FeedHub } from './hub.js';

/** Rows read at once. */
const PAGE = 100;
/** A cursor further behind than this gets a RESET: reading the state again is cheaper for both sides. */
export const MOST_BEHIND = 1_000n;
/** Entries are kept for 7 days; an older one may be gone in part, so it is not replayed. */
const KEPT_MS = 7 * 86_400_000;
/** A client is sent away this long before its token expires, so that its next connection carries a fresh one. */
export const LEAVE_BEFORE_EXPIRY_MS = 5_000;
/** Wait before the table is read again after an error. */
const RETRY_MS = 1_000;
/** Longest delay a timer can hold. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** An item of a stream. `sequence` is the place in the feed right behind the item; signals repeat the last one. */
export type FeedItem =
  | { type: 'CHANGE'; sequence: bigint; occurredAt: Date; row: FeedRow }
  | { type: 'READY' | 'HEARTBEAT' | 'RESET' | 'RECONNECT'; sequence: bigint; occurredAt: Date };

/** What a stream needs from the process. */
export interface FeedStreamDependencies {
  hub: FeedHub;
  reads: FeedReads;
  clock: Clock;
  /** The machine's: the life of a token is no billing time. */
  machineClock: Clock;
  /** Told when the table could not be read; the stream tries again. */
  report: (error: unknown) => void;
}

/** What one client asked for. */
export interface FeedRequest {
  userId: string;
  /** Changes after this one are sent; null: from the end of the feed. */
  after: bigint | null;
  /** Changes that are left out move the place in the feed all the same. */
  wants: (row: FeedRow) => boolean;
  /** A HEARTBEAT after so long without another item, milliseconds; null for none. */
  heartbeatMs: number | null;
  /** When the client's token expires. */
  expiresAt: Date;
}

/** A stream that is registered from the moment it is made until `return()`, its own end or an error. */
export class FeedStream implements AsyncIterableIterator<FeedItem, undefined> {
  readonly #dependencies: FeedStreamDependencies;
  readonly #request: FeedRequest;
  readonly #items: AsyncGenerator<FeedItem, undefined>;
  readonly #unregister: () => void;
  /** The feed is known to reach this far. */
  #known = -1n;
  /** Something may have been missed: read the table whatever is known. */
  #isNudged = false;
  #isSentAway = false;
  #hasEnded = false;
  #wakeUp: (() => void) | null = null;

  constructor(dependencies: FeedStreamDependencies, request: FeedRequest) {
    this.#dependencies = dependencies;
    this.#request = request;
    this.#unregister = dependencies.hub.register(request.userId, {
      wake: (sequence) => {
        if (sequence <= this.#known) return;
        this.#known = sequence;
        this.#wakeUp?.();
      },
      nudge: () => {
        this.#isNudged = true;
        this.#wakeUp?.();
      },
      leave: () => {
        this.#isSentAway = true;
        this.#wakeUp?.();
      },
    });
    this.#items = this.#run();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<FeedItem, undefined>> {
    return this.#items.next();
  }

  /** Ends the stream at once, also while it waits for news. */
  async return(): Promise<IteratorResult<FeedItem, undefined>> {
    this.#end();
    return this.#items.return(undefined);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#unregister();
    this.#wakeUp?.();
  }

  async *#run(): AsyncGenerator<FeedItem, undefined> {
    try {
      const { userId, after } = this.#request;
      const end = await this.#dependencies.reads.readEnd(userId);
      let place = after ?? end;
      yield this.#signal('READY', place);
      if (place > end || end - place > MOST_BEHIND) {
        place = end;
        yield this.#signal('RESET', place);
      }
      yield* this.#follow(place, end);
    } finally {
      this.#end();
    }
    return undefined;
  }

  /** Sends everything after `place`, for ever. */
  async *#follow(start: bigint, end: bigint): AsyncGenerator<FeedItem, undefined> {
    let place = start;
    let lastSentMs = performance.now(); // silence is measured by the machine's own clock, which nobody moves
    if (end > this.#known) this.#known = end;
    while (!this.#hasEnded) {
      if (this.#mustLeave()) {
        yield this.#signal('RECONNECT', place);
        return undefined;
      }
      const page = await this.#readAfter(place);
      if (page.isBroken) {
        place = page.end;
        yield this.#signal('RESET', place);
        lastSentMs = performance.now();
        continue;
      }
      const { rows } = page;
      for (const row of rows) {
        if (this.#hasEnded || this.#mustLeave()) break;
        place = row.sequence;
        if (!this.#request.wants(row)) continue;
        yield { type: 'CHANGE', sequence: row.sequence, occurredAt: row.at, row };
        lastSentMs = performance.now();
      }
      if (rows.length > 0) continue;
      const { heartbeatMs } = this.#request;
      const heartbeatInMs = heartbeatMs === null ? LONGEST_TIMER_MS : lastSentMs + heartbeatMs - performance.now();
      if (heartbeatInMs <= 0) {
        yield this.#signal('HEARTBEAT', place);
        lastSentMs = performance.now();
        continue;
      }
      await this.#news(place, Math.min(heartbeatInMs, this.#leaveInMs()));
    }
    return undefined;
  }

  /**
   * What follows `place`: a page of rows, none when there is nothing new or the table cannot be read now. Broken when entries right
   * after `place` are gone or about to go: then only the end of the feed is a place to go on from.
   */
  async #readAfter(place: bigint): Promise<{ isBroken: false; rows: FeedRow[] } | { isBroken: true; end: bigint }> {
    if (this.#known <= place && !this.#isNudged) return { isBroken: false, rows: [] };
    const { reads } = this.#dependencies;
    const { userId } = this.#request;
    const knownBefore = this.#known;
    this.#isNudged = false;
    try {
      const rows = await reads.listAfter(userId, place, PAGE);
      const first = rows[0];
      if (first && first.sequence === place + 1n && first.at.getTime() >= this.#now() - KEPT_MS) return { isBroken: false, rows };
      if (!first && this.#known <= place) return { isBroken: false, rows };
      const end = await reads.readEnd(userId);
      if (this.#known === knownBefore || this.#known < end) this.#known = end; // unless a wake-up told of more meanwhile
      return end > place ? { isBroken: true, end } : { isBroken: false, rows: [] };
    } catch (error) {
      this.#dependencies.report(error);
      await this.#news(null, RETRY_MS);
      this.#isNudged = true;
      return { isBroken: false, rows: [] };
    }
  }

  /** Waits for a wake-up beyond `place` (null: only for the end), at most `forMs`. */
  async #news(place: bigint | null, forMs: number): Promise<void> {
    if (this.#hasEnded || (place !== null && (this.#isNudged || this.#isSentAway || this.#known > place))) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(Math.max(forMs, 1), LONGEST_TIMER_MS));
      this.#wakeUp = () => {
        if (place === null && !this.#hasEnded) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = null;
  }

  #mustLeave(): boolean {
    return this.#isSentAway || this.#leaveInMs() <= 0;
  }

  #leaveInMs(): number {
    return this.#request.expiresAt.getTime() - LEAVE_BEFORE_EXPIRY_MS - this.#dependencies.machineClock.now().getTime();
  }

  #now(): number {
    return this.#dependencies.clock.now().getTime();
  }

  #signal(type: 'READY' | 'HEARTBEAT' | 'RESET' | 'RECONNECT', sequence: bigint): FeedItem {
    return { type, sequence, occurredAt: this.#dependencies.clock.now() };
  }
}
