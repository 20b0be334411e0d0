import { invariant } from '../invariant.js';

/** `minor` counts the currency's smallest ISO 4217 unit: 499n USD is 4.99 dollars, 499n JPY is 499 yen. Never a float (rules M1). */
export type Money = Readonly<{ minor: bigint; currency: string }>;

/** @throws InvariantBroken when the currencies differ (rules M8). */
export function addMoney(a: Money, b: Money): Money {
  invariant(a.currency === b.currency, 'amounts of different currencies never meet in one sum', { a, b });
  return { minor: a.minor + b.minor, currency: a.currency };
}

/** Half up on the magnitude, in integers: floor((2n + d) / 2d) (rules M4). `n` may be negative; `d` > 0. */
export function roundedQuotient(n: bigint, d: bigint): bigint {
  invariant(d > 0n, 'a divisor is positive', { d });
  const magnitude = n < 0n ? -n : n;
  const rounded = (2n * magnitude + d) / (2n * d);
  return n < 0n ? -rounded : rounded;
}

/**
 * As `roundedQuotient`, to a multiple of `step`: step * R(n, d * step) (rules M4). Every amount we compute is rounded so, since
 * some currencies can only move multiples.
 */
export function steppedQuotient(n: bigint, d: bigint, step: bigint): bigint {
  invariant(step > 0n, 'a step is positive', { step });
  return step * roundedQuotient(n, d * step);
}

/**
 * Splits an amount over weights without losing a unit: each share is rounded down to the step, and what is left goes, a step
 * each, to the largest remainders, ties to the earlier (rules M7). @throws InvariantBroken for a total that is negative or not
 * a multiple of the step, and when no weight is positive.
 */
export function allocate(totalMinor: bigint, weights: readonly bigint[], step: bigint): bigint[] {
  const all = weights.reduce((sum, weight) => sum + weight, 0n);
  const facts = { totalMinor, weights, step };
  invariant(totalMinor >= 0n && totalMinor % step === 0n, 'what is split is a multiple of the step', facts);
  invariant(all > 0n && weights.every((weight) => weight >= 0n), 'weights are not negative, nor all 0', facts);
  const steps = totalMinor / step;
  const parts = weights.map((weight, at) => ({ at, share: (steps * weight) / all, remainder: (steps * weight) % all }));
  const left = Number(steps - parts.reduce((sum, { share }) => sum + share, 0n));
  const favoured = new Set(
    parts
      .toSorted((a, b) => (a.remainder === b.remainder ? a.at - b.at : a.remainder > b.remainder ? -1 : 1))
      .slice(0, left)
      .map(({ at }) => at),
  );
  return parts.map(({ at, share }) => (share + (favoured.has(at) ? 1n : 0n)) * step);
}
