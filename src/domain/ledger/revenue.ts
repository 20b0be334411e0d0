/**
 * When the net of an invoice is earned: in equal parts over the days of its period, in integers, as a pure function of the
 * schedule and the day. Days are UTC calendar days, written YYYY-MM-DD.
 */
import { invariant } from '../invariant.js';

/** What is earned when, and what will never be. Amounts in minor units. */
export interface RevenueSchedule {
  seq: number;
  netMinor: bigint;
  /** First day that earns. */
  startsOn: string;
  /** The day after the last that earns. */
  endsOn: string;
  /** From this day on nothing is earned; null while it runs. */
  stoppedOn: string | null;
  /** What was taken back when it stopped. */
  reversedMinor: bigint;
}

/**
 * The days that earn what a stretch of time costs, one at least: the first, and the one after the last. What is written late earns from the
 * day it is written: the days before it may be closed.
 * @param today the day of the unit of work that writes it
 */
export function daysOf(span: { start: Date; end: Date }, today: string): { startsOn: string; endsOn: string } {
  const [start, endsOn] = [span.start.toISOString().slice(0, 10), span.end.toISOString().slice(0, 10)];
  const startsOn = start > today ? start : today;
  return { startsOn, endsOn: endsOn > startsOn ? endsOn : dayAfter(startsOn) };
}

/**
 * A day is closed, its revenue recognised, so long after its end: no unit of work that began in it lasts as long, so nothing that
 * belongs to it can still be written.
 */
const CLOSED_AFTER_MS = 10 * 60_000;

/** The last day that is closed at an instant. */
export function lastClosedDay(now: Date): string {
  return dayBefore(new Date(now.getTime() - CLOSED_AFTER_MS).toISOString().slice(0, 10));
}

/** Earned from the start through the end of `day`: net * k / n, rounded down, the last day completing it. */
export function earnedThrough(
  schedule: Pick<RevenueSchedule, 'netMinor' | 'startsOn' | 'endsOn' | 'stoppedOn'>,
  day: string,
): bigint {
  const start = dayNumber(schedule.startsOn);
  const length = dayNumber(schedule.endsOn) - start;
  invariant(length > 0, 'a schedule has at least one day', { schedule });
  const last = schedule.stoppedOn === null ? dayNumber(day) : Math.min(dayNumber(day), dayNumber(schedule.stoppedOn) - 1);
  const elapsed = Math.min(Math.max(last - start + 1, 0), length);
  return (schedule.netMinor * BigInt(elapsed)) / BigInt(length);
}

/** Net that a running schedule has not earned through yesterday; 0 once it was stopped. */
export function unearnedOn(schedule: RevenueSchedule, today: string): bigint {
  return schedule.stoppedOn === null ? schedule.netMinor - earnedThrough(schedule, dayBefore(today)) : 0n;
}

/** Stops a running schedule: from today on it earns nothing, and all that is unearned is taken back. */
export function stopSchedule(schedule: RevenueSchedule, today: string): { stoppedOn: string; reversedMinor: bigint } {
  invariant(schedule.stoppedOn === null, 'a schedule stops once', { schedule });
  return { stoppedOn: today, reversedMinor: unearnedOn(schedule, today) };
}

/**
 * A refund took `unearnedRefundedMinor` of what a running schedule had not yet earned: it stops, and what remains is earned by
 * a next one over the remaining days (none when nothing remains).
 */
export function splitAfterPartialRefund(
  schedule: RevenueSchedule,
  today: string,
  unearnedRefundedMinor: bigint,
): { stopped: { stoppedOn: string; reversedMinor: bigint }; next: RevenueSchedule | null } {
  const stopped = stopSchedule(schedule, today);
  const remaining = stopped.reversedMinor - unearnedRefundedMinor;
  invariant(unearnedRefundedMinor > 0n && remaining >= 0n, 'a refund takes no more than is unearned', {
    schedule,
    today,
    unearnedRefundedMinor,
  });
  return { stopped, next: remaining === 0n ? null : nextSchedule(schedule, today, remaining) };
}

/**
 * The unearned part of a refund that was canceled comes back: together with what a running schedule has still to earn it is earned
 * over the days that remain, or today when none do. So at most one schedule of an invoice runs.
 * @param last the schedule of the invoice with the highest seq
 */
export function reopenAfterCanceledRefund(
  last: RevenueSchedule,
  today: string,
  unearnedMinor: bigint,
): { stopped: { stoppedOn: string; reversedMinor: bigint } | null; next: RevenueSchedule } {
  if (last.stoppedOn !== null) return { stopped: null, next: nextSchedule(last, today, unearnedMinor) };
  const stopped = stopSchedule(last, today);
  return { stopped, next: nextSchedule(last, today, stopped.reversedMinor + unearnedMinor) };
}

/**
 * What a running schedule has still to earn is earned over another time: of a gift, which earns nothing before it is claimed, and then
 * over the periods that it pays for. No day before today earns, as those may be posted already.
 */
export function moveSchedule(
  schedule: RevenueSchedule,
  today: string,
  days: { startsOn: string; endsOn: string },
): { stopped: { stoppedOn: string; reversedMinor: bigint }; next: RevenueSchedule | null } {
  const stopped = stopSchedule(schedule, today);
  const { startsOn, endsOn } = days;
  const next = nextSchedule({ ...schedule, startsOn, endsOn }, today, stopped.reversedMinor);
  return { stopped, next: stopped.reversedMinor === 0n ? null : next };
}

function nextSchedule(last: RevenueSchedule, today: string, netMinor: bigint): RevenueSchedule {
  const startsOn = today < last.startsOn ? last.startsOn : today;
  const endsOn = last.endsOn > startsOn ? last.endsOn : dayAfter(startsOn);
  return { seq: last.seq + 1, netMinor, startsOn, endsOn, stoppedOn: null, reversedMinor: 0n };
}

const DAY_MS = 86_400_000;

function dayNumber(day: string): number {
  const at = Date.parse(`${day}T00:00:00Z`);
  invariant(!Number.isNaN(at), 'a day is written YYYY-MM-DD', { day });
  return at / DAY_MS;
}

/** The day so many days after another. */
export function addDays(day: string, count: number): string {
  return new Date((dayNumber(day) + count) * DAY_MS).toISOString().slice(0, 10);
}

function dayBefore(day: string): string {
  return addDays(day, -1);
}

function dayAfter(day: string): string {
  return addDays(day, 1);
}
