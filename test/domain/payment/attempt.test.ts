import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ATTEMPT_MOVES,
  decideAttempt,
  firstPaymentEnd,
  INTENT_MOVES,
  intentStatusOf,
  isEnd,
  mayMove,
  mayMoveIntent,
  transactionStatusOf,
  type AttemptFact,
  type AttemptStatus,
} from '../../../src/domain/payment/attempt.js';

const STATUSES = Object.keys(ATTEMPT_MOVES) as AttemptStatus[];
const FACTS = ['succeeded', 'processing', 'requires_action', 'declined', 'canceled', 'not_executed'] as const;

function fact(status: AttemptFact['status'], more: Partial<AttemptFact> = {}): AttemptFact {
  return { status, hasPaymentError: status === 'declined', wasSecretGiven: false, isCancelAsked: false, ...more };
}

function reachable(moves: Record<string, readonly string[]>, from: string): Set<string> {
  const seen = new Set([from]);
  for (const status of seen) for (const next of moves[status] ?? []) seen.add(next);
  return seen;
}

test('every state of attempts and intents can be reached from created', () => {
  expect(reachable(ATTEMPT_MOVES, 'created').size).toBe(STATUSES.length);
  expect(reachable(INTENT_MOVES, 'created').size).toBe(Object.keys(INTENT_MOVES).length);
});

test.each<{ current: AttemptStatus; told: AttemptFact['status']; decision: string }>`
  current              | told                 | decision
  ${'sent'}            | ${'succeeded'}       | ${'succeeded'}
  ${'unknown'}         | ${'succeeded'}       | ${'succeeded'}
  ${'unknown'}         | ${'requires_action'} | ${'requires_action'}
  ${'requires_action'} | ${'succeeded'}       | ${'succeeded'}
  ${'requires_action'} | ${'processing'}      | ${'processing'}
  ${'processing'}      | ${'declined'}        | ${'declined'}
  ${'sent'}            | ${'canceled'}        | ${'canceled'}
  ${'processing'}      | ${'requires_action'} | ${'nothing'}
  ${'requires_action'} | ${'requires_action'} | ${'nothing'}
  ${'sent'}            | ${'not_executed'}    | ${'nothing'}
  ${'created'}         | ${'succeeded'}       | ${'nothing'}
  ${'succeeded'}       | ${'succeeded'}       | ${'nothing'}
  ${'succeeded'}       | ${'processing'}      | ${'nothing'}
  ${'declined'}        | ${'canceled'}        | ${'nothing'}
  ${'succeeded'}       | ${'declined'}        | ${'contradiction'}
  ${'succeeded'}       | ${'canceled'}        | ${'contradiction'}
  ${'declined'}        | ${'succeeded'}       | ${'late_appearance'}
  ${'canceled'}        | ${'succeeded'}       | ${'late_appearance'}
  ${'not_executed'}    | ${'succeeded'}       | ${'late_appearance'}
  ${'not_executed'}    | ${'requires_action'} | ${'late_appearance'}
`('a $current attempt told $told: $decision', ({ current, told, decision }) => {
  const decided = decideAttempt(current, fact(told));
  const word = decided.kind === 'apply' ? decided.to : decided.kind === 'contradiction' ? decided.finding : decided.kind;
  expect(word).toBe(decision);
});

test('a decline while the client holds the secret is settled only by the provider canceling', () => {
  const held = { wasSecretGiven: true };
  expect(decideAttempt('requires_action', fact('declined', held))).toEqual({ kind: 'cancel_first' });
  expect(decideAttempt('requires_action', fact('declined', { ...held, isCancelAsked: true }))).toEqual({ kind: 'nothing' });
  const failed = fact('canceled', { ...held, isCancelAsked: true, hasPaymentError: true });
  expect(decideAttempt('requires_action', failed)).toEqual({ kind: 'apply', to: 'declined' });
  const givenUp = fact('canceled', { ...held, isCancelAsked: true });
  expect(decideAttempt('requires_action', givenUp)).toEqual({ kind: 'apply', to: 'canceled' });
  expect(decideAttempt('requires_action', fact('succeeded', { ...held, isCancelAsked: true }))).toEqual({
    kind: 'apply',
    to: 'succeeded',
  });
});

const anyFact = fc.record<AttemptFact>({
  status: fc.constantFrom(...FACTS),
  hasPaymentError: fc.boolean(),
  wasSecretGiven: fc.boolean(),
  isCancelAsked: fc.boolean(),
});

test('whatever the facts and their order, only allowed moves are made, and every fact seen twice in a row does nothing the second time', () => {
  fc.assert(
    fc.property(fc.constantFrom(...STATUSES), fc.array(anyFact, { maxLength: 8 }), (start, facts) => {
      let status: AttemptStatus = start;
      for (const told of facts) {
        const decided = decideAttempt(status, told);
        if (decided.kind !== 'apply') continue;
        if (!mayMove(status, decided.to) || isEnd(status) || !mayMoveOrSame(intentStatusOf(status), intentStatusOf(decided.to)))
          return false;
        status = decided.to;
        if (decideAttempt(status, told).kind !== 'nothing') return false;
      }
      return true;
    }),
  );
});

function mayMoveOrSame(from: ReturnType<typeof intentStatusOf>, to: ReturnType<typeof intentStatusOf>): boolean {
  return from === to || mayMoveIntent(from, to);
}

test('the order of two facts does not matter unless one contradicts the other', () => {
  const settled = fc.constantFrom(...FACTS).map((status) => fact(status));
  const after = (facts: AttemptFact[]) =>
    facts.reduce<AttemptStatus>((status, told) => {
      const decided = decideAttempt(status, told);
      return decided.kind === 'apply' ? decided.to : status;
    }, 'sent');
  fc.assert(
    fc.property(settled, settled, (a, b) => {
      const ends = [a, b].filter((f) => ['succeeded', 'declined', 'canceled'].includes(f.status));
      fc.pre(ends.length < 2 || a.status === b.status);
      return after([a, b]) === after([b, a]);
    }),
  );
});

test.each<{ attempt: AttemptStatus; transaction: string }>`
  attempt           | transaction
  ${'created'}      | ${'pending'}
  ${'sent'}         | ${'pending'}
  ${'unknown'}      | ${'unknown'}
  ${'processing'}   | ${'processing'}
  ${'succeeded'}    | ${'succeeded'}
  ${'declined'}     | ${'failed'}
  ${'not_executed'} | ${'failed'}
  ${'late_failed'}  | ${'failed'}
  ${'canceled'}     | ${'canceled'}
`('the history shows a $attempt attempt as $transaction', ({ attempt, transaction }) => {
  expect(transactionStatusOf(attempt)).toBe(transaction);
});

test('a first payment that ends without money ends all that hung on it', () => {
  const rest = { invoice: 'void', subscription: 'incomplete_expired', purchase: 'failed' };
  expect(firstPaymentEnd('declined')).toEqual({ intent: 'failed', ...rest });
  expect(firstPaymentEnd('not_executed')).toEqual({ intent: 'failed', ...rest });
  expect(firstPaymentEnd('canceled')).toEqual({ intent: 'canceled', ...rest });
});
