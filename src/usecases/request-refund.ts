/** The first unit of work of every refund: the decision under the customer's lock, and its rows, before any call. */
import { bucketOf, publicId, type TransactionId } from '../domain/ids.js';
import { decideCreditNotes } from '../domain/invoice/credit-note.js';
import { creditableOf } from '../domain/invoice/line.js';
import { invariant } from '../domain/invariant.js';
import { refundParts, refundRequested } from '../domain/ledger/journals.js';
import { splitAfterPartialRefund, unearnedOn } from '../domain/ledger/revenue.js';
import type { Money } from '../domain/money/money.js';
import type { AttemptStatus } from '../domain/payment/attempt.js';
import { SAFETY_NET_MS } from '../domain/payment/schedule.js';
import type { DisputeStatus } from '../domain/dispute/dispute.js';
import { decideRefund, type RefundStatus } from '../domain/refund/refund.js';
import { refundedAmount, type ChargeFacts } from '../domain/refund/refundable.js';
import { refundEndsGift } from '../domain/subscription/gift.js';
import { isoDay } from '../domain/time/periods.js';
import { insertCreditNotes, listInvoicedLines, loadNoted } from '../store/credit-notes.store.js';
import { listSchedules, openSchedule, requireInvoice, stopSchedule } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import {
  insertRefund,
  listDisputes,
  listRefunds,
  type NewRefund,
  type PaymentAttemptRow,
  type TransactionCause,
  type TransactionRow,
} from '../store/payments.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { newId, refusal, type Cashier } from './cashier.js';
import type { Refusal } from './contract.js';
import { endSubscription } from './end-subscription.js';
import { cancelGift, giftRefundable, readGiftOf, type ReadGift } from './gift-value.js';
import { scheduleOf } from './revenue.js';

/** A refund that somebody asks for. The customer's lock is held. */
export interface RefundAsk {
  /** The id it will have; left out: a new one. */
  id?: TransactionId;
  charge: TransactionRow;
  attempt: Pick<PaymentAttemptRow, 'status'>;
  /** null: all that is left. */
  amount: Money | null;
  reason: NewRefund['reason'];
  note: string | null;
  requestedBy: string;
  cause: TransactionCause;
  /** Also end the subscription now; else it ends when all of its current period's charge was given back. */
  endSubscription: boolean;
}

/** How the asking ended. */
export type RefundAsked = { refundId: TransactionId; amount: Money } | { refused: Refusal };

/** Decides and writes a refund: row, pending transaction, posting, and what remains to be earned. */
export async function requestRefund(uow: UnitOfWork, cashier: Cashier, ask: RefundAsk): Promise<RefundAsked> {
  const { charge } = ask;
  const facts = await readCharge(uow, charge, ask.attempt.status);
  const decision = decideRefund({ ...facts, currency: charge.currency, asked: ask.amount });
  if (decision.kind === 'refused') return { refused: refusal(decision.code, decision.message, decision.field) };
  const gift = charge.invoiceId === null ? null : await readGiftOf(uow, await requireInvoice(uow, charge.invoiceId));
  const refundedMinor = refundedAmount(facts.refunds);
  const amount = gift === null ? decision.amount : ofGift(gift, decision.amount, ask, refundedMinor);
  if (amount === null) {
    const message = 'Of a gift only periods that have not begun are given back.';
    return { refused: refusal('REFUND_EXCEEDS_CHARGE', message, ['input', 'amount']) };
  }
  const refundId = ask.id ?? newId(cashier, 'txn', bucketOf(charge.id));
  await insertRefund(uow, {
    id: refundId,
    charge,
    amountMinor: amount.minor,
    reason: ask.reason,
    note: ask.note,
    requestedBy: ask.requestedBy,
    idempotencyKey: `ref:${cashier.env}:${publicId('txn', refundId)}`,
    nextActionAt: new Date(uow.now.getTime() + SAFETY_NET_MS),
    cause: ask.cause,
  });
  await bookRequest(uow, cashier, { refundId, charge, amount, reason: ask.reason });
  // What is given back before it is claimed is never claimed; a part of what was claimed is taken back once the provider has accepted.
  if (gift?.facts.status === 'claimable' && refundEndsGift(gift.facts, refundedMinor + amount.minor)) await cancelGift(uow, gift);
  if (ask.endSubscription && charge.subscriptionId !== null)
    await endSubscription(uow, cashier, charge.subscriptionId, 'refunded', ask.cause);
  return { refundId, amount };
}

/** A charge with everything that was given back of it. @param status of its attempt */
export async function readCharge(uow: UnitOfWork, charge: TransactionRow, status: string): Promise<ChargeFacts> {
  return {
    // Column checks: words of their kinds.
    status: status as AttemptStatus,
    amountMinor: charge.amount,
    refunds: (await listRefunds(uow, charge.id)).map((row) => ({ status: row.status as RefundStatus, amountMinor: row.amount })),
    disputes: (await listDisputes(uow, charge.id)).map((row) => ({
      status: row.status as DisputeStatus,
      amountMinor: row.amount,
      isWithdrawn: row.isWithdrawn,
    })),
    notedMinor: await loadNoted(uow, charge.invoiceId),
  };
}

/**
 * How much of a gift is given back: what has not begun, or a part of it (rules V11); null for more than that. What the provider says it has given
 * back is not ours to refuse.
 */
function ofGift(gift: ReadGift, amount: Money, ask: RefundAsk, refundedMinor: bigint): Money | null {
  if (ask.requestedBy === 'provider') return amount;
  const left = giftRefundable(gift, refundedMinor);
  if (left === 0n || (ask.amount !== null && amount.minor > left)) return null;
  return amount.minor > left ? { ...amount, minor: left } : amount;
}

/** A refund as decided. */
interface DecidedRefund {
  refundId: TransactionId;
  charge: TransactionRow;
  amount: Money;
  reason: NewRefund['reason'];
}

/** Posts what a refund takes from: what is not yet earned first, then what is; the running schedule goes on with the rest. */
async function bookRequest(uow: UnitOfWork, cashier: Cashier, refund: DecidedRefund): Promise<void> {
  const { refundId, charge, amount } = refund;
  if (charge.invoiceId === null) return;
  const invoice = await requireInvoice(uow, charge.invoiceId);
  const noteTaxMinor = await writeNotes(uow, cashier, refund, invoice.id);
  const today = isoDay(uow.now);
  const running = (await listSchedules(uow, invoice.id)).find((row) => row.stoppedOn === null) ?? null;
  const source = {
    amountMinor: amount.minor,
    currency: amount.currency,
    // A debit from before that was collected with it is part of what the charge took.
    invoiceNetMinor: invoice.net + invoice.debitCollected,
    invoiceTaxMinor: invoice.tax,
    unearnedMinor: running ? unearnedOn(scheduleOf(running), today) : 0n,
    ...(noteTaxMinor === null ? {} : { noteTaxMinor }),
  };
  await postJournal(uow, {
    sourceId: refundId,
    movements: refundRequested(source),
    userId: charge.userId,
    invoiceId: invoice.id,
    effectiveAt: uow.now,
    providerAccountId: charge.providerAccountId,
  });
  const { unearned } = refundParts(source);
  if (running && unearned > 0n) {
    const { stopped, next } = splitAfterPartialRefund(scheduleOf(running), today, unearned);
    await stopSchedule(uow, running, stopped.stoppedOn, stopped.reversedMinor);
    if (next) await openSchedule(uow, running, next);
  }
}

/**
 * The credit notes of a refund, one for each line that is given back of (rules F3, P6). The duplicate of another charge gives back nothing that
 * was invoiced; nor does the part of a refund that pays back a debit from before, which stands on no line.
 * @returns the tax in them, minor units; null where there are none to be
 */
async function writeNotes(
  uow: UnitOfWork,
  cashier: Cashier,
  { refundId, charge, amount, reason }: DecidedRefund,
  invoiceId: string,
): Promise<bigint | null> {
  if (reason === 'duplicate') return null;
  const lines = await listInvoicedLines(uow, invoiceId);
  const left = lines.map(creditableOf).reduce((all, { netMinor, taxMinor }) => all + netMinor + taxMinor, 0n);
  if (left === 0n) return 0n;
  const decision = decideCreditNotes({ lines, currency: amount.currency, asked: amount.minor < left ? amount : null });
  invariant(decision.kind === 'approved', 'what a refund gives back can be noted', { refundId, decision });
  // They are numbered in the order of their ids, which within a millisecond is chance: so that is the order of the lines.
  const ids = decision.notes.map(() => newId(cashier, 'txn', bucketOf(charge.id))).toSorted();
  const notes = decision.notes.map(({ position, netMinor, taxMinor }, nth) => {
    const [line, id] = [lines[position], ids[nth]];
    invariant(line !== undefined && id !== undefined, 'a note is of a line that was asked about', { refundId, position });
    return { id, place: line.place, netMinor, taxMinor };
  });
  await insertCreditNotes(uow, { userId: charge.userId, invoiceId, reason, refundId }, notes);
  return notes.reduce((all, { taxMinor }) => all + taxMinor, 0n);
}
