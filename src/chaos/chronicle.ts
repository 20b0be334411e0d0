import type { SandboxClock } from '../platform/clock.js';

/** Something that was done to the processes or between them. */
export interface Disturbance {
  /** By the sandbox's clock, as the rows of the database are. */
  at: Date;
  text: string;
}

/** What happened in a run, in order, and how often. */
export class Chronicle {
  readonly disturbances: Disturbance[] = [];
  readonly #counts = new Map<string, number>();
  readonly #clock: Pick<SandboxClock, 'now'>;

  constructor(clock: Pick<SandboxClock, 'now'>) {
    this.#clock = clock;
  }

  now(): Date {
    return this.#clock.now();
  }

  /** Writes a disturbance down. `figure`: what it counts as. */
  disturb(figure: string, text: string): void {
    this.disturbances.push({ at: this.now(), text });
    this.count(figure);
  }

  count(figure: string, by = 1): void {
    this.#counts.set(figure, this.of(figure) + by);
  }

  of(figure: string): number {
    return this.#counts.get(figure) ?? 0;
  }

  /** Figures whose name begins so, with the rest of their names. */
  all(prefix: string): [name: string, count: number][] {
    return [...this.#counts]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, count]): [string, number] => [name.slice(prefix.length), count])
      .toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  /** All figures whose name begins so, together. */
  sum(prefix: string): number {
    return this.all(prefix).reduce((sum, [, count]) => sum + count, 0);
  }
}
