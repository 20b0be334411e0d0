/**
 * One scheduler for everything of a simulation: people's acts, what the provider does by itself, webhooks, and the worker's chores, in the order of
 * simulated time. Time goes from one instant at which something is due to the next; what lies between costs nothing. At one instant the provider's
 * errands come first, then webhooks, then chores, then people; each of these for everybody at once, but for one person one after the other.
 */
import { eachAtMost } from '../platform/repeat.js';
import { readWaitingWork, type WaitingWork } from '../store/waiting-work.reads.js';
import { Agenda } from './agenda.js';
import { RENEWAL_LANES } from '../worker/chores.js';
import type { Delivery } from './provider.js';
import type { SimulatedWorld } from './world.js';

/** What people do at an instant: `of` tells whose it is. */
export interface PlannedAct {
  of: number;
  run(): Promise<void>;
}

type Item = { kind: 'errand'; run: () => void } | { kind: 'webhook'; delivery: Delivery } | { kind: 'act'; act: PlannedAct };

/** Acts of people in progress at once: as many as have a connection. */
const PEOPLE_AT_ONCE = 8;
const DAY_MS = 86_400_000;
const HOUSE_EVERY_MS = 7 * DAY_MS;
/** So much of the time ahead gets its partitions at once. */
const ROOM_MS = 28 * DAY_MS;
/** After so many rounds at one instant, with work still due, the work does not get done. */
const MOST_ROUNDS = 60;

/** Which rows a chore waits for; a chore of another name looks at subscriptions. One lane of renewals finds all of them: here nothing goes on side by side. */
const LOOKS_AT: Readonly<Record<string, WaitingWork | 'daily' | 'never'>> = {
  relay: 'relay',
  webhooks: 'webhooks',
  payments: 'payments',
  refunds: 'refunds',
  orphans: 'orphans',
  ...Object.fromEntries(RENEWAL_LANES.map((lane, nth) => [lane, nth === 0 ? ('renewals' as const) : ('never' as const)])),
  'lost renewals': 'payments',
  notices: 'notices',
  gifts: 'gifts',
  documents: 'daily',
  revenue: 'daily',
  house: 'daily',
  listing: 'daily',
  partitions: 'daily',
};

/** The scheduler of one world. */
export class Scheduler {
  readonly #agenda = new Agenda<Item>();
  #world: SimulatedWorld | null = null;
  #day = '';
  #roomUntilMs = -Infinity;
  #keptHouseMs = -Infinity;
  #eventsListed = 0;
  #steps = 0;
  /** What waits, as it was seen last; null: something was done since. */
  #seen: Map<WaitingWork, Date> | null = null;
  readonly #spentMs = new Map<string, number>();

  /** Called when everything at an instant is done. */
  afterEach: () => Promise<void> = () => Promise.resolve();

  /** Instants at which something was done. */
  get steps(): number {
    return this.#steps;
  }

  /** Real time that each part of the work took, milliseconds. */
  get spentMs(): ReadonlyMap<string, number> {
    return this.#spentMs;
  }

  /** Of the provider. */
  later(at: Date, errand: () => void): void {
    this.#agenda.add(at, { kind: 'errand', run: errand });
  }

  /** Of the provider. */
  deliver(at: Date, delivery: Delivery): void {
    this.#agenda.add(at, { kind: 'webhook', delivery });
  }

  act(at: Date, act: PlannedAct): void {
    this.#agenda.add(at, { kind: 'act', act });
  }

  /** The world whose provider plans here. */
  attach(world: SimulatedWorld): void {
    this.#world = world;
  }

  /** Lets time go up to an instant, everything before it and at it done. */
  async runUntil(until: Date): Promise<void> {
    const world = this.#requireWorld();
    for (;;) {
      const nextMs = Math.min(this.#agenda.nextMs, await this.#nextWaitingMs());
      if (nextMs > until.getTime()) break;
      world.clock.moveTo(new Date(nextMs));
      await this.#doAll();
      await this.afterEach();
    }
    world.clock.moveTo(until);
  }

  /** Once more the provider's own list, and what follows from it: nothing is left on its way. */
  async rest(): Promise<void> {
    await this.#beginDay();
    await this.#run('listing');
    await this.#doAll();
    for (const name of ['documents', 'revenue', 'house', 'relay']) await this.#run(name);
  }

  /** Everything that is due at the present instant, and what follows from it at once. */
  async #doAll(): Promise<void> {
    const world = this.#requireWorld();
    this.#steps++;
    await this.#beginDay();
    for (let round = 0; ; round++) {
      const now = world.clock.now();
      const items = this.#agenda.takeUntil(now);
      for (const item of items) if (item.kind === 'errand') item.run();
      const deliveries = items.flatMap((item) => (item.kind === 'webhook' ? [item.delivery] : []));
      if (deliveries.length > 0)
        await this.#timed('webhooks taken in', () => Promise.all(deliveries.map((delivery) => world.receive(delivery))));
      await this.#work(await this.#waiting());
      const acts = items.flatMap((item) => (item.kind === 'act' ? [item.act] : []));
      const byPerson = [...Map.groupBy(acts, ({ of }) => of).values()];
      if (acts.length > 0)
        await this.#timed('acts of people', () =>
          eachAtMost(byPerson, PEOPLE_AT_ONCE, async (own) => {
            for (const act of own) await act.run();
          }),
        );
      const isMoreDue = this.#agenda.nextMs <= now.getTime() || (await this.#nextWaitingMs()) <= now.getTime();
      if (!isMoreDue) return;
      if (round === MOST_ROUNDS) {
        const left = [...(await this.#waiting())].filter(([, at]) => at <= now).map(([what]) => what);
        throw new Error(`What is due at ${now.toISOString()} does not get done: ${left.join(', ')}.`);
      }
    }
  }

  /** Once a day on which something happens: the provider's own list of events; now and then room for the rows ahead, and the roll-up. */
  async #beginDay(): Promise<void> {
    const world = this.#requireWorld();
    const now = world.clock.now();
    const day = now.toISOString().slice(0, 10);
    if (day === this.#day) return;
    this.#day = day;
    if (now.getTime() >= this.#roomUntilMs) {
      this.#roomUntilMs = Date.parse(day) + ROOM_MS;
      await this.#timed('partitions', () => world.makeRoom(new Date(this.#roomUntilMs)));
    }
    if (now.getTime() - this.#keptHouseMs >= HOUSE_EVERY_MS) {
      this.#keptHouseMs = now.getTime();
      for (const name of ['house', 'documents', 'revenue']) await this.#run(name);
    }
    // What never arrived is listed; no event since the last time, nothing to list.
    if (world.provider.eventCount > this.#eventsListed) {
      this.#eventsListed = world.provider.eventCount;
      await this.#run('listing');
    }
  }

  async #work(waiting: ReadonlyMap<WaitingWork, Date>): Promise<void> {
    const world = this.#requireWorld();
    const now = world.clock.now();
    const isDue = (what: WaitingWork): boolean => (waiting.get(what) ?? NEVER) <= now;
    const wanted = [...world.chores.keys()].filter((name) => {
      const what = LOOKS_AT[name] ?? 'subscriptions';
      return what !== 'daily' && what !== 'never' && isDue(what);
    });
    for (const name of wanted) await this.#run(name);
    // What has just been billed goes out at once.
    if (isDue('subscriptions') && !isDue('renewals')) await this.#run(RENEWAL_LANES[0]);
  }

  /** A chore, until it has no more to do. */
  async #run(name: string): Promise<void> {
    const chore = this.#requireWorld().chores.get(name);
    await this.#timed(name, async () => {
      while (await chore?.run());
    });
  }

  async #timed(what: string, work: () => Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    this.#seen = null;
    await work();
    this.#spentMs.set(what, (this.#spentMs.get(what) ?? 0) + performance.now() - startedAt);
  }

  async #waiting(): Promise<Map<WaitingWork, Date>> {
    if (this.#seen !== null) return this.#seen;
    const world = this.#requireWorld();
    let seen = new Map<WaitingWork, Date>();
    await this.#timed('looking what is due', async () => {
      seen = await readWaitingWork({ now: world.clock.now(), run: (what, params) => world.ask(what, params) });
    });
    this.#seen = seen;
    return seen;
  }

  async #nextWaitingMs(): Promise<number> {
    return Math.min(...[...(await this.#waiting()).values()].map((at) => at.getTime()), Infinity);
  }

  #requireWorld(): SimulatedWorld {
    if (this.#world === null) throw new Error('a scheduler has its world before time goes');
    return this.#world;
  }
}

const NEVER = new Date(8_640_000_000_000_000);
