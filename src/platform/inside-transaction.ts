import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<true>();

/** Marks everything that `run` awaits as being inside a database transaction, where no provider may be called. */
export const insideTransaction = {
  run: <T>(work: () => T): T => storage.run(true, work),
};

/** Whether the caller runs, however deeply, inside `insideTransaction.run`. */
export function isInsideTransaction(): boolean {
  return storage.getStore() === true;
}
