import pg from 'pg';
import { DataSource } from 'typeorm';
import { ENTITIES } from '../entities/all.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { SteadyClient } from '../platform/steady-client.js';
import { BY_KEY_OPTIONS } from './statement.js';

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

/** As many texts as TypeORM makes of our entities, and more; one that comes after them is planned anew each time. */
const MOST_PREPARED = 500;
const preparedNames = new Map<string, string>();

/**
 * Keeps each statement with parameters prepared on its connection, whoever wrote its text: row security and partitions make planning
 * dearer than running (bench storm: a purchase took 9.4 ms of the database's time before). Poolers must pass prepared statements on,
 * as pgbouncer does from 1.21.
 */
class PreparingClient extends SteadyClient {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const send = this.query.bind(this);
    const prepared = (first: unknown, values?: unknown, ...rest: unknown[]): unknown => {
      const name = typeof first === 'string' && Array.isArray(values) && values.length > 0 ? nameOf(first) : null;
      return name === null
        ? Reflect.apply(send, this, [first, values, ...rest])
        : Reflect.apply(send, this, [{ name, text: first, values }, ...rest]);
    };
    Object.defineProperty(this, 'query', { value: prepared });
  }
}

function nameOf(text: string): string | null {
  const known = preparedNames.get(text);
  if (known !== undefined || preparedNames.size >= MOST_PREPARED) return known ?? null;
  const name = `orm_${preparedNames.size}`;
  preparedNames.set(text, name);
  return name;
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
      Client: PreparingClient,
      options: `-c role=${role} -c timezone=UTC${role === 'pay_app' ? BY_KEY_OPTIONS : ''}`,
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
