/** A clock that stands until it is moved; it may also run along with the machine from where it was put. */
export class TestClock {
  #offsetMs = 0;

  /** The machine's time and what was added to it. */
  now(): Date {
    return new Date(Date.now() + this.#offsetMs);
  }

  /** Moves on by so many milliseconds. */
  advance(ms: number): void {
    this.#offsetMs += ms;
  }
}
