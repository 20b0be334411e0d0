/**
 * Recognised revenue, by day and currency. What a day earns is what deferred revenue holds, less what the schedules have still to earn after that
 * day: two sums of one statement, which every unit of work moves together, so nothing that was written in between can be missed or counted twice.
 */
import type { Movement } from '../domain/ledger/journals.js';
import { statement } from './statement.js';
import { takeTurn } from './turn.js';
import type { UnitOfWork } from './unit-of-work.js';

/** Transaction lock of whoever closes days; a number of our own, the same for ever. */
const REVENUE_LOCK = 7_020_420;

/** Takes the turn at closing days until the commit; false while somebody else has it. */
export async function takeTurnAtRevenue(uow: UnitOfWork): Promise<boolean> {
  return takeTurn(uow, REVENUE_LOCK);
}

/** A currency with days to be closed. */
export interface OpenDays {
  currency: string;
  /** The first day that is not closed. */
  from: string;
}

const OPEN_DAYS = statement<[string], OpenDays>(
  'open_revenue_days',
  `select currency, "from"::text from (
     select a.currency, coalesce(
       (select max(day) + 1 from revenue_day d where d.currency = a.currency),
       (select min(starts_on) from revenue_schedule s where s.currency = a.currency)) as "from"
     from ledger_account a where a.code = 'deferred_revenue') c
   where "from" <= $1::date order by currency`,
);

/** Currencies in use with days up to `until` that are not closed. */
export async function listOpenDays(uow: UnitOfWork, until: string): Promise<OpenDays[]> {
  return uow.run(OPEN_DAYS, [until]);
}

/** What is earned on each of some days that follow one another; amounts in minor units. */
export interface EarnedDay {
  day: string;
  /** Negative where what had been earned before is earned no more. */
  earned: bigint;
}

/**
 * `left` is what the schedules have still to earn after a day: of those that run beyond it, net less reversed less earned through it
 * (`earnedThrough` in src/domain/ledger/revenue.ts). All others have nothing left. The first day also takes up what was written late.
 */
const EARNED = statement<[string, string, string], EarnedDay>(
  'earned_revenue',
  `with held as (
     select coalesce((select balance from ledger_balance b where b.account_id = a.id), 0) + coalesce((
       select sum(e.amount) from ledger_entry e where e.account_id = a.id
         and e.posted_at >= coalesce((select rolled_up_to from ledger_balance b where b.account_id = a.id), '-infinity')), 0) as balance
     from ledger_account a where a.code = 'deferred_revenue' and a.currency = $1)
   , s as materialized (
     select net - reversed as net, net as whole, starts_on, ends_on, ends_on as over from revenue_schedule
     where currency = $1 and stopped_on is null and ends_on > $2::date + 1
     union all
     select net - reversed, net, starts_on, ends_on, least(stopped_on, ends_on) from revenue_schedule
     where currency = $1 and stopped_on is not null and stopped_on > $2::date + 1)
   , d as (
     select day::date as day from generate_series($2::date, $3::date, interval '1 day') day)
   , remaining as (
     select d.day, coalesce(sum(s.net - s.whole * greatest(0, least(d.day, s.over - 1) - s.starts_on + 1) / (s.ends_on - s.starts_on)), 0) as rest
     from d left join s on s.over > d.day + 1 group by d.day)
   select day::text, (coalesce(lag(rest) over (order by day), -(select balance from held)) - rest)::bigint as earned from remaining order by day`,
);

/** What each day from `from` through `until` earned in a currency. The turn is held. */
export async function readEarned(uow: UnitOfWork, currency: string, from: string, until: string): Promise<EarnedDay[]> {
  return uow.run(EARNED, [currency, from, until]);
}

/** A day that is closed, with what is posted for it. */
export interface ClosedDay extends EarnedDay {
  /** Follows from currency and day, so that none is closed twice. */
  id: string;
  /** One, or none where nothing was earned. */
  movements: readonly Movement[];
}

const CLOSE_DAYS = statement<
  [string, string[], string[], bigint[], string[], string[], string[], string[], string[], bigint[], Date],
  { posted: number }
>(
  'close_revenue_days',
  `with d as (
     insert into revenue_day (bucket, id, day, currency, amount)
     select id_bucket(id), id, day, $1, amount from unnest($2::uuid[], $3::date[], $4::bigint[]) as d (id, day, amount))
   , posted as (
     insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, effective_at, posted_at)
     select id_bucket(m.id), m.id, m.event, m.leg, debit.id, credit.id, $1, m.amount, id_time(m.id) + interval '1 day' - interval '1 ms', $11
     from unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[]) as m (id, event, leg, debit, credit, amount)
     join ledger_account debit on debit.code = m.debit and debit.currency = $1
     join ledger_account credit on credit.code = m.credit and credit.currency = $1
     returning leg)
   select count(*)::int as posted from posted`,
);

/** Closes days of a currency: a row for each, also where nothing was earned, and its posting. @returns how many movements were posted */
export async function writeRevenueDays(uow: UnitOfWork, currency: string, days: readonly ClosedDay[]): Promise<number> {
  const posted = days.flatMap(({ id, movements }) => movements.map((movement) => ({ id, ...movement })));
  const [written] = await uow.run(CLOSE_DAYS, [
    currency,
    days.map(({ id }) => id),
    days.map(({ day }) => day),
    days.map(({ earned }) => earned),
    posted.map(({ id }) => id),
    posted.map(({ event }) => event),
    posted.map(({ leg }) => leg),
    posted.map(({ debit }) => debit),
    posted.map(({ credit }) => credit),
    posted.map(({ amountMinor }) => amountMinor),
    uow.now,
  ]);
  return written?.posted ?? 0;
}
