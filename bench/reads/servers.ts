/** The gateway and its peers as processes, each over the same database. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { pgConfig, socketDatabaseUrl } from '../../src/platform/database-options.js';
import { processTimes } from '../process-times.js';
import type { DataSet } from './data-set.js';

const READY_LIMIT_MS = 120_000;
const PRODUCTION_LIBRARIES = pathToFileURL(path.resolve('dist/bench/reads/production-libraries.js')).href;
const PEERS_FOLDER = path.resolve('bench/peers');
/** Signs the cursors of all, so that they can be compared. */
const CURSOR_SECRET = 'a secret of the bench, known to everybody';
/** Proof of the router, for entities. */
export const ROUTER_SECRET = 'the secret of a router that the bench plays';

/** The gateway first; the others as in bench/peers. */
export const SERVERS = ['gateway', 'mercurius-loaders', 'mercurius-batched', 'apollo-typeorm', 'postgraphile'] as const;
export type ServerName = (typeof SERVERS)[number];

/** A server that answers. */
export interface RunningServer {
  name: ServerName;
  port: number;
  pid: number;
  stop(): Promise<void>;
}

/** Installs the peers where they are not yet. @throws Error when npm fails */
export function installPeers(tell: (line: string) => void): void {
  if (existsSync(path.join(PEERS_FOLDER, 'node_modules', '.package-lock.json'))) return;
  tell('Installing the peers into bench/peers (once, about a minute).');
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: PEERS_FOLDER,
    stdio: ['ignore', 2, 2],
  });
  if (done.status !== 0) throw new Error('The peers could not be installed: see above.');
}

/** Starts one and waits until it answers. @throws Error with its last words when it does not */
export async function startServer(name: ServerName, data: DataSet): Promise<RunningServer> {
  const port = await freePort();
  const isOurs = name === 'gateway';
  const { host, port: databasePort, user, database } = pgConfig(data.options);
  const env: NodeJS.ProcessEnv = isOurs
    ? {
        PATH: process.env['PATH'],
        // Such as --cpu-prof.
        NODE_OPTIONS: `--import ${PRODUCTION_LIBRARIES} ${process.env['GATEWAY_NODE_OPTIONS'] ?? ''}`,
        SANDBOX: 'on',
        DATA_DIR: data.dataDir,
        DATABASE_URL: socketDatabaseUrl({ host, port: databasePort, user }, database),
        PORT: String(port),
        RATE_LIMITS: 'on',
        TRUSTED_PROXIES: '127.0.0.1',
        LOG_LEVEL: 'info',
        CURSOR_SECRET,
        ROUTER_SECRET,
      }
    : {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        PEER_DATABASE: JSON.stringify({ host, port: databasePort, user, database }),
        PEER_PORT: String(port),
        PEER_CURSOR_SECRET: CURSOR_SECRET,
      };
  const file = isOurs ? 'dist/src/main/gateway.js' : path.join(PEERS_FOLDER, `${name}.mjs`);
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said = (said + String(text)).slice(-4_000)));
  const giveUpAt = Date.now() + READY_LIMIT_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      await end(child);
      throw new Error(`${name} did not start: ${said}`);
    }
    await pause(50);
  }
  return { name, port, pid: child.pid ?? 0, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** CPU time of the database so far, milliseconds: its first process, those it has ended, and those that live. */
export async function databaseCpuMs(postmaster: number): Promise<number> {
  const own = (await processTimes()).filter(({ pid, parent }) => pid === postmaster || parent === postmaster);
  return own.reduce((sum, { pid, ownMs, childrenMs }) => sum + ownMs + (pid === postmaster ? childrenMs : 0), 0);
}
