/** A refund's way to the provider and back: the same claim, call and record as a charge's. */
import { publicId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import {
  afterEmptyListing,
  CALL_TIMEOUT_MS,
  decideMeans,
  LEASE_MS,
  nextProbeAt,
  nextWatchAt,
} from '../domain/payment/schedule.js';
import { PENDING_EVERY_MS } from '../domain/refund/refund.js';
import type { Called, RefundFact, RefundRequest } from '../ports/provider.js';
import { lockCustomer } from '../store/customers.store.js';
import {
  changeRefund,
  changeTransaction,
  loadAttempt,
  loadRefund,
  loadTransaction,
  type RefundRow,
  type TransactionCause,
} from '../store/payments.store.js';
import { isMentioned } from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { adoptRefund, applyRefundFact, cancelRefund } from './apply-refund-fact.js';
import { mayStillAsk, mayStillSend, own, type Cashier } from './cashier.js';
import { earlier, holdsClaim, type PaymentRef } from './send-payment.js';

interface ClaimedRefund extends PaymentRef {
  refund: RefundRow;
  request: RefundRequest;
  /** When it was claimed, by the clock that nobody moves. */
  claimedAtMs: number;
}

/** What the customer's history says of a refund that was called absent and appeared. */
export const LATE = 'Made by the provider after it was taken for dead.';

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
    // A refund that was called absent is only looked for.
    isWanted: refund.status !== 'canceled',
  };
  let means = decideMeans({ ...facts, lastWasReplayed500: false });
  if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;
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
  if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;
  const listedAt = cashier.tx.clock.now();
  const found = await cashier.provider.findRefund({
    paymentObjectId: claimed.request.paymentObjectId,
    refundRef: claimed.request.refundRef,
  });
  cashier.events.providerCalled('findRefund', found.kind);
  if (found.kind !== 'fact') await recordRefund(cashier, claimed, found);
  else if (found.fact !== null)
    await recordRefund(cashier, claimed, { kind: 'fact', fact: found.fact, requestId: found.requestId });
  else await recordAbsence(cashier, claimed, listedAt);
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
    const isOurs = holdsClaim(uow, claimed.refund, refund);
    const cause = causeOf(refund);
    switch (called.kind) {
      case 'fact': {
        const applied = await applyRefundFact(uow, cashier, refund, called.fact, cause);
        if (applied === 'late') await adoptRefund(uow, cashier, refund.paymentAttemptId, called.fact, { note: LATE, cause });
        if (applied !== 'applied' && isOurs) await putOff(uow, cashier, refund, null);
        return;
      }
      case 'refused':
        if (isOurs && (refund.status === 'sent' || refund.status === 'unknown'))
          await cancelRefund(uow, cashier, refund, cause, null);
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

async function becomeUnknown(uow: UnitOfWork, cashier: Cashier, refund: RefundRow): Promise<void> {
  if (refund.status !== 'sent') {
    await putOff(uow, cashier, refund, null);
    return;
  }
  const callDeadlineAt = earlier(refund.callDeadlineAt, uow.now);
  const nextActionAt = probeAt(uow, cashier, refund, callDeadlineAt);
  const done = await changeRefund(uow, refund, { status: 'unknown', leaseUntil: null, callDeadlineAt, nextActionAt });
  if (!done) return;
  const transaction = await loadTransaction(uow, refund.id);
  invariant(transaction !== null, 'a refund has its transaction', { id: refund.id });
  await changeTransaction(uow, transaction, { status: 'unknown', cause: 'timeout' });
  cashier.events.statusChanged('refund', 'unknown');
}

/** Whose request a refund's own steps go back to. */
function causeOf(refund: RefundRow): TransactionCause {
  return refund.requestedBy.startsWith('staff:') ? 'staff' : 'user';
}

async function putOff(uow: UnitOfWork, cashier: Cashier, refund: RefundRow, afterMs: number | null): Promise<void> {
  if (refund.nextActionAt === null) return;
  await changeRefund(uow, refund, { leaseUntil: null, nextActionAt: nextLookAt(uow, cashier, refund, afterMs) });
}

function nextLookAt(uow: UnitOfWork, cashier: Cashier, refund: RefundRow, afterMs: number | null): Date | null {
  if (refund.status === 'canceled') return nextWatchAt(refund.absentSince, uow.now);
  if (refund.status === 'pending' || refund.status === 'succeeded') return new Date(uow.now.getTime() + PENDING_EVERY_MS);
  if (afterMs === null) return probeAt(uow, cashier, refund);
  return new Date(uow.now.getTime() + afterMs * (1 + cashier.tx.random.fraction()));
}

async function recordAbsence(cashier: Cashier, claimed: ClaimedRefund, listedAt: Date): Promise<void> {
  await inTx(cashier.tx, own(claimed.userId), async (uow) => {
    await lockCustomer(uow, claimed.userId);
    const refund = await loadRefund(uow, claimed.id);
    if (!refund || !holdsClaim(uow, claimed.refund, refund)) return;
    if (refund.status === 'canceled') {
      await changeRefund(uow, refund, { leaseUntil: null, nextActionAt: nextWatchAt(refund.absentSince, uow.now) });
      return;
    }
    const next = afterEmptyListing({
      listedAt,
      callDeadlineAt: refund.callDeadlineAt ?? uow.now,
      absentSince: refund.absentSince,
      isInInbox: await isMentioned(uow, claimed.request.refundRef, refund.sentAt ?? uow.now),
    });
    if (next.kind === 'absent')
      await cancelRefund(uow, cashier, refund, causeOf(refund), nextWatchAt(refund.absentSince, uow.now));
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
