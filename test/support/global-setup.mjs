// Runs in jest's own process, before any worker: the tests' one database server belongs to it, and so dies with it.
// The server is started when the first test asks for a database; runs of pure tests never pay for it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PREFIX = 'monetization-gateway-test-';
/** Every test database is a copy of this one, which has been migrated for this instant. */
const TEMPLATE = 'template_test';
/** The same with room for decades: whoever moves the clock by months at a time would make and drop partitions more than anything else. */
const ROOMY_TEMPLATE = 'template_decades';
const DECADES_MS = 50 * 365 * 86_400_000;

export default async function setup() {
  // Tests of processes run what is in dist, and so does this file. 0.4 s when nothing changed. Whoever runs the tests many times over builds it
  // himself (scripts/fences.mjs).
  if (!process.env.TEST_DIST_IS_BUILT)
    spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.build.json'], { stdio: ['ignore', 'ignore', 'ignore'] });
  const { removeEmbeddedPostgres, startEmbeddedPostgres } = await import('../../dist/src/platform/embedded-postgres.js');
  await sweep(removeEmbeddedPostgres);

  const folder = path.join(tmpdir(), `${PREFIX}${process.pid}`);
  mkdirSync(folder, { mode: 0o700 });
  const dataDir = path.join(folder, 'data');
  // Each module is compiled by the first process of the product that loads it, and not by a hundred others.
  process.env.NODE_COMPILE_CACHE ??= path.join(folder, 'compiled');
  let server = null;
  const start = async () => {
    const started = await startEmbeddedPostgres({ dataDir, isDurable: false });
    await makeTemplate(started);
    return started;
  };
  // Workers cannot share objects with us: they ask on this socket and get the server's address in one line.
  const socket = path.join(folder, 'ask');
  const asked = net.createServer((connection) => {
    connection.on('error', () => undefined);
    server ??= start();
    server.then(
      ({ host, port, user }) =>
        connection.end(`${JSON.stringify({ host, port, user, template: TEMPLATE, roomyTemplate: ROOMY_TEMPLATE })}\n`),
      (error) => connection.end(`${JSON.stringify({ error: String(error) })}\n`),
    );
  });
  await new Promise((resolve) => asked.listen(socket, resolve));
  asked.unref();
  process.env.TEST_DATABASE_SOCKET = socket;

  globalThis.stopTestDatabases = async () => {
    await new Promise((resolve) => asked.close(resolve));
    await server?.then(
      (started) => started.stop(),
      () => undefined,
    );
    await removeEmbeddedPostgres(dataDir);
    rmSync(folder, { recursive: true, force: true });
  };
}

async function makeTemplate(server) {
  const { default: pg } = await import('pg');
  const { migrate } = await import('../../dist/src/store/migrate.js');
  const { keepPartitions } = await import('../../dist/src/store/partitions.js');
  const admin = new pg.Client({ host: server.host, port: server.port, user: server.user, database: 'postgres' });
  await admin.connect();
  // A session plans each statement anew five times before it keeps a plan. Those of tests are young: they would plan more than they do.
  await admin.query('alter role postgres set plan_cache_mode = force_generic_plan');
  await admin.query(`create database ${TEMPLATE}`);
  await migrate({ host: server.host, port: server.port, username: server.user, database: TEMPLATE }, new Date());
  await admin.query(`create database ${ROOMY_TEMPLATE} template ${TEMPLATE} strategy file_copy`);
  const owner = new pg.Client({ host: server.host, port: server.port, user: server.user, database: ROOMY_TEMPLATE });
  await owner.connect();
  await keepPartitions(owner, new Date(Date.now() + DECADES_MS)); // One wide partition of each table.
  await owner.end();
  for (const template of [TEMPLATE, ROOMY_TEMPLATE])
    await admin.query(`alter database ${template} with is_template true allow_connections false`);
  await admin.end();
}

/** Removes what killed runs left behind: the folder's name tells whose it was. */
async function sweep(remove) {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const pid = Number(name.slice(PREFIX.length));
    if (isAlive(pid)) continue;
    await remove(path.join(tmpdir(), name, 'data')).catch(() => undefined);
    rmSync(path.join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
