/** The product as `npm start` runs it, on free ports and data of its own, for the time of one bench. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { socketDatabaseUrl, type DatabaseOptions } from '../src/platform/database-options.js';
import { embeddedPostgresAddress, removeEmbeddedPostgres } from '../src/platform/embedded-postgres.js';
import { issueSandboxToken } from '../src/platform/sandbox-issuer.js';
import { WITH_SOURCE_MAPS } from '../src/platform/supervised.js';
import { processTimes } from './process-times.js';

const READY_LIMIT_MS = 120_000;
const TOKEN_LIFE_S = 3_600;

/** Parts of the product whose CPU time is told apart. */
export type Part = 'gateway' | 'worker' | 'stand-in' | 'database';

/** A running product. */
export interface RunningProduct {
  /** The gateway, e.g. http://127.0.0.1:41234 */
  url: URL;
  standInUrl: URL;
  /** What its processes are started with: another worker of the same product needs the same, and a port of its own. */
  env: NodeJS.ProcessEnv;
  /** As the database's superuser. */
  pool: pg.Pool;
  /** The same database for pools of one's own. */
  database: DatabaseOptions;
  token(userId: string, scopes?: string[]): Promise<string>;
  /** Starts one more gateway, which stops with the product; answers with its address. */
  startGateway(): Promise<URL>;
  /** CPU time that each part has used so far, milliseconds (Linux; nothing elsewhere). */
  cpuMs(): Promise<Record<Part, number>>;
  /** What it has printed last: its processes tell there what they die of. */
  lastWords(): string;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

/** Starts a product with these settings. @throws Error with its last words when it is not ready in time */
export async function startProduct(settings: Record<string, string>): Promise<RunningProduct> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'bench-'));
  const [port, stripePort, usersPort] = await freePorts();
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    // Such as --cpu-prof: goes on to every process of the product.
    NODE_OPTIONS: process.env['NODE_OPTIONS'],
    NODE_ENV: 'test',
    LOG_LEVEL: 'error',
    DATA_DIR: dataDir,
    PORT: String(port),
    SANDBOX_STRIPE_PORT: String(stripePort),
    USERS_PORT: String(usersPort),
    ...settings,
  };
  const launcher = spawn(process.execPath, [...WITH_SOURCE_MAPS, 'dist/src/main/launcher.js'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let said = '';
  for (const stream of [launcher.stdout, launcher.stderr])
    stream?.on('data', (text) => (said = (said + String(text)).slice(-8_000)));
  const ended = once(launcher, 'exit');
  const gateways: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const gateway of gateways) gateway.kill('SIGKILL');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    launcher.kill('SIGTERM');
    await ended;
    await removeEmbeddedPostgres(dataDir);
    await rm(dataDir, { recursive: true, force: true });
  };
  const interrupted = (): void => void stop().finally(() => process.exit(1));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  const url = new URL(`http://127.0.0.1:${port}`);
  const giveUpAt = Date.now() + READY_LIMIT_MS;
  while (!said.includes('The monetization gateway runs.')) {
    if (launcher.exitCode !== null || Date.now() > giveUpAt) {
      await stop();
      throw new Error(`The product did not start: ${said}`);
    }
    await pause(50);
  }
  const address = embeddedPostgresAddress(dataDir);
  const pool = new pg.Pool({ ...address, database: 'postgres', max: 10 });
  pool.on('error', () => undefined); // Cut off when the product is stopped under it.
  return {
    url,
    standInUrl: new URL(`http://127.0.0.1:${stripePort}`),
    env: { ...env, DATABASE_URL: socketDatabaseUrl(embeddedPostgresAddress(dataDir), 'postgres') },
    pool,
    database: { host: address.host, port: address.port, database: 'postgres', username: address.user },
    startGateway: async () => {
      const [own] = await freePorts();
      const gateway = spawn(process.execPath, [...WITH_SOURCE_MAPS, 'dist/src/main/gateway.js'], {
        env: { ...env, PORT: String(own), DATABASE_URL: socketDatabaseUrl(address, 'postgres') },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      gateways.push(gateway);
      const gatewayUrl = new URL(`http://127.0.0.1:${own}`);
      const limit = Date.now() + READY_LIMIT_MS;
      while (
        !(await fetch(new URL('/readyz', gatewayUrl)).then(
          ({ ok }) => ok,
          () => false,
        ))
      ) {
        if (gateway.exitCode !== null || Date.now() > limit) throw new Error('The second gateway did not start.');
        await pause(50);
      }
      return gatewayUrl;
    },
    token: (userId, scopes = []) => issueSandboxToken({ dataDir, userId, scopes, ttlSeconds: TOKEN_LIFE_S, now: new Date() }),
    lastWords: () => said,
    cpuMs: () => cpuOf([launcher, ...gateways].map(({ pid }) => pid ?? 0)),
    stop: async () => {
      await pool.end();
      await stop();
    },
  };
}

/** Three free ports; the thousandth after the first (the worker's) is free too. */
export async function freePorts(): Promise<[number, number, number]> {
  const open = async (port: number): Promise<net.Server> => {
    const server = net.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return server;
  };
  const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;
  for (;;) {
    const servers = [await open(0), await open(0), await open(0)];
    const [first = 0, second = 0, third = 0] = servers.map(portOf);
    const workers = first + 1_000 > 65_535 ? null : await open(first + 1_000).catch(() => null);
    for (const server of [...servers, ...(workers ? [workers] : [])]) await new Promise((resolve) => server.close(resolve));
    if (workers) return [first, second, third];
  }
}

async function cpuOf(roots: readonly number[]): Promise<Record<Part, number>> {
  const all = await processTimes();
  const ours = new Set(roots);
  for (const pid of ours) for (const one of all) if (one.parent === pid) ours.add(one.pid);
  const used: Record<Part, number> = { gateway: 0, worker: 0, 'stand-in': 0, database: 0 };
  for (const { pid, command, ownMs, childrenMs } of all) {
    if (!ours.has(pid)) continue;
    // A connection that was closed counts with the server that waited for it.
    if (command.includes('postgres')) used.database += ownMs + (command.includes('/bin/postgres') ? childrenMs : 0);
    else if (command.includes('main/gateway.js')) used.gateway += ownMs;
    else if (command.includes('main/worker.js')) used.worker += ownMs;
    else if (command.includes('sandbox/stripe')) used['stand-in'] += ownMs;
  }
  return used;
}
