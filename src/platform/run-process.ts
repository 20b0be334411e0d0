import { dieWithParent } from './die-with-parent.js';
import { OneLineError } from './one-line-error.js';
import { loadDotEnv } from './settings.js';

/** A process that could not finish in this time is not going to. */
const STOP_LIMIT_MS = 60_000;

/**
 * The life of a process that serves: starts it, and stops it cleanly on SIGTERM, on Ctrl-C and when its launcher goes. A second
 * signal ends it at once. What its owner can put right is told in one line, anything else with its stack; both exit with 1.
 */
export function runProcess(start: () => Promise<{ stop(): Promise<void> }>): void {
  loadDotEnv();
  let isStopping = false;
  const started = start();
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    started
      .then((running) => running.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  dieWithParent(stop);
  started.catch(fail);
}

/** Tells an error to the person at the terminal and ends the process with 1. */
export function fail(error: unknown): never {
  console.error(error instanceof OneLineError ? error.message : error);
  process.exit(1);
}
