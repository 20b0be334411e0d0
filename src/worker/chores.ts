/** What the worker does, how often, and how much at a time. Each chore may run on many workers at once: rows are claimed, never shared. */
import { eachAtMost, type ForEach } from '../platform/repeat.js';
import { ALL_BUCKETS, slotsOfBuckets, type Slot } from '../platform/slots.js';
import type { Messenger } from '../ports/messenger.js';
import { applyWebhooks, fetchMissedEvents } from '../usecases/apply-webhooks.js';
import type { Cashier } from '../usecases/cashier.js';
import { giveBackOrphans } from '../usecases/give-back-orphan.js';
import { keepHouse } from '../usecases/keep-house.js';
import type { Waiting } from '../usecases/look-for-work.js';
import { numberDocuments } from '../usecases/number-documents.js';
import { recognizeRevenue } from '../usecases/recognize-revenue.js';
import { relayChanges } from '../usecases/relay-changes.js';
import { admitRenewals, type AdmissionOptions } from '../usecases/admit-renewals.js';
import { doDue, isAnythingDue, type RenewalOptions } from '../usecases/do-due.js';
import { isAnyToSend, makeCollector } from '../usecases/renew.js';
import { sendNotices } from '../usecases/send-notices.js';
import { settleDueGifts } from '../usecases/settle-gifts.js';
import { resolveDuePayments, resolveDueRefunds } from '../usecases/resolve-due.js';

/** A piece of work that comes again and again. */
export interface Chore {
  name: string;
  everyMs: number;
  /** Without any of this waiting a turn has nothing to do; left out: only the turn itself can tell. */
  waitsFor?: Waiting;
  /** One turn. @returns whether there is more to do at once */
  run(): Promise<boolean>;
}

/** Calls to the provider in flight at once. */
const CALLS_AT_ONCE = 16;
/** Rows taken in one turn: enough to keep the calls busy, few enough that a lease outlives the turn. */
const ROWS_A_TURN = 64;
/** Subscriptions done by one unit of work: a batch is cheaper by the row, and holds its customers' locks longer. */
const DONE_A_TURN = 500;
/** Renewals claimed at once: as many as fly at once, as what was claimed too long ago is not sent. */
const SENT_A_TURN = 128;
/** What claims and sends renewals, by the names of the chores. */
export const RENEWAL_LANES = ['renewals 1', 'renewals 2', 'renewals 3', 'renewals 4'] as const;
/** Renewals in flight at once in each of the lanes. */
const RENEWALS_AT_ONCE = 128;
/** Documents of a kind numbered by one unit of work. */
const NUMBERED_A_TURN = 500;
/** Days of a currency closed by one unit of work: one of a million running schedules takes about a second. */
const DAYS_A_TURN = 1;
/** Due renewals are looked for in one part of the buckets at a time, so that a backlog of a million is never sorted. */
const SLOTS = 16;

/** What chores need besides the cashier. */
export interface ChoreOptions {
  renewals: RenewalOptions & AdmissionOptions;
  /** Who tells customers things; null: nobody does, and what may only follow a notice does not happen. */
  messenger: Messenger | null;
  /** Name of the channel that tells gateways of changes. */
  channel: string;
  /** In so many parts due renewals are looked for; left out: as many as a large backlog wants. */
  slots?: number;
  /** Partitions and what else only the owner of the tables may do. */
  maintain(): Promise<void>;
  /** Told of what failed about one piece of work alone: it was put off, and the chore went on. */
  report(error: unknown): void;
}

/** Every chore of a worker. */
export function makeChores(cashier: Cashier, options: ChoreOptions): Chore[] {
  const forEach: ForEach = (items, work) => eachAtMost(items, CALLS_AT_ONCE, work);
  const collector = makeCollector(cashier, (items, work) => eachAtMost(items, RENEWALS_AT_ONCE, work));
  const slots = slotsOfBuckets(options.slots ?? SLOTS);
  const due = inSlots(cashier, slots, isAnythingDue, async (buckets) => {
    const { looked, failures } = await doDue(cashier, options.renewals, buckets, DONE_A_TURN);
    failures.forEach((error) => options.report(error));
    return looked;
  });
  /** Whether the last look for lost renewals found any: then there may be more. */
  let areSomeLost = false;
  const recover = async (): Promise<number> => {
    const { claimed, failures } = await collector.recover(ALL_BUCKETS, SENT_A_TURN);
    failures.forEach((error) => options.report(error));
    areSomeLost = claimed > 0;
    return claimed;
  };
  const send = async (buckets: Slot): Promise<number> => {
    // What is in doubt comes before what is new: where workers go faster than they come, it would pile up until each is asked for alone.
    const recovered = areSomeLost ? await recover() : 0;
    if (recovered > 0) return recovered;
    const { claimed, failures } = await collector.collect(buckets, SENT_A_TURN, (wanted) =>
      admitRenewals(cashier, options.renewals, wanted),
    );
    failures.forEach((error) => options.report(error));
    return claimed;
  };
  const { messenger } = options;
  const tell = async (carrier: Messenger): Promise<boolean> => {
    const { claimed, failures } = await sendNotices(cashier, carrier, ALL_BUCKETS, ROWS_A_TURN, forEach);
    failures.forEach((error) => options.report(error));
    return claimed === ROWS_A_TURN;
  };
  return [
    { name: 'relay', everyMs: 100, waitsFor: 'relay', run: () => relayChanges(cashier, options.channel) },
    {
      name: 'webhooks',
      everyMs: 250,
      waitsFor: 'webhooks',
      run: async () => {
        const { claimed, failures } = await applyWebhooks(cashier, ALL_BUCKETS, ROWS_A_TURN, forEach);
        failures.forEach((error) => options.report(error));
        return claimed >= ROWS_A_TURN;
      },
    },
    {
      name: 'payments',
      everyMs: 500,
      waitsFor: 'payments',
      run: () => resolveDuePayments(cashier, ALL_BUCKETS, ROWS_A_TURN, forEach),
    },
    {
      name: 'refunds',
      everyMs: 500,
      waitsFor: 'refunds',
      run: () => resolveDueRefunds(cashier, ALL_BUCKETS, ROWS_A_TURN, forEach),
    },
    {
      name: 'orphans',
      everyMs: 2_000,
      waitsFor: 'orphans',
      run: () => giveBackOrphans(cashier, ALL_BUCKETS, ROWS_A_TURN, forEach),
    },
    { name: 'due', everyMs: 1_000, run: due },
    // Side by side: while one claims, or waits for the last answers of its batch, others are in the middle of theirs.
    ...RENEWAL_LANES.map((name) => ({ name, everyMs: 1_000, run: inSlots(cashier, slots, isAnyToSend, send) })),
    ...(messenger === null
      ? []
      : [{ name: 'notices', everyMs: 5_000, waitsFor: 'notices' as const, run: () => tell(messenger) }]),
    {
      name: 'lost renewals',
      everyMs: 1_000,
      waitsFor: 'lost',
      run: async () => (await recover()) > 0,
    },
    { name: 'gifts', everyMs: 2_000, run: () => settleDueGifts(cashier, ALL_BUCKETS, ROWS_A_TURN) },
    { name: 'documents', everyMs: 2_000, waitsFor: 'documents', run: () => numberDocuments(cashier, NUMBERED_A_TURN) },
    {
      name: 'listing',
      everyMs: 60_000,
      run: async () => {
        await fetchMissedEvents(cashier);
        return false;
      },
    },
    {
      name: 'house',
      everyMs: 60_000,
      run: async () => {
        await keepHouse(cashier);
        return false;
      },
    },
    { name: 'revenue', everyMs: 5_000, run: () => recognizeRevenue(cashier, DAYS_A_TURN) },
    {
      name: 'partitions',
      everyMs: 3_600_000,
      run: async () => {
        await options.maintain();
        return false;
      },
    },
  ];
}

/**
 * Work on one slot of the buckets after another, beginning anywhere, so that workers do not all begin at the same: a turn ends with the first slot
 * that had something, or when none has.
 */
function inSlots(
  cashier: Cashier,
  slots: readonly Slot[],
  isAny: (cashier: Cashier, buckets: Slot) => Promise<boolean>,
  work: (buckets: Slot) => Promise<number>,
): () => Promise<boolean> {
  let next = Math.floor(cashier.tx.random.fraction() * slots.length);
  return async () => {
    if (!(await isAny(cashier, ALL_BUCKETS))) return false;
    for (let looked = 0; looked < slots.length; looked++) {
      const slot = slots[next % slots.length];
      if (slot !== undefined && (await work(slot)) > 0) return true;
      next = (next + 1) % slots.length;
    }
    return false;
  };
}
