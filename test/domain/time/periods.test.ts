import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import {
  anchorLocalOf,
  boundary,
  isoDay,
  nextPeriod,
  periodNumberAt,
  periodOf,
  reanchored,
  type PeriodUnit,
} from '../../../src/domain/time/periods.js';

test.each<{ anchorLocal: string; zone: string; unit: PeriodUnit; count: number; n: number; expected: string }>`
  anchorLocal              | zone                     | unit       | count | n     | expected
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${0}  | ${'2024-01-31T09:00Z'}
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${1}  | ${'2024-02-29T09:00Z'}
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${2}  | ${'2024-03-31T09:00Z'}
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${3}  | ${'2024-04-30T09:00Z'}
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${13} | ${'2025-02-28T09:00Z'}
  ${'2024-01-31T09:00:00'} | ${'UTC'}                 | ${'month'} | ${1}  | ${14} | ${'2025-03-31T09:00Z'}
  ${'2024-02-29T12:00:00'} | ${'UTC'}                 | ${'year'}  | ${1}  | ${1}  | ${'2025-02-28T12:00Z'}
  ${'2024-02-29T12:00:00'} | ${'UTC'}                 | ${'year'}  | ${1}  | ${2}  | ${'2026-02-28T12:00Z'}
  ${'2024-02-29T12:00:00'} | ${'UTC'}                 | ${'year'}  | ${1}  | ${3}  | ${'2027-02-28T12:00Z'}
  ${'2024-02-29T12:00:00'} | ${'UTC'}                 | ${'year'}  | ${1}  | ${4}  | ${'2028-02-29T12:00Z'}
  ${'2024-11-30T00:00:00'} | ${'UTC'}                 | ${'month'} | ${3}  | ${1}  | ${'2025-02-28T00:00Z'}
  ${'2024-11-30T00:00:00'} | ${'UTC'}                 | ${'month'} | ${3}  | ${2}  | ${'2025-05-30T00:00Z'}
  ${'2024-11-30T00:00:00'} | ${'UTC'}                 | ${'month'} | ${3}  | ${3}  | ${'2025-08-30T00:00Z'}
  ${'2024-11-30T00:00:00'} | ${'UTC'}                 | ${'month'} | ${3}  | ${4}  | ${'2025-11-30T00:00Z'}
  ${'2024-02-10T02:30:00'} | ${'America/New_York'}    | ${'month'} | ${1}  | ${1}  | ${'2024-03-10T07:30Z'}
  ${'2024-02-10T02:30:00'} | ${'America/New_York'}    | ${'month'} | ${1}  | ${2}  | ${'2024-04-10T06:30Z'}
  ${'2024-10-03T01:30:00'} | ${'America/New_York'}    | ${'month'} | ${1}  | ${1}  | ${'2024-11-03T05:30Z'}
  ${'2024-10-03T01:30:00'} | ${'America/New_York'}    | ${'month'} | ${1}  | ${2}  | ${'2024-12-03T06:30Z'}
  ${'2024-10-20T02:30:00'} | ${'Europe/Paris'}        | ${'week'}  | ${1}  | ${1}  | ${'2024-10-27T00:30Z'}
  ${'2024-10-20T02:30:00'} | ${'Europe/Paris'}        | ${'week'}  | ${1}  | ${2}  | ${'2024-11-03T01:30Z'}
  ${'2024-09-06T02:15:00'} | ${'Australia/Lord_Howe'} | ${'month'} | ${1}  | ${1}  | ${'2024-10-05T15:45Z'}
  ${'2024-02-26T00:00:00'} | ${'Africa/Cairo'}        | ${'month'} | ${1}  | ${2}  | ${'2024-04-25T22:00Z'}
  ${'2024-02-29T23:30:00'} | ${'America/Los_Angeles'} | ${'month'} | ${1}  | ${0}  | ${'2024-03-01T07:30Z'}
  ${'2024-02-29T23:30:00'} | ${'America/Los_Angeles'} | ${'month'} | ${1}  | ${1}  | ${'2024-03-30T06:30Z'}
  ${'2011-11-30T10:00:00'} | ${'Pacific/Apia'}        | ${'month'} | ${1}  | ${1}  | ${'2011-12-30T20:00Z'}
`('boundary $n of $anchorLocal $zone every $count $unit is $expected', ({ expected, ...rule }) => {
  expect(boundary(rule).toISOString()).toBe(expected.replace('Z', ':00.000Z'));
});

const ZONES = [
  'UTC',
  'America/New_York',
  'America/Los_Angeles',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Europe/Paris',
  'Europe/London',
  'Europe/Dublin',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Kolkata',
  'Asia/Tehran',
  'Asia/Gaza',
  'Asia/Tokyo',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
  'America/Nuuk',
];
const anchors = fc
  .date({ min: new Date('2000-01-01T00:00:00Z'), max: new Date('2037-12-31T00:00:00Z'), noInvalidDate: true })
  .map((at) => at.toISOString().slice(0, 19));
const units = fc.constantFrom<PeriodUnit>('day', 'week', 'month', 'year');

test('every boundary is the one that Temporal computes', () => {
  fc.assert(
    fc.property(
      anchors,
      fc.constantFrom(...ZONES),
      units,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 40 }),
      (anchorLocal, zone, unit, count, n) => {
        const reference = Temporal.PlainDateTime.from(anchorLocal)
          .add({ [`${unit}s`]: n * count }, { overflow: 'constrain' })
          .toZonedDateTime(zone, { disambiguation: 'compatible' });
        return boundary({ anchorLocal, zone, unit, count, n }).getTime() === reference.epochMilliseconds;
      },
    ),
    { numRuns: 5_000 },
  );
});

test('boundaries within a day of a change of clocks are the ones that Temporal computes', () => {
  const hours = fc.integer({ min: 0, max: 48 * 4 });
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.integer({ min: 2000, max: 2037 }),
      fc.nat(1),
      hours,
      (zone, year, which, quarter) => {
        const changes = transitions(zone, year);
        fc.pre(changes.length > which);
        const near = Temporal.Instant.fromEpochMilliseconds((changes[which] ?? 0) + (quarter - 96) * 900_000);
        const anchorLocal = near.toZonedDateTimeISO('UTC').toPlainDateTime().toString().slice(0, 16) + ':00';
        const reference = Temporal.PlainDateTime.from(anchorLocal).toZonedDateTime(zone, { disambiguation: 'compatible' });
        return boundary({ anchorLocal, zone, unit: 'month', count: 1, n: 0 }).getTime() === reference.epochMilliseconds;
      },
    ),
    { numRuns: 2_000 },
  );
});

/** Local times (read as UTC) of the year's changes of clocks. */
function transitions(zone: string, year: number): number[] {
  const found: number[] = [];
  let at: Temporal.ZonedDateTime | null = Temporal.ZonedDateTime.from(`${year}-01-01T00:00[${zone}]`);
  while ((at = at.getTimeZoneTransition('next')) && at.year === year) {
    found.push(at.epochMilliseconds + at.offsetNanoseconds / 1_000_000);
  }
  return found;
}

test('periods follow each other without a hole or an overlap, and the anchor of the first is its start', () => {
  fc.assert(
    fc.property(
      anchors,
      fc.constantFrom(...ZONES),
      units,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 24 }),
      (local, zone, unit, count, n) => {
        const start = boundary({ anchorLocal: local, zone, unit, count, n: 0 });
        const rule = { anchorLocal: anchorLocalOf(start, zone), zone, unit, count };
        const period = periodOf({ ...rule, n });
        expect(period.start < period.end).toBe(true);
        expect(periodOf({ ...rule, n: n + 1 }).start).toEqual(period.end);
      },
    ),
    { numRuns: 500 },
  );
});

test('an anchor keeps whole seconds, and a day is that of UTC', () => {
  expect(anchorLocalOf(new Date('2026-03-01T07:30:59.999Z'), 'America/Los_Angeles')).toBe('2026-02-28T23:30:59');
  expect(isoDay(new Date('2026-02-28T23:59:59.999Z'))).toBe('2026-02-28');
});

test('an anchor of another form is a bug and says so', () => {
  expect(() => boundary({ anchorLocal: '2024-01-31', zone: 'UTC', unit: 'month', count: 1, n: 1 })).toThrow(
    'an anchor is a local date and time',
  );
});

test('a period begins where the last one ended, even if the zone has changed its clocks since', () => {
  const rule = { anchorLocal: '2026-01-31T09:00:00', zone: 'Europe/Paris', unit: 'month' as const, count: 1 };
  const stored = { epoch: 2, n: 0, start: new Date('2026-01-31T08:00:00Z'), end: new Date('2026-02-28T07:00:00Z') };
  expect(nextPeriod(stored, rule)).toEqual({ epoch: 2, n: 1, start: stored.end, end: new Date('2026-03-31T07:00:00Z') });
});

test('a new anchor begins the next epoch at its instant, to the whole second', () => {
  const { anchorLocal, period } = reanchored(2, new Date('2026-03-31T07:30:00.700Z'), {
    zone: 'Europe/Paris',
    unit: 'month',
    count: 1,
  });
  expect(anchorLocal).toBe('2026-03-31T09:30:00');
  expect(period).toEqual({ epoch: 3, n: 0, start: new Date('2026-03-31T07:30:00Z'), end: new Date('2026-04-30T07:30:00Z') });
});

test('an instant lies in the period whose number it gets', () => {
  fc.assert(
    fc.property(
      anchors,
      fc.constantFrom(...ZONES),
      units,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: -60, max: 600 }),
      (anchorLocal, zone, unit, count, days) => {
        const rule = { anchorLocal, zone, unit, count };
        const at = new Date(boundary({ ...rule, n: 0 }).getTime() + days * 86_400_000);
        const { start, end } = periodOf({ ...rule, n: periodNumberAt(rule, at) });
        return start <= at && at < end;
      },
    ),
    { numRuns: 500 },
  );
});

test('a period of several units ends where as many periods of one unit would', () => {
  fc.assert(
    fc.property(
      anchors,
      fc.constantFrom(...ZONES),
      units,
      fc.integer({ min: 1, max: 36 }),
      fc.integer({ min: 0, max: 20 }),
      (anchorLocal, zone, unit, count, n) => {
        const rule = { anchorLocal, zone, unit };
        const single = boundary({ ...rule, count: 1, n: n * count });
        return boundary({ ...rule, count, n }).getTime() === single.getTime();
      },
    ),
    { numRuns: 500 },
  );
});
