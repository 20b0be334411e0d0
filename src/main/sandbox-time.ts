/**
 * Moves the time of a sandbox, for gateway, workers and stand-ins together. Not in one jump: from one instant at which something is due to the next,
 * and everything due is done before time goes on, so that what happens on the 10th comes before what happens on the 20th.
 *
 *   next due instant -> room in the database -> the stand-in lives in it -> we do -> wait until nothing due is left
 *
 * Seen from us the provider is never behind.
 */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { instantOf, readSandboxTime, writeSandboxTime } from '../platform/clock.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { OneLineError } from '../platform/one-line-error.js';
import type { Settings } from '../platform/settings.js';
import { letStandInWork, setStandInClock } from '../platform/stand-in-clock.js';
import { setTypeParsers } from '../store/database.js';
import { keepPartitions } from '../store/partitions.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { readHappened, readWaitingWork, type Happened, type WaitingWork } from '../store/waiting-work.reads.js';

/** Partitions and public ids hold instants up to here with room to spare. */
export const LATEST = new Date('2200-01-01T00:00:00Z');
/** What falls due within this of the first is done together with it. */
const TOGETHER_MS = 60_000;
/** Processes see a moved clock within 0.2 s, a worker looks every second or two; what is due longer than this is not taken up. */
const TAKEN_UP_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 100;
/** So many looks in a row must find nothing due: a webhook may still be on its way. */
const QUIET_LOOKS = 4;

/** One step of the way. */
export interface TimeStep {
  at: Date;
  happened: Happened[];
}

/** What it takes to move. */
export interface TimeMove {
  settings: Pick<Settings, 'dataDir' | 'sandboxStripePort'>;
  database: DatabaseOptions;
  /** Where time goes to; it stands there. */
  to: Date;
  /** Told of each step once everything in it is done. */
  onStep: (step: TimeStep) => void;
  /** Real time after which it stops on the way, with the step it is at. Left out: it goes all the way. */
  limitMs?: number;
}

/**
 * Moves time up to an instant, or as far as the limit lets it; the clock stands where it got to.
 * @returns where it stands
 * @throws OneLineError when what is due is not taken up: no worker runs, or renewals are stopped; time then stands there
 */
export async function moveSandboxTime({ settings, database, to, onStep, limitMs = Infinity }: TimeMove): Promise<Date> {
  if (to > LATEST) throw new OneLineError(`The clock goes up to ${LATEST.toISOString()}.`);
  setTypeParsers();
  const startedAt = performance.now();
  const client = new pg.Client(pgConfig(database));
  await client.connect();
  try {
    let now = instantOf(readSandboxTime(settings.dataDir));
    const run: UnitOfWork['run'] = async (what, params) => (await client.query(what.text, [...params])).rows;
    const waiting = (): Promise<Map<WaitingWork, Date>> => readWaitingWork({ now, run });
    const goTo = async (at: Date): Promise<void> => {
      const before = now;
      await keepPartitions(client, at);
      const standing = { standsAt: at };
      const isThere = await setStandInClock(settings.sandboxStripePort, standing);
      writeSandboxTime(settings.dataDir, standing);
      now = at;
      if (isThere) await letStandInWork(settings.sandboxStripePort);
      await untilDone(waiting, at);
      onStep({ at, happened: await readHappened({ run }, { after: before, until: at }) });
    };
    // What is overdue already is done first, at the present instant.
    if (dueOf(await waiting(), now).length > 0) await goTo(now);
    while (now < to && performance.now() - startedAt < limitMs) await goTo(nextStop(await waiting(), now, to));
    return now;
  } finally {
    await client.end();
  }
}

/** The next instant at which something is due, with what falls due right after it; the end when nothing is before. */
function nextStop(waiting: ReadonlyMap<WaitingWork, Date>, now: Date, to: Date): Date {
  const later = [...waiting.values()].map((at) => at.getTime()).filter((at) => at > now.getTime());
  const first = Math.min(...later, to.getTime());
  const together = Math.max(first, ...later.filter((at) => at <= first + TOGETHER_MS));
  // Whole seconds: what is due within one is due at its end.
  return new Date(Math.min(Math.ceil(together / 1_000) * 1_000, to.getTime()));
}

function dueOf(waiting: ReadonlyMap<WaitingWork, Date>, now: Date): WaitingWork[] {
  return [...waiting].filter(([, at]) => at <= now).map(([what]) => what);
}

/** @throws OneLineError when it is not done in time */
async function untilDone(waiting: () => Promise<Map<WaitingWork, Date>>, now: Date): Promise<void> {
  const giveUpAt = performance.now() + TAKEN_UP_WITHIN_MS;
  for (let quiet = 0; quiet < QUIET_LOOKS;) {
    const due = dueOf(await waiting(), now);
    quiet = due.length === 0 ? quiet + 1 : 0;
    if (performance.now() > giveUpAt && due.length > 0) {
      throw new OneLineError(
        `Time stands at ${now.toISOString()}, where work is due that nobody takes up (${due.join(', ')}): is npm start running, and do renewals run (npm run -s renewals -- status)?`,
      );
    }
    await pause(LOOK_EVERY_MS);
  }
}
