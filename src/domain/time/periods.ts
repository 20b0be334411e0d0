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
const LOCAL_FORM = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})$/;

/** The instant at which period `n` starts and period `n - 1` ends. @throws InvariantBroken for an anchor of a wrong form. */
export function boundary(rule: PeriodRule & { n: number }): Date {
  const match = LOCAL_FORM.exec(rule.anchorLocal);
  invariant(match !== null, 'an anchor is a local date and time', { rule });
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const time = Date.UTC(1970, 0, 1, hour, minute, second);
  const steps = rule.n * rule.count;
  switch (rule.unit) {
    case 'day':
      return toInstant(Date.UTC(year, month - 1, day + steps) + time, rule.zone);
    case 'week':
      return toInstant(Date.UTC(year, month - 1, day + steps * 7) + time, rule.zone);
    case 'month':
      return toInstant(addMonths(year, month - 1, day, steps) + time, rule.zone);
    case 'year':
      return toInstant(addMonths(year, month - 1, day, steps * 12) + time, rule.zone);
  }
}

/** Period `n`: [start, end). */
export function periodOf(rule: PeriodRule & { n: number }): { start: Date; end: Date } {
  return { start: boundary(rule), end: boundary({ ...rule, n: rule.n + 1 }) };
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

/** Months are added to the anchor; a day that the month has not becomes its last. Milliseconds of that date, read as UTC. */
function addMonths(year: number, month: number, day: number, months: number): number {
  const lastDay = new Date(Date.UTC(year, month + months + 1, 0)).getUTCDate();
  return Date.UTC(year, month + months, Math.min(day, lastDay));
}

/**
 * The instant of a local time, given as milliseconds read as UTC (rules B2). Where clocks go back the earlier of the two;
 * where they go forward the time does not exist, and the offset before the change is used, which moves it forward by the gap.
 */
function toInstant(local: number, zone: string): Date {
  if (zone === 'UTC') return new Date(local);
  const before = offsetAt(local - DAY_MS, zone);
  const after = offsetAt(local + DAY_MS, zone);
  const exact = [local - before, local - after].filter((at) => offsetAt(at, zone) === local - at);
  return new Date(exact.length > 0 ? Math.min(...exact) : local - before);
}

/** Offset of a zone from UTC at an instant, milliseconds; east is positive. */
function offsetAt(at: number, zone: string): number {
  if (zone === 'UTC') return 0;
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
