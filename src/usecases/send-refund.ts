/** A refund's way to the provider and back: the same claim, call and record as a charge's. */
import { publicId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { refundCanceled, refundFailed, refundSettled } from '../domain/ledger/journals.js';
import { reopenAfterCanceledRefund } from '../domain/ledger/revenue.js';
import { afterEmptyListing, CALL_TIMEOUT_MS, decideMeans, LEASE_MS, nextProbeAt } from '../domain/payment/schedule.js';
import {
  decideRefundFact,
  refundEndsSubscription,
  refundTransactionStatusOf,
  type RefundStatus,
} from '../domain/refund/refund.js';
import { isoDay } from '../domain/time/periods.js';
import type { Called, RefundFact, RefundRequest } from '../ports/provider.js';
import { addCredit } from '../store/credit.store.js';
import { lockCustomer } from '../store/customers.store.js';
import { listSchedules, openSchedule, requireInvoice, stopSchedule } from '../store/invoices.store.js';
import { listJournal, postJournal } from '../store/ledger.store.js';
import {
  changeRefund,
  changeTransaction,
  listRefunds,
  loadAttempt,
  loadRefund,
  loadTransaction,
  type RefundRow,
  type TransactionCause,
  type TransactionRow,
} from '../store/payments.store.js';
import { isMentioned, recordFinding, recordRef } from '../store/provider.store.js';
import { loadSubscription, revokeGrants, setPurchaseStatus } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { bookRecord } from './book-record.js';
import { findingId, mayStillSend, own, type Cashier } from './cashier.js';
import { endSubscription } from './end-subscription.js';
import { scheduleOf } from './revenue.js';
import { earlier, type PaymentRef } from './send-payment.js';

interface ClaimedRefund extends PaymentRef {
  refund: RefundRow;
  request: RefundRequest;
  /** When it was claimed, by the clock that nobody moves. */
  claimedAtMs: number;
}

/** A refund that the provider accepted but the bank has not confirmed is looked at this often, besides its webhooks. */
const PENDING_EVERY_MS = 6 * 3_600_000;

/** Sends a refund that was not sent; does nothing when somebody else has. */
export async function sendRefund(cashier: Cashier, ref: PaymentRef): Promise<void> {
  const claimed = await inTx(cashier.tx, own(ref.userId), async (uow) => {
    await lockCustomer(uow, ref.userId);
    const refund = await loadRefund(uow, ref.id);
    if (refund?.status !== 'created') return null;
    const now = uow.now.getTime();
    const done = await changeRefund(uow, refund, {
      status: 'sent',
      sentAt: uow.now,
      callDeadlineAt: new Date(now + CALL_TIMEOUT_MS),
      keyValidUntil: new Date(now + cashier.provider.keyLifeMs),
      leaseUntil: new Date(now + LEASE_MS),
      nextActionAt: new Date(now + CALL_TIMEOUT_MS + 1_000),
    });
    return done ? claimedRefund(uow, cashier, ref) : null;
  });
  if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return;
  const called = await cashier.provider.refund(claimed.request);
  cashier.events.providerCalled('refund', called.kind);
  await recordRefund(cashier, claimed, called);
}

/** Looks at one open refund: sends it, asks for it, sends it again under its key, or searches the charge's list of refunds. */
export async function resolveRefund(cashier: Cashier, ref: PaymentRef): Promise<void> {
  const claimed = await inTx(cashier.tx, own(ref.userId), async (uow) => {
    await lockCustomer(uow, ref.userId);
    const refund = await loadRefund(uow, ref.id);
    if (!refund || refund.nextActionAt === null || refund.nextActionAt > uow.now) return null;
    if (refund.leaseUntil !== null && refund.leaseUntil >= uow.now) return null;
    if (refund.status === 'created') return 'unsent' as const;
    const done = await changeRefund(uow, refund, {
      leaseUntil: new Date(uow.now.getTime() + LEASE_MS),
      probes: Math.min(refund.probes + 1, 32_000),
    });
    return done ? claimedRefund(uow, cashier, ref) : null;
  });
  if (claimed === 'unsent') return sendRefund(cashier, ref);
  if (claimed === null) return;
  const { refund } = claimed;
  const facts = {
    hasObject: refund.providerObjectId !== null,
    isKeyAlive: refund.keyValidUntil !== null && cashier.tx.clock.now() < refund.keyValidUntil,
    isWanted: true,
  };
  let means = decideMeans({ ...facts, lastWasReplayed500: false });
  if (means === 'retrieve') {
    const called = await cashier.provider.readRefund(refund.providerObjectId ?? '');
    cashier.events.providerCalled('readRefund', called.kind);
    await recordRefund(cashier, claimed, called);
    return;
  }
  if (means === 'resend') {
    if (!mayStillSend(cashier, claimed.claimedAtMs)) return;
    const called = await cashier.provider.refund(claimed.request);
    cashier.events.providerCalled('refund', called.kind);
    const isReplayed500 = called.kind === 'unknown' && called.isReplay;
    if (!isReplayed500) {
      await recordRefund(cashier, claimed, called);
      return;
    }
    means = decideMeans({ ...facts, lastWasReplayed500: true });
  }
  invariant(means === 'list', 'what is not asked for or sent again is looked for in the listing', { id: ref.id });
  const found = await cashier.provider.findRefund({
    paymentObjectId: claimed.request.paymentObjectId,
    refundRef: claimed.request.refundRef,
  });
  cashier.events.providerCalled('findRefund', found.kind);
  if (found.kind !== 'fact') await recordRefund(cashier, claimed, found);
  else if (found.fact !== null)
    await recordRefund(cashier, claimed, { kind: 'fact', fact: found.fact, requestId: found.requestId });
  else await recordAbsence(cashier, claimed);
}

async function claimedRefund(uow: UnitOfWork, cashier: Cashier, ref: PaymentRef): Promise<ClaimedRefund> {
  const refund = await loadRefund(uow, ref.id);
  invariant(refund !== null, 'a claimed refund is there', { id: ref.id });
  const attempt = await loadAttempt(uow, refund.paymentAttemptId);
  invariant(attempt?.providerObjectId != null, 'a refund is of a charge that the provider has', { id: ref.id });
  return {
    ...ref,
    refund,
    claimedAtMs: cashier.monotonicMs(),
    request: {
      idempotencyKey: refund.idempotencyKey,
      paymentObjectId: attempt.providerObjectId,
      amountMinor: refund.amount,
      currency: refund.currency,
      refundRef: publicId('txn', refund.id),
      env: refund.idempotencyKey.split(':')[1] ?? '',
      // Column check: one of these words.
      reason: refund.reason as RefundRequest['reason'],
    },
  };
}

/** Records how a call ended; that something failed counts only for the claim it belongs to. */
async function recordRefund(cashier: Cashier, claimed: ClaimedRefund, called: Called<RefundFact>): Promise<void> {
  await inTx(cashier.tx, own(claimed.userId), async (uow) => {
    await lockCustomer(uow, claimed.userId);
    const refund = await loadRefund(uow, claimed.id);
    invariant(refund !== null, 'a claimed refund is there', { id: claimed.id });
    const isOurs = refund.version === claimed.refund.version;
    const cause = causeOf(refund);
    switch (called.kind) {
      case 'fact': {
        const applied = await applyRefundFact(uow, cashier, refund, called.fact, cause);
        if (!applied && isOurs) await putOff(uow, cashier, refund, null);
        return;
      }
      case 'refused':
        if (isOurs && (refund.status === 'sent' || refund.status === 'unknown')) await cancel(uow, cashier, refund, cause);
        return;
      case 'not_now':
        if (isOurs) await putOff(uow, cashier, refund, called.retryAfterMs);
        return;
      case 'unknown':
        if (isOurs) await becomeUnknown(uow, cashier, refund);
        return;
    }
  });
}

/**
 * Applies a provider's fact to a refund; older news does nothing. The customer's lock is held.
 * @returns whether anything changed
 */
export async function applyRefundFact(
  uow: UnitOfWork,
  cashier: Cashier,
  refund: RefundRow,
  fact: RefundFact,
  cause: TransactionCause,
): Promise<boolean> {
  if (fact.amountMinor !== refund.amount || fact.currency !== refund.currency) {
    await finding(uow, cashier, refund, 'refund_amount', fact.amountMinor);
    return false;
  }
  const status = refund.status as RefundStatus;
  const decision = decideRefundFact(
    status,
    fact.status,
    fact.records.some(({ kind }) => kind === 'refund'),
  );
  if (decision.kind === 'nothing') return false;
  if (decision.kind === 'contradiction') {
    await finding(uow, cashier, refund, 'status_contradiction', fact.amountMinor);
    return false;
  }
  const { to } = decision;
  if (to === 'canceled') return cancel(uow, cashier, refund, cause);
  const wasAccepted = status === 'pending' || status === 'succeeded';
  const done = await changeRefund(uow, refund, {
    status: to,
    providerObjectId: fact.objectId,
    leaseUntil: null,
    nextActionAt: to === 'pending' ? new Date(uow.now.getTime() + PENDING_EVERY_MS) : null,
  });
  if (!done) return false;
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
    await addCredit(uow, { userId, currency: refund.currency, amountMinor: refund.amount });
    await finding(uow, cashier, refund, 'refund_failed_late', 0n, 2);
  } else {
    await endWhatWasPaidBack(uow, charge, refund, cause);
  }
  cashier.events.statusChanged('refund', to);
  return true;
}

/** All of the current period's charge given back ends the subscription; all of a purchase revokes what it unlocked. */
async function endWhatWasPaidBack(
  uow: UnitOfWork,
  charge: TransactionRow,
  refund: RefundRow,
  cause: TransactionCause,
): Promise<void> {
  const refunds = await listRefunds(uow, charge.id);
  const subscription = charge.subscriptionId === null ? null : await loadSubscription(uow, charge.subscriptionId);
  const invoice = charge.invoiceId === null ? null : await requireInvoice(uow, charge.invoiceId);
  const isCurrentPeriod =
    subscription === null || (invoice?.epoch === subscription.epoch && invoice.periodNumber === subscription.periodNumber);
  const ends = refundEndsSubscription({
    chargeMinor: charge.amount,
    refunds: refunds.map((row) => ({ status: row.status as RefundStatus, amountMinor: row.amount })),
    // Column check: one of these words.
    reason: refund.reason as RefundRequest['reason'],
    isEndAsked: false,
    isCurrentPeriod,
  });
  if (!ends) return;
  if (subscription) await endSubscription(uow, subscription.id, 'refunded', cause);
  if (charge.purchaseId !== null) {
    await setPurchaseStatus(uow, charge.purchaseId, 'refunded');
    await revokeGrants(uow, charge.userId, charge.purchaseId);
  }
}

/** The provider surely did not begin the refund: its posting is undone, and what was not yet earned is earned again. */
async function cancel(uow: UnitOfWork, cashier: Cashier, refund: RefundRow, cause: TransactionCause): Promise<boolean> {
  const done = await changeRefund(uow, refund, { status: 'canceled', leaseUntil: null, nextActionAt: null });
  if (!done) return false;
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

async function becomeUnknown(uow: UnitOfWork, cashier: Cashier, refund: RefundRow): Promise<void> {
  if (refund.status !== 'sent') {
    await putOff(uow, cashier, refund, null);
    return;
  }
  const callDeadlineAt = earlier(refund.callDeadlineAt, uow.now);
  const nextActionAt = probeAt(uow, cashier, refund, callDeadlineAt);
  const done = await changeRefund(uow, refund, { status: 'unknown', leaseUntil: null, callDeadlineAt, nextActionAt });
  if (!done) return;
  await changeTransaction(uow, await requireTransaction(uow, refund.id), { status: 'unknown', cause: 'timeout' });
  cashier.events.statusChanged('refund', 'unknown');
}

/** Whose request a refund's own steps go back to. */
function causeOf(refund: RefundRow): TransactionCause {
  return refund.requestedBy.startsWith('staff:') ? 'staff' : 'user';
}

async function putOff(uow: UnitOfWork, cashier: Cashier, refund: RefundRow, afterMs: number | null): Promise<void> {
  if (refund.nextActionAt === null) return;
  const jitter = 1 + cashier.tx.random.fraction();
  const nextActionAt =
    refund.status === 'pending'
      ? new Date(uow.now.getTime() + PENDING_EVERY_MS)
      : afterMs === null
        ? probeAt(uow, cashier, refund)
        : new Date(uow.now.getTime() + afterMs * jitter);
  await changeRefund(uow, refund, { leaseUntil: null, nextActionAt });
}

async function recordAbsence(cashier: Cashier, claimed: ClaimedRefund): Promise<void> {
  await inTx(cashier.tx, own(claimed.userId), async (uow) => {
    await lockCustomer(uow, claimed.userId);
    const refund = await loadRefund(uow, claimed.id);
    if (!refund || refund.version !== claimed.refund.version) return;
    const next = afterEmptyListing({
      now: uow.now,
      callDeadlineAt: refund.callDeadlineAt ?? uow.now,
      absentSince: refund.absentSince,
      isInInbox: await isMentioned(uow, claimed.request.refundRef, refund.sentAt ?? uow.now),
    });
    if (next.kind === 'absent') await cancel(uow, cashier, refund, causeOf(refund));
    else await changeRefund(uow, refund, { leaseUntil: null, absentSince: next.absentSince, nextActionAt: next.at });
  });
}

function probeAt(uow: UnitOfWork, cashier: Cashier, refund: RefundRow, callDeadlineAt = refund.callDeadlineAt): Date {
  return nextProbeAt({
    status: 'unknown',
    probes: refund.probes,
    callDeadlineAt: callDeadlineAt ?? uow.now,
    enteredAt: refund.sentAt ?? uow.now,
    now: uow.now,
    jitter: cashier.tx.random.fraction(),
  });
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
    id: findingId(kind, refund.id, uow.now),
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
