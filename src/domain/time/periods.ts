/**
 * Billing periods: B(n) = the anchor's local date and time plus n steps, as an instant. Every boundary is computed from the
 * anchor, never from an earlier boundary: Jan 31 + 1 month + 1 month would drift to Mar 29 (rules B1). `Intl` is the only
 * source of time zones; SQL must not compute boundaries, as PostgreSQL takes the later instant where clocks go back.
 */
import { invariant } from '../invariant.js';

export type PeriodUnit = 'day' | 'week' | 'month' | 'year';

/** What the periods of a subscription are computed from. */
export interface PeriodRule {
  /** Local date and time, whole seconds: YYYY-MM-DDTHH:MM:SS. */
  anchorLocal: string;
  /** IANA time zone, e.g. Europe/Paris. */
  zone: string;
  unit: PeriodUnit;
  /** Units in a period, > 0. */
  count: number;
}

const DAY_MS = 86_400_000;
const LOCAL_FORM = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}$/;

/** The instant at which period `n` starts and period `n - 1` ends (rules B1). @throws InvariantBroken for an anchor of a wrong form. */
export function boundary(rule: PeriodRule & { n: number }): Date {
  const { anchorLocal, zone, unit } = rule;
  const anchor = LOCAL_FORM.test(anchorLocal) ? new Date(`${anchorLocal.slice(0, 10)}T${anchorLocal.slice(11)}Z`) : null;
  invariant(anchor !== null && !Number.isNaN(anchor.getTime()), 'an anchor is a local date and time', { rule });
  const steps = rule.n * rule.count;
  switch (unit) {
    case 'day':
      return toInstant(anchor.getTime() + steps * DAY_MS, zone);
    case 'week':
      return toInstant(anchor.getTime() + steps * 7 * DAY_MS, zone);
    case 'month':
      return toInstant(plusMonths(anchor, steps), zone);
    case 'year':
      return toInstant(plusMonths(anchor, steps * 12), zone);
  }
}

/** Period `n`: [start, end). */
export function periodOf(rule: PeriodRule & { n: number }): { start: Date; end: Date } {
  return { start: boundary(rule), end: boundary({ ...rule, n: rule.n + 1 }) };
}

/** A period of a subscription that was opened. Its identity is (subscription, `epoch`, `n`): `n` alone repeats (rules B5). */
export interface OpenedPeriod {
  /** Counts the anchors that the subscription has had. */
  epoch: number;
  /** Counts the periods since the anchor. */
  n: number;
  start: Date;
  end: Date;
}

/**
 * The period after an opened one. It starts at the stored end of the last, whatever the zone's rules have become since, so that
 * there is neither a hole nor an overlap (rules B4).
 */
export function nextPeriod(last: OpenedPeriod, rule: PeriodRule): OpenedPeriod {
  const n = last.n + 1;
  const end = boundary({ ...rule, n: n + 1 });
  invariant(last.end < end, 'a period has a length', { last, rule });
  return { epoch: last.epoch, n, start: last.end, end };
}

/**
 * A new anchor at an instant: the epoch after `epoch`, whose first period begins then, to the whole second (rules B5). Only the
 * end of a trial, a change of interval, resuming from a pause, recovery after grace and staff may move an anchor.
 */
export function reanchored(
  epoch: number,
  at: Date,
  rule: Omit<PeriodRule, 'anchorLocal'>,
): { anchorLocal: string; period: OpenedPeriod } {
  const start = new Date(Math.floor(at.getTime() / 1_000) * 1_000);
  const anchorLocal = anchorLocalOf(start, rule.zone);
  return { anchorLocal, period: { epoch: epoch + 1, n: 0, start, end: boundary({ ...rule, anchorLocal, n: 1 }) } };
}

/** The number of the period that an instant lies in: negative before the anchor. */
export function periodNumberAt(rule: PeriodRule, at: Date): number {
  const perUnitMs = { day: DAY_MS, week: 7 * DAY_MS, month: 30.436875 * DAY_MS, year: 365.2425 * DAY_MS };
  const anchor = boundary({ ...rule, n: 0 }).getTime();
  let n = Math.floor((at.getTime() - anchor) / (perUnitMs[rule.unit] * rule.count));
  while (boundary({ ...rule, n }) > at) n--;
  while (boundary({ ...rule, n: n + 1 }) <= at) n++;
  return n;
}

/** The local date and time of an instant, to the second below: the anchor of a subscription that begins then. */
export function anchorLocalOf(instant: Date, zone: string): string {
  const second = Math.floor(instant.getTime() / 1_000) * 1_000;
  return new Date(second + offsetAt(second, zone)).toISOString().slice(0, 19);
}

/** The UTC calendar day of an instant, YYYY-MM-DD. */
export function isoDay(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}

/** Months are added to the anchor; a day that the month has not becomes its last. Milliseconds of that local time, read as UTC. */
function plusMonths(anchor: Date, months: number): number {
  const [year, month, day] = [anchor.getUTCFullYear(), anchor.getUTCMonth() + months, anchor.getUTCDate()];
  const lastDay = day <= 28 ? day : new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const timeOfDay = anchor.getTime() - Date.UTC(year, anchor.getUTCMonth(), day);
  return Date.UTC(year, month, Math.min(day, lastDay)) + timeOfDay;
}

/**
 * The instant of a local time, given as milliseconds read as UTC (rules B2). Where clocks go back the earlier of the two;
 * where they go forward the time does not exist, and the offset before the change is used, which moves it forward by the gap.
 */
function toInstant(local: number, zone: string): Date {
  if (zone === 'UTC') return new Date(local);
  const before = offsetAt(local - DAY_MS, zone);
  const after = offsetAt(local + DAY_MS, zone);
  // No change of clocks is near.
  if (before === after) return new Date(local - before);
  const exact = [local - before, local - after].filter((at) => offsetAt(at, zone) === local - at);
  return new Date(exact.length > 0 ? Math.min(...exact) : local - before);
}

/** From this instant on the zone has this offset from UTC; both in milliseconds, east is positive. */
interface OffsetSpan {
  from: number;
  offset: number;
}

/**
 * What the offsets of a zone are in a UTC year, found once by asking `Intl`: a look costs 7 us there and 0.05 us here, and a
 * period's end takes three. At most some hundred zones times the years that are billed, one to three spans each.
 */
const offsetYears = new Map<string, Map<number, readonly OffsetSpan[]>>();

/** Two changes of clocks of one zone are at least 6.9 days apart (every zone, 1970 to 2060), so no look steps over two. */
const LOOK_EVERY_MS = 3 * DAY_MS;

/** Offset of a zone from UTC at an instant, milliseconds; east is positive. */
function offsetAt(at: number, zone: string): number {
  if (zone === 'UTC') return 0;
  const spans = spansOf(zone, new Date(at).getUTCFullYear());
  let offset = 0;
  for (const span of spans) {
    if (span.from > at) break;
    offset = span.offset;
  }
  return offset;
}

function spansOf(zone: string, year: number): readonly OffsetSpan[] {
  const known = offsetYears.get(zone) ?? new Map<number, readonly OffsetSpan[]>();
  offsetYears.set(zone, known);
  const spans = known.get(year) ?? findSpans(zone, Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1));
  known.set(year, spans);
  return spans;
}

function findSpans(zone: string, start: number, end: number): OffsetSpan[] {
  let before = askOffset(start, zone);
  const spans: OffsetSpan[] = [{ from: start, offset: before }];
  for (let from = start; from < end; from += LOOK_EVERY_MS) {
    let [low, high] = [from, Math.min(from + LOOK_EVERY_MS, end - 1_000)];
    const after = askOffset(high, zone);
    if (after === before) continue;
    // Clocks change on a whole second.
    while (high - low > 1_000) {
      const middle = low + Math.floor((high - low) / 2_000) * 1_000;
      if (askOffset(middle, zone) === before) low = middle;
      else high = middle;
    }
    spans.push({ from: high, offset: after });
    before = after;
  }
  return spans;
}

/** What `Intl` says that the offset is. */
function askOffset(at: number, zone: string): number {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(at)
      .map((part) => [part.type, Number(part.value)]),
  );
  const field = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  const local = Date.UTC(field('year'), field('month') - 1, field('day'), field('hour'), field('minute'), field('second'));
  return local - Math.floor(at / 1_000) * 1_000;
}

/** Making a format costs far more than using it; there are some 600 zones. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US-u-ca-iso8601', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(zone, made);
  return made;
}
