/** A run: people come, act, and are billed, month after month; then all comes to rest, and everything is compared. */
import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import { compareBooks, readBooks } from '../chaos/compare-books.js';
import { Seeded } from '../chaos/seeded.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { checkInvariants, parseInvariants } from '../store/invariants.js';
import { digestOf } from './digest.js';
import { Life, type Told } from './life.js';
import { lookAt, readShelf, type Offer } from './look.js';
import { readRecurring, readRevenueMonths, tiesUp, type Recurring, type RevenueMonth } from './revenue.js';
import type { SimulatedProvider, SimulatedProviderOptions } from './provider.js';
import { Scheduler } from './scheduler.js';
import { VERBS } from './verbs.js';
import type { WeatherName } from './weather.js';
import { openWorld, type SimulatedWorld } from './world.js';

/** What a run is told to do. */
export interface RunOptions {
  /** Migrated for `startsAt`, with a catalogue, and nobody in it. */
  database: DatabaseOptions;
  seed: string;
  /** The numbers of the people who live: a part of them live as they would among all. */
  lives: readonly number[];
  months: number;
  startsAt: Date;
  faults: WeatherName;
  /** Acts that are left out, as `life act`. */
  without?: ReadonlySet<string>;
  /** Another provider than the true one; for tests that want a fault to be found. */
  provider?: (options: SimulatedProviderOptions) => SimulatedProvider;
  progress?: (step: Step) => void;
}

/** How far a run is. */
export interface Step {
  /** 0 to 1. */
  share: number;
  now: Date;
  acts: number;
  events: number;
}

/** Something that must not be. */
export interface Problem {
  kind: string;
  subject: string;
  text: string;
}

/** How a run ended. */
export interface RunResult {
  problems: Problem[];
  digest: string;
  months: RevenueMonth[];
  figures: [name: string, figure: number][];
  /** Real seconds that each part took, the longest first. */
  seconds: [part: string, seconds: number][];
  told: Told[];
}

const DAY_MS = 86_400_000;
/** The longest that anything waits for by itself: a webhook, a step of 3-D Secure, the watch over what was called absent. */
const REST_MS = 4 * DAY_MS;
const INVARIANTS_FILE = 'data/invariants.sql';

/** Runs it. Whatever became of it, its connections are closed. */
export async function runSimulation(options: RunOptions): Promise<RunResult> {
  const seeded = new Seeded(`simulation ${options.seed}`);
  const scheduler = new Scheduler();
  const world = await openWorld({
    database: options.database,
    seeded,
    weather: options.faults,
    startsAt: options.startsAt,
    plans: scheduler,
    ...(options.provider ? { provider: options.provider } : {}),
  });
  scheduler.attach(world);
  try {
    return await live(world, scheduler, seeded, options);
  } finally {
    await world.stop();
  }
}

async function live(world: SimulatedWorld, scheduler: Scheduler, seeded: Seeded, options: RunOptions): Promise<RunResult> {
  const { startsAt, months, progress } = options;
  const ends = Array.from({ length: months + 1 }, (_, nth) => monthAfter(startsAt, nth));
  const endsAt = ends.at(-1) ?? startsAt;
  const shelf = await readShelf(world);
  const lives = options.lives.map((number) => new Life(number, seeded));
  const problems: Problem[] = [];
  const stage: Stage = { world, scheduler, shelf, endsAt, without: options.without ?? new Set(), problems };
  for (const life of lives) planAct(stage, life, life.comesAt(startsAt, endsAt));
  const stood: { at: Date; recurring: Recurring }[] = [];
  for (const end of ends) {
    for (const at of daysUpTo(world.clock.now(), end)) {
      await scheduler.runUntil(at);
      const share = (at.getTime() - startsAt.getTime()) / (endsAt.getTime() + REST_MS - startsAt.getTime());
      const acts = lives.reduce((sum, life) => sum + life.acts, 0);
      progress?.({ share, now: at, acts, events: world.provider.eventCount });
    }
    stood.push({ at: end, recurring: await world.snapshot((client) => readRecurring(client, end)) });
  }
  world.weather.calm();
  await scheduler.runUntil(new Date(endsAt.getTime() + REST_MS));
  await scheduler.rest();
  return judge(world, scheduler, { lives, stood, problems });
}

interface Stage {
  world: SimulatedWorld;
  scheduler: Scheduler;
  shelf: readonly Offer[];
  endsAt: Date;
  without: ReadonlySet<string>;
  problems: Problem[];
}

/** Plans a person's next act, and with it all that follow. */
function planAct(stage: Stage, life: Life, at: Date): void {
  const { world, scheduler, endsAt } = stage;
  if (at >= endsAt) return;
  scheduler.act(at, {
    of: life.number,
    run: async () => {
      const { act, chance } = life.begin();
      planAct(stage, life, life.nextAt(at, act));
      if (stage.without.has(`${life.number} ${act}`)) return;
      const situation = await lookAt(world, life.actor.userId);
      const [first, ...more] = VERBS.map((verb) => [verb.weight(situation), verb] as const);
      if (!first) return;
      const verb = chance.weighted([first, ...more]);
      const outcome = await verb.act({
        world,
        life,
        situation,
        chance,
        shelf: stage.shelf,
        key: (nth) => `life-${life.number}-act-${act}-${nth}`,
        later: (days, happening) => scheduler.later(new Date(at.getTime() + days * DAY_MS), happening),
        complain: (text) => void stage.problems.push({ kind: 'two_answers', subject: life.actor.userId, text }),
      });
      life.told.push({ at, life: life.number, act, text: `${verb.name}: ${outcome}` });
    },
  });
}

async function judge(
  world: SimulatedWorld,
  scheduler: Scheduler,
  {
    lives,
    stood,
    problems,
  }: { lives: readonly Life[]; stood: readonly { at: Date; recurring: Recurring }[]; problems: Problem[] },
): Promise<RunResult> {
  const startedAt = performance.now();
  const invariants = parseInvariants(await readFile(INVARIANTS_FILE, 'utf8'));
  const truth = world.provider.truth();
  const { books, broken, months, digest, counted } = await world.snapshot(async (client) => {
    await client.query("set local statement_timeout = '300s'");
    return {
      books: await readBooks(client),
      months: await readRevenueMonths(client, stood),
      digest: await digestOf(client, lives),
      counted: await countRows(client),
      broken: await checkInvariants(client, invariants, world.clock.now()),
    };
  });
  const found: Problem[] = [
    ...problems,
    ...compareBooks(truth, books),
    ...broken.flatMap((result) =>
      result.kind === 'checked' && result.violations > 0
        ? [{ kind: 'invariant', subject: result.name, text: `${result.violations} rows, e.g. ${result.examples[0]}` }]
        : [],
    ),
    ...months.flatMap((month) => (tiesUp(month) ? [] : [doesNotTie(month)])),
    ...world.reported.map((error) => ({ kind: 'reported', subject: 'worker', text: String(error) })),
  ];
  const spent = [...scheduler.spentMs, ['comparing at the end', performance.now() - startedAt] as const];
  const strikes = [...world.provider.strikes].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    problems: found,
    digest,
    months,
    seconds: spent
      .map(([part, ms]): [string, number] => [part, ms / 1_000])
      .filter(([, seconds]) => seconds >= 0.05)
      .toSorted(([, a], [, b]) => b - a),
    told: lives.flatMap(({ told }) => told).toSorted((a, b) => a.at.getTime() - b.at.getTime() || a.life - b.life),
    figures: [
      ['people', lives.length],
      ['acts', lives.reduce((sum, life) => sum + life.acts, 0)],
      ['instants', scheduler.steps],
      ...counted,
      ['events of the provider', world.provider.eventCount],
      ['calls that went wrong', strikes.reduce((sum, [, count]) => sum + count, 0)],
      ...strikes.map(([strike, count]): [string, number] => [`  ${strike}`, count]),
    ],
  };
}

function doesNotTie({ currency, endsAt, start, end, moves }: RevenueMonth): Problem {
  const moved = Object.entries(moves).map(([kind, amount]) => `${kind} ${amount}`);
  return {
    kind: 'revenue',
    subject: `${currency} ${endsAt.toISOString().slice(0, 10)}`,
    text: `recurring revenue went from ${start} to ${end}, which these do not lead to: ${moved.join(', ')}`,
  };
}

async function countRows(client: pg.ClientBase): Promise<[name: string, figure: number][]> {
  const { rows } = await client.query<{ name: string; count: number }>(`
    select * from (values
      ('subscriptions', (select count(*)::int from subscription)),
      ('periods paid', (select count(*)::int from invoice where kind = 'period' and status = 'paid')),
      ('invoices with tax', (select count(*)::int from invoice where tax > 0)),
      ('charges that succeeded', (select count(*)::int from payment_attempt where status = 'succeeded')),
      ('charges without money', (select count(*)::int from payment_attempt where status in ('declined', 'canceled', 'not_executed'))),
      ('refunds', (select count(*)::int from refund where status = 'succeeded')),
      ('refunds that came back', (select count(*)::int from refund where status in ('failed', 'canceled'))),
      ('disputes', (select count(*)::int from dispute)),
      ('movements in the ledger', (select count(*)::int from ledger_movement)),
      ('outcomes that were unknown', (select count(distinct transaction_id)::int from transaction_event where status = 'unknown')),
      ('findings for a person', (select count(*)::int from recon_finding))) as t (name, count)`);
  return rows.map(({ name, count }) => [name, count]);
}

/** The same day of a later month, UTC. */
function monthAfter(at: Date, months: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, at.getUTCDate()));
}

/** Ends of days up to an instant, so that progress can be told. */
function daysUpTo(from: Date, until: Date): Date[] {
  const days = Math.ceil((until.getTime() - from.getTime()) / DAY_MS);
  return Array.from({ length: days }, (_, nth) => new Date(Math.min(from.getTime() + (nth + 1) * DAY_MS, until.getTime())));
}
