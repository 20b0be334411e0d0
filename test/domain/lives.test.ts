/**
 * A hundred thousand lives of one charge: an invoice is owed, paid or not, given back in parts, contested, won, lost, in any order and
 * as late as it likes. Each step is composed from the rules as the use cases compose them; after each step the books tie to the facts.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideDisputeStep, type ToldDispute } from '../../src/domain/dispute/dispute.js';
import type { AccountCode } from '../../src/domain/ledger/chart.js';
import {
  disputeLost,
  disputeReinstated,
  disputeWithdrawn,
  invoiceFinalized,
  invoiceVoided,
  orphanReceipt,
  paymentSucceeded,
  providerFee,
  refundCanceled,
  refundFailed,
  refundParts,
  refundRequested,
  refundSettled,
  type Movement,
} from '../../src/domain/ledger/journals.js';
import {
  reopenAfterCanceledRefund,
  splitAfterPartialRefund,
  stopSchedule,
  unearnedOn,
  type RevenueSchedule,
} from '../../src/domain/ledger/revenue.js';
import { decideAttempt, type AttemptStatus } from '../../src/domain/payment/attempt.js';
import { decideRefund, decideRefundFact, type RefundStatus } from '../../src/domain/refund/refund.js';
import { Books } from '../support/books.js';

const LIVES = 100_000;
const USD = 'USD';
const DAYS = Array.from({ length: 60 }, (_, i) => new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10));
const DISPUTE_FEE = 15_00n;

interface Refund {
  status: RefundStatus;
  amountMinor: bigint;
  requested: Movement[];
  /** What the provider has of it; null before it was asked. */
  there: { status: 'pending' | 'succeeded' | 'failed' | 'canceled'; wasDebited: boolean } | 'refused' | null;
}

interface Dispute {
  amountMinor: bigint;
  booked: ToldDispute | null;
  there: ToldDispute;
  lostMinor: bigint;
}

type Outcome = 'succeeded' | 'processing' | 'requires_action' | 'declined' | 'canceled';

/** One charge with all that became of it: what we hold of it, and what the provider does. */
class Life {
  day = 0;
  attempt: AttemptStatus = 'created';
  invoice: 'open' | 'paid' | 'void' = 'open';
  refunds: Refund[] = [];
  disputes: Dispute[] = [];
  schedules: RevenueSchedule[] = [];
  creditMinor = 0n;
  orphanMinor = 0n;
  readonly books = new Books();
  /** The provider's payment, and its balance of ours. */
  payment: Outcome | null = null;
  balanceMinor = 0n;

  constructor(
    readonly kind: 'period' | 'purchase',
    readonly netMinor: bigint,
  ) {
    if (kind === 'period') {
      this.schedules.push({ seq: 1, netMinor, startsOn: this.today, endsOn: at(30), stoppedOn: null, reversedMinor: 0n });
    }
    this.#post('invoice', invoiceFinalized({ kind, netMinor, taxMinor: 0n, currency: USD }));
  }

  get today(): string {
    return at(this.day);
  }

  get feeMinor(): bigint {
    return (this.netMinor * 29n) / 1_000n + 30n;
  }

  /** Of the charge, what the provider could still give back. */
  get leftThereMinor(): bigint {
    if (this.payment !== 'succeeded') return 0n;
    const refunded = this.refunds.filter(
      ({ there }) => there !== null && there !== 'refused' && /pending|succeeded/.test(there.status),
    );
    const contested = this.disputes.filter(({ there }) => there.isWithdrawn && !there.isReinstated);
    return this.netMinor - sum(refunded) - sum(contested);
  }

  #post(source: string, movements: readonly Movement[]): void {
    this.books.post(source, movements);
  }

  balanceOf(code: AccountCode): bigint {
    return this.books.balanceOf(code);
  }

  #running(): RevenueSchedule | undefined {
    return this.schedules.find(({ stoppedOn }) => stoppedOn === null);
  }

  #take(unearnedMinor: bigint): void {
    const running = this.#running();
    if (!running || unearnedMinor === 0n) return;
    const { stopped, next } = splitAfterPartialRefund(running, this.today, unearnedMinor);
    Object.assign(running, stopped);
    if (next) this.schedules.push(next);
  }

  charged(to: Outcome): void {
    const isOpen = this.payment === null || this.payment === 'processing' || this.payment === 'requires_action';
    if (this.attempt === 'created' || !isOpen) return;
    if (to === 'requires_action' && this.payment === 'processing') return;
    this.payment = to;
    if (to === 'succeeded') this.balanceMinor += this.netMinor - this.feeMinor;
  }

  look(): void {
    const { payment } = this;
    if (payment === null) return;
    const decided = decideAttempt(this.attempt, {
      status: payment,
      hasPaymentError: payment === 'declined',
      wasSecretGiven: this.attempt === 'requires_action',
      isCancelAsked: false,
    });
    if (decided.kind === 'cancel_first') return this.#end('declined');
    if (decided.kind === 'contradiction' && payment === 'succeeded') return this.#bookOrphan();
    if (decided.kind !== 'apply') return;
    if (decided.to === 'declined' || decided.to === 'canceled') return this.#end(decided.to);
    this.attempt = decided.to;
    if (decided.to !== 'succeeded') return;
    this.invoice = 'paid';
    this.#post('charge', paymentSucceeded(this.netMinor, USD, false));
    this.#post('charge record', providerFee(this.feeMinor, USD));
  }

  concludeAbsence(): void {
    if (this.attempt === 'sent' || this.attempt === 'unknown') this.#end('not_executed');
  }

  #end(to: 'declined' | 'canceled' | 'not_executed'): void {
    this.attempt = to;
    let unearned = 0n;
    for (const schedule of this.schedules.filter(({ stoppedOn }) => stoppedOn === null)) {
      const stop = stopSchedule(schedule, this.today);
      unearned += stop.reversedMinor;
      Object.assign(schedule, stop);
    }
    this.invoice = 'void';
    this.#post('invoice', invoiceVoided({ kind: this.kind, netMinor: this.netMinor, taxMinor: 0n, currency: USD }, unearned));
  }

  #bookOrphan(): void {
    if (this.orphanMinor > 0n) return;
    this.orphanMinor = this.netMinor;
    this.#post('orphan record', providerFee(this.feeMinor, USD));
    this.#post('orphan', orphanReceipt(this.netMinor, USD));
  }

  askRefund(share: number): void {
    const asked = share === 0 ? null : { minor: partOf(this.netMinor, share), currency: USD };
    const decision = decideRefund({
      status: this.attempt,
      amountMinor: this.netMinor,
      currency: USD,
      refunds: this.refunds,
      disputes: this.disputes.flatMap(({ booked, amountMinor }) => (booked ? [{ ...booked, amountMinor }] : [])),
      notedMinor: 0n,
      asked,
    });
    if (decision.kind === 'refused') return;
    const running = this.#running();
    const source = {
      amountMinor: decision.amount.minor,
      currency: USD,
      invoiceNetMinor: this.netMinor,
      invoiceTaxMinor: 0n,
      unearnedMinor: running ? unearnedOn(running, this.today) : 0n,
    };
    const requested = refundRequested(source);
    this.#post(`refund ${this.refunds.length}`, requested);
    this.#take(refundParts(source).unearned);
    this.refunds.push({ status: 'created', amountMinor: source.amountMinor, requested, there: null });
  }

  sendRefund(share: number): void {
    const refund = this.refunds[share % this.refunds.length];
    if (refund?.status !== 'created') return;
    refund.status = share % 3 === 0 ? 'unknown' : 'sent';
    const isRefused =
      refund.amountMinor > this.leftThereMinor || this.disputes.some(({ there }) => /open|under_review/.test(there.status));
    if (isRefused) {
      refund.there = 'refused';
      return;
    }
    refund.there = { status: share % 2 === 0 ? 'pending' : 'succeeded', wasDebited: true };
    this.balanceMinor -= refund.amountMinor;
  }

  moveRefund(to: 'succeeded' | 'failed' | 'canceled', share: number): void {
    const there = this.refunds[share % this.refunds.length]?.there;
    const isOpen =
      there && there !== 'refused' && (there.status === 'pending' || (there.status === 'succeeded' && to === 'failed'));
    if (!isOpen) return;
    there.status = to;
    if (to !== 'succeeded') this.balanceMinor += this.refunds[share % this.refunds.length]?.amountMinor ?? 0n;
  }

  lookAtRefund(nth: number): void {
    const refund = this.refunds[nth];
    if (!refund || refund.there === null) return;
    if (refund.there === 'refused') {
      if (refund.status === 'sent' || refund.status === 'unknown') this.#cancelRefund(refund, nth);
      return;
    }
    const decided = decideRefundFact(refund.status, refund.there.status, refund.there.wasDebited);
    if (decided.kind !== 'apply') return;
    if (decided.to === 'canceled') return this.#cancelRefund(refund, nth);
    const wasAccepted = refund.status === 'pending' || refund.status === 'succeeded';
    refund.status = decided.to;
    if (!wasAccepted) this.#post(`refund ${nth}`, refundSettled(refund.amountMinor, USD));
    if (decided.to !== 'failed') return;
    this.#post(`refund ${nth}`, refundFailed(refund.amountMinor, USD));
    this.creditMinor += refund.amountMinor;
  }

  #cancelRefund(refund: Refund, nth: number): void {
    refund.status = 'canceled';
    this.#post(`refund ${nth}`, refundCanceled(refund.requested));
    const unearned = refund.requested.find(({ leg }) => leg === 'unearned');
    const last = this.schedules.at(-1);
    if (!unearned || !last) return;
    const { stopped, next } = reopenAfterCanceledRefund(last, this.today, unearned.amountMinor);
    if (stopped) Object.assign(last, stopped);
    this.schedules.push(next);
  }

  contest(share: number): void {
    const amountMinor = partOf(this.leftThereMinor, Math.max(share, 1));
    if (amountMinor === 0n || this.disputes.length === 2) return;
    const status = share % 2 === 0 ? 'inquiry' : 'open';
    this.disputes.push({ amountMinor, booked: null, there: { status, isWithdrawn: false, isReinstated: false }, lostMinor: 0n });
  }

  /** The bank's next step in a dispute that is not decided; its lines may come before or after the verdict. */
  moveDispute(step: 'take' | 'review' | 'give back' | 'rule against' | 'close', share: number): void {
    const dispute = this.disputes[share % this.disputes.length];
    if (!dispute) return;
    const { there } = dispute;
    const isRunning = there.status === 'open' || there.status === 'under_review';
    switch (step) {
      case 'take':
        if (there.status === 'inquiry') there.status = 'open';
        else if (!isRunning && there.status !== 'lost') return;
        if (there.isWithdrawn || dispute.amountMinor > this.leftThereMinor) return;
        there.isWithdrawn = true;
        this.balanceMinor -= dispute.amountMinor + DISPUTE_FEE;
        return;
      case 'review':
        if (isRunning) there.status = share % 2 === 0 ? 'under_review' : 'open';
        return;
      case 'give back':
        if (!isRunning) return;
        if (there.isWithdrawn && !there.isReinstated) {
          there.isReinstated = true;
          this.balanceMinor += dispute.amountMinor;
        }
        if (share % 2 === 0) there.status = 'won';
        return;
      case 'rule against':
        if (isRunning && !there.isReinstated) there.status = 'lost';
        return;
      case 'close':
        if (there.status === 'inquiry' || (isRunning && !there.isReinstated)) there.status = 'closed';
    }
  }

  lookAtDispute(nth: number): void {
    const dispute = this.disputes[nth];
    if (!dispute || this.attempt !== 'succeeded') return;
    const { there, booked, amountMinor } = dispute;
    const step = decideDisputeStep(booked, there);
    dispute.booked = { status: step.status, isWithdrawn: there.isWithdrawn, isReinstated: there.isReinstated };
    if (step.withdraws) this.#post(`withdrawal ${nth}`, disputeWithdrawn(amountMinor, DISPUTE_FEE, USD));
    if (step.reinstates) this.#post(`reversal ${nth}`, disputeReinstated(amountMinor, 0n, USD));
    if (!step.loses) return;
    const running = this.#running();
    const unearned = running ? unearnedOn(running, this.today) : 0n;
    this.#post(`dispute ${nth}`, disputeLost(amountMinor, unearned, USD));
    this.#take(amountMinor < unearned ? amountMinor : unearned);
    dispute.lostMinor = amountMinor;
  }

  /** What the books must be by the facts; the same sentences are checked in the database by data/invariants.sql. */
  expected(): [what: string, books: bigint, facts: bigint][] {
    const refundsIn = (...statuses: RefundStatus[]): bigint =>
      sum(this.refunds.filter(({ status }) => statuses.includes(status)));
    const held = this.disputes.filter(({ booked }) => booked?.isWithdrawn && /open|under_review/.test(booked.status));
    const owed = this.invoice === 'void' ? 0n : this.netMinor;
    const lost = this.disputes.reduce((all, { lostMinor }) => all + lostMinor, 0n);
    const kept = (['deferred_revenue', 'revenue', 'refunds', 'chargeback_loss'] as const).reduce(
      (all, code) => all - this.balanceOf(code),
      0n,
    );
    return [
      ['i16 receivable', this.balanceOf('customer_receivable'), this.invoice === 'open' ? this.netMinor : 0n],
      ['i22 refunds payable', -this.balanceOf('refunds_payable'), refundsIn('created', 'sent', 'unknown')],
      ['i23 disputes held', this.balanceOf('disputes_held'), sum(held)],
      ['i24 credit', -this.balanceOf('customer_credit'), this.creditMinor],
      [
        'i25 deferred',
        -this.balanceOf('deferred_revenue'),
        this.schedules.reduce((all, s) => all + s.netMinor - s.reversedMinor, 0n),
      ],
      ['i39 suspense', -this.balanceOf('suspense'), this.orphanMinor],
      // What came in is what we keep or still owe, what went back, and what became credit (a failed refund).
      ['kept', kept, owed - refundsIn('created', 'sent', 'unknown', 'pending', 'succeeded', 'failed') - lost],
    ];
  }

  /** @throws Error naming what does not hold */
  check(): void {
    for (const [what, books, facts] of this.expected()) {
      if (books !== facts) throw new Error(`${what}: ${books} in the books, ${facts} by the facts`);
    }
    this.books.checkSum();
    if (this.schedules.filter(({ stoppedOn }) => stoppedOn === null).length > 1) throw new Error('two schedules run');
    const isPosted = this.balanceOf('provider_fees') > 0n && this.orphanMinor === 0n;
    if (isPosted !== (this.attempt === 'succeeded')) throw new Error('i18: a success is posted once, and nothing else is');
    const refunded = this.refunds.filter(({ status }) => status !== 'canceled');
    if (sum(refunded) > this.netMinor) throw new Error('i20: more is refunded than was charged');
    const accepted = this.refunds.filter(({ status }) => status === 'pending' || status === 'succeeded');
    const taken = this.disputes.filter(({ booked }) => booked?.isWithdrawn && booked.status !== 'won');
    if (sum(accepted) + sum(taken) > this.netMinor) throw new Error('i21: more went back than was charged');
  }

  /** Everything the provider has is looked at: then our clearing account is its balance. */
  settle(): void {
    this.look();
    this.refunds.forEach((_, nth) => this.lookAtRefund(nth));
    this.disputes.forEach((_, nth) => this.lookAtDispute(nth));
    this.check();
    // Of a receipt that a person must explain, what is contested later waits with it.
    const isExplained = this.orphanMinor === 0n || this.disputes.length === 0;
    if (isExplained && this.payment !== null && this.balanceOf('provider_clearing') !== this.balanceMinor) {
      throw new Error(`clearing holds ${this.balanceOf('provider_clearing')}, the provider ${this.balanceMinor}`);
    }
  }
}

const STEPS = {
  send: (life) => void (life.attempt === 'created' && (life.attempt = 'sent')),
  'lose the answer': (life) => void (life.attempt === 'sent' && (life.attempt = 'unknown')),
  'is charged': (life) => life.charged('succeeded'),
  'is declined': (life) => life.charged('declined'),
  'takes its time': (life) => life.charged('processing'),
  'needs the customer': (life) => life.charged('requires_action'),
  look: (life) => life.look(),
  'conclude absence': (life) => life.concludeAbsence(),
  'ask refund': (life, share) => life.askRefund(share),
  'send refund': (life, share) => life.sendRefund(share),
  'refund arrives': (life, share) => life.moveRefund('succeeded', share),
  'refund fails': (life, share) => life.moveRefund('failed', share),
  'refund is canceled': (life, share) => life.moveRefund('canceled', share),
  'look at refund': (life, share) => life.lookAtRefund(share % Math.max(life.refunds.length, 1)),
  contest: (life, share) => life.contest(share),
  'bank takes': (life, share) => life.moveDispute('take', share),
  'bank reviews': (life, share) => life.moveDispute('review', share),
  'bank gives back': (life, share) => life.moveDispute('give back', share),
  'bank rules against': (life, share) => life.moveDispute('rule against', share),
  'bank closes': (life, share) => life.moveDispute('close', share),
  'look at dispute': (life, share) => life.lookAtDispute(share % Math.max(life.disputes.length, 1)),
  'days pass': (life, share) => void (life.day = Math.min(life.day + (share % 20), DAYS.length - 1)),
} satisfies Record<string, (life: Life, share: number) => void>;

type Step = [keyof typeof STEPS, share: number];
const NAMES = Object.keys(STEPS) as (keyof typeof STEPS)[];

function at(day: number): string {
  return DAYS[day] ?? '2026-12-31';
}

function sum(parts: readonly { amountMinor: bigint }[]): bigint {
  return parts.reduce((all, { amountMinor }) => all + amountMinor, 0n);
}

function partOf(whole: bigint, percent: number): bigint {
  return (whole * BigInt(percent)) / 100n;
}

/** Lives worth living: most begin with a charge that succeeds, else there is nothing to give back. */
const beginning = fc.constantFrom<Step[]>(
  [
    ['send', 0],
    ['is charged', 0],
    ['look', 0],
  ],
  [['send', 0]],
  [
    ['send', 0],
    ['takes its time', 0],
  ],
);
const PAID: Step[] = [
  ['send', 0],
  ['is charged', 0],
  ['look', 0],
];

test('in a hundred thousand lives, whatever comes in is owed, kept, given back or credit, and after each step the books tie', () => {
  const lives = fc.tuple(
    fc.constantFrom('period' as const, 'purchase' as const),
    fc.integer({ min: 1, max: 10_000 }),
    beginning,
    fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.nat(100)), { maxLength: 14 }),
  );
  const reached = new Set<string>();
  fc.assert(
    fc.property(lives, ([kind, net, first, then]) => {
      const life = new Life(kind, BigInt(net));
      life.check();
      for (const [step, share] of [...first, ...then]) {
        STEPS[step](life, share);
        life.check();
      }
      life.settle();
      reached.add(life.attempt);
      for (const { status } of life.refunds) reached.add(`refund ${status}`);
      for (const { booked } of life.disputes) reached.add(`dispute ${booked?.status}`);
    }),
    {
      numRuns: LIVES,
      examples: [
        // A canceled refund opened a second schedule beside the one that goes on.
        [
          [
            'period',
            100,
            PAID,
            [
              ['ask refund', 50],
              ['contest', 61],
              ['send refund', 0],
              ['look at refund', 0],
            ],
          ],
        ],
        // The verdict was told before the bank took the money: the loss was never posted.
        [
          [
            'period',
            100,
            PAID,
            [
              ['contest', 99],
              ['bank rules against', 0],
              ['look at dispute', 0],
              ['bank takes', 0],
              ['look at dispute', 0],
            ],
          ],
        ],
        // Closed with the money taken: it stayed held for ever.
        [
          [
            'purchase',
            100,
            PAID,
            [
              ['contest', 99],
              ['bank takes', 0],
              ['bank closes', 0],
              ['look at dispute', 0],
            ],
          ],
        ],
        // The money was back before the verdict was told, and still counted as held.
        [
          [
            'purchase',
            100,
            PAID,
            [
              ['contest', 99],
              ['bank takes', 0],
              ['look at dispute', 0],
              ['bank gives back', 1],
              ['look at dispute', 0],
            ],
          ],
        ],
      ],
    },
  );
  // The lives went everywhere: a law about states that nobody reaches says nothing.
  for (const status of [
    'succeeded',
    'declined',
    'not_executed',
    'refund failed',
    'refund canceled',
    'dispute won',
    'dispute lost',
    'dispute closed',
  ]) {
    expect([...reached]).toContain(status);
  }
});
