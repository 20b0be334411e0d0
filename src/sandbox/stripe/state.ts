import { createHash, randomBytes } from 'node:crypto';
import type { Stripe } from 'stripe';
import { Collection } from './collection.js';
import { type Change, Journal, type TextPlace } from './journal.js';
import {
  API_VERSION,
  type CardOnFile,
  type Delivery,
  type Errand,
  type KeptAnswer,
  type SandboxSettings,
  type StoredBalanceTransaction,
  type StoredCharge,
  type StoredCustomer,
  type StoredDispute,
  type StoredEvent,
  type StoredPaymentIntent,
  type StoredPaymentMethod,
  type StoredPayout,
  type StoredRefund,
  type StoredReview,
  type StoredSetupAttempt,
  type StoredSetupIntent,
  type StoredWarning,
  type WebhookEndpoint,
} from './shapes.js';

/** How long keys and events live, by the stand-in's clock. Source: Stripe, "Idempotent requests" (24 h) and "Events" (30 days). */
export const KEY_LIFE_MS = 24 * 3_600_000;
const EVENT_LIFE_MS = 30 * 24 * 3_600_000;

/** How many old entries one unit of work may prune, so that pruning never holds a request up. */
const PRUNED_AT_ONCE = 20;

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function base62(number: number): string {
  let text = '';
  for (let left = number; left > 0; left = Math.floor(left / 62)) text = `${BASE62[left % 62]}${text}`;
  return text;
}

/** Who asked for a unit of work; both null for what the stand-in does by itself. */
interface Cause {
  requestId: string | null;
  idempotencyKey: string | null;
}

/** Everything a stand-in knows, in memory and in its journal. All work runs in units: whole or not at all. */
export class State {
  readonly customers = new Collection<StoredCustomer>('customers');
  readonly deletedCustomers = new Collection<{ id: string }>('deleted_customers');
  readonly paymentMethods = new Collection<StoredPaymentMethod>('payment_methods', ['customer']);
  readonly cards = new Collection<CardOnFile>('cards');
  readonly setupIntents = new Collection<StoredSetupIntent>('setup_intents', ['customer']);
  readonly setupAttempts = new Collection<StoredSetupAttempt>('setup_attempts', ['setup_intent']);
  readonly paymentIntents = new Collection<StoredPaymentIntent>('payment_intents', ['customer']);
  readonly charges = new Collection<StoredCharge>('charges', ['customer', 'payment_intent']);
  readonly refunds = new Collection<StoredRefund>('refunds', ['charge', 'payment_intent']);
  readonly disputes = new Collection<StoredDispute>('disputes', ['charge', 'payment_intent']);
  readonly balanceTransactions = new Collection<StoredBalanceTransaction>('balance_transactions', ['source']);
  /** Which automatic payout a balance transaction went out with. */
  readonly payoutLines = new Collection<{ id: string; payout: string }>('payout_lines', ['payout']);
  readonly payouts = new Collection<StoredPayout>('payouts');
  readonly warnings = new Collection<StoredWarning>('early_fraud_warnings', ['charge']);
  readonly reviews = new Collection<StoredReview>('reviews');
  readonly events = new Collection<StoredEvent>('events');
  readonly deliveries = new Collection<Delivery>('deliveries', ['event']);
  readonly keys = new Collection<KeptAnswer>('keys');
  readonly errands = new Collection<Errand>('errands');
  readonly endpoints = new Collection<WebhookEndpoint>('endpoints');
  readonly settingsRow = new Collection<SandboxSettings>('settings');

  /** Told after a unit of work is in the journal, with the deliveries it made. */
  onCommitted: (deliveries: readonly Delivery[]) => void = () => {};
  /** Addresses beside those registered: set at start, not kept. */
  standingEndpoints: readonly WebhookEndpoint[] = [];

  readonly #journal: Journal;
  readonly #machineNow: () => number;
  readonly #fixedSeed: string | null;
  #counter = 0;
  #mark = { seed: '', text: '' };
  readonly #byName: ReadonlyMap<string, Collection<{ id: string }>>;

  /**
   * Opens the state kept in a directory, or begins an empty one there.
   * @param machineNow the machine's time, milliseconds
   * @param seed for an empty state: ids follow from it; random when null
   */
  constructor(directory: string, machineNow: () => number, seed: string | null = null) {
    this.#machineNow = machineNow;
    this.#fixedSeed = seed;
    const collections = Object.values(this).filter((value): value is Collection<{ id: string }> => value instanceof Collection);
    this.#byName = new Map(collections.map((collection) => [collection.name, collection]));
    this.#journal = Journal.open(directory);
    let changed = 0;
    this.#journal.replay((counter, changes) => {
      this.#counter = counter;
      changed += changes.length;
      for (const [name, id, value] of changes) {
        if (value) this.#byName.get(name)?.put({ ...value, id });
        else this.#byName.get(name)?.remove(id);
      }
    });
    const living = collections.reduce((total, collection) => total + collection.size, 0);
    if (changed > 2 * living + PRUNED_AT_ONCE) this.#compact();
  }

  /** The stand-in's clock, milliseconds. */
  get now(): number {
    const { clockStandsAt, clockAheadMs = 0 } = this.settings;
    return clockStandsAt ?? this.#machineNow() + clockAheadMs;
  }

  get settings(): SandboxSettings {
    return this.settingsRow.get('settings') ?? this.#firstSettings();
  }

  /** Does one unit of work and writes it down; when `work` throws, nothing of it has happened. */
  run<T>(cause: Cause, work: (unit: Unit) => T): T {
    const unit = new Unit(this, cause);
    let result: T;
    try {
      result = work(unit);
      this.#prune(unit);
      if (unit.changes.length > 0) this.#journal.append(unit.texts, this.#counter, (places) => unit.changesWith(places));
    } catch (error) {
      unit.undoTo(0);
      throw error;
    }
    this.onCommitted(unit.deliveries);
    return result;
  }

  /** A text kept in the journal. */
  read(place: TextPlace): string {
    return this.#journal.read(place);
  }

  /** What ids of this state have in common: 14 characters that follow from the seed. */
  get seedMark(): string {
    const { seed } = this.settings;
    if (this.#mark.seed !== seed) {
      const digest = createHash('sha256').update(seed).digest();
      this.#mark = { seed, text: Array.from(digest.subarray(0, 14), (byte) => BASE62[byte % 62]).join('') };
    }
    return this.#mark.text;
  }

  /** The next number of this state's own count. */
  nextNumber(): number {
    return ++this.#counter;
  }

  /** Empties everything, standing endpoints and a seed given at start excepted. */
  reset(): void {
    for (const collection of this.#byName.values()) {
      for (const row of [...collection.oldestFirst()].toReversed()) collection.remove(row.id);
    }
    this.#counter = 0;
    this.#journal.rewrite([]);
  }

  close(): void {
    this.#journal.close();
  }

  #firstSettings(): SandboxSettings {
    const settings: SandboxSettings = {
      id: 'settings',
      seed: this.#fixedSeed ?? randomBytes(12).toString('hex'),
      clockStandsAt: null,
      settlementCurrency: null,
      hasRateLimits: false,
    };
    this.settingsRow.put(settings);
    this.#journal.append([], this.#counter, () => [['settings', 'settings', settings]]);
    return settings;
  }

  /** Drops what is past its life, oldest first, a few at a time. */
  #prune(unit: Unit): void {
    let left = PRUNED_AT_ONCE;
    for (const key of this.keys.oldestFirst()) {
      if (left-- === 0 || key.keptAt > this.now - KEY_LIFE_MS) break;
      unit.remove(this.keys, key.id);
    }
    for (const event of this.events.oldestFirst()) {
      if (left-- <= 0 || event.created * 1000 > this.now - EVENT_LIFE_MS) break;
      for (const delivery of this.deliveries.where('event', event.id)) unit.remove(this.deliveries, delivery.id);
      unit.remove(this.events, event.id);
    }
  }

  /** Writes the journal anew with only what still counts. */
  #compact(): void {
    const rows = [...this.#byName.values()].flatMap((collection) =>
      [...collection.oldestFirst()].map((row) => ({ collection, row })),
    );
    const counter = this.#counter;
    const journal = this.#journal;
    function* units(): Generator<{ texts: string[]; counter: number; changes: (places: TextPlace[]) => Change[] }> {
      for (const { collection, row } of rows) {
        const place = 'text' in row ? (row.text as TextPlace) : null;
        yield {
          texts: place ? [journal.read(place)] : [],
          counter,
          changes: ([moved]) => {
            const kept = moved ? { ...row, text: moved } : row;
            collection.put(kept);
            return [[collection.name, row.id, kept]];
          },
        };
      }
    }
    this.#journal.rewrite(units());
  }
}

/** One unit of work: everything done through it is undone together or written together. */
export class Unit {
  readonly changes: { collection: string; id: string; value: object | null; text: number | null }[] = [];
  readonly texts: string[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #deliveries: Delivery[] = [];
  /** Rows whose text gets its place only when the unit is written. */
  readonly #placed: ((places: TextPlace[]) => void)[] = [];

  constructor(
    readonly state: State,
    readonly cause: Cause,
  ) {}

  /** The stand-in's clock, whole seconds as Stripe writes instants. */
  get seconds(): number {
    return Math.floor(this.state.now / 1000);
  }

  /** A new id, e.g. pi_3k1...: 14 characters of the seed, 10 of the count. */
  id(prefix: string): string {
    return `${prefix}_${this.state.seedMark}${base62(this.state.nextNumber()).padStart(10, '0')}`;
  }

  /** Text that cannot be guessed from ids. */
  secret(): string {
    return createHash('sha256').update(`${this.state.settings.seed}:${this.state.nextNumber()}`).digest('hex').slice(0, 32);
  }

  put<Row extends { id: string }>(collection: Collection<Row>, row: NoInfer<Row>): Row {
    const before = collection.get(row.id);
    collection.put(row);
    this.#undo.push(() => (before ? collection.put(before) : collection.remove(row.id)));
    this.changes.push({ collection: collection.name, id: row.id, value: row, text: null });
    return row;
  }

  /** Puts a row whose text goes to the journal; `row` makes it once the text has its place. */
  putWithText<Row extends { id: string; text: TextPlace }>(
    collection: Collection<Row>,
    text: string,
    row: (place: TextPlace) => Row,
  ): void {
    const number = this.texts.push(text) - 1;
    const { id } = this.put(collection, row({ at: 0, bytes: 0 }));
    const change = this.changes[this.changes.length - 1];
    if (change) change.text = number;
    this.#placed.push((places) => {
      const place = places[number];
      if (place && collection.get(id)) collection.put(row(place));
    });
  }

  remove<Row extends { id: string }>(collection: Collection<Row>, id: string): void {
    const before = collection.get(id);
    if (!before) return;
    collection.remove(id);
    this.#undo.push(() => collection.put(before));
    this.changes.push({ collection: collection.name, id, value: null, text: null });
  }

  /** Tells the world: an event with the object as it now is, and one delivery for each address. */
  emit(type: Stripe.Event['type'], object: object, previous?: object): void {
    const endpoints = [...this.state.standingEndpoints, ...this.state.endpoints.oldestFirst()];
    const id = this.id('evt');
    const created = this.seconds;
    const event = {
      id,
      object: 'event',
      api_version: API_VERSION,
      created,
      data: previous ? { object, previous_attributes: previous } : { object },
      livemode: false,
      pending_webhooks: endpoints.length,
      request: { id: this.cause.requestId, idempotency_key: this.cause.idempotencyKey },
      type,
    };
    this.putWithText(this.state.events, JSON.stringify(event), (text) => ({ id, type, created, text }));
    for (const { url } of endpoints) {
      const delivery: Delivery = {
        id: `${id}:${url}`,
        event: id,
        eventType: type,
        url,
        attempts: 0,
        nextAt: 0,
        status: 'waiting',
        lastStatus: null,
      };
      this.#deliveries.push(this.put(this.state.deliveries, delivery));
    }
  }

  /** A point to go back to. */
  mark(): number {
    return this.#undo.length;
  }

  /** Takes back everything done since the mark. */
  undoTo(mark: number): void {
    while (this.#undo.length > mark) {
      this.#undo.pop()?.();
      const change = this.changes.pop();
      if (change?.text !== null && change?.text !== undefined) {
        this.texts.pop();
        this.#placed.pop();
      }
    }
    const kept = this.#deliveries.filter((delivery) => this.state.deliveries.get(delivery.id) !== null);
    this.#deliveries.splice(0, this.#deliveries.length, ...kept);
  }

  /** The deliveries made. */
  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  /** The changes as written, with each text's place; also puts the places into the rows held in memory. Of a row put twice, the last. */
  changesWith(places: TextPlace[]): Change[] {
    for (const place of this.#placed) place(places);
    const last = new Map(this.changes.map((change) => [`${change.collection} ${change.id}`, change]));
    return [...last.values()].map(({ collection, id, value, text }) => [
      collection,
      id,
      text === null || !value ? value : { ...value, text: places[text] },
    ]);
  }
}
