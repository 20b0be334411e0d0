/**
 * How much one caller may ask for over time. Token buckets in memory, one set per process: they keep a single client from starving
 * the others; limits that must hold across processes (declines per card and user) are the use cases' own.
 */
import type { Clock } from '../ports/clock.js';
import { MONEY_VERBS } from './limits.js';

/** A bucket refills by `perMs` tokens a millisecond up to `burst`. */
interface Rate {
  perMs: number;
  burst: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Cost a second and its burst, for everything a caller does. */
export const COST_RATE: Rate = { perMs: 600 / 1_000, burst: 3_000 };
/** Each verb that moves money: 10 a minute. */
export const MONEY_RATE: Rate = { perMs: 10 / MINUTE_MS, burst: 10 };
/** Each step of adding a payment method: 10 an hour, because a form that takes cards is what card testers look for. */
export const SETUP_RATE: Rate = { perMs: 10 / HOUR_MS, burst: 10 };

/** Each verb that takes a code: 10 an hour, so that nobody tries them out. */
export const CODE_RATE: Rate = { perMs: 10 / HOUR_MS, burst: 10 };

/** Requests from one network, whoever sends them. */
export const NETWORK_RATE: Rate = { perMs: 50 / 1_000, burst: 100 };
/** Requests without a token from one network. */
export const ANONYMOUS_RATE: Rate = { perMs: 10 / 1_000, burst: 20 };
/** Each step of adding a payment method from one network: a card tester has many users. */
export const NETWORK_SETUP_RATE: Rate = { perMs: 20 / HOUR_MS, burst: 20 };

const CODE_VERBS = new Set(['applyCoupon', 'claimGift']);
const SETUP_VERBS = new Set(['startPaymentMethodSetup', 'completePaymentMethodSetup']);
/** Callers remembered; the ones not seen for longest are forgotten first (their buckets are full again, or nearly). */
const CALLERS_KEPT = 50_000;
/** Idempotency keys remembered per caller: a repeat of a request is free of charge. */
const KEYS_KEPT = 50;

/** A level is a sum of fractions; what lacks less than this is there. */
const ROUNDING = 1e-6;

/** One admitted operation, as far as rates go. */
export interface SpentOperation {
  /** `user:<id>`, or `address:<ip>` without a session. */
  caller: string;
  /** Where it came from. */
  address: string;
  hasToken: boolean;
  cost: number;
  /** Limited verbs in the operation with the idempotency key given to each, if any. */
  verbs: readonly { field: string; idempotencyKey: string | null }[];
}

interface Caller {
  levels: Map<string, Level>;
  keys: Set<string>;
}

/** What was in a bucket at an instant. */
interface Level {
  tokens: number;
  atMs: number;
}

/** Root fields with a rate of their own. */
export const RATED_VERBS: ReadonlySet<string> = new Set([...MONEY_VERBS, ...CODE_VERBS, ...SETUP_VERBS]);

/** The buckets of one process. */
export class RateLimits {
  /** Those seen lately, and those seen before them; who is seen again is among the recent ones again. */
  #recent = new Map<string, Caller>();
  #former = new Map<string, Caller>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes what the operation costs. Null when it may run; else the shortest sensible wait in milliseconds, and nothing was taken. */
  take(operation: SpentOperation): number | null {
    const nowMs = this.#clock.now().getTime();
    const caller = this.#caller(operation.caller);
    const network = this.#caller(`network:${networkOf(operation.address)}`);
    const draws: Draw[] = [
      drawFrom(caller, 'cost', COST_RATE, Math.min(operation.cost, COST_RATE.burst), nowMs),
      drawFrom(network, 'requests', NETWORK_RATE, 1, nowMs),
    ];
    if (!operation.hasToken) draws.push(drawFrom(network, 'anonymous', ANONYMOUS_RATE, 1, nowMs));
    const fresh = operation.verbs.filter((verb) => verb.idempotencyKey === null || !caller.keys.has(verbKey(verb)));
    for (const { field } of fresh) {
      const isSetup = SETUP_VERBS.has(field);
      const rate = isSetup ? SETUP_RATE : CODE_VERBS.has(field) ? CODE_RATE : MONEY_RATE;
      draws.push(drawFrom(caller, field, rate, 1, nowMs));
      if (isSetup) draws.push(drawFrom(network, field, NETWORK_SETUP_RATE, 1, nowMs));
    }
    let waitMs = 0;
    for (const draw of draws) waitMs = Math.max(waitMs, waitMsFor(draw, nowMs));
    if (waitMs > 0) return Math.ceil(waitMs);
    for (const draw of draws) spend(draw, nowMs);
    for (const verb of fresh) remember(caller.keys, verbKey(verb));
    return null;
  }

  #caller(name: string): Caller {
    const recent = this.#recent.get(name);
    if (recent) return recent;
    const caller = this.#former.get(name) ?? { levels: new Map(), keys: new Set() };
    if (this.#recent.size >= CALLERS_KEPT / 2) {
      this.#former = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(name, caller);
    return caller;
  }
}

/** Tokens taken from one bucket. */
interface Draw {
  level: Level;
  rate: Rate;
  tokens: number;
}

function drawFrom({ levels }: Caller, name: string, rate: Rate, tokens: number, nowMs: number): Draw {
  let level = levels.get(name);
  if (!level) {
    level = { tokens: rate.burst, atMs: nowMs };
    levels.set(name, level);
  }
  return { level, rate, tokens };
}

function levelOf({ level, rate }: Draw, nowMs: number): number {
  return Math.min(rate.burst, level.tokens + Math.max(0, nowMs - level.atMs) * rate.perMs);
}

function waitMsFor(draw: Draw, nowMs: number): number {
  return Math.max(0, (draw.tokens - levelOf(draw, nowMs) - ROUNDING) / draw.rate.perMs);
}

function spend(draw: Draw, nowMs: number): void {
  draw.level.tokens = levelOf(draw, nowMs) - draw.tokens;
  draw.level.atMs = nowMs;
}

/** The part of an address that one customer of a provider has: 256 addresses of IPv4, a /64 of IPv6. */
function networkOf(address: string): string {
  const lastDot = address.lastIndexOf('.');
  if (lastDot > 0) return address.slice(address.lastIndexOf(':') + 1, lastDot);
  const [start = '', end] = address.toLowerCase().split('::');
  const first = start.split(':').filter(Boolean);
  const last = (end ?? '').split(':').filter(Boolean);
  const all =
    end === undefined ? first : [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last];
  return all.slice(0, 4).join(':');
}

function verbKey(verb: { field: string; idempotencyKey: string | null }): string {
  return `${verb.field} ${verb.idempotencyKey ?? ''}`;
}

function remember(keys: Set<string>, key: string): void {
  keys.add(key);
  if (keys.size <= KEYS_KEPT) return;
  for (const oldest of keys) {
    keys.delete(oldest);
    break;
  }
}
