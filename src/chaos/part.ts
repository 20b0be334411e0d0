import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** After an end of its own a process is started again so soon. */
const AGAIN_AFTER_MS = 300;
const READY_POLL_MS = 100;
const STOP_LIMIT_MS = 15_000;

/** How a process is started and looked after. */
export interface PartOptions {
  name: string;
  /** The program's file. */
  file: string;
  /** Asked at each start. */
  env: () => NodeJS.ProcessEnv;
  /** Answers 200 as soon as it does its work. */
  readyUrl: string;
  /** Its output is appended there. */
  logFile: string;
  /** Told of ends that nobody brought about. */
  onEnd: (how: string, wasReady: boolean) => void;
  /** Told when it is ready, before others are. */
  onReady?: () => Promise<void>;
}

/** A process of the product that is started again whenever it ends, as its operator's supervisor would. */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #child: ChildProcess | null = null;
  #isWanted = false;
  #isReady = false;
  #isEndExpected = false;
  #downMs = AGAIN_AFTER_MS;
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  start(): void {
    this.#isWanted = true;
    this.#keeping = this.#keep();
  }

  /** Kills it; it is started again after so long. False when it is not there to be killed. */
  kill(downMs: number): boolean {
    return this.#end('SIGKILL', downMs);
  }

  /** Asks it to end; it is started again at once. */
  restart(): boolean {
    return this.#end('SIGTERM', 0);
  }

  /** Stops it where it stands, until what is returned is called. Null when there is nothing to stop. */
  freeze(): (() => void) | null {
    const child = this.#child;
    if (!child || !this.#isReady || !child.kill('SIGSTOP')) return null;
    return () => void child.kill('SIGCONT');
  }

  /** Waits until it is ready. @throws Error when it takes longer */
  async untilReady(limitMs: number): Promise<void> {
    for (let waitedMs = 0; !this.#isReady; waitedMs += READY_POLL_MS) {
      if (waitedMs > limitMs)
        throw new Error(`${this.name} was not ready within ${limitMs / 1000} s; see ${this.#options.logFile}`);
      await pause(READY_POLL_MS);
    }
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    if (child) {
      this.#end('SIGTERM', 0);
      child.kill('SIGCONT');
      const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await this.#keeping;
      clearTimeout(limit);
    }
    await this.#keeping;
  }

  #end(signal: 'SIGKILL' | 'SIGTERM', downMs: number): boolean {
    if (!this.#child) return false;
    this.#isEndExpected = true;
    this.#isReady = false;
    this.#downMs = downMs;
    return this.#child.kill(signal);
  }

  async #keep(): Promise<void> {
    const { file, env, logFile, onEnd } = this.#options;
    while (this.#isWanted) {
      const log = openSync(logFile, 'a');
      const child = spawn(process.execPath, [file], { env: env(), stdio: ['ignore', log, log, 'ipc'] });
      closeSync(log);
      const ended = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
      this.#child = child;
      this.#isEndExpected = false;
      const watching = this.#watch(child);
      const [code, signal] = await ended;
      this.#child = null;
      await watching;
      const wasReady = this.#isReady;
      this.#isReady = false;
      if (child.connected) child.disconnect();
      if (!this.#isEndExpected && this.#isWanted) {
        this.#downMs = AGAIN_AFTER_MS;
        onEnd(signal ?? `exit code ${code}`, wasReady);
      }
      if (this.#isWanted) await pause(this.#downMs);
    }
  }

  /** Looks until this run of it is ready or over. */
  async #watch(child: ChildProcess): Promise<void> {
    const isCurrent = (): boolean => this.#child === child && !this.#isEndExpected;
    while (isCurrent()) {
      try {
        const answer = await fetch(this.#options.readyUrl, { signal: AbortSignal.timeout(2_000) });
        await answer.arrayBuffer();
        if (answer.ok) {
          await this.#options.onReady?.();
          if (isCurrent()) this.#isReady = true;
          return;
        }
      } catch {
        // Not listening yet.
      }
      await pause(READY_POLL_MS);
    }
  }
}
