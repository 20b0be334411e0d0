import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replaceFile } from './kept-file.js';

/** The machine's clock. */
export class SystemClock {
  now(): Date {
    return new Date();
  }
}

/** How soon a process sees that the sandbox's clock was moved. */
const POLL_MS = 200;

/**
 * The sandbox's clock: stands at the instant that DATA_DIR/clock.json names, and runs with the machine where there is no such file.
 * All processes of one DATA_DIR share it; each sees a change within 0.2 s. Stop it to let go of the file.
 */
export class SandboxClock {
  readonly #dataDir: string;
  readonly #timer: NodeJS.Timeout;
  #stoodAt: Date | null;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#stoodAt = readSandboxClock(dataDir);
    this.#timer = setInterval(() => this.#look(), POLL_MS).unref();
  }

  now(): Date {
    return this.#stoodAt ? new Date(this.#stoodAt) : new Date();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#stoodAt = readSandboxClock(this.#dataDir);
  }
}

/** Where the sandbox's clock stands; null while it runs with the machine. A file that says no instant counts as none. */
export function readSandboxClock(dataDir: string): Date | null {
  let text: string;
  try {
    text = readFileSync(clockFile(dataDir), 'utf8');
  } catch {
    return null; // Never set, or set back to real time.
  }
  const now = /^\s*\{\s*"now"\s*:\s*(?:"([^"]+)"|null)\s*\}\s*$/.exec(text)?.[1];
  const at = now ? new Date(now) : null;
  return at && !Number.isNaN(at.getTime()) ? at : null;
}

/** Stands the sandbox's clock at an instant, or lets it run with the machine again (null). */
export function writeSandboxClock(dataDir: string, now: Date | null): void {
  replaceFile(clockFile(dataDir), `${JSON.stringify({ now: now?.toISOString() ?? null })}\n`);
}

function clockFile(dataDir: string): string {
  return path.join(dataDir, 'clock.json');
}
