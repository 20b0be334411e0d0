/**
 * What goes wrong between us and the provider in a simulation. Each call and each event has its own draw, by the seed and by what it is, so that
 * nothing depends on who comes first.
 */
import { Seeded } from '../chaos/seeded.js';

/** How bad it is. */
export const WEATHERS = ['none', 'some', 'many'] as const;
export type WeatherName = (typeof WEATHERS)[number];

/**
 * How one call goes wrong; "before" and "after" its effect at the provider. `error`: a 500, kept under the key. `processing`: a payment is taken up
 * and done a while later.
 */
export type Strike = 'timeout_before' | 'timeout_after' | 'error_before' | 'error_after' | 'reset' | 'rate_limit' | 'processing';

/** What becomes of one event's webhook: when it comes, and how often; never: only the listing tells of it. */
export interface Fate {
  delaysMs: number[];
}

const CALLS_STRUCK: Readonly<Record<WeatherName, number>> = { none: 0, some: 0.01, many: 0.1 };
const EVENTS_LOST: Readonly<Record<WeatherName, number>> = { none: 0, some: 0.02, many: 0.15 };
const EVENTS_LATE: Readonly<Record<WeatherName, number>> = { none: 0, some: 0.03, many: 0.15 };
const EVENTS_TWICE: Readonly<Record<WeatherName, number>> = { none: 0, some: 0.03, many: 0.15 };
/** Of the events that repeat an answer which came through, so many are sent: all take one road, and a share of them walks it. */
const REPEATS_SENT: Readonly<Record<WeatherName, number>> = { none: 0.05, some: 0.05, many: 0.2 };
const LATEST_MS = 72 * 3_600_000;

/** The weather of one run. */
export class Weather {
  #name: WeatherName;
  readonly #seeded: Seeded;

  constructor(name: WeatherName, seeded: Seeded) {
    this.#name = name;
    this.#seeded = seeded;
  }

  /** From now on nothing goes wrong. */
  calm(): void {
    this.#name = 'none';
  }

  /** How this call goes wrong; null: it does not. @param which the call, by its subject and how often it was made */
  strike(operation: string, which: string, mayBeRateLimited: boolean): Strike | null {
    if (this.#name === 'none') return null;
    const chance = this.#seeded.child(`${operation} ${which}`);
    if (!chance.chance(CALLS_STRUCK[this.#name])) return null;
    const strike = chance.weighted([
      [3, 'timeout_before'],
      [3, 'timeout_after'],
      [2, 'error_before'],
      [2, 'error_after'],
      [2, 'reset'],
      [1, 'rate_limit'],
      [1, 'processing'],
    ] as const);
    return strike === 'rate_limit' && !mayBeRateLimited ? 'timeout_before' : strike;
  }

  /** Whether an event that repeats an answer is sent at all. */
  isRepeated(event: string): boolean {
    return this.#seeded.child(`repeat ${event}`).chance(REPEATS_SENT[this.#name]);
  }

  fateOf(event: string): Fate {
    if (this.#name === 'none') return { delaysMs: [0] };
    const chance = this.#seeded.child(`event ${event}`);
    if (chance.chance(EVENTS_LOST[this.#name])) return { delaysMs: [] };
    const first = chance.chance(EVENTS_LATE[this.#name]) ? chance.int(1_000, LATEST_MS) : 0;
    return chance.chance(EVENTS_TWICE[this.#name])
      ? { delaysMs: [first, first + chance.int(0, LATEST_MS)] }
      : { delaysMs: [first] };
  }
}
