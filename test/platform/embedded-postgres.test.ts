import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import {
  DataDirInUse,
  embeddedPostgresAddress,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
  useEmbeddedPostgres,
  type PostgresAddress,
} from '../../src/platform/embedded-postgres.js';
import { eventually } from '../support/eventually.js';

let folder: string;
const used = new Set<string>();
/** A DATA_DIR of this test alone. */
const dataDirNamed = (name: string) => {
  const dataDir = path.join(folder, name);
  used.add(dataDir);
  return dataDir;
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'embedded-'));
});
afterAll(async () => {
  for (const dataDir of used) await removeEmbeddedPostgres(dataDir);
  await rm(folder, { recursive: true, force: true });
});

async function ask<Row extends pg.QueryResultRow>(address: PostgresAddress, statement: string): Promise<Row[]> {
  const client = new pg.Client({ host: address.host, port: address.port, user: address.user, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that starts the server of this DATA_DIR, says so and stays. */
async function holder(dataDir: string, isDurable = true): Promise<ChildProcess> {
  const program = `
    const { startEmbeddedPostgres } = await import('./dist/src/platform/embedded-postgres.js');
    await startEmbeddedPostgres({ dataDir: process.argv[1], isDurable: ${isDurable} });
    console.log('ready');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

const isStopped = async (address: PostgresAddress): Promise<boolean> =>
  await access(path.join(address.host, '.s.PGSQL.5432')).then(
    () => false,
    () => true,
  );

test('what was committed is there after a stop and a new start', async () => {
  const dataDir = dataDirNamed('kept');
  const first = await startEmbeddedPostgres({ dataDir, isDurable: true });
  await ask(first, 'create table kept as select 42 as n');
  await first.stop();
  expect(await isStopped(first)).toBe(true);
  const second = await startEmbeddedPostgres({ dataDir, isDurable: true });
  expect(await ask(second, 'select n from kept')).toEqual([{ n: 42 }]);
  expect(await ask(second, 'show fsync')).toEqual([{ fsync: 'on' }]);
  await second.stop();
});

test('a DATA_DIR that was removed and made anew starts with an empty database', async () => {
  const dataDir = dataDirNamed('removed');
  const first = await startEmbeddedPostgres({ dataDir, isDurable: true });
  await ask(first, 'create table left_behind as select 1 as n');
  await first.stop();
  await rm(dataDir, { recursive: true });
  const second = await startEmbeddedPostgres({ dataDir, isDurable: true });
  expect(await ask(second, "select relname from pg_class where relname = 'left_behind'")).toEqual([]);
  await second.stop();
  if (process.getuid?.() !== 0) return;
  // Set aside, not removed: somebody may miss it.
  const [base, home] = [path.basename(path.dirname(second.host)), path.dirname(path.dirname(second.host))];
  const aside = (await readdir(home)).filter((name) => name.startsWith(`${base}.left-`));
  expect(aside).toHaveLength(1);
  for (const name of aside) await rm(path.join(home, name), { recursive: true });
});

test('two values of DATA_DIR never share a database, and spellings of one do', async () => {
  const [here, there] = await Promise.all(
    ['here', 'there'].map((name) => startEmbeddedPostgres({ dataDir: dataDirNamed(name), isDurable: false })),
  );
  if (!here || !there) throw new Error('two servers were started');
  await ask(here, 'create table mine (n int)');
  expect(await ask(there, "select to_regclass('mine') as found")).toEqual([{ found: null }]);
  expect(embeddedPostgresAddress(path.join(folder, 'x', '..', 'here'))).toEqual({
    host: here.host,
    port: here.port,
    user: 'postgres',
  });
  await Promise.all([here.stop(), there.stop()]);
});

test('nobody else can reach the data or the socket, and no port is opened', async () => {
  const server = await startEmbeddedPostgres({ dataDir: dataDirNamed('closed'), isDurable: false });
  expect((await stat(server.host)).mode & 0o777).toBe(0o700);
  expect(Buffer.byteLength(path.join(server.host, '.s.PGSQL.5432'))).toBeLessThanOrEqual(107);
  expect(await ask(server, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
  await server.stop();
});

test('a second start on a running DATA_DIR is refused in one line that names it', async () => {
  const dataDir = dataDirNamed('twice');
  const child = await holder(dataDir, false);
  const refused = await startEmbeddedPostgres({ dataDir, isDurable: false }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(DataDirInUse);
  expect(String(refused)).toMatch(/^DataDirInUse: The database under .*twice is in use \(server process \d+\): stop .*\.$/);
  child.kill('SIGKILL');
  await once(child, 'exit');
});

test('of several first starts at once exactly one gets the server', async () => {
  const dataDir = dataDirNamed('race');
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => startEmbeddedPostgres({ dataDir, isDurable: false })));
  const started = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  expect(started).toHaveLength(1);
  for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(DataDirInUse);
  for (const { value } of started) await value.stop();
});

test('the server goes when its process is killed, and the next start waits for that and finds the data', async () => {
  const dataDir = dataDirNamed('killed');
  const child = await holder(dataDir);
  const address = embeddedPostgresAddress(dataDir);
  await ask(address, 'create table kept as select 7 as n');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const next = await startEmbeddedPostgres({ dataDir, isDurable: true });
  expect(await ask(next, 'select n from kept')).toEqual([{ n: 7 }]);
  await next.stop();
});

test('the next start recovers what was committed when the server itself was killed', async () => {
  const dataDir = dataDirNamed('crashed');
  const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
  await ask(server, 'create table kept as select 7 as n');
  const [row] = await ask<{ pid: string }>(server, "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid");
  process.kill(Number(row?.pid), 'SIGKILL');
  await server.exited;
  const next = await startEmbeddedPostgres({ dataDir, isDurable: true });
  expect(await ask(next, 'select n from kept')).toEqual([{ n: 7 }]);
  await next.stop();
});

test('no server starts beside a session that outlives the kill of the former one', async () => {
  const dataDir = dataDirNamed('orphan');
  const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
  const [row] = await ask<{ pid: string }>(server, "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid");
  const session = new pg.Client({ host: server.host, port: server.port, user: server.user, database: 'postgres' });
  session.on('error', () => undefined);
  await session.connect();
  const [own] = (await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
  // Computing, it does not notice that its postmaster has gone.
  const computing = session
    .query(
      "do $$ declare t timestamptz := clock_timestamp(); begin while clock_timestamp() < t + interval '3 seconds' loop end loop; end $$",
    )
    .catch(() => undefined);
  await eventually(async () => {
    const [busy] = await ask<{ state: string }>(server, `select state from pg_stat_activity where pid = ${own?.pid}`);
    expect(busy?.state).toBe('active');
  });
  process.kill(Number(row?.pid), 'SIGKILL');
  await server.exited;
  // A process that has ended has no folder any more, even while its number is not given back.
  const isAtWork = (): boolean => existsSync(`/proc/${own?.pid}/cwd`);
  expect(isAtWork()).toBe(true);
  const next = await startEmbeddedPostgres({ dataDir, isDurable: true });
  expect(isAtWork()).toBe(false);
  await next.stop();
  await computing;
  await session.end().catch(() => undefined);
});

test('a lock file that names a process of another program does not hinder the start', async () => {
  const dataDir = dataDirNamed('stale');
  const server = await startEmbeddedPostgres({ dataDir, isDurable: false });
  const [row] = await ask<{ data: string }>(server, "select setting as data from pg_settings where name = 'data_directory'");
  await server.stop();
  await writeFile(
    path.join(row?.data ?? '', 'postmaster.pid'),
    `${process.pid}\n${row?.data}\n1\n5432\n${server.host}\n\n\nready\n`,
  );
  await writeFile(path.join(server.host, '.s.PGSQL.5432.lock'), `${process.pid}\n`);
  const next = await startEmbeddedPostgres({ dataDir, isDurable: false });
  await next.stop();
});

test('commands share one server: the first one starts it, and it stays until the last one is done', async () => {
  const dataDir = dataDirNamed('borrowed');
  const borrowed = await Promise.all([1, 2, 3].map(() => useEmbeddedPostgres(dataDir)));
  for (const each of borrowed) expect(await ask(each, 'select 1 as one')).toEqual([{ one: 1 }]);
  const released = borrowed.map((each) => each.release());
  await Promise.all(released);
  await eventually(async () => expect(await isStopped(embeddedPostgresAddress(dataDir))).toBe(true));
});

test('a command uses the running server and leaves it running', async () => {
  const dataDir = dataDirNamed('running');
  const server = await startEmbeddedPostgres({ dataDir, isDurable: false });
  const borrowed = await useEmbeddedPostgres(dataDir);
  await ask(borrowed, 'create table seen (n int)');
  await borrowed.release();
  expect(await ask(server, "select to_regclass('seen') is not null as seen")).toEqual([{ seen: true }]);
  await server.stop();
});
