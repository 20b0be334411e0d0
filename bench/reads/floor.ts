/** What the database can do with the same statements and nothing around them: 8 connections, prepared, one user each time. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { pgConfig, type DatabaseOptions } from '../../src/platform/database-options.js';
import { currentSubscriptions } from '../../src/store/subscriptions.reads.js';
import { transactionsDown } from '../../src/store/transactions.reads.js';
import { userIdOf } from './data-set.js';

const CONNECTIONS = 8;

/** A statement for one user. */
export interface FloorStatement {
  name: string;
  text: string;
  /** Parameters $1... as SQL, in the order of the statement; :user is the user's id. */
  parameters: readonly string[];
  values(userId: string): unknown[];
}

const HIGHEST = "'{ffffffff-ffff-ffff-ffff-ffffffffffff}'";
const LOWEST = "'{00000000-0000-0000-0000-000000000000}'";
const BUCKET = 'array[key_bucket(:user)]';

/** The statement of the small read. */
export const subscriptionFloor: FloorStatement = {
  name: currentSubscriptions.name,
  text: currentSubscriptions.text,
  parameters: [BUCKET, 'array[:user]'],
  values: (userId) => currentSubscriptions.columns([userId]),
};

/** The statement of a page of twenty: one row more tells whether there are others. */
export const transactionsFloor: FloorStatement = {
  name: transactionsDown.name,
  text: transactionsDown.text,
  parameters: [BUCKET, 'array[:user]', HIGHEST, LOWEST, "'{21}'", ...Array.from({ length: 6 }, () => "'{null}'")],
  values: (userId) =>
    transactionsDown.columns([
      {
        userId,
        below: null,
        above: null,
        limitCount: 21,
        kinds: null,
        statuses: null,
        providerAccountIds: null,
        subscriptionId: null,
        minAmount: null,
      },
    ]),
};

/** Whether PostgreSQL's own pgbench is on this machine; it does not come with the server from npm. */
export function findPgbench(): boolean {
  return spawnSync('pgbench', ['--version']).status === 0;
}

/** Statements a second by pgbench -M prepared. @throws Error with its words when it fails */
export function pgbench(options: DatabaseOptions, statement: FloorStatement, users: number, seconds: number): number {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pgbench-'));
  const script = path.join(folder, 'script.sql');
  const text = statement.text.replaceAll(/\$(\d+)(?!\d)/g, (_, at: string) => statement.parameters[Number(at) - 1] ?? '');
  writeFileSync(
    script,
    `\\set n random(1, ${users})\n${text.replaceAll(':user', "('u' || :n::int)").replaceAll(/\s+/g, ' ')};\n`,
  );
  const { host, port, user, database } = pgConfig(options);
  const run = spawnSync(
    'pgbench',
    [
      '-n',
      '-M',
      'prepared',
      '-c',
      String(CONNECTIONS),
      '-j',
      '2',
      '-T',
      String(seconds),
      '-f',
      script,
      '-h',
      host,
      '-p',
      String(port),
      '-U',
      user,
      database,
    ],
    { encoding: 'utf8' },
  );
  rmSync(folder, { recursive: true });
  const perSecond = Number(/tps = ([\d.]+)/.exec(run.stdout)?.[1]);
  if (run.status !== 0 || !(perSecond > 0)) throw new Error(`pgbench failed: ${run.stderr}`);
  return perSecond;
}

/** The same by a loop of our own over named statements, for machines without pgbench. It spends more of the machine than pgbench does. */
export async function preparedLoop(
  options: DatabaseOptions,
  statement: FloorStatement,
  users: number,
  seconds: number,
): Promise<number> {
  const { name, text } = statement;
  const clients = Array.from({ length: CONNECTIONS }, () => new pg.Client(pgConfig(options)));
  await Promise.all(clients.map((client) => client.connect()));
  const startedMs = performance.now();
  let done = 0;
  await Promise.all(
    clients.map(async (client, at) => {
      for (let n = at; performance.now() - startedMs < seconds * 1_000; n = (n + 7919) % users) {
        await client.query({ name, text, values: statement.values(userIdOf(n + 1)) });
        done += 1;
      }
    }),
  );
  const tookS = (performance.now() - startedMs) / 1_000;
  await Promise.all(clients.map((client) => client.end()));
  return done / tookS;
}
