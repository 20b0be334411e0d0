/** After the storm: faults cleared, everything running, and time passes until nothing waits any more. */
import { setTimeout as pause } from 'node:timers/promises';
import { keepPartitions } from '../store/partitions.js';
import type { Stage } from './stage.js';

/** Real time that may pass until nothing is open. */
const LIMIT_MS = 180_000;
const LOOK_EVERY_MS = 150;
/** Work that is due must be taken up within this real time, or the clock is moved on all the same. */
const TAKEN_WITHIN_MS = 4_000;
/** What waits for the customer or the bank is looked at by the hour or rarer: the clock takes longer steps. */
const LONG_STEP_MS = 3 * 3_600_000;
/** So long after a listing the next one is due (`next_listing_at` of `listing_cursor`). */
const LISTING_EVERY_MS = 4 * 60_000;
/** The stand-in's word for a delivery that waits. */
const WAITING = 'waiting';

/** What is not at rest. */
export interface Unrest {
  /** Payments and refunds that wait for an answer, by status. */
  open: { what: string; status: string; count: number }[];
  events: number;
  changes: number;
  /** Days of a currency that are over and whose revenue was not recognised yet. */
  days: number;
  /** Events that the provider has and we do not. */
  unheard: string[];
}

/** Ends every disturbance and waits until everything runs. The workers are started anew, with the clock of all. */
export async function calmDown(stage: Stage): Promise<void> {
  stage.providerWire.calm();
  stage.webhookWire.calm();
  stage.alignClocks();
  await stage.control('DELETE', 'faults');
  // Who still waits in vain for an answer is not made to wait out its 20 s.
  stage.providerWire.cut();
  await stage.untilReady();
  for (const name of ['worker-1', 'worker-2'] as const) stage.parts[name].restart();
  await stage.untilReady();
}

/**
 * Lets time pass until nothing waits.
 * @param tell is told how much still waits
 * @returns what is still not at rest when the patience is over; nothing usually
 */
export async function letRest(stage: Stage, tell: (left: number) => void): Promise<Unrest> {
  const giveUpAt = performance.now() + LIMIT_MS;
  let dueSince = performance.now();
  for (;;) {
    await stage.control('POST', 'advance');
    const unrest = await lookAround(stage);
    const { open, events, changes, days, unheard } = unrest;
    const left = open.reduce((sum, { count }) => sum + count, 0) + events + changes + days + unheard.length;
    tell(left);
    if (left === 0 || performance.now() > giveUpAt) return unrest;
    const nextMs = await nextLookInMs(stage);
    const isLate = performance.now() - dueSince > TAKEN_WITHIN_MS;
    const isTaken = nextMs > 0 || isLate;
    if (isTaken && unrest.open.length > 0) {
      const isWaitingForOthers = unrest.open.every(({ status }) => !['created', 'sent', 'unknown'].includes(status));
      await passTime(stage, Math.max(nextMs + 1_000, isWaitingForOthers ? LONG_STEP_MS : 0));
      dueSince = performance.now();
    }
    if (isLate && left === unrest.unheard.length) {
      // What no webhook brought is listed when its turn has come, by a worker that looks at its start.
      await passTime(stage, LISTING_EVERY_MS);
      stage.parts['worker-1'].restart();
      dueSince = performance.now();
    }
    await pause(LOOK_EVERY_MS);
  }
}

async function passTime(stage: Stage, ms: number): Promise<void> {
  const to = new Date(stage.clock.now().getTime() + ms);
  await stage.database.connected((client) => keepPartitions(client, to));
  await stage.moveClock(ms);
  stage.chronicle.count('clock: hours passed at rest', ms / 3_600_000);
}

/** Milliseconds until the next look at a payment or refund is due and its lease is over; 0 when one is. */
async function nextLookInMs(stage: Stage): Promise<number> {
  const rows = await stage.database.query<{ at: Date | null }>(
    `select min(greatest(next_action_at, lease_until)) as at from (
       select next_action_at, lease_until from payment_attempt where next_action_at is not null
       union all select next_action_at, lease_until from refund where next_action_at is not null) due`,
  );
  const at = rows[0]?.at;
  return at ? Math.max(0, at.getTime() - stage.clock.now().getTime()) : 0;
}

async function lookAround(stage: Stage): Promise<Unrest> {
  const { database } = stage;
  const open = await database.query<{ what: string; status: string; count: number }>(
    `select 'charge' as what, status, count(*)::int as count from payment_attempt where next_action_at is not null group by status
     union all
     select 'refund', status, count(*)::int from refund where status in ('created', 'sent', 'unknown', 'pending') group by status`,
  );
  const [waiting] = await database.query<{ events: number; changes: number; days: number }>(
    `select (select count(*)::int from webhook_inbox where status = 'new') as events,
            (select count(*)::int from outbox_event where published_at is null) as changes,
            (select count(*)::int from (select currency, min(starts_on) as since from revenue_schedule group by currency) used
             cross join lateral generate_series(used.since, ($1::timestamptz - interval '1 h')::date - 1, '1 day') as ended
             where not exists (select from revenue_day r where r.currency = used.currency and r.day = ended::date)) as days`,
    [stage.clock.now()],
  );
  const { events, changes, days } = waiting ?? { events: 0, changes: 0, days: 0 };
  // The whole of a long run's truth is asked for only when nothing else is left.
  if (open.length > 0 || events > 0 || changes > 0 || days > 0) return { open, events, changes, days, unheard: [] };
  const { webhooks } = await stage.truth();
  const known = await database.query<{ event_id: string }>('select event_id from webhook_inbox');
  const ids = new Set(known.map(({ event_id }) => event_id));
  const unheard = webhooks.filter(({ event, status }) => status === WAITING || !ids.has(event)).map(({ event }) => event);
  return { open, events, changes, days, unheard };
}
