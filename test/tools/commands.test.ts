import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readSandboxTime, SystemClock } from '../../src/platform/clock.js';
import { socketDatabaseUrl } from '../../src/platform/database-options.js';
import { readSettings } from '../../src/platform/settings.js';
import { TokenVerifier } from '../../src/platform/tokens.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

let dataDir: string;
let database: TestDatabase;
let standIn: Server;
let standInPort: number;
const told: string[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'commands-'));
  database = await testDatabase();
  standIn = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      told.push(`${request.method} ${request.url} ${body}`.trim());
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => standIn.listen(0, '127.0.0.1', resolve));
  standInPort = (standIn.address() as AddressInfo).port;
});
afterAll(async () => {
  await database.drop();
  await new Promise((resolve) => standIn.close(resolve));
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs a built command as its own process. */
function run(
  command: string,
  args: string[],
  over: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = {
    PATH: process.env['PATH'],
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    SANDBOX_STRIPE_PORT: String(standInPort),
    ...over,
  };
  const child = spawn(process.execPath, [`dist/src/tools/${command}.js`, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (said.stdout += String(text)));
  child.stderr.on('data', (text) => (said.stderr += String(text)));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...said })));
}

test('token prints one token that the gateway believes, and nothing else', async () => {
  const { code, stdout, stderr } = await run('token', [
    '--user',
    'ana',
    '--scope',
    'support,monetization:finance',
    '--country',
    'DE',
    '--zone',
    'Europe/Berlin',
    '--ttl',
    '15m',
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const verifier = new TokenVerifier(readSettings({ DATA_DIR: dataDir }).auth, new SystemClock());
  const believed = await verifier.verify(stdout.trim());
  expect(believed).toMatchObject({
    userId: 'ana',
    scopes: new Set(['monetization:support', 'monetization:finance']),
    residence: { country: 'DE', zone: 'Europe/Berlin' },
  });
  expect((believed?.expiresAt.getTime() ?? 0) - Date.now()).toBeGreaterThan(14 * 60_000);
});

test.each([
  ['token', [], "error: required option '--user <id>' not specified\n"],
  ['token', ['--user', 'a b'], 'A user id is 1 to 64 of A-Z, a-z, 0-9, "-" and "_", got "a b".\n'],
  [
    'token',
    ['--user', 'ana', '--scope', 'Support'],
    'A scope is a word such as support or monetization:support, got "Support".\n',
  ],
  ['token', ['--user', 'ana', '--country', 'de'], 'A country is two capital letters such as DE (ISO 3166-1), got "de".\n'],
  ['token', ['--user', 'ana', '--ttl', '2d'], 'A token lives from 1 second to 24 hours.\n'],
  [
    'token',
    ['--user', 'ana', '--ttl', 'soon'],
    "error: option '--ttl <duration>' argument 'soon' is invalid. Say 90s, 15m, 1h or 1d.\n",
  ],
  ['migrate', ['--now'], "error: unknown option '--now'\n"],
  [
    'clock',
    ['advance', 'P0D'],
    "error: command-argument value 'P0D' is invalid for argument 'duration'. Say an ISO 8601 duration, e.g. P1M (a month), P3D (three days), PT1H (an hour).\n",
  ],
  [
    'clock',
    ['set', '2027-03-01'],
    "error: command-argument value '2027-03-01' is invalid for argument 'instant'. Say an instant with its offset, e.g. 2027-03-01T00:00:00Z.\n",
  ],
  ['clock', ['set', '9999-01-01T00:00:00Z'], 'The clock goes up to 2200-01-01T00:00:00.000Z.\n'],
])('%s %j is refused in one line', async (command, args, line) => {
  expect(await run(command, args)).toEqual({ code: 1, stdout: '', stderr: line });
});

test.each(['token', 'migrate', 'clock'])('%s explains itself', async (command) => {
  const { code, stdout } = await run(command, ['--help']);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: ${command} `);
});

test('the clock is not moved outside the sandbox', async () => {
  const real = {
    STRIPE_API_KEY: 'sk_test_1',
    STRIPE_WEBHOOK_SECRET: 'whsec_1',
    STRIPE_PUBLISHABLE_KEY: 'pk_test_1',
    CURSOR_SECRET: 'c'.repeat(32),
  };
  expect(await run('clock', ['advance', 'P1D'], real)).toEqual({
    code: 1,
    stdout: '',
    stderr: 'The clock can be moved only while SANDBOX is on.\n',
  });
});

test('several migrations of an empty database at once all end well, and one of them did it', async () => {
  const name = `empty_${randomBytes(4).toString('hex')}`;
  await database.ownerPool.query(`create database ${name}`);
  const { host, port, username } = database.options;
  const url = socketDatabaseUrl({ host, port, user: username }, name);
  const runs = await Promise.all([1, 2, 3].map(() => run('migrate', [], { DATABASE_URL: url })));
  for (const { code, stdout } of runs)
    expect({ code, last: stdout.split('\n').at(-2) }).toEqual({ code: 0, last: 'The database is up to date.' });
  expect(runs.filter(({ stdout }) => stdout.includes('Ran migration Main1700000000001.'))).toHaveLength(1);
  await database.ownerPool.query(`drop database ${name} with (force)`);
});

test('the clock moves by calendar months, the stand-in is told and the database has room for then', async () => {
  expect((await run('clock', ['set', '2031-01-31T10:00:00Z'])).stdout).toBe('2031-01-31T10:00:00.000Z (stands still)\n');
  expect((await run('clock', ['advance', 'P1M'])).stdout).toBe('2031-02-28T10:00:00.000Z (stands still)\n');
  expect((await run('clock', ['show'])).stdout).toBe('2031-02-28T10:00:00.000Z (stands still)\n');
  expect(readSandboxTime(dataDir)).toEqual({ standsAt: new Date('2031-02-28T10:00:00Z') });
  expect(told).toEqual([
    'POST /sandbox/clock {"now":"2031-01-31T10:00:00.000Z"}',
    'POST /sandbox/clock {"now":"2031-02-28T10:00:00.000Z"}',
    'POST /sandbox/advance {}',
  ]);
  const partitions = await database.ownerPool.query<{ name: string }>("select to_regclass('feed_entry_20310303')::text as name");
  expect(partitions.rows).toEqual([{ name: 'feed_entry_20310303' }]);
  expect((await run('clock', ['run'])).stdout).toMatch(/^2031-02-28T10:0\d:.* \(runs P\d+DT.* ahead of the machine\)\n$/);
  expect(told.at(-1)).toMatch(/^POST \/sandbox\/clock \{"aheadMs":\d+\}$/);
  expect((await run('clock', ['real'])).stdout).toMatch(/\(runs with the machine\)\n$/);
  expect(told.at(-1)).toBe('POST /sandbox/clock {"aheadMs":0}');
  expect(readSandboxTime(dataDir)).toEqual({ aheadMs: 0 });
});

test('without a running stand-in the clock moves all the same and says so', async () => {
  const { code, stdout, stderr } = await run('clock', ['set', '2031-06-01T00:00:00Z'], { SANDBOX_STRIPE_PORT: '1' });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '2031-06-01T00:00:00.000Z (stands still)\n' });
  expect(stderr).toBe('No stand-in runs; the next npm start tells it.\n');
});
