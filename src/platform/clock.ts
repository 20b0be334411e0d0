import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import { replaceFile } from './kept-file.js';

/** The machine's clock. */
export class SystemClock {
  now(): Date {
    return new Date();
  }

  /** Milliseconds that only ever grow, whatever is done to the clock. */
  monotonicMs(): number {
    return performance.now();
  }
}

/** How the sandbox's clock goes: it stands at an instant, or runs so many milliseconds ahead of the machine's (0: with it). */
export type SandboxTime = Readonly<{ standsAt: Date }> | Readonly<{ aheadMs: number }>;

/** How soon a process sees that the sandbox's clock was moved. */
const LOOK_EVERY_MS = 200;

/**
 * The sandbox's clock goes as DATA_DIR/clock.json says, and with the machine where there is no such file. All processes of one DATA_DIR
 * share it; each sees a change within 0.2 s, and before it does anything else when it was held up longer than that.
 */
export class SandboxClock {
  readonly #dataDir: string;
  readonly #ownOffsetMs: number;
  #time: SandboxTime;
  /** Of the file when it was read. */
  #version: string;
  #lookedAtMs: number;
  #jumpedMs = 0;

  /** @param ownOffsetMs how far this process's clock is ahead of the shared one, as clocks of machines differ */
  constructor(dataDir: string, ownOffsetMs = 0) {
    this.#dataDir = dataDir;
    this.#ownOffsetMs = ownOffsetMs;
    // Before the reading: what is replaced in between is read once more.
    this.#version = versionOf(clockFile(dataDir));
    this.#time = readSandboxTime(dataDir);
    this.#lookedAtMs = performance.now();
  }

  now(): Date {
    if (performance.now() - this.#lookedAtMs > LOOK_EVERY_MS) this.#look();
    return new Date(instantOf(this.#time).getTime() + this.#ownOffsetMs);
  }

  /**
   * Milliseconds that only ever grow: those that passed, and those by which the clock was moved ahead meanwhile. A process that was held up
   * while it was moved must find its claims as old as after a stop of that length; so this always looks.
   */
  monotonicMs(): number {
    this.#look();
    return performance.now() + this.#jumpedMs;
  }

  #look(): void {
    this.#lookedAtMs = performance.now();
    // Hundreds of claims are looked at in one go, and a file that is as it was says what it said.
    const version = versionOf(clockFile(this.#dataDir));
    if (version === this.#version) return;
    this.#version = version;
    const time = readSandboxTime(this.#dataDir);
    const aheadMs = instantOf(time).getTime() - instantOf(this.#time).getTime();
    // A clock that runs on as before moves by nothing but the reading itself.
    if (!isSame(time, this.#time)) this.#jumpedMs += Math.max(0, aheadMs);
    this.#time = time;
  }
}

/** What is another after each replacement of a file; '' without one, or for one that may not be looked at. */
function versionOf(file: string): string {
  try {
    const found = statSync(file, { bigint: true, throwIfNoEntry: false });
    return found ? `${found.ino} ${found.mtimeNs}` : '';
  } catch {
    return '';
  }
}

/** The present instant of a clock that goes like this. */
export function instantOf(time: SandboxTime): Date {
  return 'standsAt' in time ? new Date(time.standsAt) : new Date(Date.now() + time.aheadMs);
}

function isSame(one: SandboxTime, other: SandboxTime): boolean {
  if ('standsAt' in one) return 'standsAt' in other && one.standsAt.getTime() === other.standsAt.getTime();
  return 'aheadMs' in other && one.aheadMs === other.aheadMs;
}

const clockText = z.union([
  z.strictObject({ now: z.iso.datetime({ offset: true }) }).transform(({ now }) => ({ standsAt: new Date(now) })),
  z.strictObject({ aheadMs: z.int() }),
]);

/** How the sandbox's clock goes. A file that says nothing of the kind counts as none: with the machine. */
export function readSandboxTime(dataDir: string): SandboxTime {
  try {
    return clockText.parse(JSON.parse(readFileSync(clockFile(dataDir), 'utf8')));
  } catch {
    return { aheadMs: 0 };
  }
}

/** Lets the sandbox's clock go like this from now on. */
export function writeSandboxTime(dataDir: string, time: SandboxTime): void {
  const said = 'standsAt' in time ? { now: time.standsAt.toISOString() } : { aheadMs: time.aheadMs };
  replaceFile(clockFile(dataDir), `${JSON.stringify(said)}\n`);
}

function clockFile(dataDir: string): string {
  return path.join(dataDir, 'clock.json');
}
