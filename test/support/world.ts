import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createHmac, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import Stripe from 'stripe';
import { giftSecretText } from '../../src/domain/subscription/gift-code.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { eachAtMost, type ForEach } from '../../src/platform/repeat.js';
import { stripeProvider } from '../../src/providers/stripe/adapter.js';
import { startStripeStandIn, type StripeStandIn } from '../../src/sandbox/stripe/server.js';
import { sandboxMailbox } from '../../src/providers/mailbox/mailbox.js';
import { openDatabase } from '../../src/store/database.js';
import type { Wake } from '../../src/store/outbox.store.js';
import { OVERTAKEN_WAIT_MS } from '../../src/store/provider.store.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor, Commands } from '../../src/usecases/contract.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { Quotes } from '../../src/usecases/quotes.js';
import { receiveWebhook } from '../../src/usecases/receive-webhook.js';
import { lookForWork } from '../../src/usecases/look-for-work.js';
import { makeChores, type Chore } from '../../src/worker/chores.js';
import { makeLookout, turnsOf } from '../../src/worker/lookout.js';
import { dropOldPartitions, keepPartitions } from '../../src/store/partitions.js';
import { ShiftedClock } from './clock.js';
import { testDatabase, type TestDatabase } from './postgres.js';

/** What the stand-in signs webhooks with. */
export const WEBHOOK_SECRET = 'whsec_sandbox_test';
/** Short, for tests in which the provider does not answer; the product waits 20 s. */
const CALL_TIMEOUT_MS = 1_500;

/** What the stand-in really did. */
export interface Truth {
  paymentIntents: Stripe.PaymentIntent[];
  charges: Stripe.Charge[];
  refunds: Stripe.Refund[];
  disputes: Stripe.Dispute[];
  balanceTransactions: Stripe.BalanceTransaction[];
}

/** A cashier as it runs in a gateway, another as it runs in a worker, on one database and one stand-in of Stripe. No HTTP of our own. */
export interface World {
  db: TestDatabase;
  clock: ShiftedClock;
  gateway: Cashier;
  worker: Cashier;
  commands: Commands;
  standIn: StripeStandIn;
  /** Users who were told something, by every process, in order. */
  wakes: Wake[];
  /** One turn of every chore of the worker, in the order of its list; `only` some by name. */
  work(...only: string[]): Promise<void>;
  /** Moves our clock and the stand-in's together. */
  advance(ms: number): Promise<void>;
  fault(fault: object): Promise<void>;
  clearFaults(): Promise<void>;
  truth(): Promise<Truth>;
  /**
   * Takes every event the stand-in has, or its newest few, or those of some types, as its webhooks would bring them, and lets the time pass that they
   * give to an answer which may still come.
   */
  receiveEvents(only?: { newest: number; types?: RegExp }): Promise<void>;
  /** Every event the stand-in has, oldest first. */
  events(): Promise<Stripe.Event[]>;
  /** Takes one event as its webhook brings it, signed now. */
  receive(event: Stripe.Event): Promise<'stored' | 'refused'>;
  /** What chores reported of single pieces of work, not taken by a test yet; a world that stops with some fails. */
  reported: unknown[];
  /** Another worker with a pool of its own; `change` makes its cashier another one. */
  startWorker(change?: (cashier: Cashier) => Cashier): Promise<Pick<World, 'work'>>;
  /** The official client on the stand-in: what a merchant does in the provider's dashboard. */
  stripe: Stripe;
  query<Row extends pg.QueryResultRow>(text: string, params?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

/** The header of a webhook with this body, as Stripe signs it at an instant. */
export function signedBy(secret: string, body: Buffer, at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000);
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex')}`;
}

/** Work for one after the other, so that its order is the same each time. */
export const oneByOne: ForEach = (items, work) => eachAtMost(items, 1, work);

/** A user nobody else uses. */
export function someUser(name = 'user'): Actor {
  return { userId: `${name}-${randomBytes(6).toString('hex')}`, scopes: new Set(), requestId: 'test-request' };
}

/** A staff member with these scopes. */
export function someStaff(...scopes: string[]): Actor {
  return {
    userId: `staff-${randomBytes(4).toString('hex')}`,
    scopes: new Set(scopes.map((one) => `monetization:${one}`)),
    requestId: 'test-request',
  };
}

/** A key as a client makes one. */
export function newKey(): string {
  return randomBytes(16).toString('hex');
}

/** Starts a world of its own; `stop()` it in afterAll. */
export async function startWorld({ callTimeoutMs = CALL_TIMEOUT_MS } = {}): Promise<World> {
  const [db, stateDir] = [await testDatabase({ hasRoomForDecades: true }), await mkdtemp(path.join(os.tmpdir(), 'world-'))];
  const clock = new ShiftedClock();
  const client = await db.ownerPool.connect();
  await publishCatalogue(client, readCatalogue(await readFile('data/catalogue.json', 'utf8')), clock.now());
  client.release();
  const standIn = await startStripeStandIn({
    port: 0,
    stateDir,
    webhookSecret: WEBHOOK_SECRET,
    now: () => clock.now(),
    log: () => undefined,
  });
  const wakes: Wake[] = [];
  const events: Cashier['events'] = {
    providerCalled: () => undefined,
    findingOpened: () => undefined,
    statusChanged: () => undefined,
    webhook: () => undefined,
  };
  const [appSource, workerSource] = [
    await openDatabase(db.options, 'pay_app', 10),
    await openDatabase(db.options, 'pay_worker', 5),
  ];
  const cashierOver = (source: typeof appSource): Cashier => ({
    tx: { source, clock, random: new SystemRandom(), onCommitted: (told) => void wakes.push(...told) },
    provider: stripeProvider({
      apiKey: 'sk_test_sandbox',
      webhookSecrets: [WEBHOOK_SECRET],
      publishableKey: 'pk_test_sandbox',
      apiBase: standIn.url,
      accountId: 1,
      timeoutMs: callTimeoutMs,
    }),
    env: 'test',
    monotonicMs: () => performance.now(),
    pause: (ms) => pause(ms),
    giftSecret: (giftId) => giftSecretText(createHmac('sha256', 'a secret of gifts').update(giftId).digest()),
    defaultReturnUrl: 'http://127.0.0.1:4000/',
    isReturnUrlAllowed: (url) => url.startsWith('http://127.0.0.1:'),
    events,
    quotes: new Quotes('signs the quotes of tests'),
  });
  const [gateway, worker] = [cashierOver(appSource), cashierOver(workerSource)];
  const partitions = async (): Promise<void> => {
    const owner = new pg.Client(pgConfig(db.options));
    await owner.connect();
    await keepPartitions(owner, clock.now());
    await dropOldPartitions(owner, clock.now());
    await owner.end();
  };
  const reported: unknown[] = [];
  const choresOf = (cashier: Cashier): Chore[] =>
    makeChores(cashier, {
      messenger: sandboxMailbox(stateDir, () => clock.now()),
      channel: 'test',
      maintain: partitions,
      report: (error) => void reported.push(error),
      renewals: { spreadMs: 0, callsPerSecond: 100_000, machineNow: () => new Date() },
    });
  // As a worker does it: without a turn of what the look says does not wait. It is asked each time, as here everything comes at one instant.
  const workWith = (cashier: Cashier): World['work'] => {
    let asked = 0;
    const lookout = makeLookout(
      () => lookForWork(cashier),
      () => (asked += 1_000),
    );
    const turns = choresOf(cashier).map((chore) => ({ name: chore.name, turn: turnsOf(chore, lookout) }));
    return async (...only) => {
      for (const { name, turn } of turns) if (only.length === 0 || only.includes(name)) while (await turn());
    };
  };
  const pools = [appSource, workerSource];
  const control = async (method: string, route: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`${standIn.url}/sandbox/${route}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const receive = receiveWebhook(gateway);
  const stripe = new Stripe('sk_test_sandbox', { host: '127.0.0.1', port: standIn.port, protocol: 'http', telemetry: false });
  const seen = new Set<string>();
  const receiveEvent: World['receive'] = async (event) => {
    const body = Buffer.from(JSON.stringify(event));
    return receive(body, { 'stripe-signature': signedBy(WEBHOOK_SECRET, body, clock.now()) });
  };
  return {
    db,
    clock,
    gateway,
    worker,
    commands: makeCommands(gateway),
    standIn,
    wakes,
    work: workWith(worker),
    reported,
    startWorker: async (change = (cashier) => cashier) => {
      const source = await openDatabase(db.options, 'pay_worker', 5);
      pools.push(source);
      return { work: workWith(change(cashierOver(source))) };
    },
    stripe,
    advance: async (ms) => clock.advance(ms),
    fault: async (fault) => void (await control('POST', 'faults', fault)),
    clearFaults: async () => void (await control('DELETE', 'faults')),
    // The stand-in's own shapes.
    truth: async () => (await control('GET', 'truth')) as Truth,
    receiveEvents: async (only) => {
      let left = only?.newest ?? Infinity;
      for await (const event of stripe.events.list({ limit: 100 })) {
        if (left-- <= 0) break;
        if (seen.has(event.id) || only?.types?.test(event.type) === false) continue;
        seen.add(event.id);
        await receiveEvent(event);
      }
      clock.advance(OVERTAKEN_WAIT_MS);
    },
    events: async () => {
      const newestFirst: Stripe.Event[] = [];
      for await (const event of stripe.events.list({ limit: 100 })) newestFirst.push(event);
      return newestFirst.toReversed();
    },
    receive: receiveEvent,
    query: async (text, params) => (await db.ownerPool.query(text, params)).rows,
    stop: async () => {
      for (const pool of pools) await pool.destroy();
      await standIn.stop();
      await db.drop();
      await rm(stateDir, { recursive: true, force: true });
      if (reported.length > 0) throw new AggregateError(reported, 'The worker reported what no test asked about.');
    },
  };
}

/** Does what a person does on the stand-in's page of 3-D Secure. */
export async function finishStep(redirectUrl: string, outcome: 'complete' | 'fail' = 'complete'): Promise<void> {
  const answer = await fetch(redirectUrl, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ outcome }) });
  if (answer.status !== 303) throw new Error(`the page of 3-D Secure answered ${answer.status}: ${await answer.text()}`);
}

/** A user with a card on file, whose step of 3-D Secure was done where it asked for one. */
export async function withCard(world: World, actor: Actor, token = 'pm_card_visa'): Promise<Actor> {
  const started = await world.commands.startPaymentMethodSetup(actor, {
    kind: 'card',
    makeDefault: true,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (started.setupId === null) throw new Error(JSON.stringify(started.refusals));
  const { setupId } = started;
  let completed = await world.commands.completePaymentMethodSetup(actor, { setupId, providerToken: token });
  if (completed.nextAction?.redirectUrl) {
    await finishStep(completed.nextAction.redirectUrl);
    completed = await world.commands.completePaymentMethodSetup(actor, { setupId, providerToken: null });
  }
  if (completed.refusals.length > 0) throw new Error(JSON.stringify(completed.refusals));
  return actor;
}

/** Ids of prices by the keys a person would name. */
export async function priceId(
  world: World,
  what: { tier?: string; product?: string; interval?: string; currency?: string },
): Promise<string> {
  const { tier = null, product = null, interval = tier ? 'month' : null, currency = 'USD' } = what;
  const [row] = await world.query<{ id: string }>(
    `select p.id from price p left join tier t on t.id = p.tier_id left join product o on o.id = p.product_id
     where (t.key = $1 or o.key = $2) and p.interval_unit is not distinct from $3 and p.currency = $4`,
    [tier, product, interval, currency],
  );
  if (!row) throw new Error(`no price for ${JSON.stringify(what)}`);
  return row.id;
}
