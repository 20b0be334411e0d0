/**
 * Things that must run until we stop them: when one ends by itself it is started again, after a pause that doubles from 1 s to 30 s
 * while it keeps failing. Whatever it is, it ends with this process: a child through its channel, a database through its pipe.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { OneLineError } from './one-line-error.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Who has run this long is well again: the next pause is the first one. */
const WELL_AFTER_MS = 60_000;
/** After this long a child that was told to stop is killed. */
const CHILD_STOP_LIMIT_MS = 20_000;

/** One run of a supervised thing. */
export interface Running {
  /** Resolves with words for how it ended, e.g. `signal SIGKILL`. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

/** Keeps one thing running. */
export class Supervised {
  readonly name: string;
  readonly #start: () => Promise<Running>;
  readonly #tell: (line: string) => void;
  readonly #stopped = new AbortController();
  #running: Running | null = null;
  #watching: Promise<void> = Promise.resolve();

  /** @param options.tell gets one line for each unexpected end and each new start that failed */
  constructor(options: { name: string; start: () => Promise<Running>; tell: (line: string) => void }) {
    this.name = options.name;
    this.#start = options.start;
    this.#tell = options.tell;
  }

  /**
   * The first start; supervision begins when it is ready.
   * @param untilReady resolves when the thing does its work, at once where nothing is given
   * @throws what the start threw; OneLineError when it ended before it was ready
   */
  async start(untilReady: () => Promise<void> = async () => undefined): Promise<void> {
    const running = await this.#start();
    this.#running = running;
    if (this.#stopped.signal.aborted) await running.stop();
    const endedEarly = running.ended.then((how) => {
      throw new OneLineError(`The ${this.name} did not start (${how}); what it said is above.`);
    });
    endedEarly.catch(() => undefined); // Its later end is no failure of the start.
    await Promise.race([untilReady(), endedEarly]);
    this.#watching = this.#watch(running);
  }

  /** Stops it and waits for its end. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running?.stop();
    await this.#watching;
  }

  async #watch(first: Running): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    let startedAt = Date.now();
    for (let running: Running | null = first; ;) {
      const how: string = running ? await running.ended : 'it did not start';
      if (this.#stopped.signal.aborted) return;
      if (Date.now() - startedAt >= WELL_AFTER_MS) pauseMs = FIRST_PAUSE_MS;
      this.#tell(`${this.name} ended (${how}); starting it again in ${pauseMs / 1000} s.`);
      await pause(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      if (this.#stopped.signal.aborted) return;
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      startedAt = Date.now();
      running = await this.#start().catch((error: unknown) => {
        this.#tell(`${this.name}: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      });
      this.#running = running;
      if (this.#stopped.signal.aborted) await running?.stop();
    }
  }
}

/** Options of Node with which a program of ours names lines of its TypeScript in what it throws. */
export const WITH_SOURCE_MAPS: readonly string[] = ['--import', new URL('own-source-maps.js', import.meta.url).href];

/**
 * Starts a Node program in a process group of its own, so that Ctrl-C reaches only us and we stop our children in order.
 * It shares our output, and a channel whose end tells it that we are gone.
 */
export function startChild(file: string, env: NodeJS.ProcessEnv, nodeOptions: readonly string[] = []): Running {
  const child = spawn(process.execPath, [...nodeOptions, file], {
    env,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  return { ended, stop: () => stopChild(child, ended) };
}

async function stopChild(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), CHILD_STOP_LIMIT_MS);
  await ended;
  clearTimeout(kill);
}
