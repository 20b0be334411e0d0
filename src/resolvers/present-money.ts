import { decimalText } from '../domain/money/currency.js';
import type { Money } from './types/money.js';

/** An amount as the graph shows it. */
export function presentMoney(minor: bigint, currency: string): Money {
  return {
    amountMinor: minor,
    currency,
    get decimal(): string {
      return decimalText({ minor, currency });
    },
  };
}
