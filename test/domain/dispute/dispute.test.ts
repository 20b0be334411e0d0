import { expect, test } from '@jest/globals';
import { decideDispute, DISPUTE_MOVES, mayMoveDispute } from '../../../src/domain/dispute/dispute.js';

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
