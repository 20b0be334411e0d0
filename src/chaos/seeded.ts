import { createHash } from 'node:crypto';

/**
 * Chance that follows from a seed alone. Each purpose draws from a stream of its own (`child`), so that what one does more or less of
 * changes nothing for the others. The generator is sfc32 (Doty-Humphrey, PractRand): 128 bits of state, passes its tests.
 */
export class Seeded {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(name: string) {
    this.#name = name;
    const digest = createHash('sha256').update(name).digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
    for (let i = 0; i < 12; i++) this.fraction();
  }

  /** A stream of its own for a purpose: the same purpose gets the same stream again. */
  child(purpose: string): Seeded {
    return new Seeded(`${this.#name}/${purpose}`);
  }

  /** At least 0, below 1. */
  fraction(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.int(0, list.length - 1)] ?? list[0];
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(list: readonly [readonly [weight: number, value: T], ...(readonly [weight: number, value: T])[]]): T {
    let left = this.fraction() * list.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of list) {
      left -= weight;
      if (left < 0) return value;
    }
    return list[0][1];
  }

  /** So many digits of hexadecimal. */
  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.int(0, 15).toString(16)).join('');
  }
}
