import { setTimeout as pause } from 'node:timers/promises';

/** How long one part may take to stop before the next one is told to; long requests and the database's last checkpoint fit in. */
const PART_LIMIT_MS = 30_000;

/** What has been started, so that it can be stopped in reverse order. */
export class Shutdown {
  readonly #parts: { name: string; stop: () => unknown }[] = [];
  readonly #onTrouble: (line: string) => void;
  #stopping: Promise<void> | null = null;

  /** @param onTrouble is told of parts that failed to stop or took too long; the others are stopped all the same */
  constructor(onTrouble: (line: string) => void) {
    this.#onTrouble = onTrouble;
  }

  /** Whether `stop` was called: nothing new may be started. */
  get isStopping(): boolean {
    return this.#stopping !== null;
  }

  /** Names what was just started and how it is stopped. */
  add(name: string, stop: () => unknown): void {
    this.#parts.push({ name, stop });
  }

  /** Stops the parts one after the other, the last started first. Repeats wait for the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (let part = this.#parts.pop(); part; part = this.#parts.pop()) {
      const limit = new AbortController();
      const late = pause(PART_LIMIT_MS, 'late', { signal: limit.signal }).catch(() => 'in time');
      try {
        const outcome = await Promise.race([Promise.resolve(part.stop()), late]);
        if (outcome === 'late') this.#onTrouble(`${part.name} did not stop within ${PART_LIMIT_MS / 1000} s`);
      } catch (error) {
        this.#onTrouble(`${part.name} failed to stop: ${String(error)}`);
      }
      limit.abort();
    }
  }
}
