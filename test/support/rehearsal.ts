import type { DataSource, QueryRunner } from 'typeorm';
import type { Cashier } from '../../src/usecases/cashier.js';

/**
 * Runs `play` with a cashier whose every unit of work is a savepoint of one transaction, and takes all of it back at the end: the same
 * beginning can be played again and again. One unit of work at a time.
 * @param play is also given a way to read and write inside that transaction, as the role of the pool
 */
export async function rehearse<T>(
  cashier: Cashier,
  play: (cashier: Cashier, query: <Row>(text: string, params?: unknown[]) => Promise<Row[]>) => Promise<T>,
): Promise<T> {
  const runner = cashier.tx.source.createQueryRunner();
  await runner.startTransaction();
  try {
    const shared = withSavepoints(runner);
    const source: DataSource = new Proxy(cashier.tx.source, {
      get: (target, name) => (name === 'createQueryRunner' ? () => shared : Reflect.get(target, name)),
    });
    return await play({ ...cashier, tx: { ...cashier.tx, source } }, (text, params) => runner.query(text, params));
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

/** The same connection, on which what a unit of work begins and ends is a savepoint. */
function withSavepoints(runner: QueryRunner): QueryRunner {
  let isActive = false;
  const end = async (statement: string): Promise<void> => {
    isActive = false;
    await runner.query(statement);
  };
  const instead: Partial<Record<string | symbol, unknown>> = {
    query: (text: string, params?: unknown[]) => runner.query(text.replace(/^start transaction;/, 'savepoint unit;'), params),
    commitTransaction: () => end('release savepoint unit'),
    rollbackTransaction: () => end('rollback to savepoint unit; release savepoint unit'),
    release: async () => undefined,
  };
  return new Proxy(runner, {
    get(target, name) {
      if (name === 'isTransactionActive') return isActive;
      const value: unknown = instead[name] ?? Reflect.get(target, name);
      return typeof value === 'function' && !(name in instead) ? value.bind(target) : value;
    },
    set(target, name, value: unknown) {
      if (name !== 'isTransactionActive') return Reflect.set(target, name, value);
      isActive = value === true;
      return true;
    },
  });
}
