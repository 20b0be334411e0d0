import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { removeEmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { issueSandboxToken } from '../../src/platform/sandbox-issuer.js';
import { TransactionsDocument } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { Person } from '../support/product.js';

let folder: string;
let env: NodeJS.ProcessEnv;
let url: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'start-again-'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  env = {
    PATH: process.env['PATH'],
    DATA_DIR: path.join(folder, 'data'),
    PORT: String(port),
    SANDBOX_STRIPE_PORT: String(await freePort()),
    USERS_PORT: String(await freePort()),
    LOG_LEVEL: 'silent',
  };
});
afterAll(async () => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  await eventually(() => removeEmbeddedPostgres(path.join(folder, 'data')));
  rmSync(folder, { recursive: true, force: true });
});

/** The launcher with everything it starts, ready. */
async function start(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['dist/src/main/launcher.js'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  await eventually(() => expect(output).toContain('Ctrl-C stops everything'), 40_000);
  return child;
}

/** Processes that this one started, by their parents' ids in /proc (proc(5): the fourth field of stat, after the name in brackets). */
function childrenOf(parent: number | undefined): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === parent;
      } catch {
        return false; // gone meanwhile
      }
    })
    .map(Number);
}

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8');

async function person(userId: string): Promise<Person> {
  const dataDir = path.join(folder, 'data');
  return new Person(url, userId, await issueSandboxToken({ dataDir, userId, scopes: [], ttlSeconds: 600, now: new Date() }), []);
}

async function pay(userId: string): Promise<string | undefined> {
  const payer = await person(userId);
  await payer.addCard();
  return (await payer.subscribe()).subscription?.status;
}

async function paid(userId: string): Promise<string[]> {
  const { viewer } = await (await person(userId)).get(TransactionsDocument, {});
  return viewer?.transactions?.edges.map(({ node }) => node.status) ?? [];
}

test('what was paid is there after launcher, gateway and worker are killed at once and everything starts again, and a stop is clean', async () => {
  const first = await start();
  expect(await pay('ana')).toBe('ACTIVE');

  const ours = childrenOf(first.pid).filter((pid) => commandOf(pid).includes('dist/src/main/'));
  expect(ours).toHaveLength(2);
  const everything = childrenOf(first.pid);
  const ended = once(first, 'exit');
  first.kill('SIGKILL');
  for (const pid of ours) process.kill(pid, 'SIGKILL');
  await ended;
  // The stand-ins and the database notice by themselves that their launcher is gone.
  await eventually(() => expect(everything.filter((pid) => isAlive(pid))).toEqual([]));

  const second = await start();
  expect(await paid('ana')).toEqual(['SUCCEEDED']);
  expect(await pay('ben')).toBe('ACTIVE');
  second.kill('SIGTERM');
  expect(await once(second, 'exit')).toEqual([0, null]);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
