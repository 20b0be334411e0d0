import { expect, test } from '@jest/globals';
import {
  decidePause,
  decideResumption,
  nextResumeTry,
  pausesOf,
  type PauseFacts,
} from '../../../src/domain/subscription/pause.js';
import { aPauseable } from '../../builders/lifecycle-facts.js';

const now = new Date('2026-02-10T00:00:00Z');
const periodEnd = new Date('2026-03-01T00:00:00Z');
const pause = (more: Partial<PauseFacts> = {}, resumesAt: string | null = null, at = now) =>
  decidePause(aPauseable(more), { resumesAt: resumesAt === null ? null : new Date(resumesAt), now: at });
const past = (from: string, to: string | null) => ({ startedAt: new Date(from), endedAt: to === null ? null : new Date(to) });

test('a pause begins when the paid period ends, with an end or at most 180 days without one (V9)', () => {
  expect(pause({}, '2026-04-01T00:00:00Z')).toEqual({
    kind: 'at_period_end',
    startsAt: periodEnd,
    resumesAt: new Date('2026-04-01T00:00:00Z'),
    endsAt: null,
    entitledUntil: periodEnd,
  });
  expect(pause()).toMatchObject({ resumesAt: null, endsAt: new Date('2026-08-28T00:00:00Z') });
});

test.each<[string, Partial<PauseFacts>]>([
  ['ended', { status: 'unpaid' }],
  ['in a trial', { status: 'trialing' }],
  ['past due', { status: 'past_due' }],
  ['held', { hold: 'dispute' }],
  ['to end', { cancelAtPeriodEnd: true }],
  ['to be paused already', { pauseAtPeriodEnd: true }],
  ['to change', { hasPendingChange: true }],
  ['a gift', { isGift: true }],
  ['over and being renewed', { periodEnd: now }],
])('what is %s is not paused (V9)', (_, more) => {
  expect(pause(more)).toMatchObject({ kind: 'refused', code: 'INVALID_STATE' });
});

test.each(['2026-03-01T00:00:00Z', '2026-02-20T00:00:00Z', '2026-05-30T00:00:01Z'])('a pause does not end at %s (V9)', (at) => {
  expect(pause({}, at)).toMatchObject({ kind: 'refused', code: 'INVALID_INPUT' });
});

test('in 365 days there are at most two pauses, and 180 days of them (V9)', () => {
  const once = past('2025-06-01T00:00:00Z', '2025-06-02T00:00:00Z');
  expect(pause({ pauses: [once] })).toMatchObject({ kind: 'at_period_end' });
  expect(pause({ pauses: [once, once] })).toMatchObject({ kind: 'refused', code: 'RATE_LIMITED' });
  const longAgo = past('2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z');
  expect(pause({ pauses: [longAgo, longAgo] })).toMatchObject({ kind: 'at_period_end' });
  const long = past('2025-06-01T00:00:00Z', '2025-11-01T00:00:00Z');
  expect(pause({ pauses: [long] }, '2026-03-28T00:00:00Z')).toMatchObject({ kind: 'at_period_end' });
  expect(pause({ pauses: [long] }, '2026-03-29T00:00:00Z')).toMatchObject({ kind: 'refused', code: 'RATE_LIMITED' });
  expect(pause({ pauses: [long] })).toMatchObject({ endsAt: new Date('2026-03-28T00:00:00Z') });
  // Of one that began before, only its days within the year count: 31 of March.
  const partly = past('2024-10-01T00:00:00Z', '2025-04-01T00:00:00Z');
  expect(pause({ pauses: [partly] })).toMatchObject({ endsAt: new Date('2026-07-28T00:00:00Z') });
});

const resume = (more: Partial<PauseFacts> = {}, expectedVersion: number | null = null, at = now) =>
  decideResumption(aPauseable(more), { expectedVersion, now: at });

test('what has not taken effect is taken back, and the subscription renews (V6, V9)', () => {
  const slackEnd = new Date('2026-03-01T06:00:00Z');
  expect(resume({ cancelAtPeriodEnd: true })).toEqual({ kind: 'flag_cleared', flag: 'cancel', entitledUntil: slackEnd });
  expect(resume({ pauseAtPeriodEnd: true })).toEqual({ kind: 'flag_cleared', flag: 'pause', entitledUntil: slackEnd });
  expect(resume({ status: 'trialing', cancelAtPeriodEnd: true })).toMatchObject({ entitledUntil: slackEnd });
  expect(resume({ status: 'trialing', cancelAtPeriodEnd: true, hasMethod: false })).toMatchObject({ entitledUntil: periodEnd });
});

test('a cancellation that is taken back uncovers the pause that was planned before it (V9)', () => {
  expect(resume({ cancelAtPeriodEnd: true, pauseAtPeriodEnd: true })).toEqual({
    kind: 'flag_cleared',
    flag: 'cancel',
    entitledUntil: periodEnd,
  });
});

test('going on from a pause charges a full period from now, and never the paused time (V9, B5)', () => {
  const paused = { status: 'paused' as const, zone: 'Europe/Paris', epoch: 2 };
  expect(resume(paused, null, new Date('2026-04-17T08:00:00.400Z'))).toEqual({
    kind: 'charge_first',
    anchorLocal: '2026-04-17T10:00:00',
    period: { epoch: 3, n: 0, start: new Date('2026-04-17T08:00:00Z'), end: new Date('2026-05-17T08:00:00Z') },
  });
});

test.each<[string, Partial<PauseFacts>, number | null, string]>([
  ['of an old version', { cancelAtPeriodEnd: true }, 2, 'STALE_VERSION'],
  ['that has ended', { status: 'canceled' }, null, 'INVALID_STATE'],
  ['with nothing to take back', {}, null, 'INVALID_STATE'],
  ['whose cancellation takes effect now', { cancelAtPeriodEnd: true, periodEnd: now }, null, 'INVALID_STATE'],
  ['that is paused and held', { status: 'paused', hold: 'dispute' }, null, 'INVALID_STATE'],
])('a subscription %s does not go on', (_, more, version, code) => {
  expect(resume(more, version)).toMatchObject({ kind: 'refused', code });
});

test('the charge that ends a pause is tried again after one and three days, and then by the customer alone (V9)', () => {
  expect([1, 2, 3].map((failed) => nextResumeTry(periodEnd, failed))).toEqual([
    new Date('2026-03-02T00:00:00Z'),
    new Date('2026-03-04T00:00:00Z'),
    null,
  ]);
});

test('pauses are told by the events of a subscription: each lasts until another status follows, and the last one may still last', () => {
  const on = (status: PauseFacts['status'], day: string) => ({ status, at: new Date(day) });
  expect(pausesOf([])).toEqual([]);
  expect(pausesOf([on('incomplete', '2026-01-01'), on('active', '2026-01-01')])).toEqual([]);
  const events = [on('active', '2026-01-01'), on('paused', '2026-02-01'), on('paused', '2026-02-02'), on('active', '2026-03-01')];
  expect(pausesOf(events)).toEqual([past('2026-02-01', '2026-03-01')]);
  expect(pausesOf([...events, on('paused', '2026-04-01')])).toEqual([past('2026-02-01', '2026-03-01'), past('2026-04-01', null)]);
});
