/**
 * The product in one process, on a database of its own: a cashier as in a gateway, another as in a worker with all its chores, and between them and
 * the money a provider in memory. The clock stands until the scheduler moves it; nothing waits.
 */
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { Seeded } from '../chaos/seeded.js';
import { giftSecretText } from '../domain/subscription/gift-code.js';
import { SystemClock } from '../platform/clock.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { sha256 } from '../platform/json.js';
import { SystemRandom } from '../platform/random.js';
import type { Random } from '../ports/random.js';
import { openDatabase, setTypeParsers } from '../store/database.js';
import { dropOldPartitions, keepPartitions } from '../store/partitions.js';
import type { Statement } from '../store/statement.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from '../usecases/cashier.js';
import { makeCommands } from '../usecases/commands.js';
import type { Commands } from '../usecases/contract.js';
import { receiveWebhook } from '../usecases/receive-webhook.js';
import { Quotes } from '../usecases/quotes.js';
import { makeChores, type Chore } from '../worker/chores.js';
import { SimulatedClock } from './clock.js';
import { SimulatedProvider, type Delivery, type ProviderPlans, type SimulatedProviderOptions } from './provider.js';
import { Weather, type WeatherName } from './weather.js';

/** Row id of the merchant account, as the catalogue has it. */
const ACCOUNT_ID = 1;
const PEOPLE_CONNECTIONS = 8;
const WORKER_CONNECTIONS = 8;

/** What a world is made of. */
export interface WorldOptions {
  /** Migrated, with a catalogue, and nobody in it. */
  database: DatabaseOptions;
  seeded: Seeded;
  weather: WeatherName;
  startsAt: Date;
  plans: ProviderPlans;
  /** Another provider than the true one; for tests that want a fault to be found. */
  provider?: (options: SimulatedProviderOptions) => SimulatedProvider;
}

/** The world. */
export interface SimulatedWorld {
  clock: SimulatedClock;
  provider: SimulatedProvider;
  weather: Weather;
  /** What people and staff use. */
  gateway: Cashier;
  commands: Commands;
  /** By their names. */
  chores: ReadonlyMap<string, Chore>;
  receive(delivery: Delivery): Promise<'stored' | 'refused'>;
  /** As the owner of the tables: reads, and nothing else. */
  query<Row extends pg.QueryResultRow>(text: string, params?: unknown[]): Promise<Row[]>;
  /** The same for a statement of the store. */
  ask: UnitOfWork['run'];
  /** One snapshot of everything, for the verdict. */
  snapshot<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T>;
  /** What chores reported of single pieces of work. */
  reported: unknown[];
  /** Room for the rows of the days from now to an instant. */
  makeRoom(until: Date): Promise<void>;
  stop(): Promise<void>;
}

/** Opens a world on a database. */
export async function openWorld(options: WorldOptions): Promise<SimulatedWorld> {
  setTypeParsers();
  const { database, seeded, startsAt } = options;
  const clock = new SimulatedClock(startsAt);
  const weather = new Weather(options.weather, seeded.child('weather'));
  const make = options.provider ?? ((its: SimulatedProviderOptions) => new SimulatedProvider(its));
  const provider = make({ clock, weather, seeded: seeded.child('provider'), plans: options.plans, accountId: ACCOUNT_ID });
  const [people, workers] = [
    await openDatabase(database, 'pay_app', PEOPLE_CONNECTIONS),
    await openDatabase(database, 'pay_worker', WORKER_CONNECTIONS),
  ];
  const random = new InstantRandom(clock, seeded.child('jitter'));
  const cashierOver = (source: DataSource): Cashier => ({
    tx: { source, clock, random, onCommitted: () => undefined },
    provider,
    env: 'simulated',
    monotonicMs: () => clock.monotonicMs(),
    pause: () => Promise.resolve(),
    defaultReturnUrl: 'https://app.simulated/',
    isReturnUrlAllowed: () => true,
    giftSecret: (giftId) => giftSecretText(sha256(`a gift of a simulation ${giftId}`)),
    quotes: new Quotes('signs the quotes of a simulation'),
    events: {
      providerCalled: () => undefined,
      findingOpened: () => undefined,
      statusChanged: () => undefined,
      webhook: () => undefined,
    },
  });
  const [gateway, worker] = [cashierOver(people), cashierOver(workers)];
  const owner = new pg.Pool({ ...pgConfig(database), max: PEOPLE_CONNECTIONS });
  const withOwner = async <T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> => {
    const client = await owner.connect();
    try {
      return await work(client);
    } finally {
      client.release();
    }
  };
  await withOwner((client) => client.query(LOOKOUTS));
  const reported: unknown[] = [];
  const makeRoom = (until: Date): Promise<void> =>
    withOwner(async (client) => {
      // Time ahead becomes one wide partition: each change of a table's partitions makes every session plan anew.
      await keepPartitions(client, until);
      await dropOldPartitions(client, clock.now());
    });
  const machine = new SystemClock();
  const chores = makeChores(worker, {
    channel: 'simulated',
    maintain: () => makeRoom(clock.now()),
    report: (error) => void reported.push(error),
    // Whatever a customer is told is taken.
    messenger: { send: ({ id }) => Promise.resolve(`message-${id}`) },
    renewals: { spreadMs: 0, callsPerSecond: 1_000_000, machineNow: () => machine.now() },
    slots: 1,
  });
  const receive = receiveWebhook(gateway);
  // Prepared under the hash of their text: the scheduler asks the same few questions thousands of times.
  const ask = async <Row>(text: string, params: readonly unknown[]): Promise<Row[]> => {
    const { rows } = await owner.query({ name: sha256(text).toString('hex').slice(0, 16), text, values: [...params] });
    return rows as Row[];
  };
  return {
    clock,
    provider,
    weather,
    gateway,
    commands: makeCommands(gateway),
    chores: new Map(chores.map((chore) => [chore.name, chore])),
    receive: ({ body, headers }) => receive(body, headers),
    query: (text, params = []) => ask(text, params),
    ask: async <Params extends readonly unknown[], Row>(what: Statement<Params, Row>, params: Params): Promise<Row[]> =>
      ask(what.text, params),
    snapshot: (work) =>
      withOwner(async (client) => {
        await client.query('begin isolation level repeatable read read only');
        try {
          return await work(client);
        } finally {
          await client.query('rollback');
        }
      }),
    reported,
    makeRoom,
    stop: async () => {
      for (const source of [people, workers]) await source.destroy();
      await owner.end();
    },
  };
}

/** The scheduler asks after each step when something is due next, of everybody: an index that a product with a worker always at work has no use for. */
const LOOKOUTS = `
  create index if not exists simulated_subscription_due on subscription (next_action_at) where next_action_at is not null;
  create index if not exists simulated_notice_due on notice (next_action_at) where next_action_at is not null;
  create index if not exists simulated_gift_due on gift (next_action_at) where next_action_at is not null;
  create index if not exists simulated_attempt_due on payment_attempt (next_action_at) where next_action_at is not null;
  create index if not exists simulated_refund_due on refund (next_action_at) where next_action_at is not null;
  create index if not exists simulated_inbox_due on webhook_inbox (next_action_at) where next_action_at is not null`;

/** Ids are left to chance, as nothing depends on them; what decides when something is looked at again follows from the seed and the instant alone. */
class InstantRandom implements Random {
  readonly #system = new SystemRandom();
  readonly #clock: SimulatedClock;
  readonly #seeded: Seeded;

  constructor(clock: SimulatedClock, seeded: Seeded) {
    this.#clock = clock;
    this.#seeded = seeded;
  }

  bytes(count: number): Uint8Array {
    return this.#system.bytes(count);
  }

  fraction(): number {
    return this.#seeded.child(String(this.#clock.monotonicMs())).fraction();
  }
}
