import type { Clock } from '../ports/clock.js';

/** The clock of a simulation: it stands until the scheduler moves it, and never goes back. */
export class SimulatedClock implements Clock {
  #nowMs: number;

  constructor(startsAt: Date) {
    this.#nowMs = startsAt.getTime();
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  /** The reading that the send guard goes by: no real time counts here. */
  monotonicMs(): number {
    return this.#nowMs;
  }

  moveTo(at: Date): void {
    this.#nowMs = Math.max(this.#nowMs, at.getTime());
  }
}
