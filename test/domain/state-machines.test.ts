/** Whatever is told, in whatever order and however often, no state machine leaves its table, and what is true in the end is what stays. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideDispute, DISPUTE_MOVES, mayMoveDispute, type DisputeStatus } from '../../src/domain/dispute/dispute.js';
import {
  ATTEMPT_MOVES,
  decideAttempt,
  firstPaymentEnd,
  intentStatusOf,
  mayMove,
  mayMoveIntent,
  type AttemptFact,
  type AttemptStatus,
} from '../../src/domain/payment/attempt.js';
import { decideRefundFact, mayMoveRefund, REFUND_MOVES, type RefundStatus } from '../../src/domain/refund/refund.js';
import {
  decideCancel,
  entitledUntilFor,
  hasEnded,
  mayMoveSubscription,
  SLACK_MS,
  type SubscriptionStatus,
} from '../../src/domain/subscription/subscription.js';
import { decideResumption } from '../../src/domain/subscription/pause.js';
import { aPauseable } from '../builders/lifecycle-facts.js';

const RUNS = 2_000;

/** Every status in the order in which it was entered. */
type Path<Status> = Status[];

/** Enters a status unless it is the present one. @throws Error for a move that the table does not have */
function enter<Status extends string>(path: Path<Status>, to: Status, may: (from: Status, to: Status) => boolean): void {
  const from = path.at(-1);
  if (from === undefined || from === to) return;
  if (!may(from, to)) throw new Error(`${from} -> ${to} is not in the table`);
  path.push(to);
}

/** A rank that falls would lead back to a status that was left. */
function everLeftAndEntered(path: readonly string[]): boolean {
  return new Set(path).size < path.length;
}

/** Steps of an attempt that are ours, beside the facts that a provider tells. */
type OwnStep = 'send' | 'lose the answer' | 'conclude absence' | 'give up unsent';
type AttemptStep = OwnStep | AttemptFact['status'] | 'canceled after an error';

/** One step as the use cases make it: the secret is out once the customer has a step to do. */
function stepAttempt(path: Path<AttemptStatus>, step: AttemptStep): void {
  const status = path.at(-1) ?? 'created';
  switch (step) {
    case 'send':
      if (status === 'created') enter(path, 'sent', mayMove);
      return;
    case 'lose the answer':
      if (status === 'sent') enter(path, 'unknown', mayMove);
      return;
    case 'conclude absence':
      if (status === 'sent' || status === 'unknown') enter(path, 'not_executed', mayMove);
      return;
    case 'give up unsent':
      if (status === 'created') enter(path, 'canceled', mayMove);
      return;
    default: {
      const decided = decideAttempt(status, {
        status: step === 'canceled after an error' ? 'canceled' : step,
        hasPaymentError: step === 'declined' || step === 'canceled after an error',
        wasSecretGiven: status === 'requires_action',
        isCancelAsked: false,
      });
      if (decided.kind === 'apply') enter(path, decided.to, mayMove);
      // The provider cancels what the customer could still have paid, and its word is the next fact.
      if (decided.kind === 'cancel_first') stepAttempt(path, 'canceled after an error');
    }
  }
}

const ATTEMPT_STEPS: readonly AttemptStep[] = [
  'send',
  'lose the answer',
  'conclude absence',
  'give up unsent',
  'succeeded',
  'processing',
  'requires_action',
  'declined',
  'canceled',
  'canceled after an error',
  'not_executed',
];

test('no steps and facts lead an attempt or its intent out of the tables, its rank never falls, and a success stays', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ATTEMPT_STEPS), { maxLength: 14 }), (steps) => {
      const path: Path<AttemptStatus> = ['created'];
      for (const step of ['send' as const, ...steps]) stepAttempt(path, step);
      const intents: Path<ReturnType<typeof intentStatusOf>> = ['created'];
      for (const status of path) {
        const isEndWithoutMoney = status === 'declined' || status === 'not_executed' || status === 'canceled';
        enter(intents, isEndWithoutMoney ? firstPaymentEnd(status).intent : intentStatusOf(status), mayMoveIntent);
      }
      const succeededAt = path.indexOf('succeeded');
      if (succeededAt >= 0) expect(['succeeded', 'late_failed']).toContain(path.at(-1));
      const endsAt = path.findIndex((status) => status !== 'succeeded' && ATTEMPT_MOVES[status].length === 0);
      expect(endsAt === -1 || endsAt === path.length - 1).toBe(true);
      expect(everLeftAndEntered(path)).toBe(false);
    }),
    { numRuns: RUNS },
  );
});

/** What one payment object at the provider can have been, from first to last. */
const PAYMENT_HISTORIES: readonly (readonly AttemptStep[])[] = [
  ['succeeded'],
  ['declined'],
  ['processing', 'succeeded'],
  ['processing', 'declined'],
  ['processing', 'canceled'],
  ['requires_action', 'succeeded'],
  ['requires_action', 'processing', 'succeeded'],
  ['requires_action', 'processing', 'declined'],
  ['requires_action', 'canceled'],
  ['requires_action', 'declined', 'canceled after an error'],
];

/** The facts of one history, each at least once, in any order. */
function shuffled<Fact>(histories: readonly (readonly Fact[])[]): fc.Arbitrary<{ history: readonly Fact[]; told: Fact[] }> {
  return fc.constantFrom(...histories).chain((history) =>
    fc
      .array(fc.constantFrom(...history), { maxLength: 6 })
      .chain((again) => fc.shuffledSubarray([...history, ...again], { minLength: history.length + again.length }))
      .map((told) => ({ history, told })),
  );
}

test('an attempt ends alike in whatever order, and however often, the facts of its one object are told', () => {
  const endAfter = (told: readonly AttemptStep[], first: OwnStep[]): AttemptStatus | undefined => {
    const path: Path<AttemptStatus> = ['created'];
    for (const step of [...first, ...told]) stepAttempt(path, step);
    return path.at(-1);
  };
  fc.assert(
    fc.property(shuffled(PAYMENT_HISTORIES), fc.boolean(), ({ history, told }, isAnswerLost) => {
      const first: OwnStep[] = isAnswerLost ? ['send', 'lose the answer'] : ['send'];
      expect(endAfter(told, first)).toBe(endAfter(history, first));
    }),
    { numRuns: RUNS },
  );
});

/** A refund as the provider tells it: how it stands, and whether our balance was ever debited for it. */
interface ToldRefund {
  status: 'pending' | 'succeeded' | 'failed' | 'canceled';
  wasDebited: boolean;
}
type RefundStep = 'send' | 'lose the answer' | ToldRefund;

function stepRefund(path: Path<RefundStatus>, step: RefundStep): void {
  const status = path.at(-1) ?? 'created';
  if (step === 'send') {
    if (status === 'created') enter(path, 'sent', mayMoveRefund);
  } else if (step === 'lose the answer') {
    if (status === 'sent') enter(path, 'unknown', mayMoveRefund);
  } else {
    const decided = decideRefundFact(status, step.status, step.wasDebited);
    if (decided.kind === 'apply') enter(path, decided.to, mayMoveRefund);
  }
}

const toldRefund = fc.record<ToldRefund>({
  status: fc.constantFrom('pending', 'succeeded', 'failed', 'canceled'),
  wasDebited: fc.boolean(),
});

test('no steps and facts lead a refund out of its table, its rank never falls, and what has ended stays', () => {
  const step = fc.oneof(fc.constantFrom<RefundStep>('send', 'lose the answer'), toldRefund);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const path: Path<RefundStatus> = ['created'];
      for (const one of ['send' as const, ...steps]) stepRefund(path, one);
      const endsAt = path.findIndex((status) => REFUND_MOVES[status].length === 0);
      expect(endsAt === -1 || endsAt === path.length - 1).toBe(true);
      expect(everLeftAndEntered(path)).toBe(false);
      // Once money left for the customer, only its coming back changes that.
      if (path.includes('succeeded')) expect(['succeeded', 'failed']).toContain(path.at(-1));
    }),
    { numRuns: RUNS },
  );
});

const debited = (status: ToldRefund['status']): ToldRefund => ({ status, wasDebited: true });
const REFUND_HISTORIES: readonly (readonly ToldRefund[])[] = [
  [debited('succeeded')],
  [debited('pending'), debited('succeeded')],
  [debited('pending'), debited('failed')],
  [debited('pending'), debited('canceled')],
  [debited('succeeded'), debited('failed')],
  [debited('pending'), debited('succeeded'), debited('failed')],
  [{ status: 'canceled', wasDebited: false }],
];

test('a refund ends alike in whatever order, and however often, the facts of its one object are told', () => {
  const endAfter = (told: readonly RefundStep[]): RefundStatus | undefined => {
    const path: Path<RefundStatus> = ['created'];
    for (const step of ['send' as const, ...told]) stepRefund(path, step);
    return path.at(-1);
  };
  const history = [debited('pending'), debited('canceled')];
  fc.assert(
    fc.property(shuffled(REFUND_HISTORIES), ({ history: inOrder, told }) => {
      expect(endAfter(told)).toBe(endAfter(inOrder));
    }),
    {
      numRuns: RUNS,
      // Told backwards it was taken for one that never began: the customer got no credit for money that had come back to us.
      examples: [[{ history, told: history.toReversed() }]],
    },
  );
});

/** A dispute as the provider tells it. Its lines of the books only ever grow. */
interface ToldDispute {
  status: DisputeStatus;
  isWithdrawn: boolean;
  isReinstated: boolean;
}

const DISPUTE_STATUSES = Object.keys(DISPUTE_MOVES) as DisputeStatus[];
const toldDispute = fc
  .record({ status: fc.constantFrom(...DISPUTE_STATUSES), lines: fc.nat(2) })
  .map(({ status, lines }): ToldDispute => ({ status, isWithdrawn: lines > 0, isReinstated: lines > 1 }));

function disputePath(told: readonly ToldDispute[]): Path<DisputeStatus> {
  const path: Path<DisputeStatus> = [];
  for (const one of told) {
    const next = decideDispute(path.at(-1) ?? null, one);
    if (path.length === 0) path.push(next);
    else enter(path, next, mayMoveDispute);
  }
  return path;
}

test('no facts lead a dispute out of its table, an end stays, and one that took money is won only when the money is back', () => {
  fc.assert(
    fc.property(fc.array(toldDispute, { minLength: 1, maxLength: 12 }), (told) => {
      const path = disputePath(told);
      const endsAt = path.findIndex((status) => DISPUTE_MOVES[status].length === 0);
      expect(endsAt === -1 || endsAt === path.length - 1).toBe(true);
      expect(path.indexOf('inquiry')).toBeLessThanOrEqual(0);
      if (path.at(-1) === 'won') {
        expect(told.some((one) => one.isReinstated || (one.status === 'won' && !one.isWithdrawn))).toBe(true);
      }
    }),
    { numRuns: RUNS },
  );
});

const taken = (status: DisputeStatus): ToldDispute => ({ status, isWithdrawn: true, isReinstated: false });
const asked = (status: DisputeStatus): ToldDispute => ({ status, isWithdrawn: false, isReinstated: false });
const DISPUTE_HISTORIES: readonly (readonly ToldDispute[])[] = [
  [asked('inquiry'), asked('closed')],
  [taken('open'), taken('lost')],
  [asked('inquiry'), taken('open'), taken('under_review'), taken('lost')],
  [taken('open'), taken('under_review'), taken('won'), { status: 'won', isWithdrawn: true, isReinstated: true }],
];

test('a dispute ends alike in whatever order, and however often, the facts of its one object are told', () => {
  fc.assert(
    fc.property(shuffled(DISPUTE_HISTORIES), ({ history, told }) => {
      expect(disputePath(told).at(-1)).toBe(disputePath(history).at(-1));
    }),
    { numRuns: RUNS },
  );
});

const START = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const PERIOD_END = new Date(START + 30 * 24 * HOUR_MS);

type SubscriptionStep = 'paid' | 'not paid' | 'cancel' | 'cancel now' | 'resume' | 'refunded' | 'disputed' | 'period ends';

test('no steps lead a subscription out of its table, what has ended gives no access again, and access never outlasts what was paid', () => {
  const steps = fc.array(
    fc.tuple(
      fc.constantFrom<SubscriptionStep[]>(
        'paid',
        'not paid',
        'cancel',
        'cancel now',
        'resume',
        'refunded',
        'disputed',
        'period ends',
      ),
      fc.nat(400),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const path: Path<SubscriptionStatus> = ['incomplete'];
      let now = new Date(START);
      let cancelAtPeriodEnd = false;
      let entitledUntil = entitledUntilFor({ status: 'incomplete', periodStart: now });
      let endedAtMs = Infinity;
      const end = (to: SubscriptionStatus): void => {
        endedAtMs = Math.min(endedAtMs, now.getTime());
        if (entitledUntil > now) entitledUntil = now;
        enter(path, to, mayMoveSubscription);
      };
      for (const [step, hours] of taken) {
        now = new Date(now.getTime() + hours * HOUR_MS);
        const status = path.at(-1) ?? 'incomplete';
        const facts = { status, version: path.length, cancelAtPeriodEnd, periodEnd: PERIOD_END };
        if (step === 'paid' && status === 'incomplete') {
          enter(path, 'active', mayMoveSubscription);
          entitledUntil = entitledUntilFor({ status: 'active', periodEnd: PERIOD_END, endsAtPeriodEnd: false });
        } else if (step === 'not paid' && status === 'incomplete') {
          end(firstPaymentEnd('declined').subscription);
        } else if (step === 'cancel' || step === 'cancel now') {
          const decided = decideCancel(facts, { immediately: step === 'cancel now', expectedVersion: null, now });
          expect(decided.kind === 'refused').toBe(hasEnded(status));
          if (decided.kind === 'now') end('canceled');
          if (decided.kind === 'at_period_end') [cancelAtPeriodEnd, entitledUntil] = [true, decided.entitledUntil];
        } else if (step === 'resume') {
          const decided = decideResumption(aPauseable(facts), { expectedVersion: null, now });
          if (hasEnded(status)) expect(decided.kind).toBe('refused');
          if (decided.kind === 'flag_cleared') [cancelAtPeriodEnd, entitledUntil] = [false, decided.entitledUntil];
        } else if (
          step === 'refunded' ||
          step === 'disputed' ||
          (step === 'period ends' && cancelAtPeriodEnd && now >= PERIOD_END)
        ) {
          if (status !== 'incomplete' && !hasEnded(status)) end('canceled');
        }
        expect(entitledUntil.getTime()).toBeLessThanOrEqual(PERIOD_END.getTime() + SLACK_MS);
        expect(entitledUntil.getTime()).toBeLessThanOrEqual(endedAtMs);
      }
    }),
    { numRuns: RUNS },
  );
});
