/**
 * Recurring revenue of a run, twice from rows: at each month's end from the subscriptions as they stand then, and at the end of the run from the
 * history of every subscription. What moved must lead from one to the other, to the last unit, in each currency (rules K1, K2).
 */
import type pg from 'pg';
import { annualRevenueOf, revenueMove, type RevenueMove } from '../domain/metrics/recurring.js';
import { taxOf, type TaxBehavior } from '../domain/tax/tax.js';
import type { PeriodUnit } from '../domain/time/periods.js';

/** Recurring revenue of a year by currency, minor units. */
export type Recurring = ReadonlyMap<string, bigint>;

/** One month in one currency. Minor units of a year's revenue. */
export interface RevenueMonth {
  currency: string;
  endsAt: Date;
  start: bigint;
  moves: Readonly<Record<MoveKind, bigint>>;
  end: bigint;
}
type MoveKind = Exclude<RevenueMove['kind'], 'none'>;

/** What the invoice that pays a subscription's present period says. */
interface Paid {
  currency: string;
  /** What a period costs, as its price or the line of its invoice has it. */
  amount: bigint;
  taxBehavior: TaxBehavior;
  ratePpm: number;
  unit: PeriodUnit;
  count: number;
}

/**
 * The newest paid invoice of a subscription up to an instant: what a period costs, net of coupon, and until when it was paid. A line is net of tax; a change
 * within a period pays a part of one, so there the price says what a whole one costs.
 */
const LATEST_PAID = (subscription: string, until: string): string => `
  left join lateral (
    select i.currency, i.period_end, p.interval_unit as unit, p.interval_count as count, l.tax_rate_ppm as "ratePpm",
      case i.kind when 'period' then l.amount else p.amount end as amount,
      case i.kind when 'period' then 'exclusive' else p.tax_behavior end as "taxBehavior"
    from invoice i
    join invoice_line l on l.bucket = i.bucket and l.invoice_id = i.id and l.amount > 0
    join price p on p.id = l.price_id
    where i.bucket = ${subscription}.bucket and i.subscription_id = ${subscription}.subscription_id and i.kind in ('period', 'change') and i.status = 'paid'
      and i.paid_at <= ${until}
    order by i.paid_at desc, i.id desc, l.position limit 1) i on true`;

const STANDING = `
  select i.currency, i.amount, i."taxBehavior", i."ratePpm", i.unit, i.count::int, s.status, s.entitled_until > $1 as "isInGrace",
    count(*)::int as subscriptions
  from (select bucket, id as subscription_id, status, entitled_until from subscription where status in ('active', 'past_due')) s
  ${LATEST_PAID('s', '$1')}
  where i.amount is not null group by 1, 2, 3, 4, 5, 6, 7, 8`;

/** The recurring revenue of the subscriptions as they stand. */
export async function readRecurring(client: Pick<pg.ClientBase, 'query'>, now: Date): Promise<Recurring> {
  const { rows } = await client.query<Paid & { status: string; isInGrace: boolean; subscriptions: number }>(STANDING, [now]);
  const sums = new Map<string, bigint>();
  for (const { status, isInGrace, subscriptions, ...paid } of rows) {
    sums.set(paid.currency, (sums.get(paid.currency) ?? 0n) + annualOf(paid, status, isInGrace) * BigInt(subscriptions));
  }
  return sums;
}

const HISTORY = `
  select s.user_id as "userId", s.subscription_id as "subscriptionId", s.status, s.at, i.currency, i.amount, i."taxBehavior", i."ratePpm", i.unit,
    i.count::int, i.period_end as "paidUntil"
  from subscription_event s
  ${LATEST_PAID('s', 's.at')}
  order by s.subscription_id, s.version`;

/** Every part of Paid is null where nothing was paid yet. */
type HistoryRow = { [Part in keyof Paid]: Paid[Part] | null } & {
  userId: string;
  subscriptionId: string;
  status: string;
  at: Date;
  paidUntil: Date | null;
};

/** Days through which a past due subscription still counts (rules K1, D4). */
const GRACE_MS = 7 * 86_400_000;

/** By how much the revenue of one customer in one currency changed, and when. */
interface Step {
  atMs: number;
  by: bigint;
}

/**
 * Months of a run in each currency, with what moved, from the history of every subscription.
 * @param ends each month's end and what stood then; the first is the beginning of the run
 */
export async function readRevenueMonths(
  client: Pick<pg.ClientBase, 'query'>,
  ends: readonly { at: Date; recurring: Recurring }[],
): Promise<RevenueMonth[]> {
  const { rows } = await client.query<HistoryRow>(HISTORY);
  const steps = stepsOf(rows);
  const currencies = [...new Set([...steps.keys()].map(currencyOf))].toSorted();
  return currencies.flatMap((currency) => {
    const own = [...steps].filter(([key]) => currencyOf(key) === currency).map(([, list]) => list);
    const moves = ends.map((): Record<MoveKind, bigint> => ({
      new: 0n,
      expansion: 0n,
      contraction: 0n,
      churn: 0n,
      reactivation: 0n,
    }));
    for (const customer of own) addMoves(customer, ends, moves);
    return ends.slice(1).map(({ at, recurring }, nth) => ({
      currency,
      endsAt: at,
      start: ends[nth]?.recurring.get(currency) ?? 0n,
      moves: moves[nth + 1] ?? moves[0] ?? { new: 0n, expansion: 0n, contraction: 0n, churn: 0n, reactivation: 0n },
      end: recurring.get(currency) ?? 0n,
    }));
  });
}

function addMoves(customer: readonly Step[], ends: readonly { at: Date }[], moves: Record<MoveKind, bigint>[]): void {
  let before = 0n;
  let hadRevenue = false;
  const byInstant = Map.groupBy(customer, ({ atMs }) => atMs);
  for (const atMs of [...byInstant.keys()].toSorted((a, b) => a - b)) {
    const after = before + (byInstant.get(atMs) ?? []).reduce((sum, { by }) => sum + by, 0n);
    const { kind, amountMinor } = revenueMove(before, after, hadRevenue);
    // What moved after the last end counts for none.
    const month = moves[ends.findIndex(({ at }) => atMs <= at.getTime())];
    if (kind !== 'none' && month) month[kind] += amountMinor;
    before = after;
    hadRevenue ||= after > 0n;
  }
}

/** Each customer's steps in each currency. */
function stepsOf(rows: readonly HistoryRow[]): Map<string, Step[]> {
  const steps = new Map<string, Step[]>();
  for (const own of Map.groupBy(rows, ({ subscriptionId }) => subscriptionId).values()) {
    let before = 0n;
    let currency: string | null = null;
    const moveTo = (userId: string, atMs: number, after: bigint): void => {
      if (after === before || currency === null) return;
      const key = `${userId} ${currency}`;
      const list = steps.get(key) ?? [];
      list.push({ atMs, by: after - before });
      steps.set(key, list);
      before = after;
    };
    for (const [nth, row] of own.entries()) {
      currency = row.currency ?? currency;
      const graceEndMs = row.status === 'past_due' && row.paidUntil !== null ? row.paidUntil.getTime() + GRACE_MS : null;
      const atMs = row.at.getTime();
      moveTo(row.userId, atMs, revenueAt(row, graceEndMs !== null && atMs < graceEndMs));
      const nextMs = own[nth + 1]?.at.getTime() ?? Infinity;
      if (graceEndMs !== null && graceEndMs > atMs && graceEndMs < nextMs) moveTo(row.userId, graceEndMs, 0n);
    }
  }
  return steps;
}

function revenueAt(row: HistoryRow, isInGrace: boolean): bigint {
  // The parts are null together.
  return row.amount === null ? 0n : annualOf(row as Paid, row.status, isInGrace);
}

function annualOf({ currency, amount, taxBehavior, ratePpm, unit, count }: Paid, status: string, isInGrace: boolean): bigint {
  const { netMinor } = taxOf(amount, ratePpm, taxBehavior, currency);
  return annualRevenueOf({ status, isInGrace, isGift: false, netMinor, interval: { unit, count } });
}

function currencyOf(key: string): string {
  return key.slice(-3);
}

/** Whether a month's moves lead exactly from its start to its end (rules K2). */
export function tiesUp({ start, end, moves }: Pick<RevenueMonth, 'start' | 'end' | 'moves'>): boolean {
  return end === start + moves.new + moves.expansion + moves.reactivation - moves.contraction - moves.churn;
}
