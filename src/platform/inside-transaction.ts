import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<true>();

/** Marks everything that runs within as being inside a database transaction, where nobody may call out. */
export const insideTransaction = {
  run: <T>(work: () => Promise<T>): Promise<T> => storage.run(true, work),
};

/** Whether the caller runs inside a database transaction. */
export function isInsideTransaction(): boolean {
  return storage.getStore() === true;
}
