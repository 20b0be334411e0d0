import { randomBytes } from 'node:crypto';

/** Randomness of the operating system. */
export class SystemRandom {
  bytes(count: number): Uint8Array {
    return randomBytes(count);
  }

  fraction(): number {
    return Math.random();
  }
}
