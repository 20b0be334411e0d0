import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { createClient, type Client } from 'graphql-ws';
import pg from 'pg';
import type Stripe from 'stripe';
import WebSocket from 'ws';
import { instantOf, readSandboxTime, writeSandboxTime } from '../../src/platform/clock.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { issueSandboxToken, prepareSandboxIssuer } from '../../src/platform/sandbox-issuer.js';
import { setStandInClock } from '../../src/platform/stand-in-clock.js';
import { checkInvariants, parseInvariants } from '../../src/store/invariants.js';
import { keepPartitions } from '../../src/store/partitions.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import {
  CompleteSetupDocument,
  ListTiersDocument,
  PaymentStatusChangedDocument,
  PurchaseDocument,
  StartSetupDocument,
  SubscribeDocument,
  type PaymentStatusChangedSubscription,
  type PaymentStatusChangedSubscriptionVariables,
  type PurchaseMutation,
  type SubscribeMutation,
} from '../generated/graphql.js';
import { eventually } from './eventually.js';
import { freePort } from './free-ports.js';
import { testDatabase, type TestDatabase } from './postgres.js';

/** Signs the stand-in's webhooks, and those that a suite forges or makes itself. */
export const WEBHOOK_SECRET = 'whsec_test_0123456789abcdefghijklmnopqrstuv';
const READY_LIMIT_MS = 30_000;

/** A process of the product. `gateway2` runs only where it was asked for, workers but the first only where a suite starts them. */
export type ProcessName = 'stripe' | 'gateway' | 'gateway2' | 'worker' | 'worker2' | 'worker3' | 'worker4';

/** What the stand-in of Stripe really did. */
export interface Truth {
  paymentIntents: Stripe.PaymentIntent[];
  charges: Stripe.Charge[];
  refunds: Stripe.Refund[];
}

/** An answer over HTTP. */
export interface Answer<Result> {
  status: number;
  data: Result | null;
  errors: { message: string; path?: (string | number)[]; extensions: { code: string; reason?: string } }[];
  extensions: Record<string, unknown>;
}

/** An item of the live feed. */
export type LiveItem = PaymentStatusChangedSubscription['paymentStatusChanged'];

/** Where a token says that its user lives. */
interface Lives {
  country?: string;
  zone?: string;
}

/** The product as its operator runs it, each part in a process of its own, on free ports and a database of its own. */
export interface Product {
  db: TestDatabase;
  dataDir: string;
  /** e.g. http://127.0.0.1:41234 */
  url: string;
  secondUrl: string;
  standInUrl: string;
  /** As the processes get it; for running a command against this product. */
  env: NodeJS.ProcessEnv;
  start(name: ProcessName): Promise<void>;
  kill(name: ProcessName, signal?: NodeJS.Signals): Promise<void>;
  token(userId: string, scopes?: string[], lives?: Lives): Promise<string>;
  /** A user nobody else is, with a token; staff with scopes. */
  person(name?: string, scopes?: string[], lives?: Lives): Promise<Person>;
  truth(): Promise<Truth>;
  fault(fault: object): Promise<void>;
  /** Lets the stand-in do at once what waits for its time there. */
  letDueHappen(): Promise<void>;
  /** The sandbox's present instant. */
  now(): Date;
  /** Moves the clock of stand-in and product ahead; it stands still from then on. */
  advance(ms: number): Promise<void>;
  /** Lets time pass in steps until the check passes; at most `limitMs` of the sandbox's time. */
  passUntil(check: () => void | Promise<void>, stepMs: number, limitMs: number): Promise<void>;
  query<Row extends pg.QueryResultRow>(text: string, params?: unknown[]): Promise<Row[]>;
  /** Every invariant of the books holds. */
  expectSoundBooks(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a product. `stripeBase` puts something between gateway, worker and the stand-in; `database` is one of the suite's own, with
 * tables and nothing in them; `settings` come on top of the usual ones.
 */
export async function startProduct(
  options: {
    withSecondGateway?: boolean;
    stripeBase?: (standInPort: number) => Promise<string>;
    database?: TestDatabase;
    settings?: NodeJS.ProcessEnv;
  } = {},
): Promise<Product> {
  const [db, dataDir] = [options.database ?? (await testDatabase()), await mkdtemp(path.join(os.tmpdir(), 'product-'))];
  const [port, secondPort, thirdPort, fourthPort, stripePort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const [url, secondUrl, standInUrl] = [port, secondPort, stripePort].map((one) => `http://127.0.0.1:${one}`) as [
    string,
    string,
    string,
  ];
  prepareSandboxIssuer(dataDir);
  const client = await db.ownerPool.connect();
  await publishCatalogue(client, readCatalogue(await readFile('data/catalogue.json', 'utf8')), new Date());
  client.release();
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
    NODE_ENV: 'test',
    SANDBOX: 'on',
    DATABASE_URL: db.url,
    DATA_DIR: dataDir,
    PORT: String(port),
    SANDBOX_STRIPE_PORT: String(stripePort),
    STRIPE_WEBHOOK_URL: `${url}/webhooks/stripe`,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    LOG_LEVEL: 'error',
    ...(options.stripeBase && { STRIPE_API_BASE: await options.stripeBase(stripePort) }),
    ...options.settings,
  };
  const worker = (own: number) => ({
    file: 'main/worker.js',
    env: { ...env, PORT: String(own) },
    ready: `http://127.0.0.1:${own + 1000}/readyz`,
  });
  const parts: Record<ProcessName, { file: string; env: NodeJS.ProcessEnv; ready: string }> = {
    stripe: { file: 'sandbox/stripe/main.js', env, ready: `${standInUrl}/sandbox/clock` },
    gateway: { file: 'main/gateway.js', env, ready: `${url}/readyz` },
    gateway2: { file: 'main/gateway.js', env: { ...env, PORT: String(secondPort) }, ready: `${secondUrl}/readyz` },
    worker: worker(port),
    worker2: worker(secondPort),
    worker3: worker(thirdPort),
    worker4: worker(fourthPort),
  };
  const running = new Map<ProcessName, ChildProcess>();
  const feeds: Feed[] = [];

  const start = async (name: ProcessName): Promise<void> => {
    const { file, env: own, ready } = parts[name];
    const child = spawn(process.execPath, ['--import', './dist/src/platform/own-source-maps.js', `dist/src/${file}`], {
      env: own,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    running.set(name, child);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    if (process.env['SHOW_PROCESSES']) child.on('exit', () => process.stderr.write(`${name}: ${said}\n`));
    const answers = async (): Promise<void> => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said}`);
      const answer = await fetch(ready);
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`${name} is not ready: ${answer.status} ${said}`);
    };
    await eventually(answers, READY_LIMIT_MS);
  };
  const kill = async (name: ProcessName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    const child = running.get(name);
    running.delete(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    // Nothing of it may keep the run of the tests alive.
    if (child.connected) child.disconnect();
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const control = async (method: string, route: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`${standInUrl}/sandbox/${route}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const now = (): Date => instantOf(readSandboxTime(dataDir));
  const advance = async (ms: number): Promise<void> => {
    const to = new Date(now().getTime() + ms);
    const owner = new pg.Client(pgConfig(db.options));
    await owner.connect();
    await keepPartitions(owner, to);
    await owner.end();
    await setStandInClock(stripePort, { standsAt: to });
    writeSandboxTime(dataDir, { standsAt: to });
  };
  const token = (userId: string, scopes: string[] = [], lives: Lives = {}): Promise<string> =>
    issueSandboxToken({ dataDir, userId, scopes, ...lives, ttlSeconds: 3_600, now: new Date() });

  await start('stripe');
  await Promise.all([start('gateway'), start('worker'), ...(options.withSecondGateway ? [start('gateway2')] : [])]);
  return {
    db,
    dataDir,
    url,
    secondUrl,
    standInUrl,
    env,
    start,
    kill,
    token,
    person: async (name = 'user', scopes = [], lives = {}) => {
      const userId = `${name}-${randomBytes(6).toString('hex')}`;
      return new Person(url, userId, await token(userId, scopes, lives), feeds);
    },
    // The stand-in's own shapes.
    truth: async () => (await control('GET', 'truth')) as Truth,
    fault: async (fault) => void (await control('POST', 'faults', fault)),
    letDueHappen: async () => void (await control('POST', 'advance')),
    now,
    advance,
    passUntil: async (check, stepMs, limitMs) => {
      for (let passedMs = 0; ; passedMs += stepMs) {
        try {
          return await eventually(check, 600);
        } catch (error) {
          if (passedMs >= limitMs) throw error;
          await advance(stepMs);
        }
      }
    },
    query: async (text, params) => (await db.ownerPool.query(text, params)).rows,
    expectSoundBooks: async () => {
      const invariants = parseInvariants(await readFile('data/invariants.sql', 'utf8'));
      await eventually(async () => {
        const checker = await db.ownerPool.connect();
        try {
          await checker.query('begin');
          const results = await checkInvariants(checker, invariants, now());
          expect(results.filter((one) => one.kind === 'checked' && one.violations > 0)).toEqual([]);
        } finally {
          await checker.query('rollback');
          checker.release();
        }
      });
    },
    stop: async () => {
      await Promise.all(feeds.map((feed) => feed.close()));
      for (const name of [...running.keys()].reverse()) await kill(name, name === 'stripe' ? 'SIGTERM' : 'SIGKILL');
      await db.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Sends any HTTP request body to the graph as it is. */
export async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

/** Asks one operation of the generated documents. */
export async function ask<Result, Variables>(
  url: string,
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
  token?: string,
): Promise<Answer<Result>> {
  const { status, text } = await post(
    url,
    JSON.stringify({ query: print(document), variables }),
    token ? { authorization: `Bearer ${token}` } : {},
  );
  const body = JSON.parse(text) as Partial<Answer<Result>>;
  return { status, data: body.data ?? null, errors: body.errors ?? [], extensions: body.extensions ?? {} };
}

/** A key as a client makes one. */
export function newKey(): string {
  return randomBytes(16).toString('hex');
}

/** Somebody with a token. */
export class Person {
  constructor(
    readonly url: string,
    readonly userId: string,
    readonly token: string,
    readonly feeds: Feed[],
  ) {}

  /** The whole answer, refused or not. */
  ask<Result, Variables>(document: TypedDocumentNode<Result, Variables>, variables: Variables): Promise<Answer<Result>> {
    return ask(this.url, document, variables, this.token);
  }

  /** The data of an answer that has no error. */
  async get<Result, Variables>(document: TypedDocumentNode<Result, Variables>, variables: Variables): Promise<Result> {
    const { data, errors } = await this.ask(document, variables);
    if (errors.length > 0 || data === null) throw new Error(JSON.stringify(errors));
    return data;
  }

  /** Buys the theme pack. The whole answer, refused or not. */
  tryPurchase(priceId: string, idempotencyKey = newKey()): Promise<Answer<PurchaseMutation>> {
    return this.ask(PurchaseDocument, { input: { priceId, idempotencyKey } });
  }

  async startSetup(): Promise<string> {
    const { startPaymentMethodSetup: started } = await this.get(StartSetupDocument, {
      input: { kind: 'CARD', idempotencyKey: newKey() },
    });
    if (!started.setupId) throw new Error(JSON.stringify(started.userErrors));
    return started.setupId;
  }

  async completeSetup(setupId: string, providerToken: string | null = null) {
    return (await this.get(CompleteSetupDocument, { input: { setupId, providerToken } })).completePaymentMethodSetup;
  }

  /** Puts a card on file, which becomes the default; answers with its id. */
  async addCard(token = 'pm_card_visa'): Promise<string> {
    const setupId = await this.startSetup();
    let completed = await this.completeSetup(setupId, token);
    if (completed.nextAction?.redirectUrl) {
      await click(completed.nextAction.redirectUrl);
      completed = await this.completeSetup(setupId);
    }
    if (!completed.paymentMethod) throw new Error(JSON.stringify(completed));
    return completed.paymentMethod.id;
  }

  /** Subscribes to the tier by the month. */
  async subscribe(
    more: { tier?: string; currency?: string; idempotencyKey?: string; paymentMethodId?: string } = {},
  ): Promise<SubscribeMutation['subscribe']> {
    return (await this.trySubscribe(more)).data?.subscribe ?? Promise.reject(new Error('no answer'));
  }

  async trySubscribe({
    tier = 'premium',
    currency = 'USD',
    idempotencyKey = newKey(),
    paymentMethodId = undefined as string | undefined,
  } = {}): Promise<Answer<SubscribeMutation>> {
    const priceId = await monthlyPrice(this.url, tier, currency);
    return this.ask(SubscribeDocument, { input: { priceId, idempotencyKey, ...(paymentMethodId && { paymentMethodId }) } });
  }

  /** Follows the live feed of payments from now on, over whatever happens to the connection. */
  async follow(url = this.url, variables: PaymentStatusChangedSubscriptionVariables = {}): Promise<Feed> {
    const feed = new Feed(url, this.token, variables);
    this.feeds.push(feed);
    await feed.has((item) => item.type === 'READY');
    return feed;
  }
}

/** A client of paymentStatusChanged that comes back with its last cursor whenever it is cut off. */
export class Feed {
  readonly items: LiveItem[] = [];
  readonly #client: Client;
  readonly #running: Promise<void>;
  #isClosed = false;

  constructor(url: string, token: string, variables: PaymentStatusChangedSubscriptionVariables) {
    this.#client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { token },
      retryAttempts: 0,
    });
    this.#running = this.#run(variables);
  }

  /** Statuses told, in order, of one transaction or of all. */
  statuses(transactionId?: string): string[] {
    const changes = this.items.filter(
      (item) => item.type === 'CHANGE' && (!transactionId || item.transaction?.id === transactionId),
    );
    return changes.map((item) => item.status ?? 'none');
  }

  /** Waits for an item that fits. */
  has(fits: (item: LiveItem) => boolean, limitMs?: number): Promise<LiveItem> {
    return eventually(() => {
      const found = this.items.find(fits);
      if (!found)
        throw new Error(
          `not told; the last were ${JSON.stringify(this.items.slice(-5).map(({ type, status }) => status ?? type))}`,
        );
      return found;
    }, limitMs);
  }

  /** Waits until a change to this status was told. */
  hasStatus(status: string, transactionId?: string, limitMs?: number): Promise<LiveItem> {
    return this.has((item) => item.status === status && (!transactionId || item.transaction?.id === transactionId), limitMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#client.dispose();
    await this.#running;
  }

  async #run(variables: PaymentStatusChangedSubscriptionVariables): Promise<void> {
    while (!this.#isClosed) {
      const after = this.items.findLast((item) => item.type !== 'RECONNECT')?.cursor;
      const payload = {
        query: print(PaymentStatusChangedDocument),
        variables: { ...variables, ...(after !== undefined && { after }) },
      };
      try {
        for await (const { data } of this.#client.iterate<PaymentStatusChangedSubscription>(payload)) {
          if (data) this.items.push(data.paymentStatusChanged);
        }
      } catch {
        // Cut off: comes back.
      }
      if (!this.#isClosed) await pause(50);
    }
  }
}

/** Does what a person does on the stand-in's page of 3-D Secure; answers with where the browser is sent. */
export async function click(url: string, outcome: 'complete' | 'fail' = 'complete'): Promise<string> {
  const page = await (await fetch(url)).text();
  expect(page).toContain(`name="outcome" value="${outcome}"`);
  const answer = await fetch(url, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ outcome }) });
  expect(answer.status).toBe(303);
  return answer.headers.get('location') ?? '';
}

/** The price of a tier by the month, as the graph lists it. */
export async function monthlyPrice(url: string, tier: string, currency: string): Promise<string> {
  const { data, errors } = await ask(url, ListTiersDocument, { currency });
  const price = data?.tiers.find(({ key }) => key === tier)?.prices.find(({ interval }) => interval === 'MONTH');
  if (!price) throw new Error(`no price of ${tier} in ${currency}: ${JSON.stringify(errors)}`);
  return price.id;
}
