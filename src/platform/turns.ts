/** There is no place for new work, and there was none for as long as anybody should wait. Nothing was begun. */
export class Overloaded extends Error {
  /** PostgreSQL's own code for "too many connections": whoever reads codes of the database reads this one alike. */
  readonly code = '53300';

  constructor(waitedMs: number) {
    super(`no place became free within ${waitedMs / 1000} s`);
    this.name = 'Overloaded';
  }
}

interface Waiting {
  go: () => void;
}

/**
 * A few places for many. What finishes something begun goes before what begins something new: so under a rush those who are in get
 * through, and the queue stands at the door, where turning back costs nobody anything. In a plain queue each would wait again at every
 * step, all would end together at the end, and one who gives up half-way has been charged.
 */
export class Turns {
  #freeCount: number;
  readonly #finishing: Waiting[] = [];
  readonly #beginning: Waiting[] = [];

  constructor(
    places: number,
    /** Longest wait of what begins; what finishes waits as long as it takes. */
    readonly waitLimitMs: number,
  ) {
    this.#freeCount = places;
  }

  /** Runs the work when it has a place. @throws Overloaded when it begins something and had none in time */
  async run<T>(kind: 'begins' | 'finishes', work: () => Promise<T>): Promise<T> {
    if (this.#freeCount > 0) this.#freeCount -= 1;
    else await (kind === 'begins' ? this.#waitAtMost() : new Promise<void>((go) => void this.#finishing.push({ go })));
    try {
      return await work();
    } finally {
      const next = this.#finishing.shift() ?? this.#beginning.shift();
      if (next) next.go();
      else this.#freeCount += 1;
    }
  }

  #waitAtMost(): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        go: () => {
          clearTimeout(limit);
          resolve();
        },
      };
      const limit = setTimeout(() => {
        this.#beginning.splice(this.#beginning.indexOf(waiting), 1);
        reject(new Overloaded(this.waitLimitMs));
      }, this.waitLimitMs);
      this.#beginning.push(waiting);
    });
  }
}
