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
    const shared: QueryRunner = new Proxy(runner, {
      get(target, name) {
        if (name === 'release') return async () => undefined;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const source: DataSource = new Proxy(cashier.tx.source, {
      get: (target, name) => (name === 'createQueryRunner' ? () => shared : Reflect.get(target, name)),
    });
    return await play({ ...cashier, tx: { ...cashier.tx, source } }, (text, params) => runner.query(text, params));
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}
