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

/** The machine's time, and what was added to it; it stands still where a test counts seconds. */
export class ShiftedClock implements Clock {
  #shiftMs = 0;
  #standsAtMs: number | null = null;

  now(): Date {
    return new Date(this.#standsAtMs ?? Date.now() + this.#shiftMs);
  }

  advance(byMs: number): void {
    this.#shiftMs += byMs;
    if (this.#standsAtMs !== null) this.#standsAtMs += byMs;
  }

  /** Stands still from now on, however long the machine takes. */
  stand(): void {
    this.#standsAtMs = this.now().getTime();
  }

  /** Goes on from where it stands. */
  go(): void {
    this.#shiftMs = this.now().getTime() - Date.now();
    this.#standsAtMs = null;
  }
}
