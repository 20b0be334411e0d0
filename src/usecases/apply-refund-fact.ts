/**
 * The one door through which every fact about a refund enters: our own answer, a webhook, a probe, a listing. Writes refund, transaction,
 * ledger, what the refund ends, and feed in one unit of work. The customer's lock is held by the caller.
 */
import { publicId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { refundCanceled, refundFailed, refundSettled } from '../domain/ledger/journals.js';
import { reopenAfterCanceledRefund } from '../domain/ledger/revenue.js';
import { PENDING_EVERY_MS } from '../domain/refund/refund.js';
import {
  decideRefundFact,
  refundEndsSubscription,
  refundTransactionStatusOf,
  type RefundStatus,
} from '../domain/refund/refund.js';
import { isoDay } from '../domain/time/periods.js';
import type { RefundFact, RefundRequest } from '../ports/provider.js';
import { cancelCreditNotes } from '../store/credit-notes.store.js';
import { changeCredit } from '../store/credit.store.js';
import { listSchedules, openSchedule, requireInvoice, stopSchedule, type InvoiceRow } from '../store/invoices.store.js';
import { listJournal, postJournal } from '../store/ledger.store.js';
import {
  changeRefund,
  changeTransaction,
  listRefunds,
  loadAttempt,
  loadIntent,
  loadRefund,
  loadTransaction,
  type RefundRow,
  type TransactionCause,
  type TransactionRow,
} from '../store/payments.store.js';
import { findRef, recordFinding, recordRef } from '../store/provider.store.js';
import { loadSubscription, revokeGrants, setPurchaseStatus, type SubscriptionRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { bookRecord } from './book-record.js';
import { findingId, type Cashier } from './cashier.js';
import { endSubscription } from './end-subscription.js';
import { lookAtGift } from './gift-value.js';
import { requestRefund } from './request-refund.js';
import { scheduleOf } from './revenue.js';

/** What a fact did. `late`: the refund was called absent, and the provider made it all the same; it is to be adopted. */
export type AppliedToRefund = 'applied' | 'nothing' | 'late';

/** Applies a provider's fact to a refund; older news does nothing. */
export async function applyRefundFact(
  uow: UnitOfWork,
  cashier: Cashier,
  refund: RefundRow,
  fact: RefundFact,
  cause: TransactionCause,
): Promise<AppliedToRefund> {
  if (fact.amountMinor !== refund.amount || fact.currency !== refund.currency) {
    await finding(uow, cashier, refund, 'refund_amount', fact.amountMinor);
    return 'nothing';
  }
  const status = refund.status as RefundStatus;
  const wasDebited = fact.records.some(({ kind }) => kind === 'refund');
  const decision = decideRefundFact(status, fact.status, wasDebited);
  if (decision.kind === 'nothing') return 'nothing';
  if (decision.kind === 'late') {
    await finding(uow, cashier, refund, 'late_appearance', fact.amountMinor);
    return 'late';
  }
  const { to } = decision;
  if (to === 'canceled') return (await cancelRefund(uow, cashier, refund, cause, null)) ? 'applied' : 'nothing';
  const wasAccepted = status === 'pending' || status === 'succeeded';
  const done = await changeRefund(uow, refund, {
    status: to,
    providerObjectId: fact.objectId,
    leaseUntil: null,
    nextActionAt: to === 'pending' ? new Date(uow.now.getTime() + PENDING_EVERY_MS) : null,
  });
  if (!done) return 'nothing';
  const { userId, bucket } = refund;
  const transaction = await requireTransaction(uow, refund.id);
  const charge = await requireTransaction(uow, refund.paymentAttemptId);
  const providerAccountId = charge.providerAccountId;
  await recordRef(uow, { objectId: fact.objectId, providerAccountId, kind: 'refund', id: refund.id });
  await changeTransaction(uow, transaction, {
    status: refundTransactionStatusOf(to),
    cause,
    ...(to === 'pending' ? {} : { settledAt: uow.now }),
  });
  for (const record of fact.records) {
    await bookRecord(uow, cashier, {
      owner: { bucket, userId, providerAccountId },
      record,
      ourRef: null,
      matchedId: refund.id,
      // A refund is posted in the currency of its charge, whatever the provider settles in.
      isForeign: false,
    });
  }
  const journal = { sourceId: refund.id, userId, invoiceId: charge.invoiceId, providerAccountId };
  const accepted = fact.records.find((record) => record.kind === 'refund');
  if (!wasAccepted) {
    // The provider debits us when it accepts a refund, pending or not, and also one that fails later.
    await postJournal(uow, {
      ...journal,
      movements: refundSettled(refund.amount, refund.currency),
      effectiveAt: accepted?.occurredAt ?? uow.now,
    });
  }
  if (to === 'failed') {
    const back = fact.records.find((record) => record.kind === 'refund_failure');
    await postJournal(uow, {
      ...journal,
      movements: refundFailed(refund.amount, refund.currency),
      effectiveAt: back?.occurredAt ?? uow.now,
    });
    await changeCredit(uow, { userId, currency: refund.currency, byMinor: refund.amount });
    await finding(uow, cashier, refund, 'refund_failed_late', 0n, 2);
  }
  // Also when it is told as accepted and failed at once: what was given back has gone, and the customer has its amount as credit.
  if (!(wasAccepted && to === 'failed')) await endWhatWasPaidBack(uow, cashier, charge, refund, cause);
  cashier.events.statusChanged('refund', to);
  return 'applied';
}

/**
 * Books a refund that the provider made and we have no open row for: made there by hand, or called absent and made all the same. Once, by
 * the provider's id.
 * @returns false when it can not be ours to give: the charge has not that much left in our books
 */
export async function adoptRefund(
  uow: UnitOfWork,
  cashier: Cashier,
  chargeId: string,
  fact: RefundFact,
  why: { note: string; cause: TransactionCause },
): Promise<boolean> {
  const known = await findRef(uow, fact.objectId, cashier.provider.accountId);
  if (known) {
    if (known.kind === 'refund') await applyRefundFact(uow, cashier, await requireRefund(uow, known.id), fact, why.cause);
    return true;
  }
  const [charge, attempt] = [await loadTransaction(uow, chargeId), await loadAttempt(uow, chargeId)];
  if (!charge || !attempt) return false;
  const asked = await requestRefund(uow, cashier, {
    charge,
    attempt,
    amount: { minor: fact.amountMinor, currency: fact.currency },
    reason: 'requested',
    note: why.note,
    requestedBy: 'provider',
    cause: why.cause,
    endSubscription: false,
  });
  if ('refused' in asked) return false;
  const created = await requireRefund(uow, asked.refundId);
  const { now } = uow;
  await changeRefund(uow, created, { status: 'sent', sentAt: now, callDeadlineAt: now, keyValidUntil: now, nextActionAt: now });
  await applyRefundFact(uow, cashier, await requireRefund(uow, asked.refundId), fact, why.cause);
  return true;
}

/** All of the current period's charge given back ends the subscription; all of a purchase revokes what it unlocked. */
async function endWhatWasPaidBack(
  uow: UnitOfWork,
  cashier: Cashier,
  charge: TransactionRow,
  refund: RefundRow,
  cause: TransactionCause,
): Promise<void> {
  const refunds = await listRefunds(uow, charge.id);
  const giftId = charge.invoiceId === null ? null : (await requireInvoice(uow, charge.invoiceId)).giftId;
  if (giftId !== null) {
    await lookAtGift(uow, giftId);
    return;
  }
  const subscription = charge.subscriptionId === null ? null : await loadSubscription(uow, charge.subscriptionId);
  const invoice = charge.invoiceId === null ? null : await requireInvoice(uow, charge.invoiceId);
  const isCurrentPeriod =
    subscription === null || (invoice !== null && (await paidForPresent(uow, charge, invoice, subscription)));
  const ends = refundEndsSubscription({
    chargeMinor: charge.amount,
    refunds: refunds.map((row) => ({ status: row.status as RefundStatus, amountMinor: row.amount })),
    // Column check: one of these words.
    reason: refund.reason as RefundRequest['reason'],
    isEndAsked: false,
    isCurrentPeriod,
  });
  if (!ends) return;
  if (subscription) await endSubscription(uow, cashier, subscription.id, 'refunded', cause);
  if (charge.purchaseId !== null) {
    await setPurchaseStatus(uow, charge.purchaseId, 'refunded');
    await revokeGrants(uow, charge.userId, charge.purchaseId);
  }
}

/** Whether a charge paid for the present period: for all of it, or for what a change of tier left of it. Not for a change that never took effect. */
async function paidForPresent(
  uow: UnitOfWork,
  charge: TransactionRow,
  invoice: InvoiceRow,
  subscription: SubscriptionRow,
): Promise<boolean> {
  if (invoice.epoch !== subscription.epoch) return false;
  if (invoice.kind !== 'change') return invoice.periodNumber === subscription.periodNumber;
  const attempt = await loadAttempt(uow, charge.id);
  const intent = attempt && (await loadIntent(uow, attempt.paymentIntentId));
  return intent?.cancelRequestedAt === null && invoice.periodEnd?.getTime() === subscription.periodEnd.getTime();
}

/**
 * The provider surely did not begin the refund: its posting is undone, its credit notes are never issued, and what was not yet earned is
 * earned again.
 * @param watchAt when to look for it all the same; null when the provider refused it
 */
export async function cancelRefund(
  uow: UnitOfWork,
  cashier: Cashier,
  refund: RefundRow,
  cause: TransactionCause,
  watchAt: Date | null,
): Promise<boolean> {
  const done = await changeRefund(uow, refund, { status: 'canceled', leaseUntil: null, nextActionAt: watchAt });
  if (!done) return false;
  // Nobody asked for it, so nobody would notice that it was not given.
  if (refund.requestedBy === 'system') await finding(uow, cashier, refund, 'refund_not_made', 0n, 2);
  const charge = await requireTransaction(uow, refund.paymentAttemptId);
  const requested = await listJournal(uow, refund.id, 'refund_requested');
  await postJournal(uow, {
    sourceId: refund.id,
    movements: refundCanceled(requested),
    userId: refund.userId,
    invoiceId: charge.invoiceId,
    effectiveAt: uow.now,
    providerAccountId: charge.providerAccountId,
  });
  await cancelCreditNotes(uow, refund.id);
  const unearned = requested.find((movement) => movement.leg === 'unearned');
  if (unearned && charge.invoiceId !== null) {
    const last = (await listSchedules(uow, charge.invoiceId)).at(-1);
    if (last) {
      const { stopped, next } = reopenAfterCanceledRefund(scheduleOf(last), isoDay(uow.now), unearned.amountMinor);
      if (stopped) await stopSchedule(uow, last, stopped.stoppedOn, stopped.reversedMinor);
      await openSchedule(uow, last, next);
    }
  }
  await changeTransaction(uow, await requireTransaction(uow, refund.id), { status: 'canceled', cause, settledAt: uow.now });
  cashier.events.statusChanged('refund', 'canceled');
  return true;
}

async function requireRefund(uow: UnitOfWork, id: string): Promise<RefundRow> {
  const refund = await loadRefund(uow, id);
  invariant(refund !== null, 'a refund just written is there', { id: publicId('txn', id) });
  return refund;
}

async function requireTransaction(uow: UnitOfWork, id: string): Promise<TransactionRow> {
  const transaction = await loadTransaction(uow, id);
  invariant(transaction !== null, 'an attempt or refund has its transaction', { id: publicId('txn', id) });
  return transaction;
}

async function finding(
  uow: UnitOfWork,
  cashier: Cashier,
  refund: RefundRow,
  kind: string,
  theirsMinor: bigint,
  severity: 1 | 2 = 1,
): Promise<void> {
  const attempt = await loadAttempt(uow, refund.paymentAttemptId);
  await recordFinding(uow, {
    // Of one refund it is told once, however often it is met.
    id: findingId(kind, refund.id, refund.sentAt ?? uow.now),
    providerAccountId: attempt?.providerAccountId ?? cashier.provider.accountId,
    kind,
    severity,
    currency: refund.currency,
    oursMinor: refund.amount,
    theirsMinor,
    recordId: null,
    subjectType: 'refund',
    subjectId: refund.id,
  });
  cashier.events.findingOpened(kind, severity);
}
