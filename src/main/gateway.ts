/** The gateway: GraphQL over HTTP and WebSocket, webhooks in, playground, health. */
import { buildGraphSchema } from '../graphql/schema.js';
import { startGraphServer } from '../graphql/server.js';
import { redactCardNumbers } from '../platform/card-data.js';
import { SystemClock } from '../platform/clock.js';
import { pgConfig } from '../platform/database-options.js';
import { createLogger } from '../platform/log.js';
import { createMetrics } from '../platform/metrics.js';
import { repeat } from '../platform/repeat.js';
import { runProcess } from '../platform/run-process.js';
import { databaseOptions, readSettings } from '../platform/settings.js';
import { TokenVerifier } from '../platform/tokens.js';
import { makeReads } from '../resolvers/loaders/reads.js';
import { Catalogue } from '../store/catalogue.reads.js';
import { openDatabase } from '../store/database.js';
import { feedReads, listenForWakes } from '../store/feed.reads.js';
import { Reader } from '../store/reader.js';
import { FeedCursors } from '../subscriptions/feed-cursor.js';
import { FeedHub } from '../subscriptions/hub.js';
import { PaymentStatusResolver } from '../subscriptions/payment-status.resolver.js';
import { makeCommands } from '../usecases/commands.js';
import { receiveWebhook } from '../usecases/receive-webhook.js';
import { makeCashier, makeClock } from './assemble.js';
import { cashierMetrics } from './cashier-metrics.js';

/** Connections of the pool that writes, and of the pool that only reads. */
const APP_POOL = 16;
const READ_POOL = 8;
const CATALOGUE_EVERY_MS = 30_000;
const FEED_LOOK_EVERY_MS = 5_000;
const LISTEN_RETRY_MS = 1_000;
const READ_LIMIT_MS = 5_000;
/** How long live clients are sent away for, at the end. */
const DRAIN_MS = { sandbox: 0, otherwise: 20_000 };

runProcess(async (shutdown) => {
  const settings = readSettings(process.env);
  const log = createLogger({
    level: settings.logLevel,
    service: 'gateway',
    region: settings.region,
    redactText: redactCardNumbers,
  });
  const registry = createMetrics({ region: settings.region, service: 'gateway' });
  const report = (what: string) => (error: unknown) => log.error({ err: error }, what);

  const clock = makeClock(settings);
  shutdown.add('the clock', () => clock.stop());
  const database = databaseOptions(settings);
  const source = await openDatabase(database, 'pay_app', APP_POOL);
  shutdown.add('the writing pool', () => source.destroy());
  const reader = new Reader({
    connection: pgConfig(database),
    maxConnections: READ_POOL,
    statementTimeoutMs: READ_LIMIT_MS,
    usesNamedStatements: true,
  });
  shutdown.add('the reading pool', () => reader.close());
  const catalogue = await Catalogue.load(reader);
  const refresh = repeat({
    everyMs: CATALOGUE_EVERY_MS,
    work: async () => {
      await catalogue.reload();
      return false;
    },
    onError: report('the catalogue could not be read'),
  });
  shutdown.add('the refresh of the catalogue', () => refresh.stop());

  const reads = feedReads(reader);
  const hub = new FeedHub({
    readEnds: (ids) => reads.readEnds(ids),
    lookEveryMs: FEED_LOOK_EVERY_MS,
    report: report('the feed could not be looked at'),
  });
  hub.start();
  shutdown.add('the feed hub', () => hub.stop());
  const listening = listenForWakes({
    connection: pgConfig(database),
    onWake: ({ userId, sequence }) => hub.wake(userId, sequence),
    onConnected: () => hub.wakeEverybody(),
    report: report('wake-ups are not heard'),
    retryMs: LISTEN_RETRY_MS,
  });
  shutdown.add('the listening for wake-ups', () => listening.stop());

  const cashier = makeCashier(settings, {
    source,
    clock,
    events: cashierMetrics(registry),
    onCommitted: (wakes) => wakes.forEach(({ userId, seq }) => hub.wake(userId, seq)),
  });
  const commands = makeCommands(cashier);
  const receive = receiveWebhook(cashier);
  const { schema } = buildGraphSchema({ extraResolvers: [PaymentStatusResolver] });
  const machineClock = new SystemClock();
  const server = await startGraphServer({
    schema,
    makeContext: ({ actor, requestId, isRouter }) => ({
      actor,
      requestId,
      isRouter,
      commands,
      reads: makeReads(reader, catalogue, settings.cursorSecret.reveal(), clock),
      clock,
      publishableKeys: { stripe: settings.stripe.publishableKey, paypal: null, plaid: null },
      replay: { isReplay: false },
    }),
    checker: new TokenVerifier(settings.auth, machineClock),
    feed: { hub, reads, cursors: new FeedCursors(settings.cursorSecret) },
    clock: machineClock,
    log,
    registry,
    settings,
    addRoutes: (app) => {
      app.get('/healthz', async () => ({ status: 'ok' }));
      app.get('/readyz', async () => {
        await reader.ping();
        return { status: 'ok' };
      });
      app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
      void app.register(async (hooks) => {
        hooks.removeAllContentTypeParsers();
        hooks.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
        hooks.post('/webhooks/stripe', async (request, reply) => {
          const outcome = await receive(request.body as Buffer, request.headers as Record<string, string | undefined>);
          return reply.code(outcome === 'stored' ? 200 : 400).send({ received: outcome === 'stored' });
        });
      });
    },
  });
  shutdown.add('the server', () => server.stop(settings.isSandbox ? DRAIN_MS.sandbox : DRAIN_MS.otherwise));
  log.info({ url: server.url }, 'listening');
});
