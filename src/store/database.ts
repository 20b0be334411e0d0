import pg from 'pg';
import { DataSource } from 'typeorm';
import { ENTITIES } from '../entities/all.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { SteadyClient } from '../platform/steady-client.js';

/** Roles of the database; each pool takes one when it connects, so row security holds whatever the code does. */
export type DatabaseRole = 'pay_app' | 'pay_worker' | 'pay_reader';

let parsersAreSet = false;

/** bigint as BigInt; civil timestamps and dates as the text PostgreSQL wrote: a Date would bend them to this machine's zone. */
export function setTypeParsers(): void {
  if (parsersAreSet) return;
  parsersAreSet = true;
  pg.types.setTypeParser(pg.types.builtins.INT8, BigInt);
  pg.types.setTypeParser(pg.types.builtins.TIMESTAMP, (text: string) => text);
  pg.types.setTypeParser(pg.types.builtins.DATE, (text: string) => text);
}

/**
 * Opens a pool under one role. No unit of work may outlive 60 s: the ledger's roll-up relies on it (docs/money.md).
 * @throws the driver's error when the database can not be reached
 */
export async function openDatabase(options: DatabaseOptions, role: DatabaseRole, poolSize: number): Promise<DataSource> {
  setTypeParsers();
  const source = new DataSource({
    type: 'postgres',
    ...options,
    entities: ENTITIES,
    synchronize: false,
    logging: false,
    installExtensions: false,
    poolSize,
    applicationName: role,
    extra: {
      Client: SteadyClient,
      options: `-c role=${role} -c timezone=UTC`,
      statement_timeout: 20_000,
      idle_in_transaction_session_timeout: 30_000,
      lock_timeout: 15_000,
      connectionTimeoutMillis: 5_000,
    },
  });
  return source.initialize();
}

/** Whether the database answers. @throws the driver's error */
export async function ping(source: DataSource): Promise<void> {
  await source.query('select 1');
}
