/**
 * `npm start`: everything that the settings ask for, in order, each in a process of its own.
 *
 *   ports free? -> PostgreSQL -> migrations -> catalogue -> stand-ins -> gateway, worker -> what to try
 *
 * What dies by itself is started again; what we started goes when we go, even when we are killed.
 */
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { instantOf, readSandboxTime } from '../platform/clock.js';
import { pgConfig, socketDatabaseUrl } from '../platform/database-options.js';
import { embeddedPostgresAddress, startEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { requireFreePort, type ListenAddress } from '../platform/http-listen.js';
import { OneLineError } from '../platform/one-line-error.js';
import { runProcess } from '../platform/run-process.js';
import { LONGEST_SANDBOX_TTL_SECONDS, issueSandboxToken, prepareSandboxIssuer } from '../platform/sandbox-issuer.js';
import { databaseOptions, readSettings, SANDBOX_ISSUER, type Settings } from '../platform/settings.js';
import type { Shutdown } from '../platform/shutdown.js';
import { setStandInClock } from '../platform/stand-in-clock.js';
import { startChild, Supervised, WITH_SOURCE_MAPS } from '../platform/supervised.js';
import { isCatalogueEmpty } from '../store/catalogue.store.js';
import { migrate } from '../store/migrate.js';
import { publishCatalogue, readCatalogue } from '../usecases/publish-catalogue.js';

/** A process that is not ready by then is not going to be. */
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;
/** What is sold at first; `npm run catalogue` publishes another. */
const CATALOGUE_FILE = 'data/catalogue.json';
const LOOPBACK = '127.0.0.1';

/** A process that the launcher keeps running. */
interface Part extends ListenAddress {
  name: string;
  /** Below dist/src. */
  file: string;
  /** Answers 200 when the process may take traffic; without it an open port is enough. */
  readyPath?: string;
}

runProcess(async (shutdown) => {
  const settings = readSettings(process.env);
  const standIns = settings.isSandbox ? standInsOf(settings) : [];
  const ours = oursOf(settings);
  for (const part of [...ours, ...standIns]) await requireFreePort(part);

  if (settings.auth.issuer === SANDBOX_ISSUER) prepareSandboxIssuer(settings.dataDir);
  const time = readSandboxTime(settings.dataDir);
  // What one process has compiled the next one need not.
  const env = { NODE_COMPILE_CACHE: path.join(settings.dataDir, 'compiled'), ...process.env };
  // The stand-ins need no database: both take their time at once.
  const [database] = await Promise.all([
    prepareDatabase(settings, settings.isSandbox ? instantOf(time) : new Date(), shutdown),
    startAll(standIns, env, shutdown),
  ]);
  if (settings.isSandbox) await setStandInClock(settings.sandboxStripePort, time);
  await startAll(ours, { ...env, ...database }, shutdown);
  console.log(await welcome(settings));
});

/** Starts the embedded server where it is wanted, migrates, seeds the catalogue. @returns the settings that lead our processes there */
async function prepareDatabase(settings: Settings, now: Date, shutdown: Shutdown): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {};
  if (!settings.database) {
    await keepDatabase(settings, shutdown);
    env['DATABASE_URL'] = socketDatabaseUrl(embeddedPostgresAddress(settings.dataDir), 'postgres');
  }
  const database = databaseOptions(settings);
  await migrate(database, now);
  const client = new pg.Client(pgConfig(database));
  await client.connect();
  try {
    // Seeded once; from then on it is changed by its command alone, or a start would undo what was published.
    if (await isCatalogueEmpty(client))
      await publishCatalogue(client, readCatalogue(await readFile(CATALOGUE_FILE, 'utf8')), now);
  } finally {
    await client.end();
  }
  return env;
}

function standInsOf({ sandboxStripePort, usersPort }: Settings): Part[] {
  return [
    {
      name: 'stripe stand-in',
      file: 'sandbox/stripe/main.js',
      host: LOOPBACK,
      port: sandboxStripePort,
      setting: 'SANDBOX_STRIPE_PORT',
    },
    { name: 'users stand-in', file: 'sandbox/users/main.js', host: LOOPBACK, port: usersPort, setting: 'USERS_PORT' },
  ];
}

function oursOf({ roles, host, port, workerPort }: Settings): Part[] {
  const gateway: Part = { name: 'gateway', file: 'main/gateway.js', host, port, setting: 'PORT', readyPath: '/readyz' };
  const worker: Part = { name: 'worker', file: 'main/worker.js', host, port: workerPort, setting: 'PORT', readyPath: '/readyz' };
  return [gateway, worker].filter(({ name }) => [...roles].some((role) => role === name));
}

function tell(line: string): void {
  console.error(`[launcher] ${line}`);
}

async function keepDatabase({ dataDir }: Settings, shutdown: Shutdown): Promise<void> {
  const database = new Supervised({
    name: 'PostgreSQL',
    tell,
    start: async () => {
      const server = await startEmbeddedPostgres({ dataDir, isDurable: true });
      return { ended: server.exited.then((code) => `exit code ${code}`), stop: () => server.stop() };
    },
  });
  shutdown.add('PostgreSQL', () => database.stop());
  await database.start();
}

/** Starts them together and waits until each is ready. @throws OneLineError when one ends first or takes too long */
async function startAll(parts: Part[], env: NodeJS.ProcessEnv, shutdown: Shutdown): Promise<void> {
  await Promise.all(
    parts.map(async (part) => {
      const { name, file } = part;
      const child = new Supervised({ name, tell, start: async () => startChild(pathOf(file), env, WITH_SOURCE_MAPS) });
      shutdown.add(name, () => child.stop());
      await child.start(() => untilReady(part, shutdown));
    }),
  );
}

function pathOf(file: string): string {
  return path.join(import.meta.dirname, '..', file);
}

async function untilReady(part: Part, shutdown: Shutdown): Promise<void> {
  const giveUpAt = Date.now() + READY_LIMIT_MS;
  while (!(await isReady(part))) {
    if (shutdown.isStopping) throw new Error('the start was broken off');
    if (Date.now() > giveUpAt) throw new OneLineError(`The ${part.name} was not ready within ${READY_LIMIT_MS / 1000} s.`);
    await pause(POLL_MS);
  }
}

async function isReady({ host, port, readyPath }: Part): Promise<boolean> {
  if (!readyPath) return await isOpen(reachable(host), port);
  try {
    const answer = await fetch(`${baseUrl(host, port)}${readyPath}`, { signal: AbortSignal.timeout(5_000) });
    return answer.ok;
  } catch {
    return false; // Not listening yet.
  }
}

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const settle = (isConnected: boolean): void => {
      socket.destroy();
      resolve(isConnected);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** Who listens everywhere is reached on the loopback address. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? LOOPBACK : host;
}

function baseUrl(host: string, port: number): string {
  const name = reachable(host);
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Where to click, who to be, what to try. */
async function welcome(settings: Settings): Promise<string> {
  const { host, port, workerPort, roles, isSandbox, sandboxStripePort, usersPort, dataDir } = settings;
  const gateway = baseUrl(host, port);
  const lines = ['', 'The monetization gateway runs.', ''];
  if (roles.has('gateway')) lines.push(`  playground   ${gateway}/`, `  GraphQL      ${gateway}/graphql`);
  if (roles.has('worker')) lines.push(`  worker       ${baseUrl(host, workerPort)}/readyz`);
  if (isSandbox)
    lines.push(`  stand-ins    Stripe http://${LOOPBACK}:${sandboxStripePort}, users http://${LOOPBACK}:${usersPort}/graphql`);
  if (settings.auth.issuer === SANDBOX_ISSUER) {
    lines.push('', 'Tokens for a day (more by: npm run -s token -- --user ana --scope support):');
    for (const [userId, role, scopes] of SANDBOX_PEOPLE) {
      const token = await issueSandboxToken({
        dataDir,
        userId,
        scopes,
        ttlSeconds: LONGEST_SANDBOX_TTL_SECONDS,
        now: new Date(),
      });
      lines.push(`  ${userId} (${role})`, `    ${token}`);
    }
  }
  if (isSandbox && roles.has('gateway')) lines.push('', 'Three things to try:', ...thingsToTry(gateway, sandboxStripePort));
  lines.push('', 'Ctrl-C stops everything; the next start finds its data.', '');
  return lines.join('\n');
}

const SANDBOX_PEOPLE: readonly [userId: string, role: string, scopes: string[]][] = [
  ['ana', 'customer', []],
  ['sue', 'support', ['support']],
  ['fin', 'finance', ['finance']],
];

function thingsToTry(gateway: string, stripePort: number): string[] {
  const post = `curl -s ${gateway}/graphql -H 'content-type: application/json'`;
  const setup = 'mutation($key: String!) { startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: $key }) { setupId } }';
  return [
    '  1. See what is for sale:',
    `     ${post} -d '{"query":"{ tiers { name prices { id } } }"}'`,
    '  2. Begin to add a card as ana (the playground goes on from the setupId):',
    `     ${post} -H "authorization: Bearer $(npm run -s token -- --user ana)" \\`,
    `       -d '${JSON.stringify({ query: setup, variables: { key: 'my-first-card-0001' } })}'`,
    '  3. See what the provider really did:',
    `     curl -s http://${LOOPBACK}:${stripePort}/sandbox/truth`,
  ];
}
