/** What holds renewals back: a switch, a plan for the hour, and a budget of calls that all workers of a provider account share. */
import { statement } from './statement.js';
import type { Runner, UnitOfWork } from './unit-of-work.js';

const READ_SWITCH = statement<[number], { isStopped: boolean; reason: string | null; changedBy: string; databaseNow: Date }>(
  'read_renewal_switch',
  `select coalesce(s.is_stopped, false) as "isStopped", s.reason, coalesce(s.changed_by, '') as "changedBy", clock_timestamp() as "databaseNow"
   from (select) one left join renewal_switch s on s.provider_account_id = $1`,
);

/** How the switch stands, and what the database's own clock says. */
export interface SwitchState {
  isStopped: boolean;
  reason: string | null;
  changedBy: string;
  databaseNow: Date;
}

/** Reads the switch; it was never touched: renewals run. */
export async function readRenewalSwitch(uow: UnitOfWork, providerAccountId: number): Promise<SwitchState> {
  const [state] = await uow.run(READ_SWITCH, [providerAccountId]);
  return state ?? { isStopped: false, reason: null, changedBy: '', databaseNow: uow.now };
}

const SET_SWITCH = statement<[number, boolean, string | null, string, Date], never>(
  'set_renewal_switch',
  `insert into renewal_switch (provider_account_id, is_stopped, reason, changed_by, changed_at) values ($1, $2, $3, $4, $5)
   on conflict (provider_account_id) do update set is_stopped = excluded.is_stopped, reason = excluded.reason,
     changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
);

/** Stops renewals, or lets them go on; every worker sees it before its next claim. */
export async function setRenewalSwitch(
  runner: Runner,
  providerAccountId: number,
  to: { isStopped: boolean; reason: string | null; changedBy: string },
): Promise<void> {
  await runner.run(SET_SWITCH, [providerAccountId, to.isStopped, to.reason, to.changedBy, runner.now]);
}

const READ_STATUS = statement<[number, Date], RenewalStatus>(
  'read_renewal_status',
  `select coalesce(s.is_stopped, false) as "isStopped", s.reason, s.changed_by as "changedBy", coalesce(h.planned, 0) as planned,
     coalesce(h.charged, 0) as charged,
     (select count(*)::int from subscription where next_action_at <= $2 and status in ('trialing', 'active', 'paused')
       and not cancel_at_period_end and not pause_at_period_end) as due,
     (select count(*)::int from payment_attempt where next_action_at <= $2 and status = 'created' and cause = 'renewal') as unsent
   from (select) one
   left join renewal_switch s on s.provider_account_id = $1
   left join renewal_hour h on h.provider_account_id = $1 and h.hour = date_trunc('hour', $2::timestamptz, 'UTC')`,
);

/** How renewals stand, for a person. */
export interface RenewalStatus {
  isStopped: boolean;
  reason: string | null;
  changedBy: string | null;
  /** Of the present hour. */
  planned: number;
  charged: number;
  /** Not billed yet. */
  due: number;
  /** Billed, and their time has come. */
  unsent: number;
}

/** How renewals stand now. */
export async function readRenewalStatus(runner: Runner, providerAccountId: number): Promise<RenewalStatus | null> {
  return (await runner.run(READ_STATUS, [providerAccountId, runner.now]))[0] ?? null;
}

const READ_HOUR = statement<[number, Date], { planned: number; charged: number }>(
  'read_renewal_hour',
  'select planned, charged from renewal_hour where provider_account_id = $1 and hour = $2',
);
const COUNT_PLANNED = statement<[number, Date], { planned: number }>(
  'count_planned_renewals',
  `select ((select count(*) from subscription where next_action_at < $2 and status in ('trialing', 'active', 'paused')
       and not cancel_at_period_end and not pause_at_period_end)
     + (select count(*) from payment_attempt where next_action_at < $2 and status = 'created' and cause = 'renewal'
        and provider_account_id = $1))::int as planned`,
);
const ADD_HOUR = statement<[number, Date, number], never>(
  'add_renewal_hour',
  `insert into renewal_hour (provider_account_id, hour, planned) values ($1, $2, $3) on conflict (provider_account_id, hour) do nothing`,
);
const COUNT_CHARGED = statement<[number, Date, number], never>(
  'count_charged_renewals',
  'update renewal_hour set charged = charged + $3 where provider_account_id = $1 and hour = $2',
);
const PLAN_ALONE = statement<[number, number], never>('plan_renewals_alone', 'select pg_advisory_xact_lock($1, $2)');
const HOUR_MS = 3_600_000;
/** Transaction lock of whoever plans an hour, with the provider account; a number of our own, the same for ever. */
const PLAN_LOCKS = 7_020_422;

/**
 * The hour's plan, made by whoever is first in it: all that falls due before it ends. The others wait for it: each lane of each worker asks
 * in the same instant, and of a million each would count the million.
 */
export async function readRenewalHour(uow: UnitOfWork, providerAccountId: number): Promise<{ planned: number; charged: number }> {
  const hour = hourOf(uow);
  const [known] = await uow.run(READ_HOUR, [providerAccountId, hour]);
  if (known) return known;
  await uow.run(PLAN_ALONE, [PLAN_LOCKS, providerAccountId]);
  const [meanwhile] = await uow.run(READ_HOUR, [providerAccountId, hour]);
  if (meanwhile) return meanwhile;
  const [counted] = await uow.run(COUNT_PLANNED, [providerAccountId, new Date(hour.getTime() + HOUR_MS)]);
  await uow.run(ADD_HOUR, [providerAccountId, hour, counted?.planned ?? 0]);
  const [made] = await uow.run(READ_HOUR, [providerAccountId, hour]);
  return made ?? { planned: 0, charged: 0 };
}

/** Adds to what the hour has charged. Every lane of every worker wants this row: it is asked for alone. */
export async function countCharged(runner: Runner, providerAccountId: number, count: number): Promise<void> {
  await runner.run(COUNT_CHARGED, [providerAccountId, hourOf(runner), count]);
}

function hourOf({ now }: Pick<Runner, 'now'>): Date {
  return new Date(Math.floor(now.getTime() / HOUR_MS) * HOUR_MS);
}

const TAKE_CALLS = statement<[number, number, number, Date], { taken: number }>(
  'take_calls',
  `with had as (
     select provider_account_id,
       least($3::float8, tokens + $3::float8 * greatest(0, extract(epoch from $4 - refilled_at))
         * case when slowed_until > $4 then 0.25 else 1 end) as tokens
     from call_budget where provider_account_id = $1 for update)
   update call_budget b set tokens = h.tokens - least($2::float8, floor(h.tokens)), refilled_at = $4
   from had h where b.provider_account_id = h.provider_account_id
   returning least($2::float8, floor(h.tokens))::int as taken`,
);
const OPEN_BUDGET = statement<[number, number, Date], never>(
  'open_call_budget',
  `insert into call_budget (provider_account_id, tokens, refilled_at) values ($1, $2, $3) on conflict (provider_account_id) do nothing`,
);
const SLOW_DOWN = statement<[number, Date, Date], never>(
  'slow_calls_down',
  'update call_budget set slowed_until = $2, tokens = 0, refilled_at = $3 where provider_account_id = $1',
);

/**
 * Takes up to `wanted` calls from the account's budget of `perSecond`: a bucket that holds one second's worth, filled by the time that has
 * passed. Every lane of every worker wants this row: it is asked for alone. @returns how many may go out
 */
export async function takeCalls(runner: Runner, providerAccountId: number, wanted: number, perSecond: number): Promise<number> {
  const ask = async (): Promise<number | undefined> =>
    (await runner.run(TAKE_CALLS, [providerAccountId, wanted, perSecond, runner.now]))[0]?.taken;
  const taken = await ask();
  if (taken !== undefined) return taken;
  await runner.run(OPEN_BUDGET, [providerAccountId, perSecond, runner.now]);
  return (await ask()) ?? 0;
}

/** The provider said that we ask too much: until then a quarter of the rate. */
export async function slowCallsDown(uow: UnitOfWork, providerAccountId: number, until: Date): Promise<void> {
  await uow.run(SLOW_DOWN, [providerAccountId, until, uow.now]);
}
