import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  daysOf,
  earnedThrough,
  lastClosedDay,
  reopenAfterCanceledRefund,
  splitAfterPartialRefund,
  moveSchedule,
  stopSchedule,
  unearnedOn,
  type RevenueSchedule,
} from '../../../src/domain/ledger/revenue.js';

const month: RevenueSchedule = {
  seq: 1,
  netMinor: 1_000n,
  startsOn: '2026-04-01',
  endsOn: '2026-05-01',
  stoppedOn: null,
  reversedMinor: 0n,
};
const day = (n: number) => new Date(Date.UTC(2026, 3, 1 + n)).toISOString().slice(0, 10);

test.each<{ on: string; earned: bigint }>`
  on              | earned
  ${'2026-03-31'} | ${0n}
  ${'2026-04-01'} | ${33n}
  ${'2026-04-10'} | ${333n}
  ${'2026-04-30'} | ${1000n}
  ${'2027-01-01'} | ${1000n}
`('of 10.00 over 30 days, $earned is earned through $on', ({ on, earned }) => {
  expect(earnedThrough(month, on)).toBe(earned);
});

test('what is stopped today has earned through yesterday, and the rest is taken back', () => {
  expect(stopSchedule(month, '2026-04-01')).toEqual({ stoppedOn: '2026-04-01', reversedMinor: 1_000n });
  expect(stopSchedule(month, '2026-04-11')).toEqual({ stoppedOn: '2026-04-11', reversedMinor: 667n });
  expect(unearnedOn({ ...month, stoppedOn: '2026-04-11', reversedMinor: 667n }, '2026-04-11')).toBe(0n);
  expect(() => stopSchedule({ ...month, stoppedOn: '2026-04-11' }, '2026-04-12')).toThrow('a schedule stops once');
});

test('after half of 8.00 is given back on the first day, the other half is earned over the same days', () => {
  const eight = { ...month, netMinor: 800n };
  expect(splitAfterPartialRefund(eight, '2026-04-01', 400n)).toEqual({
    stopped: { stoppedOn: '2026-04-01', reversedMinor: 800n },
    next: { ...eight, seq: 2, netMinor: 400n },
  });
  expect(splitAfterPartialRefund(eight, '2026-04-01', 800n).next).toBeNull();
});

const schedules = fc
  .record({ netMinor: fc.bigInt({ min: 1n, max: 10n ** 9n }), length: fc.integer({ min: 1, max: 400 }) })
  .map(({ netMinor, length }): RevenueSchedule => ({ ...month, netMinor, endsOn: day(length) }));

test('earning never goes backwards and ends with exactly the whole', () => {
  fc.assert(
    fc.property(schedules, fc.nat(420), (schedule, n) => {
      const [today, next] = [earnedThrough(schedule, day(n)), earnedThrough(schedule, day(n + 1))];
      return today <= next && earnedThrough(schedule, schedule.endsOn) === schedule.netMinor;
    }),
  );
});

test('whatever was earned, refunded and earned again sums to the net, through any number of refunds', () => {
  fc.assert(
    fc.property(schedules, fc.array(fc.tuple(fc.nat(40), fc.nat(100)), { maxLength: 5 }), (schedule, refunds) => {
      const all: RevenueSchedule[] = [];
      let open: RevenueSchedule | null = schedule;
      let refunded = 0n;
      let today = 0;
      for (const [later, part] of refunds) {
        today += later;
        const unearned: bigint = open === null ? 0n : unearnedOn(open, day(today));
        const amount: bigint = (unearned * BigInt(part)) / 100n;
        if (open === null || amount === 0n) continue;
        const { stopped, next }: ReturnType<typeof splitAfterPartialRefund> = splitAfterPartialRefund(open, day(today), amount);
        all.push({ ...open, ...stopped });
        refunded += amount;
        open = next;
      }
      if (open !== null) all.push(open);
      const earned = all.reduce((sum, s) => sum + earnedThrough(s, '2030-01-01'), 0n);
      return earned + refunded === schedule.netMinor;
    }),
  );
});

test('the unearned part of a canceled refund is earned over what remains, or in one day when nothing does', () => {
  const stopped = { ...month, stoppedOn: '2026-04-11', reversedMinor: 667n };
  expect(reopenAfterCanceledRefund(stopped, '2026-04-11', 667n)).toMatchObject({
    stopped: null,
    next: { seq: 2, netMinor: 667n, startsOn: '2026-04-11', endsOn: '2026-05-01' },
  });
  const late = reopenAfterCanceledRefund(stopped, '2026-06-01', 667n);
  expect(late.next).toMatchObject({ startsOn: '2026-06-01', endsOn: '2026-06-02' });
});

test('where a schedule still runs, the canceled refund and what it has still to earn go on as one', () => {
  const { next: running } = splitAfterPartialRefund(month, '2026-04-11', 367n);
  if (running === null) throw new Error('something is left to earn');
  expect(reopenAfterCanceledRefund(running, '2026-04-21', 367n)).toEqual({
    stopped: { stoppedOn: '2026-04-21', reversedMinor: 150n },
    next: { seq: 3, netMinor: 517n, startsOn: '2026-04-21', endsOn: '2026-05-01', stoppedOn: null, reversedMinor: 0n },
  });
});

test('what is written late earns from the day it is written, so that no closed day would have had a part of it', () => {
  const april = { start: new Date('2026-04-01T23:59:00Z'), end: new Date('2026-05-01T23:59:00Z') };
  expect(daysOf(april, '2026-04-01')).toEqual({ startsOn: '2026-04-01', endsOn: '2026-05-01' });
  expect(daysOf(april, '2026-03-20')).toEqual({ startsOn: '2026-04-01', endsOn: '2026-05-01' });
  expect(daysOf(april, '2026-04-02')).toEqual({ startsOn: '2026-04-02', endsOn: '2026-05-01' });
  expect(daysOf(april, '2026-05-01')).toEqual({ startsOn: '2026-05-01', endsOn: '2026-05-02' });
});

test('a day is closed ten minutes after its end', () => {
  expect(lastClosedDay(new Date('2026-04-02T00:09:59Z'))).toBe('2026-03-31');
  expect(lastClosedDay(new Date('2026-04-02T00:10:00Z'))).toBe('2026-04-01');
});

test('what a gift has to earn moves to the periods that it pays for, and no day before today earns', () => {
  const waiting = { ...month, startsOn: '2027-04-01', endsOn: '2027-04-02' };
  const to = { startsOn: '2026-04-10', endsOn: '2026-07-10' };
  const moved = moveSchedule(waiting, '2026-04-10', to);
  expect(moved).toEqual({
    stopped: { stoppedOn: '2026-04-10', reversedMinor: month.netMinor },
    next: { seq: month.seq + 1, netMinor: month.netMinor, ...to, stoppedOn: null, reversedMinor: 0n },
  });
  expect(moveSchedule(waiting, '2026-04-12', to).next).toMatchObject({ startsOn: '2026-04-12', endsOn: '2026-07-10' });
  expect(moveSchedule(waiting, '2026-08-01', to).next).toMatchObject({ startsOn: '2026-08-01', endsOn: '2026-08-02' });
  expect(moveSchedule(month, '2026-06-01', to).next).toBeNull();
});
