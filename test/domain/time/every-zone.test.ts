/**
 * The periods of every zone there is, for ten years: anchors on the days that not every month has and around each change of clocks,
 * at every interval the catalogue sells. What a boundary must be is computed apart from the code, from the changes of clocks that
 * Temporal knows. Zones whose clocks go alike in these years share one whole run; each of the others shows on fewer anchors that it is
 * like them, and weeks are counted from fewer of them. `EVERY_ZONE=whole npm test -- test/domain/time/every-zone` makes the whole run in each (about a minute).
 */
import { expect, test } from '@jest/globals';
import { Temporal } from 'temporal-polyfill';
import { boundary, type PeriodUnit } from '../../../src/domain/time/periods.js';

const IS_WHOLE = process.env['EVERY_ZONE'] === 'whole';
const DAY_MS = 86_400_000;
const FROM_YEAR = 2026;
const TO_YEAR = 2036;

/** From this instant on the zone's clocks show UTC and this much more. */
interface Span {
  from: number;
  offset: number;
}

const INTERVALS: readonly (readonly [PeriodUnit, count: number])[] = [
  ['week', 1],
  ['week', 2],
  ['week', 4],
  ['month', 1],
  ['month', 2],
  ['month', 3],
  ['month', 6],
  ['year', 1],
  ['year', 2],
];

const FEWER_INTERVALS = INTERVALS.filter(([unit, count]) => unit === 'month' && count === 1);

/** Local times of day at which clocks are changed somewhere, and the two ends of a day. */
const TIMES = ['00:00:00', '02:30:00', '23:59:59'];

/** The changes of a zone's clocks, from a year before the first anchor to a year after the last boundary. */
function spansOf(zone: string): Span[] {
  let at: Temporal.ZonedDateTime | null = Temporal.ZonedDateTime.from(`${FROM_YEAR - 1}-01-01T00:00[${zone}]`);
  const spans: Span[] = [{ from: -Infinity, offset: at.offsetNanoseconds / 1e6 }];
  while ((at = at.getTimeZoneTransition('next')) && at.year <= TO_YEAR + 1) {
    spans.push({ from: at.epochMilliseconds, offset: at.offsetNanoseconds / 1e6 });
  }
  return spans;
}

/** The earliest instant at which the clocks show a local time; where they skip it, as much later as they skip. */
function instantsOf(spans: readonly Span[]): (local: number) => number {
  // Where the last question was: the next is near it.
  let i = 0;
  const at = (index: number, local: number): number => local - (spans[index]?.offset ?? 0);
  const from = (index: number): number => spans[index]?.from ?? Infinity;
  return (local) => {
    while (at(i + 1, local) >= from(i + 1)) i++;
    while (at(i, local) < from(i)) i--;
    return i > 0 && at(i - 1, local) < from(i) ? at(i - 1, local) : at(i, local);
  };
}

/** The n-th local date and time of an interval from an anchor, read as UTC. */
function localOf(anchor: Date, unit: PeriodUnit, steps: number): number {
  if (unit === 'week') return anchor.getTime() + steps * 7 * DAY_MS;
  const months = anchor.getUTCMonth() + steps * (unit === 'year' ? 12 : 1);
  const first = Date.UTC(anchor.getUTCFullYear(), months, 1);
  const days = (Date.UTC(anchor.getUTCFullYear(), months + 1, 1) - first) / DAY_MS;
  return first + (Math.min(anchor.getUTCDate(), days) - 1) * DAY_MS + (anchor.getTime() % DAY_MS);
}

/** Days 28 to 31 of a month, the 29 February to come, and half an hour around each change of clocks that falls in the ten years. */
function anchorsOf(spans: readonly Span[]): string[] {
  const days = ['2026-01-28', '2026-01-29', '2026-01-30', '2026-01-31', '2028-02-29'];
  const around = spans.slice(1).flatMap(({ from, offset }, i) => {
    const before = from + (spans[i]?.offset ?? 0);
    const isInReach = before >= Date.UTC(FROM_YEAR, 0, 1) && before < Date.UTC(TO_YEAR, 0, 1);
    // Half an hour before the change, and half an hour into what it skips or repeats.
    const into = Math.min(before, from + offset) + 1_800_000;
    return isInReach ? [before - 1_800_000, into].map((at) => new Date(at).toISOString().slice(0, 19)) : [];
  });
  return [...days.flatMap((day) => TIMES.map((time) => `${day}T${time}`)), ...around];
}

test('in every zone, from every awkward anchor, periods have neither a hole, nor an overlap, nor a drift in ten years', () => {
  const zones = Intl.supportedValuesOf('timeZone');
  const alike = new Set<string>();
  const wrong: string[] = [];
  let boundaries = 0;
  for (const zone of zones) {
    const spans = spansOf(zone);
    const clocks = JSON.stringify(spans);
    const anchors = anchorsOf(spans);
    const instantOf = instantsOf(spans);
    const isFirst = IS_WHOLE || !alike.has(clocks);
    alike.add(clocks);
    for (const anchorLocal of isFirst ? anchors : anchors.slice(0, 12).filter((_, i) => i % 3 === 1)) {
      const anchor = new Date(`${anchorLocal}Z`);
      for (const [unit, count] of isFirst ? INTERVALS : FEWER_INTERVALS) {
        // Weeks know no end of a month, and from a change of clocks in the first year they come by all later ones.
        if (!IS_WHOLE && unit === 'week' && !/^2026-(?!01-(28|29|30))/.test(anchorLocal)) continue;
        let last = -Infinity;
        for (let n = 0; ; n++) {
          const local = localOf(anchor, unit, n * count);
          if (local >= Date.UTC(TO_YEAR, 0, 1)) break;
          const at = boundary({ anchorLocal, zone, unit, count, n }).getTime();
          boundaries++;
          if (at === instantOf(local) && at > last) last = at;
          else if (wrong.length < 10) wrong.push(`${anchorLocal} ${zone}, ${count} ${unit}, boundary ${n}: ${at}`);
        }
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(zones.length).toBeGreaterThan(400);
  // A reach that shrank would say nothing.
  expect(boundaries).toBeGreaterThan(IS_WHOLE ? 8_000_000 : 800_000);
});
