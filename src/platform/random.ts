import { randomFillSync } from 'node:crypto';

/** Read from the operating system at once: a look at it costs more than making an id. */
const POOL_BYTES = 4_096;

/** Randomness of the operating system. */
export class SystemRandom {
  #pool = new Uint8Array(0);

  bytes(count: number): Uint8Array {
    if (this.#pool.length < count) this.#pool = randomFillSync(new Uint8Array(Math.max(POOL_BYTES, count)));
    const bytes = this.#pool.subarray(0, count);
    this.#pool = this.#pool.subarray(count);
    return bytes;
  }

  fraction(): number {
    return Math.random();
  }
}
