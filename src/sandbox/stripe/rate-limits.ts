/**
 * Stripe's limits, when they are switched on: 25 requests a second to one endpoint, 100 altogether. Source: Stripe, "Rate limits".
 */
const PER_ENDPOINT = 25;
const ALTOGETHER = 100;

/** Counts requests by second of the machine's time. */
export class RateLimits {
  #second = 0;
  #all = 0;
  #byOperation = new Map<string, number>();

  /** Counts a request; false: it is one too many. */
  allows(operation: string): boolean {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#all = 0;
      this.#byOperation = new Map();
    }
    const count = (this.#byOperation.get(operation) ?? 0) + 1;
    if (count > PER_ENDPOINT || this.#all >= ALTOGETHER) return false;
    this.#all += 1;
    this.#byOperation.set(operation, count);
    return true;
  }
}
