import { mkdtemp, rm, symlink } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SystemClock } from '../../src/platform/clock.js';
import { SystemRandom } from '../../src/platform/random.js';
import { OneLineError } from '../../src/platform/one-line-error.js';
import { untilReachable } from '../../src/store/reach-database.js';
import { openDatabase } from '../../src/store/database.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { startPresence } from '../../src/store/presence.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

let db: TestDatabase;
let folder: string;
beforeAll(async () => {
  db = await testDatabase();
  folder = await mkdtemp(path.join(os.tmpdir(), 'pg-'));
});
afterAll(async () => {
  await db.drop();
  await rm(folder, { recursive: true, force: true });
});

/** ErrorResponse of a server that goes: FATAL, 57P01 (PostgreSQL, "Frontend/Backend Protocol"). */
const FAREWELL = ((): Buffer => {
  const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
  const body = Buffer.from(`${fields.join('\0')}\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
})();
/** ReadyForQuery, idle. */
const READY = Buffer.from('5a0000000549', 'hex');

/** Stands before the database, and counts who comes. */
interface Door {
  close: () => void;
  /** The next connection gets the server's farewell in one packet with its being ready. */
  spoilNext: () => void;
  /** Cuts all who are inside, and turns so many away. */
  turnAway: (count: number) => void;
  comers: () => number;
}

async function doorBefore(to: TestDatabase['options']): Promise<Door> {
  let isSpoiling = false;
  let comers = 0;
  let turnedAwayLeft = 0;
  const inside = new Set<net.Socket>();
  const server = net.createServer((client) => {
    comers += 1;
    if (turnedAwayLeft > 0) {
      turnedAwayLeft -= 1;
      return void client.destroy();
    }
    inside.add(client);
    let isSpoiled = isSpoiling;
    isSpoiling = false;
    const onward = net.connect(path.join(to.host, `.s.PGSQL.${to.port}`));
    client.on('data', (bytes) => onward.write(bytes));
    onward.on('data', (bytes: Buffer) => {
      if (!isSpoiled || !bytes.subarray(-READY.length).equals(READY)) return void client.write(bytes);
      isSpoiled = false;
      client.end(Buffer.concat([bytes, FAREWELL]));
    });
    for (const [one, other] of [
      [client, onward],
      [onward, client],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
  server.listen(path.join(folder, `.s.PGSQL.${to.port}`));
  await once(server, 'listening');
  return {
    close: () => void server.close(),
    spoilNext: () => void (isSpoiling = true),
    turnAway: (count) => {
      turnedAwayLeft = count;
      for (const client of inside) client.destroy();
      inside.clear();
    },
    comers: () => comers,
  };
}

test('a server that goes at the moment a connection is ready fails one unit of work, and the process lives on', async () => {
  const door = await doorBefore(db.options);
  const source = await openDatabase({ ...db.options, host: folder }, 'pay_worker', 4);
  try {
    const transactor = { source, clock: new SystemClock(), random: new SystemRandom(), onCommitted: () => undefined };
    const ask = (): Promise<unknown> =>
      inTx(transactor, { userId: 'ana', isStaff: false }, (uow) => uow.manager.query('select 1 as one'));
    door.spoilNext();
    // As many at once as the pool has places: those that are not open yet are opened.
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(ask));
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected').map((outcome) => String(outcome.reason));
    expect(failed).toEqual([expect.stringMatching(/connection (error|to the database was lost)|terminat/i)]);
    expect(await ask()).toEqual([{ one: 1 }]);
  } finally {
    await source.destroy();
    door.close();
  }
});

test('a start waits for a database that is about to be there, and gives up in one line', async () => {
  const late = { ...db.options, host: await mkdtemp(path.join(os.tmpdir(), 'late-')) };
  await expect(untilReachable(late, 0)).rejects.toThrow(
    new OneLineError(`The database at ${late.host}:${late.port} does not answer: start it, or correct DATABASE_URL.`),
  );
  const reached = untilReachable(late, 60_000);
  await symlink(path.join(db.options.host, `.s.PGSQL.${late.port}`), path.join(late.host, `.s.PGSQL.${late.port}`));
  await reached;
  await rm(late.host, { recursive: true });
});

test('a start does not wait for what waiting does not mend', async () => {
  await expect(untilReachable({ ...db.options, database: 'no_such_database' }, 60_000)).rejects.toThrow(/no_such_database/);
});

test('who was present comes back once when the database does, however often it was turned away meanwhile', async () => {
  const door = await doorBefore(db.options);
  const presence = await startPresence({ ...db.options, host: folder }, 1);
  try {
    const former = presence.number();
    door.turnAway(8);
    await eventually(() => expect([null, former]).not.toContain(presence.number()));
    // Another attempt that had begun beside the one that got in would come before these questions are answered.
    for (let i = 0; i < 20; i++) await db.ownerPool.query('select 1');
    expect(door.comers()).toBe(1 + 8 + 1);
  } finally {
    await presence.stop();
    door.close();
  }
});
