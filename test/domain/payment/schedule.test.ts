import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  CALL_TIMEOUT_MS,
  CANCEL_AFTER_MS,
  decideMeans,
  LEASE_MS,
  afterEmptyListing,
  mayConcludeAbsence,
  nextProbeAt,
  SEND_GUARD_MS,
  type AbsenceFacts,
  type ProbeFacts,
} from '../../../src/domain/payment/schedule.js';

const MIDDLE = 0.5; // no jitter
const T0 = Date.parse('2026-03-02T10:00:00Z'); // a Monday
const at = (seconds: number) => new Date(T0 + seconds * 1_000);

function probe(more: Partial<ProbeFacts>): number {
  const facts: ProbeFacts = {
    status: 'unknown',
    probes: 0,
    callDeadlineAt: at(0),
    enteredAt: at(0),
    now: at(0),
    jitter: MIDDLE,
    ...more,
  };
  return (nextProbeAt(facts).getTime() - T0) / 1_000;
}

test('an unknown outcome is looked at 1, 5, 15 s, 1, 5, 15 min after the deadline, then hourly', () => {
  const seconds = [0, 1, 2, 3, 4, 5, 6, 7].map((probes) => probe({ probes }));
  expect(seconds).toEqual([1, 5, 15, 60, 300, 900, 4_500, 8_100]);
});

test('after an outage the missed probes are not made up for in a burst', () => {
  expect(probe({ probes: 4, now: at(86_400) }) - 86_400).toBe(240);
  expect(probe({ probes: 7, now: at(86_400) }) - 86_400).toBe(3_600);
});

test('jitter moves a probe by at most 20 % and never into the past', () => {
  expect([probe({ probes: 5, jitter: 0 }), probe({ probes: 5, jitter: 1 })]).toEqual([720, 1_080]);
  fc.assert(
    fc.property(
      fc.constantFrom<ProbeFacts['status']>('sent', 'unknown', 'requires_action', 'processing'),
      fc.nat(60),
      fc.nat(3_000_000),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (status, probes, elapsed, jitter) => probe({ status, probes, jitter, now: at(elapsed) }) > elapsed,
    ),
  );
});

test('an action the customer must do is asked about after 15 minutes, then hourly, and at 23 hours for the last time', () => {
  const now = (seconds: number) => probe({ status: 'requires_action', now: at(seconds) });
  expect([now(0), now(900), now(4_500)]).toEqual([900, 4_500, 8_100]);
  expect(now(CANCEL_AFTER_MS / 1_000 - 60)).toBe(CANCEL_AFTER_MS / 1_000);
});

test('a processing debit is asked about every 6 hours for 5 business days, then daily', () => {
  const wait = (days: number) => (probe({ status: 'processing', now: at(days * 86_400) }) - days * 86_400) / 3_600;
  expect([0, 4, 5, 6, 7, 8].map(wait)).toEqual([6, 6, 6, 6, 24, 24]); // Saturday and Sunday do not count
});

test('a lease outlives the call and its one silent repeat, and nothing is sent late', () => {
  expect(LEASE_MS).toBeGreaterThanOrEqual(2 * CALL_TIMEOUT_MS + SEND_GUARD_MS);
});

test.each<{ hasObject: boolean; isKeyAlive: boolean; isWanted: boolean; replayed: boolean; means: string }>`
  hasObject | isKeyAlive | isWanted | replayed | means
  ${true}   | ${true}    | ${true}  | ${false} | ${'retrieve'}
  ${true}   | ${false}   | ${false} | ${true}  | ${'retrieve'}
  ${false}  | ${true}    | ${true}  | ${false} | ${'resend'}
  ${false}  | ${false}   | ${true}  | ${false} | ${'list'}
  ${false}  | ${true}    | ${false} | ${false} | ${'list'}
  ${false}  | ${true}    | ${true}  | ${true}  | ${'list'}
`('object $hasObject, key alive $isKeyAlive, wanted $isWanted, replayed 500 $replayed: $means', (row) => {
  expect(decideMeans({ ...row, lastWasReplayed500: row.replayed })).toBe(row.means);
});

const absent: AbsenceFacts = {
  now: at(1_600),
  callDeadlineAt: at(0),
  emptyListings: [at(900), at(1_500)],
  isInInbox: false,
};

test('absence is concluded from two complete listings 10 minutes apart, 15 minutes after the deadline', () => {
  expect(mayConcludeAbsence(absent)).toBe(true);
});

test.each<[string, Partial<AbsenceFacts>]>([
  ['one listing', { emptyListings: [at(1_500)] }],
  ['listings too near each other', { emptyListings: [at(950), at(1_500)] }],
  ['a first listing too early', { emptyListings: [at(899), at(1_500)] }],
  ['no listing at all', { emptyListings: [] }],
  ['a webhook that names it', { isInInbox: true }],
  ['a call that may still run', { callDeadlineAt: at(1_570), emptyListings: [at(2_500), at(3_500)] }],
])('absence is not concluded from %s', (_, missing) => {
  expect(mayConcludeAbsence({ ...absent, ...missing })).toBe(false);
});

test('an operation that no listing shows is looked for when a listing counts, again ten minutes later, and is then absent', () => {
  const facts = { callDeadlineAt: at(0), absentSince: null, isInInbox: false };
  expect(afterEmptyListing({ ...facts, listedAt: at(60) })).toEqual({ kind: 'look_again', absentSince: null, at: at(905) });
  expect(afterEmptyListing({ ...facts, listedAt: at(905) })).toEqual({ kind: 'look_again', absentSince: at(905), at: at(1_510) });
  expect(afterEmptyListing({ ...facts, listedAt: at(1_510), absentSince: at(905) })).toEqual({ kind: 'absent' });
});

test('an operation that a webhook names is never absent, but looked for again', () => {
  const facts = { callDeadlineAt: at(0), absentSince: at(905), isInInbox: true, listedAt: at(1_510) };
  expect(afterEmptyListing(facts)).toEqual({ kind: 'look_again', absentSince: at(905), at: at(2_115) });
});
