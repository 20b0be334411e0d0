import { expect, test } from '@jest/globals';
import { DISPUTE_MOVES, decideDispute, decideHold, mayMoveDispute } from '../../../src/domain/dispute/dispute.js';

const moved = { isWithdrawn: true, isReinstated: true };
const taken = { isWithdrawn: true, isReinstated: false };
const none = { isWithdrawn: false, isReinstated: false };

test('won, lost and closed are ends', () => {
  const ends = Object.entries(DISPUTE_MOVES).filter(([, targets]) => targets.length === 0);
  expect(ends.map(([status]) => status)).toEqual(['won', 'lost', 'closed']);
  expect(mayMoveDispute('inquiry', 'open')).toBe(true);
});

test('a dispute is won only when the money is back', () => {
  expect(decideDispute('under_review', { status: 'won', ...taken })).toBe('under_review');
  expect(decideDispute('open', { status: 'won', ...taken })).toBe('open');
  expect(decideDispute('under_review', { status: 'won', ...moved })).toBe('won');
  expect(decideDispute(null, { status: 'won', ...taken })).toBe('under_review');
  expect(decideDispute('inquiry', { status: 'won', ...none })).toBe('won');
});

test('a dispute met for the first time stands where the provider says, and an ended one stays ended', () => {
  expect(decideDispute(null, { status: 'lost', ...taken })).toBe('lost');
  expect(decideDispute('lost', { status: 'open', ...taken })).toBe('lost');
  expect(decideDispute('open', { status: 'under_review', ...taken })).toBe('under_review');
});

test.each([
  ['a dispute that opens holds access', { hold: 'none', before: null, status: 'open', isAnyRunning: true }, 'dispute', false],
  ['an inquiry holds nothing', { hold: 'none', before: null, status: 'inquiry', isAnyRunning: false }, 'none', false],
  [
    'a dispute that is won gives it back',
    { hold: 'dispute', before: 'under_review', status: 'won', isAnyRunning: false },
    'none',
    true,
  ],
  [
    'one first met when it was won leaves the same',
    { hold: 'none', before: null, status: 'won', isAnyRunning: false },
    'none',
    true,
  ],
  [
    'one of two that is won leaves the hold',
    { hold: 'dispute', before: 'open', status: 'won', isAnyRunning: true },
    'dispute',
    true,
  ],
  [
    'one that opens after another was won holds',
    { hold: 'none', before: null, status: 'open', isAnyRunning: true },
    'dispute',
    false,
  ],
  [
    'an inquiry that is closed changes nothing',
    { hold: 'none', before: 'inquiry', status: 'closed', isAnyRunning: false },
    'none',
    false,
  ],
  ['a suspicion of fraud stays', { hold: 'fraud', before: 'open', status: 'won', isAnyRunning: false }, 'fraud', true],
] as const)('%s', (_title, facts, hold, needsConsent) => {
  expect(decideHold(facts)).toEqual({ hold, needsConsent });
});
