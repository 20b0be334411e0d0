/** The gateway: GraphQL over HTTP and WebSocket, webhooks in, playground, health. */
import { readFile } from 'node:fs/promises';
import { Temporal } from 'temporal-polyfill';
import { buildGraphSchema } from '../graphql/schema.js';
import { startGraphServer, type GraphServer } from '../graphql/server.js';
import { readTrustedDocuments } from '../graphql/trusted-documents.js';
import { addGatewayRoutes } from '../http/routes.js';
import { redactCardNumbers } from '../platform/card-data.js';
import { instantOf, readSandboxTime, SystemClock } from '../platform/clock.js';
import { pgConfig } from '../platform/database-options.js';
import { createLogger } from '../platform/log.js';
import { createMetrics } from '../platform/metrics.js';
import { OneLineError } from '../platform/one-line-error.js';
import { SystemRandom } from '../platform/random.js';
import { repeat } from '../platform/repeat.js';
import { runProcess } from '../platform/run-process.js';
import { issueSandboxToken, LONGEST_SANDBOX_TTL_SECONDS, prepareSandboxIssuer } from '../platform/sandbox-issuer.js';
import { databaseOptions, readSettings, SANDBOX_ISSUER, type Settings } from '../platform/settings.js';
import { TokenVerifier } from '../platform/tokens.js';
import type { GraphContext } from '../resolvers/context.js';
import { Cursors } from '../resolvers/cursor.js';
import { makeReads, type Reads } from '../resolvers/loaders/reads.js';
import { sandboxClockResolver, type AdvanceClock } from '../resolvers/sandbox-clock.resolver.js';
import { Catalogue } from '../store/catalogue.reads.js';
import { untilReachable } from '../store/reach-database.js';
import { openDatabase } from '../store/database.js';
import { feedReads, listenForWakes } from '../store/feed.reads.js';
import { Reader } from '../store/reader.js';
import { FeedCursors } from '../subscriptions/feed-cursor.js';
import { FeedHub } from '../subscriptions/hub.js';
import { makeCommands } from '../usecases/commands.js';
import { receiveWebhook } from '../usecases/receive-webhook.js';
import { makeCashier, makeClock } from './assemble.js';
import { cashierMetrics, faultCounter } from './cashier-metrics.js';
import { moveSandboxTime } from './sandbox-time.js';

/** Connections of the pool that writes, unless DATABASE_POOL says otherwise, and of the pool that only reads. */
const APP_POOL = 16;
const READ_POOL = 8;
const CATALOGUE_EVERY_MS = 30_000;
const FEED_LOOK_EVERY_MS = 5_000;
const LISTEN_RETRY_MS = 1_000;
const READ_LIMIT_MS = 5_000;
/** How long live clients are sent away for, at the end. */
const DRAIN_MS = { sandbox: 0, otherwise: 20_000 };

/** How long a start waits for a database that is away. */
const PATIENCE_MS = 60_000;

runProcess(async (shutdown) => {
  const settings = readSettings(process.env);
  const log = createLogger({
    level: settings.logLevel,
    service: 'gateway',
    region: settings.region,
    redactText: redactCardNumbers,
  });
  const registry = createMetrics({ region: settings.region, service: 'gateway' });
  const countFault = faultCounter(registry);
  const report = (what: string) => (error: unknown) => {
    countFault(error);
    log.error({ err: error }, what);
  };

  // graphql-js forgets what fails later of a list of which another item fails at once: one question must not end the process for everybody.
  process.on('unhandledRejection', report('a promise failed that nobody waited for'));

  const clock = makeClock(settings);
  const database = databaseOptions(settings);
  const poolSize = settings.databasePool ?? APP_POOL;
  await untilReachable(database, PATIENCE_MS);
  const source = await openDatabase(database, 'pay_app', poolSize);
  shutdown.add('the writing pool', () => source.destroy());
  const reader = new Reader({
    connection: pgConfig(database),
    maxConnections: READ_POOL,
    statementTimeoutMs: READ_LIMIT_MS,
    usesNamedStatements: true,
  });
  shutdown.add('the reading pool', () => reader.close());
  const catalogue = await Catalogue.load(reader);
  const reloadCatalogue = (): void => void catalogue.reload().catch(report('the catalogue could not be read'));
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
  let isHearing = false;
  const listening = listenForWakes({
    connection: pgConfig(database),
    onWake: ({ userId, sequence }) => hub.wake(userId, sequence),
    onCatalogue: reloadCatalogue,
    onConnected: () => {
      isHearing = true;
      reloadCatalogue(); // what was published meanwhile
      hub.wakeEverybody();
    },
    report: (error) => {
      isHearing = false;
      report('wake-ups are not heard')(error);
    },
    retryMs: LISTEN_RETRY_MS,
  });
  shutdown.add('the listening for wake-ups', () => listening.stop());

  const cashier = makeCashier(settings, {
    source,
    poolSize,
    clock,
    events: cashierMetrics(registry),
    onCommitted: (wakes) => wakes.forEach(({ userId, seq }) => hub.wake(userId, seq)),
  });
  const commands = makeCommands(cashier);
  const receive = receiveWebhook(cashier);
  const { schema } = buildGraphSchema({ extraResolvers: settings.isSandbox ? [sandboxClockResolver(advanceBy(settings))] : [] });
  const cursors = new Cursors(settings.cursorSecret.reveal());
  const machineClock = new SystemClock();
  const sandboxTokens = settings.isSandbox && settings.auth.issuer === SANDBOX_ISSUER ? await readyTokens(settings.dataDir) : {};
  const publishableKeys = { stripe: settings.stripe.publishableKey, paypal: null, plaid: null };
  const newReads = (): Reads => makeReads(reader, catalogue, cursors, clock);
  let server: GraphServer | null = null;
  server = await startGraphServer({
    schema,
    makeContext: (request) => new RequestContext({ commands, clock, publishableKeys, makeReads: newReads }, request),
    checker: new TokenVerifier(settings.auth, machineClock),
    feed: { hub, reads, cursors: new FeedCursors(settings.cursorSecret) },
    machineClock,
    random: new SystemRandom(),
    countFault,
    log,
    registry,
    settings,
    trustedDocuments: await trustedDocumentsOf(settings),
    addRoutes: (app) =>
      addGatewayRoutes(app, {
        checks: {
          database: { isVital: true, check: () => reader.ping() },
          wakeUps: { isVital: false, check: async () => requireHearing(isHearing) },
          load: { isVital: false, check: async () => requireRoom(server?.isOverloaded() ?? false) },
        },
        isDraining: () => server?.isDraining() ?? false,
        registry,
        receiveWebhook: (_provider, rawBody, headers) => receive(rawBody, headers),
        webhookProviders: ['stripe'],
        report: report('a webhook could not be stored'),
        playground: settings.environment === 'production' ? null : { tokens: sandboxTokens },
      }),
  });
  const serving = server;
  shutdown.add('the server', () => serving.stop(settings.isSandbox ? DRAIN_MS.sandbox : DRAIN_MS.otherwise));
  log.info({ url: serving.url }, 'listening');
});

/** What the contexts of all requests have in common. */
interface SharedContext extends Pick<GraphContext, 'commands' | 'clock' | 'publishableKeys'> {
  makeReads: () => Reads;
}

/** What the resolvers of one request are given. No field of it is a private one of JavaScript: Apollo Server goes on with a copy. */
class RequestContext implements GraphContext {
  readonly actor: GraphContext['actor'];
  readonly requestId: string;
  readonly isRouter: boolean;
  readonly commands: GraphContext['commands'];
  readonly clock: GraphContext['clock'];
  readonly publishableKeys: GraphContext['publishableKeys'];
  readonly replay = { isReplay: false };
  private readonly makeReads: () => Reads;
  private madeReads: Reads | null = null;

  constructor(shared: SharedContext, { actor, requestId, isRouter }: Pick<GraphContext, 'actor' | 'requestId' | 'isRouter'>) {
    this.actor = actor;
    this.requestId = requestId;
    this.isRouter = isRouter;
    this.commands = shared.commands;
    this.clock = shared.clock;
    this.publishableKeys = shared.publishableKeys;
    this.makeReads = shared.makeReads;
  }

  /** Made when it is asked for: a stream that waits holds its context for hours and reads nothing by it. */
  get reads(): Reads {
    return (this.madeReads ??= this.makeReads());
  }
}

/** Moves the sandbox's time as far as it comes well within the time that a mutation has. */
const ADVANCE_LIMIT_MS = 15_000;

function advanceBy(settings: Settings): AdvanceClock {
  const database = databaseOptions(settings);
  return async (by) => {
    const from = instantOf(readSandboxTime(settings.dataDir));
    const zoned = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO('UTC').add(by);
    const to = new Date(zoned.epochMilliseconds);
    return moveSandboxTime({ settings, database, to, onStep: () => undefined, limitMs: ADVANCE_LIMIT_MS });
  };
}

/** Tokens of the sandbox for the playground's tabs; they last as long as a token may. */
async function readyTokens(dataDir: string): Promise<Record<'customer' | 'support' | 'finance', string>> {
  prepareSandboxIssuer(dataDir);
  const token = (userId: string, scopes: string[]): Promise<string> =>
    issueSandboxToken({ dataDir, userId, scopes, ttlSeconds: LONGEST_SANDBOX_TTL_SECONDS, now: new Date() });
  return {
    customer: await token('ana', []),
    support: await token('sue', ['monetization:support']),
    finance: await token('fin', ['monetization:finance']),
  };
}

/** @throws OneLineError when the list is wanted and cannot be read */
async function trustedDocumentsOf({
  trustedDocuments,
  trustedDocumentsFile: file,
}: Pick<Settings, 'trustedDocuments' | 'trustedDocumentsFile'>): Promise<ReadonlyMap<string, string>> {
  if (trustedDocuments === 'off') return new Map();
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new OneLineError(`TRUSTED_DOCUMENTS_FILE cannot be read: ${error.message}`);
  });
  return readTrustedDocuments(text);
}

/** @throws Error while this process hears no wake-ups: live updates then come by the regular look, within five seconds. */
function requireHearing(isHearing: boolean): void {
  if (!isHearing) throw new Error('no wake-ups are heard');
}

/** @throws Error while requests are refused because there is more to do than can be done. */
function requireRoom(isOverloaded: boolean): void {
  if (isOverloaded) throw new Error('requests are refused');
}
