import { expect, test } from '@jest/globals';
import {
  cardExpiryNotices,
  decideMigration,
  renewalNotices,
  riseNotices,
  trialNotices,
  yearlyReminder,
  type KeptNotice,
  type MigrationFacts,
  type PlannedNotice,
} from '../../../src/domain/consent/notices.js';

const day = (text: string) => new Date(`${text}T00:00:00Z`);
const days = (planned: readonly PlannedNotice[]) => planned.map(({ dueAt }) => dueAt.toISOString().slice(0, 10));

test('the end of a trial is told eight and four days before; of a week or less at its start and a day before (C)', () => {
  expect(days(trialNotices(day('2026-01-01'), day('2026-01-31')))).toEqual(['2026-01-23', '2026-01-27']);
  expect(days(trialNotices(day('2026-01-01'), day('2026-01-08')))).toEqual(['2026-01-01', '2026-01-07']);
  expect(days(trialNotices(day('2026-01-01'), day('2026-01-02')))).toEqual(['2026-01-01']);
});

test('the renewal of half a year and more is told twenty days before, a shorter one is not (C)', () => {
  expect(days(renewalNotices({ unit: 'year', count: 1 }, day('2026-03-21')))).toEqual(['2026-03-01']);
  expect(days(renewalNotices({ unit: 'month', count: 6 }, day('2026-03-21')))).toEqual(['2026-03-01']);
  expect(renewalNotices({ unit: 'month', count: 5 }, day('2026-03-21'))).toEqual([]);
});

test('a card that will have expired is told of before the next payment, and everybody once a year (C)', () => {
  expect(days(cardExpiryNotices(day('2026-03-01'), day('2026-03-31')))).toEqual(['2026-03-01', '2026-03-24']);
  expect(cardExpiryNotices(day('2026-04-01'), day('2026-03-31'))).toEqual([]);
  expect(days([yearlyReminder(day('2026-03-01'))])).toEqual(['2027-03-01']);
});

const effectiveAt = day('2026-03-31');
const sent = (at: string): KeptNotice[] =>
  riseNotices(effectiveAt).map((notice) => ({ ...notice, sentAt: day(at), messageId: 'm1' }));
const rise: MigrationFacts = {
  oldMinor: 10_00n,
  newMinor: 12_00n,
  effectiveAt,
  notices: sent('2026-03-23'),
  announcedCapBps: null,
  isOptedIn: null,
};

test('a rise is charged only when it is proven that it was told in time (C2, N6)', () => {
  expect(decideMigration(rise)).toEqual({ kind: 'new_price' });
  expect(decideMigration({ ...rise, notices: sent('2026-03-24') })).toEqual({ kind: 'new_price' });
  expect(decideMigration({ ...rise, notices: sent('2026-03-25') })).toEqual({ kind: 'keep_old' });
  expect(decideMigration({ ...rise, notices: sent('2026-03-23').slice(1) })).toEqual({ kind: 'keep_old' });
  const unproven = sent('2026-03-23').map((notice) => ({ ...notice, messageId: null }));
  expect(decideMigration({ ...rise, notices: unproven })).toEqual({ kind: 'keep_old' });
});

test('a fall is charged at once, told or not (N6)', () => {
  expect(decideMigration({ ...rise, newMinor: 9_99n, notices: [] })).toEqual({ kind: 'new_price' });
});

test('a rise beyond double, or beyond what was announced, needs a yes, else the subscription ends (C3)', () => {
  expect(decideMigration({ ...rise, newMinor: 20_00n })).toEqual({ kind: 'new_price' });
  expect(decideMigration({ ...rise, newMinor: 20_01n })).toEqual({ kind: 'cancel_at_period_end' });
  expect(decideMigration({ ...rise, newMinor: 20_01n, isOptedIn: false })).toEqual({ kind: 'cancel_at_period_end' });
  expect(decideMigration({ ...rise, newMinor: 20_01n, isOptedIn: true })).toEqual({ kind: 'new_price' });
  expect(decideMigration({ ...rise, announcedCapBps: 1_999 })).toEqual({ kind: 'cancel_at_period_end' });
  expect(decideMigration({ ...rise, announcedCapBps: 2_000 })).toEqual({ kind: 'new_price' });
});
