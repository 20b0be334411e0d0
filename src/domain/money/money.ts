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
