import { flushCompileCache } from 'node:module';
import { dieWithParent } from './die-with-parent.js';
import { OneLineError } from './one-line-error.js';
import { loadDotEnv } from './settings.js';
import { Shutdown } from './shutdown.js';

/** A process that could not finish in this time is not going to. */
const STOP_LIMIT_MS = 60_000;
/** One Ctrl-C may reach us twice, from the terminal and from npm. */
const SAME_SIGNAL_MS = 500;

/**
 * The life of a process that serves: `start` registers each part as soon as it runs; SIGTERM, SIGHUP, Ctrl-C or the end of the
 * launcher stop the parts in reverse order, even in the middle of the start, and end the process with 0. A second signal ends it at
 * once with 1. When the start fails, what had started is stopped; what its owner can put right is told in one line, anything else
 * with its stack; exit 1.
 */
export function runProcess(start: (shutdown: Shutdown) => Promise<void>): void {
  loadDotEnv();
  const shutdown = new Shutdown((line) => console.error(line));
  const end = (code: number): void => {
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    void shutdown.stop().finally(() => process.exit(code));
  };
  let signaledAtMs = 0;
  const stop = (): void => {
    const isRepeat = performance.now() - signaledAtMs < SAME_SIGNAL_MS;
    signaledAtMs = performance.now();
    if (!shutdown.isStopping) end(0);
    else if (!isRepeat) process.exit(1);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  dieWithParent(() => {
    if (!shutdown.isStopping) end(0);
  });
  // Kept now: whoever is killed keeps nothing.
  start(shutdown).then(flushCompileCache, (error: unknown) => {
    if (shutdown.isStopping) return; // The start stumbled over parts that are gone already.
    tell(error);
    end(1);
  });
}

/** Tells an error to the person at the terminal and ends the process with 1. */
export function fail(error: unknown): never {
  tell(error);
  process.exit(1);
}

function tell(error: unknown): void {
  console.error(error instanceof OneLineError ? error.message : error);
}
