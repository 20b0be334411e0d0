import type { Clock } from '../../src/ports/clock.js';

/** A clock that stands still until it is moved. */
export class TestClock implements Clock {
  #at: Date;

  constructor(at: Date | string) {
    this.#at = new Date(at);
  }

  now(): Date {
    return new Date(this.#at);
  }

  set(at: Date | string): void {
    this.#at = new Date(at);
  }

  advance(byMs: number): void {
    this.#at = new Date(this.#at.getTime() + byMs);
  }
}
