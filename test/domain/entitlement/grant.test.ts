import { expect, test } from '@jest/globals';
import { decideGrant, type GrantFacts } from '../../../src/domain/entitlement/grant.js';

const now = new Date('2026-02-10T00:00:00Z');
const wish: GrantFacts = { feature: { key: 'no_ads' }, expiresAt: new Date('2027-02-10T00:00:00Z'), note: 'Lost a day.', now };

test('staff give a right for up to a year, and say why', () => {
  expect(decideGrant(wish)).toEqual({ kind: 'approved', featureKey: 'no_ads', expiresAt: wish.expiresAt });
});

test.each<[string, Partial<GrantFacts>, string, string]>([
  ['of no feature', { feature: null }, 'NOT_FOUND', 'feature'],
  ['without a reason', { note: ' ' }, 'INVALID_INPUT', 'note'],
  ['until now', { expiresAt: now }, 'INVALID_INPUT', 'expiresAt'],
  ['for more than a year', { expiresAt: new Date('2027-02-11T00:00:01Z') }, 'INVALID_INPUT', 'expiresAt'],
])('a grant %s is refused', (_, more, code, field) => {
  expect(decideGrant({ ...wish, ...more })).toMatchObject({ kind: 'refused', code, field: ['input', field] });
});
