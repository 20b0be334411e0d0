/**
 * Keeps what was let in fast when more is asked for than can be done. One number, the most operations at once, follows the delay of the
 * event loop: while timers come late, work waits behind other work, so fewer are let in; when they come in time again, more. What does
 * not fit is refused at the door, before its body is read: nothing of it was begun, so it may be sent again as it is. What is inside is
 * never touched, so no payment is left half-way by this gate.
 *
 *   delay of the loop   ---- calmMs ------------ lateMs ----->
 *   the bound           grows          stays          shrinks
 */
import { clearInterval, setInterval } from 'node:timers';
import { Counter, Gauge, type Registry } from 'prom-client';

/** Between which values the bound moves, and when. */
export interface LoadBounds {
  /** So many are let in however late the loop is: with none nobody would ever find out that it has recovered. */
  least: number;
  /** So many at once are let in while the loop is in time, whatever was inside before. */
  burst: number;
  /** So many at once are too many even for a loop that is in time: each holds memory and waits for something. */
  most: number;
  /** Up to here the loop is in time, milliseconds. */
  calmMs: number;
  /** From here on it is late, milliseconds. */
  lateMs: number;
}

/**
 * An operation takes some five turns of the loop, so at a delay of 4 ms it takes 20: what is let in stays within three times what it takes in calm only if
 * so few are inside. The least is what a loop does in some ten milliseconds: below that refusing more makes nothing faster, as a loop that is late then is
 * busy with refusing. Measured by `npm run bench -- overload`.
 */
export const LOAD_BOUNDS: LoadBounds = { least: 12, burst: 128, most: 2_000, calmMs: 2, lateMs: 4 };

/** How often the bound follows, milliseconds: some turns of a late loop. */
const ADJUST_EVERY_MS = 50;
/** The timer whose lateness is measured, milliseconds. */
const TICK_MS = 10;
/** The bound shrinks by half, tries a tenth more while it refuses, and comes back by quarters. */
const SHRINK = 0.5;
const TRY_MORE = 1.1;
const COME_BACK = 1.25;
/** A loop that is in time lets in so many times what was inside: operations that wait for a slow provider pile up without any work. */
const ROOM = 2;

/** What one interval has shown. */
export interface LoadSample {
  /** Mean delay of the event loop, milliseconds. */
  delayMs: number;
  /** Most operations that were inside at once. */
  peak: number;
  /** Whether something was refused. */
  hasRefused: boolean;
  /** Whether the loop was late in the interval before this one too: one pause, as of a collection of garbage, is no overload. */
  wasLate: boolean;
}

/**
 * The bound after an interval. Shrinks from what was really inside: a bound that nothing reaches holds nothing back. A loop that is late with next to
 * nothing inside is kept from its work by something else, such as another program: refusing would help nobody then, so the bound comes back all the same.
 */
export function boundAfter(bound: number, { delayMs, peak, hasRefused, wasLate }: LoadSample, bounds: LoadBounds): number {
  const { least, burst, most, calmMs, lateMs } = bounds;
  const isOurs = peak > least;
  if (isOurs && delayMs > lateMs && wasLate) return Math.max(least, Math.floor(Math.min(bound, peak) * SHRINK));
  if (isOurs && delayMs > calmMs) return bound;
  if (hasRefused) return Math.min(most, Math.ceil(bound * TRY_MORE));
  return Math.min(most, Math.ceil(bound * COME_BACK), Math.max(burst, peak * ROOM));
}

/** The door of one process. */
export class LoadGate {
  readonly #bounds: LoadBounds;
  readonly #isOn: boolean;
  readonly #inside = new Set<object>();
  readonly #refused: Counter;
  readonly #ticking: NodeJS.Timeout | null;
  #bound: number;
  #peak = 0;
  #hasRefused = false;
  #wasRefusing = false;
  #wasLate = false;
  #adjustedAtMs = performance.now();
  #ticks = 0;

  /** @param options.isOn off: counts, and lets everything in */
  constructor({ isOn, bounds = LOAD_BOUNDS, registry }: { isOn: boolean; bounds?: LoadBounds; registry: Registry }) {
    this.#isOn = isOn;
    this.#bounds = bounds;
    this.#bound = bounds.burst;
    this.#refused = loadMetrics(registry, { inside: () => this.#inside.size, bound: () => this.#bound });
    this.#ticking = isOn ? setInterval(() => this.#tick(), TICK_MS).unref() : null;
  }

  /** Whether one more must be refused now. */
  get isFull(): boolean {
    return this.#isOn && this.#inside.size >= this.#bound;
  }

  /** Whether something was refused in the last interval or the present one. */
  get isRefusing(): boolean {
    return this.#hasRefused || this.#wasRefusing;
  }

  /** Counts a refusal. */
  countRefused(): void {
    this.#hasRefused = true;
    this.#refused.inc();
  }

  /** Counts an operation as inside until it leaves. */
  enter(operation: object): void {
    this.#inside.add(operation);
    this.#peak = Math.max(this.#peak, this.#inside.size);
  }

  /** The operation is done, or goes on as a stream that only waits. May be said twice. */
  leave(operation: object): void {
    this.#inside.delete(operation);
  }

  /** Ends the measuring. */
  stop(): void {
    if (this.#ticking) clearInterval(this.#ticking);
  }

  #tick(): void {
    this.#ticks += 1;
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#adjustedAtMs;
    if (elapsedMs < ADJUST_EVERY_MS) return;
    const delayMs = elapsedMs / this.#ticks - TICK_MS;
    const sample = { delayMs, peak: this.#peak, hasRefused: this.#hasRefused, wasLate: this.#wasLate };
    this.#bound = boundAfter(this.#bound, sample, this.#bounds);
    this.#wasLate = delayMs > this.#bounds.lateMs;
    this.#adjustedAtMs = nowMs;
    this.#ticks = 0;
    this.#peak = this.#inside.size;
    this.#wasRefusing = this.#hasRefused;
    this.#hasRefused = false;
  }
}

function loadMetrics(registry: Registry, counts: { inside: () => number; bound: () => number }): Counter {
  const registers = [registry];
  const gauge = (name: string, help: string, count: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(count());
      },
    });
  gauge('graphql_in_flight', 'GraphQL operations over HTTP that are being worked on.', counts.inside);
  gauge('graphql_in_flight_bound', 'Operations that are let in at once; it shrinks while the event loop is late.', counts.bound);
  return new Counter({
    name: 'graphql_overload_refused_total',
    help: 'Requests and WebSockets refused at the door because the process has more to do than it can.',
    registers,
  });
}
