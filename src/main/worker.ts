/** The worker: sends what was left, finds out what is unknown, applies webhooks, carries changes to the gateways, keeps the house. */
import { startOpsServer } from '../http/ops-server.js';
import { redactCardNumbers } from '../platform/card-data.js';
import { pgConfig } from '../platform/database-options.js';
import { createLogger } from '../platform/log.js';
import { createMetrics } from '../platform/metrics.js';
import { repeat } from '../platform/repeat.js';
import { runProcess } from '../platform/run-process.js';
import { databaseOptions, readSettings } from '../platform/settings.js';
import { SteadyClient } from '../platform/steady-client.js';
import { sandboxMailbox } from '../providers/mailbox/mailbox.js';
import { openDatabase, ping } from '../store/database.js';
import { startPresence } from '../store/presence.js';
import { FEED_WAKE_CHANNEL } from '../store/feed.reads.js';
import { untilReachable } from '../store/reach-database.js';
import { dropOldPartitions, keepPartitions } from '../store/partitions.js';
import type { Cashier } from '../usecases/cashier.js';
import { lookForWork } from '../usecases/look-for-work.js';
import { makeChores } from '../worker/chores.js';
import { makeLookout, turnsOf } from '../worker/lookout.js';
import { makeCashier, makeClock } from './assemble.js';
import { backlogMetrics } from './backlog-metrics.js';
import { cashierMetrics, faultCounter } from './cashier-metrics.js';

/** Connections of the pool, unless DATABASE_POOL says otherwise: the chores, and the calls they have in flight. */
const POOL = 6;

/** Chores begin one after the other, so that a start does not open a connection for each of them. */
const APART_MS = 30;

/** How long a start waits for a database that is away. */
const PATIENCE_MS = 60_000;

runProcess(async (shutdown) => {
  const settings = readSettings(process.env);
  const log = createLogger({
    level: settings.logLevel,
    service: 'worker',
    region: settings.region,
    redactText: redactCardNumbers,
  });
  const registry = createMetrics({ region: settings.region, service: 'worker' });
  const clock = makeClock(settings);
  const database = databaseOptions(settings);
  const poolSize = settings.databasePool ?? POOL;
  await untilReachable(database, PATIENCE_MS);
  const source = await openDatabase(database, 'pay_worker', poolSize);
  shutdown.add('the pool', () => source.destroy());
  const presence = await startPresence(database);
  shutdown.add('the presence', () => presence.stop());
  const cashier: Cashier = {
    ...makeCashier(settings, {
      source,
      poolSize,
      clock,
      events: cashierMetrics(registry),
      onCommitted: () => undefined,
    }),
    presence: () => presence.number(),
  };

  backlogMetrics(registry, cashier);
  const countFault = faultCounter(registry);

  const maintain = async (): Promise<void> => {
    // Partitions are made by the owner of the tables: a connection of its own, for as long as it takes.
    const owner = new SteadyClient(pgConfig(database));
    await owner.connect();
    try {
      await keepPartitions(owner, clock.now());
      await dropOldPartitions(owner, clock.now());
    } finally {
      await owner.end();
    }
  };
  await maintain();
  const report = (what: string) => (error: unknown) => {
    countFault(error);
    log.error({ err: error }, what);
  };
  const chores = makeChores(cashier, {
    messenger: settings.isSandbox ? sandboxMailbox(settings.dataDir, () => clock.now()) : null,
    channel: FEED_WAKE_CHANNEL,
    maintain,
    report: report('a piece of work failed and was put off'),
    renewals: {
      spreadMs: settings.renewals.spreadMs,
      callsPerSecond: settings.renewals.perSecond,
      machineNow: () => new Date(Date.now() + settings.sandboxClockOffsetMs),
    },
  });
  const lookout = makeLookout(
    () => lookForWork(cashier),
    () => cashier.monotonicMs(),
  );
  for (const [nth, chore] of chores.entries()) {
    const running = repeat({
      everyMs: chore.everyMs,
      afterMs: nth * APART_MS,
      work: turnsOf(chore, lookout),
      onError: (error) => {
        countFault(error);
        log.error({ err: error, chore: chore.name }, 'a chore failed');
      },
    });
    shutdown.add(`chore ${chore.name}`, () => running.stop());
  }
  const server = await startOpsServer({
    host: settings.host,
    port: settings.workerPort,
    setting: 'PORT',
    checks: { database: { isVital: true, check: () => ping(source) } },
    isDraining: () => shutdown.isStopping,
    registry,
  });
  shutdown.add('the server', () => server.stop());
  log.info({ url: server.url }, 'listening');
});
