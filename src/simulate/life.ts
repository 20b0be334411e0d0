/** One person of a simulation: comes at some time, then acts now and then. All that is left to chance follows from the seed, the person's number and the act's. */
import { Seeded } from '../chaos/seeded.js';
import type { ToldResidence } from '../domain/customer/residence.js';
import type { Actor } from '../usecases/contract.js';

/** The hours of a day (UTC) at which people act: a day has two moments, so that what falls due together is done together. */
const MOMENTS = [8, 19] as const;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days between two acts of one person, on average. */
const DAYS_BETWEEN = 70;
/** People pay in what their country pays with. */
const CURRENCIES = [
  [45, 'USD'],
  [25, 'EUR'],
  [10, 'GBP'],
  [8, 'INR'],
  [6, 'BRL'],
  [4, 'JPY'],
  [2, 'KWD'],
] as const;

/** Where who pays in a currency lives; who pays in the rest has told nobody. */
const RESIDENCES: ReadonlyMap<string, ToldResidence> = new Map([
  ['USD', { country: 'US', zone: 'UTC' }],
  ['EUR', { country: 'DE', zone: 'Europe/Berlin' }],
  ['GBP', { country: 'GB', zone: null }],
  ['INR', { country: 'IN', zone: 'Asia/Kolkata' }],
]);

/** A line of what a person did, and what came of it. */
export interface Told {
  at: Date;
  life: number;
  act: number;
  text: string;
}

/** A person. */
export class Life {
  readonly number: number;
  readonly actor: Actor;
  readonly currency: string;
  readonly told: Told[] = [];
  readonly #seeded: Seeded;
  #acts = 0;

  constructor(number: number, seeded: Seeded) {
    this.number = number;
    this.#seeded = seeded.child(`life ${number}`);
    this.currency = this.#seeded.child('currency').weighted(CURRENCIES);
    const residence = RESIDENCES.get(this.currency) ?? { country: null, zone: null };
    this.actor = { userId: `life-${number}`, scopes: new Set(), residence, requestId: `life-${number}` };
  }

  /** How many acts were begun. */
  get acts(): number {
    return this.#acts;
  }

  /** When this person first comes: anywhere in the span. */
  comesAt(startsAt: Date, endsAt: Date): Date {
    const spanMs = endsAt.getTime() - startsAt.getTime() - DAY_MS;
    return momentAt(startsAt.getTime() + this.#seeded.child('comes').fraction() * Math.max(0, spanMs));
  }

  /** Begins the next act. @returns its number and what is left to chance in it */
  begin(): { act: number; chance: Seeded } {
    const act = this.#acts++;
    return { act, chance: this.#seeded.child(`act ${act}`) };
  }

  /** When the act after this one comes. */
  nextAt(now: Date, act: number): Date {
    const fraction = this.#seeded.child(`pause ${act}`).fraction();
    const days = -Math.log(1 - fraction) * DAYS_BETWEEN;
    return momentAt(now.getTime() + Math.max(days * DAY_MS, 6 * HOUR_MS));
  }
}

/** The first moment of a day at an instant or after it. */
function momentAt(ms: number): Date {
  const day = Math.floor(ms / DAY_MS) * DAY_MS;
  const candidates = [...MOMENTS.map((hour) => day + hour * HOUR_MS), day + DAY_MS + MOMENTS[0] * HOUR_MS];
  return new Date(candidates.find((at) => at >= ms) ?? ms);
}
