import net from 'node:net';
import { text } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { pgConfig, socketDatabaseUrl, type DatabaseOptions } from '../../src/platform/database-options.js';

// As everywhere in the product: bigint columns are bigint values.
pg.types.setTypeParser(pg.types.builtins.INT8, BigInt);

/** A migrated database of one's own, without a row in it but partitions for the machine's present time. */
export interface TestDatabase {
  /** For pg (`pgConfig(options)`) and TypeORM (`{ type: 'postgres', ...options }`). */
  options: DatabaseOptions;
  /** The same as DATABASE_URL. */
  url: string;
  /** Connections as the owner: may do everything, sees everything but what row security hides from a plain owner (nothing: superuser). */
  ownerPool: pg.Pool;
  /** Ends the pool and removes the database; sessions that are still open are cut. */
  drop(): Promise<void>;
}

/**
 * A new database for one suite: call it in beforeAll, `drop()` in afterAll. The server is shared by the whole run. It has partitions for the days that come
 * next, or with `hasRoomForDecades` for all that a test may go through.
 */
export async function testDatabase({ hasRoomForDecades = false } = {}): Promise<TestDatabase> {
  const { template, roomyTemplate, ...address } = await askForServer();
  const database = `test_${randomBytes(6).toString('hex')}`;
  const copied = hasRoomForDecades ? roomyTemplate : template;
  await asAdmin(address, `create database ${database} template ${copied} strategy file_copy`);
  const options: DatabaseOptions = { host: address.host, port: address.port, database, username: address.user };
  const ownerPool = new pg.Pool({ ...pgConfig(options), max: 10 });
  ownerPool.on('error', () => undefined); // A suite may cut its own sessions on purpose.
  return {
    options,
    url: socketDatabaseUrl(address, database),
    ownerPool,
    drop: async () => {
      await ownerPool.end();
      await asAdmin(address, `drop database ${database} with (force)`);
    },
  };
}

interface Server {
  host: string;
  port: number;
  user: string;
}

interface Templates {
  template: string;
  roomyTemplate: string;
}

async function askForServer(): Promise<Server & Templates> {
  const socket = process.env['TEST_DATABASE_SOCKET'];
  if (!socket) throw new Error('No test database server: run the tests through jest with the project configuration.');
  const answer = JSON.parse(await text(net.connect(socket))) as (Server & Templates) | { error: string };
  if ('error' in answer) throw new Error(answer.error);
  return answer;
}

async function asAdmin(address: Server, statement: string): Promise<void> {
  const admin = new pg.Client({ ...address, database: 'postgres' });
  await admin.connect();
  try {
    await admin.query(statement);
  } finally {
    await admin.end();
  }
}
