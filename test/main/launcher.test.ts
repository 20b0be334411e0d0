import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { embeddedPostgresAddress, removeEmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { readSettings } from '../../src/platform/settings.js';
import { SystemClock } from '../../src/platform/clock.js';
import { TokenVerifier } from '../../src/platform/tokens.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';

/**
 * The launcher by itself: in a copy of the built program the processes it starts are replaced by ones that only listen and note
 * their process id, so that what is seen here is the launcher's doing alone.
 */
const LISTENER = (name: string, port: string): string => `
  import { appendFileSync } from 'node:fs';
  import http from 'node:http';
  appendFileSync(process.env.PIDS, '${name} ' + process.pid + '\\n');
  http.createServer((request, response) => response.end('{}')).listen(${port}, '127.0.0.1');
  const end = () => { appendFileSync(process.env.PIDS, '${name} stopped\\n'); process.exit(0); };
  process.on('SIGTERM', end);
  process.on('disconnect', end);`;

let folder: string;
let dataDir: string;
let env: NodeJS.ProcessEnv;
let ports: { gateway: number; stripe: number; users: number };

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'launcher-'));
  dataDir = path.join(folder, 'kept');
  cpSync('dist', path.join(folder, 'dist'), { recursive: true });
  cpSync('package.json', path.join(folder, 'package.json'));
  mkdirSync(path.join(folder, 'data'));
  cpSync('data/catalogue.json', path.join(folder, 'data/catalogue.json'));
  symlinkSync(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  const programs = {
    'sandbox/stripe/main.js': LISTENER('stripe', 'process.env.SANDBOX_STRIPE_PORT'),
    'sandbox/users/main.js': LISTENER('users', 'process.env.USERS_PORT'),
    'main/gateway.js': LISTENER('gateway', 'process.env.PORT'),
    'main/worker.js': LISTENER('worker', 'Number(process.env.PORT) + 1000'),
  };
  for (const [file, text] of Object.entries(programs)) {
    mkdirSync(path.join(folder, 'dist/src', path.dirname(file)), { recursive: true });
    writeFileSync(path.join(folder, 'dist/src', file), text);
  }
  ports = { gateway: await freePort(), stripe: await freePort(), users: await freePort() };
});
beforeEach(() => {
  rmSync(path.join(folder, 'pids'), { force: true });
  env = {
    PATH: process.env['PATH'],
    DATA_DIR: dataDir,
    PORT: String(ports.gateway),
    SANDBOX_STRIPE_PORT: String(ports.stripe),
    USERS_PORT: String(ports.users),
    PIDS: path.join(folder, 'pids'),
  };
});
afterAll(async () => {
  await removeEmbeddedPostgres(dataDir);
  rmSync(folder, { recursive: true, force: true });
});

interface Launcher {
  process: ChildProcess;
  output: () => string;
  exited: Promise<number | null>;
}

function launch(over: NodeJS.ProcessEnv = {}): Launcher {
  const child = spawn(process.execPath, ['dist/src/main/launcher.js'], {
    cwd: folder,
    env: { ...env, ...over },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  return { process: child, output: () => output, exited: once(child, 'exit').then(([code]) => code as number | null) };
}

async function launched(): Promise<Launcher> {
  const launcher = launch();
  await eventually(() => expect(launcher.output()).toContain('Ctrl-C stops everything'), 40_000);
  return launcher;
}

/** What the started programs noted, e.g. `gateway 4711` and later `gateway stopped`. */
const notes = (): string[] =>
  existsSync(path.join(folder, 'pids')) ? readFileSync(path.join(folder, 'pids'), 'utf8').trim().split('\n') : [];
const names = (): string[] => notes().map((note) => note.replace(/ \d+$/, ''));

async function query(statement: string): Promise<unknown[]> {
  const { host, port, user } = embeddedPostgresAddress(dataDir);
  const client = new pg.Client({ host, port, user, database: 'postgres' });
  await client.connect();
  const { rows } = await client.query(statement);
  await client.end();
  return rows;
}

test('a start runs everything in order and says where to click, who to be and what to try; a stop ends it all and keeps the data', async () => {
  const launcher = await launched();
  expect(names().slice(0, 2).toSorted()).toEqual(['stripe', 'users']);
  expect(names().slice(2).toSorted()).toEqual(['gateway', 'worker']);
  expect(await query('select count(*) > 0 as sells from price')).toEqual([{ sells: true }]);
  await query('create table kept as select 1 as n');

  const output = launcher.output();
  expect(output).toContain(`http://127.0.0.1:${ports.gateway}/\n`);
  expect(output).toContain('Three things to try:');
  const tokens = [...output.matchAll(/^ {4}(eyJ\S+)$/gm)].map((match) => match[1] ?? '');
  const verifier = new TokenVerifier(readSettings(env).auth, new SystemClock());
  expect(await Promise.all(tokens.map((token) => verifier.check(token)))).toMatchObject([
    { userId: 'ana', scopes: new Set() },
    { userId: 'sue', scopes: new Set(['monetization:support']) },
    { userId: 'fin', scopes: new Set(['monetization:finance']) },
  ]);

  launcher.process.kill('SIGTERM');
  expect(await launcher.exited).toBe(0);
  const ends = names().slice(4);
  expect(ends).toHaveLength(4);
  expect(ends.slice(0, 2).toSorted()).toEqual(['gateway stopped', 'worker stopped']);
  await expect(query('select 1')).rejects.toThrow();

  const next = await launched();
  expect(await query('select n from kept')).toEqual([{ n: 1 }]);
  next.process.kill('SIGINT');
  expect(await next.exited).toBe(0);
});

test('a second start is refused in one line, by its port and by its DATA_DIR', async () => {
  const launcher = await launched();
  const samePort = launch();
  expect(await samePort.exited).toBe(1);
  expect(samePort.output()).toBe(
    `Port ${ports.gateway} on 127.0.0.1 is taken by another program: stop it, or set PORT to a free port.\n`,
  );
  const [port, stripe, users] = [await freePort(), await freePort(), await freePort()].map(String);
  const sameData = launch({ PORT: port, SANDBOX_STRIPE_PORT: stripe, USERS_PORT: users });
  expect(await sameData.exited).toBe(1);
  expect(sameData.output()).toMatch(/^The database under .* is in use \(server process \d+\): .*\n$/);
  launcher.process.kill('SIGTERM');
  expect(await launcher.exited).toBe(0);
});

test('a process that is killed comes back, and so does the database', async () => {
  const launcher = await launched();
  const worker = Number(
    notes()
      .find((note) => note.startsWith('worker '))
      ?.slice('worker '.length),
  );
  process.kill(worker, 'SIGKILL');
  const [row] = (await query("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int as pid")) as { pid: number }[];
  process.kill(row?.pid ?? 0, 'SIGKILL');
  await eventually(() => expect(names().filter((name) => name === 'worker')).toHaveLength(2), 20_000);
  await eventually(async () => expect(await query('select 1 as n')).toEqual([{ n: 1 }]), 20_000);
  expect(launcher.output()).toContain('[launcher] worker ended (signal SIGKILL); starting it again in 1 s.\n');
  expect(launcher.output()).toMatch(/\[launcher\] PostgreSQL ended \(.*\); starting it again in 1 s\.\n/);
  launcher.process.kill('SIGTERM');
  expect(await launcher.exited).toBe(0);
});

test('when the launcher is killed everything it started goes too, and the next start works', async () => {
  const launcher = await launched();
  launcher.process.kill('SIGKILL');
  await launcher.exited;
  await eventually(() => expect(names().filter((name) => name.endsWith('stopped'))).toHaveLength(4));
  const next = await launched();
  next.process.kill('SIGTERM');
  expect(await next.exited).toBe(0);
});

test('a process that ends before it is ready breaks the start off with exit 1, and a wrong setting does so in one line', async () => {
  const wrong = launch({ LOG_LEVEL: 'loud' });
  expect(await wrong.exited).toBe(1);
  expect(wrong.output()).toBe('LOG_LEVEL must be fatal, error, warn, info, debug, trace or silent, got "loud".\n');
  const gateway = path.join(folder, 'dist/src/main/gateway.js');
  const text = readFileSync(gateway, 'utf8');
  writeFileSync(gateway, 'process.exit(3);');
  const broken = launch();
  expect(await broken.exited).toBe(1);
  expect(broken.output()).toContain('The gateway did not start (exit code 3)');
  expect(broken.output()).not.toContain('again');
  const pids = notes().flatMap((note) => /\d+$/.exec(note)?.map(Number) ?? []);
  expect(pids.length).toBeGreaterThanOrEqual(2);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  writeFileSync(gateway, text);
});
