/**
 * Claim, call, record. The claim is committed before the call and says until when nobody else may act; the call is made outside any
 * transaction under the attempt's own key; the record is conditional on what was claimed. A crash between any two lines leaves an attempt
 * that the resolver finishes.
 */
import { publicId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isEnd, type AttemptStatus } from '../domain/payment/attempt.js';
import { CALL_TIMEOUT_MS, LEASE_MS, nextProbeAt, nextWatchAt } from '../domain/payment/schedule.js';
import { hasEnded, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import type { Called, ChargeRequest, PaymentFact } from '../ports/provider.js';
import { loadProviderCustomer, lockCustomer } from '../store/customers.store.js';
import { loadMethod } from '../store/payment-methods.store.js';
import {
  changeAttempt,
  changeIntent,
  changeTransaction,
  loadAttempt,
  loadIntent,
  loadTransaction,
  type PaymentAttemptRow,
  type PaymentIntentRow,
  type TransactionCause,
} from '../store/payments.store.js';
import { recordFinding } from '../store/provider.store.js';
import { requireInvoice } from '../store/invoices.store.js';
import { loadSubscription } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { applyPaymentFact, endNeverSent, endNotExecuted, type Applied, type OpenPayment } from './apply-payment-fact.js';
import { findingId, mayStillSend, own, type Cashier } from './cashier.js';
import { chargeRequest, envOfKey } from './charge-request.js';

/** Which payment, and whose. */
export interface PaymentRef {
  id: TransactionId;
  userId: string;
}

/** An attempt as it was read; its version tells whether somebody else has moved it since. */
export interface HeldPayment extends PaymentRef {
  attempt: PaymentAttemptRow;
  intent: PaymentIntentRow;
  /** When it was claimed, by the clock that nobody moves; null when it was only read, and another may hold it. */
  claimedAtMs: number | null;
}

/** A claimed attempt with the request it stands for. */
export interface ClaimedPayment extends HeldPayment {
  request: ChargeRequest;
  claimedAtMs: number;
}

/** What the end of a call did, and when that was written, by the clock that nobody moves. */
export interface Recorded {
  applied: Applied;
  recordedAtMs: number;
}

/**
 * Sends an attempt that was not sent; does nothing when somebody else has.
 * @returns whether this very call ended in a success that is recorded: then there is nothing more to ask
 */
export async function sendPayment(cashier: Cashier, ref: PaymentRef): Promise<boolean> {
  const claimed = await inTx(cashier.tx, own(ref.userId), (uow) => claimForSending(uow, cashier, ref));
  if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return false;
  const called = await cashier.provider.charge(claimed.request);
  cashier.events.providerCalled('charge', called.kind);
  const { applied } = await recordPayment(cashier, claimed, called, 'user');
  return applied === 'applied' && called.kind === 'fact' && called.fact.status === 'succeeded';
}

async function claimForSending(uow: UnitOfWork, cashier: Cashier, ref: PaymentRef): Promise<ClaimedPayment | null> {
  await lockCustomer(uow, ref.userId);
  const payment = await readPayment(uow, ref.id);
  if (payment?.attempt.status !== 'created') return null;
  const { attempt, intent } = payment;
  if (intent.cancelRequestedAt !== null || !(await mayBeCharged(uow, payment))) {
    await endNeverSent(uow, cashier, payment, 'user');
    return null;
  }
  const now = uow.now.getTime();
  const claim = {
    status: 'sent',
    sentAt: uow.now,
    callDeadlineAt: new Date(now + CALL_TIMEOUT_MS),
    keyValidUntil: new Date(now + cashier.provider.keyLifeMs),
    leaseUntil: new Date(now + LEASE_MS),
    nextActionAt: new Date(now + CALL_TIMEOUT_MS + 1_000),
  };
  if (!(await changeAttempt(uow, attempt, claim))) return null;
  await changeIntent(uow, intent, { status: 'in_flight' });
  const sent = {
    attempt: Object.assign(attempt, claim, { version: attempt.version + 1 }),
    intent: Object.assign(intent, { status: 'in_flight', version: intent.version + 1 }),
  };
  return { ...ref, ...sent, request: await rebuildRequest(uow, sent), claimedAtMs: cashier.monotonicMs() };
}

/** The last look at what was not begun by its customer just now (rules N3): the subscription goes on, nothing is in dispute, the method is still there. */
async function mayBeCharged(uow: UnitOfWork, { attempt, intent }: OpenPayment): Promise<boolean> {
  if (attempt.cause === 'user') return true;
  const { subscriptionId } = await requireInvoice(uow, intent.invoiceId);
  const subscription = subscriptionId === null ? null : await loadSubscription(uow, subscriptionId);
  const method = attempt.paymentMethodId === null ? null : await loadMethod(uow, attempt.paymentMethodId);
  return (
    method?.status === 'active' &&
    subscription?.hold === 'none' &&
    !hasEnded(subscription.status as SubscriptionStatus) &&
    subscription.status !== 'incomplete'
  );
}

/** Attempt and intent; null when there is no such attempt, or row security hides it. */
export async function readPayment(
  uow: UnitOfWork,
  id: string,
): Promise<{ attempt: PaymentAttemptRow; intent: PaymentIntentRow } | null> {
  const attempt = await loadAttempt(uow, id);
  if (!attempt) return null;
  const intent = await loadIntent(uow, attempt.paymentIntentId);
  invariant(intent !== null, 'an attempt has its intent', { id });
  return { attempt, intent };
}

/** The exact request of an attempt, from stored columns alone, so that a re-send is identical. */
export async function rebuildRequest(
  uow: UnitOfWork,
  { attempt, intent }: { attempt: PaymentAttemptRow; intent: PaymentIntentRow },
): Promise<ChargeRequest> {
  const method = attempt.paymentMethodId === null ? null : await loadMethod(uow, attempt.paymentMethodId);
  const customerObjectId = await loadProviderCustomer(uow, attempt.userId, attempt.providerAccountId);
  invariant(method !== null && customerObjectId !== null, 'an attempt has a method and a customer at the provider', {
    id: attempt.id,
  });
  return chargeRequest({
    idempotencyKey: attempt.idempotencyKey,
    amountMinor: attempt.amount,
    currency: attempt.currency,
    customerObjectId,
    methodObjectId: method.providerObjectId,
    isOffSession: attempt.isOffSession,
    returnUrl: attempt.returnUrl,
    intentId: intent.id,
    invoiceId: intent.invoiceId,
  });
}

/**
 * Records how a call ended. Facts are applied whoever holds the lease; that something failed counts only for the claim it belongs to, and
 * only while its lease lasts. An object that could still take money though it must not (a decline whose secret the client held, one
 * that appeared late) is settled at the provider.
 */
export async function recordPayment(
  cashier: Cashier,
  claimed: HeldPayment,
  called: Called<PaymentFact>,
  cause: TransactionCause,
): Promise<Recorded> {
  const recorded = await recordOnce(cashier, claimed, called, cause);
  const { applied, recordedAtMs } = recorded;
  if (applied !== 'cancelFirst') return recorded;
  const objectId = called.kind === 'fact' ? called.fact.objectId : null;
  return settleAtProvider(cashier, claimed, { objectId, cause, decidedAtMs: recordedAtMs });
}

async function recordOnce(
  cashier: Cashier,
  claimed: HeldPayment,
  called: Called<PaymentFact>,
  cause: TransactionCause,
): Promise<Recorded> {
  return inTx(cashier.tx, own(claimed.userId), async (uow) => {
    await lockCustomer(uow, claimed.userId);
    const payment = await readPayment(uow, claimed.id);
    invariant(payment !== null, 'a claimed attempt is there', { id: claimed.id });
    const isOurs = claimed.claimedAtMs !== null && holdsClaim(uow, claimed.attempt, payment.attempt);
    const applied = await recordEnd(uow, cashier, payment, called, { cause, isOurs });
    return { applied, recordedAtMs: cashier.monotonicMs() };
  });
}

async function recordEnd(
  uow: UnitOfWork,
  cashier: Cashier,
  payment: OpenPayment,
  called: Called<PaymentFact>,
  { cause, isOurs }: { cause: TransactionCause; isOurs: boolean },
): Promise<Applied> {
  const { attempt } = payment;
  switch (called.kind) {
    case 'fact': {
      const applied = await applyPaymentFact(uow, cashier, payment, called.fact, cause);
      // What is to be cancelled keeps its lease for that; an attempt that has ended is not cancelled itself.
      const isDone = applied === 'applied' || (applied === 'cancelFirst' && !isEnd(attempt.status as AttemptStatus));
      if (isOurs && !isDone) await lookAgain(uow, cashier, attempt.id);
      return applied;
    }
    case 'refused':
      if (!isOurs || !isUndecided(attempt)) return 'nothing';
      await findRefused(uow, cashier, attempt);
      return (await endNotExecuted(uow, cashier, payment, { cause, code: called.code })) ? 'applied' : 'nothing';
    case 'not_now':
      if (isOurs) await putOff(uow, cashier, attempt, called.retryAfterMs);
      return 'nothing';
    case 'unknown':
      if (isOurs) await becomeUnknown(uow, cashier, attempt);
      return 'nothing';
  }
}

/** Whether a claim is still the newest one and its lease lasts; who lost it, or slept past its end, decides nothing. */
export function holdsClaim(
  uow: UnitOfWork,
  claimed: { version: number },
  current: { version: number; leaseUntil: Date | null },
): boolean {
  return current.version === claimed.version && current.leaseUntil !== null && current.leaseUntil > uow.now;
}

/**
 * Cancels at the provider and applies what the provider then says: canceled, or that money had moved after all.
 * @param why.decidedAtMs when the unit of work ended in which this was decided; too long ago, it is left to the next look
 */
export async function settleAtProvider(
  cashier: Cashier,
  claimed: HeldPayment,
  { objectId, cause, decidedAtMs }: { objectId: string | null; cause: TransactionCause; decidedAtMs: number },
): Promise<Recorded> {
  if (!mayStillSend(cashier, decidedAtMs)) return { applied: 'nothing', recordedAtMs: decidedAtMs };
  const paymentObjectId = objectId ?? claimed.attempt.providerObjectId;
  invariant(paymentObjectId !== null, 'only what the provider has is cancelled there', { id: claimed.id });
  const idempotencyKey = `can:${envOfKey(claimed.attempt.idempotencyKey)}:${publicId('txn', claimed.id)}:${claimed.attempt.version}`;
  let called = await cashier.provider.cancelPayment({ idempotencyKey, paymentObjectId });
  cashier.events.providerCalled('cancel', called.kind);
  // Refused: it can not be cancelled any more. How it stands is the answer.
  if (called.kind === 'refused') called = await cashier.provider.readPayment(paymentObjectId);
  return recordOnce(cashier, claimed, called, cause);
}

/** Whether an attempt still waits to learn whether it was carried out. */
function isUndecided(attempt: PaymentAttemptRow): boolean {
  return attempt.status === 'sent' || attempt.status === 'unknown';
}

/** The answer was lost: the customer is told, and the resolver asks until it is known. Our own call is over, so its deadline is now. */
async function becomeUnknown(uow: UnitOfWork, cashier: Cashier, attempt: PaymentAttemptRow): Promise<void> {
  if (attempt.status !== 'sent') {
    await putOff(uow, cashier, attempt, null);
    return;
  }
  const callDeadlineAt = earlier(attempt.callDeadlineAt, uow.now);
  const nextActionAt = probeAt(uow, cashier, attempt, callDeadlineAt);
  const done = await changeAttempt(uow, attempt, { status: 'unknown', leaseUntil: null, callDeadlineAt, nextActionAt });
  if (!done) return;
  const transaction = await loadTransaction(uow, attempt.id);
  invariant(transaction !== null, 'an attempt has its transaction', { id: attempt.id });
  await changeTransaction(uow, transaction, { status: 'unknown', cause: 'timeout' });
  cashier.events.statusChanged('charge', 'unknown');
}

/** The provider called a request of ours wrong: a bug, or a setting of the account; nobody was charged. */
async function findRefused(uow: UnitOfWork, cashier: Cashier, attempt: PaymentAttemptRow): Promise<void> {
  await recordFinding(uow, {
    id: findingId('provider_refused_request', attempt.id, uow.now),
    providerAccountId: attempt.providerAccountId,
    kind: 'provider_refused_request',
    severity: 2,
    currency: attempt.currency,
    oursMinor: attempt.amount,
    theirsMinor: null,
    recordId: null,
    subjectType: 'transaction',
    subjectId: attempt.id,
  });
  cashier.events.findingOpened('provider_refused_request', 2);
}

/** The earlier of a deadline and now: a call that has ended needs no more time. */
export function earlier(deadline: Date | null, now: Date): Date {
  return deadline !== null && deadline < now ? deadline : now;
}

/** Nothing was learned that changes the attempt: its lease is given back, and the next look is planned. */
async function lookAgain(uow: UnitOfWork, cashier: Cashier, id: string): Promise<void> {
  const attempt = await loadAttempt(uow, id);
  invariant(attempt !== null, 'an attempt that was claimed is there', { id });
  await putOff(uow, cashier, attempt, null);
}

/** Gives the lease back and says when to look again: after the provider's own wish, or by the table of probes. */
async function putOff(uow: UnitOfWork, cashier: Cashier, attempt: PaymentAttemptRow, afterMs: number | null): Promise<void> {
  if (attempt.nextActionAt === null) return;
  if (isEnd(attempt.status as AttemptStatus)) {
    // What came too soon, or before the provider had booked it, is asked for once more before the next planned day.
    const isPlanned = attempt.nextActionAt > uow.now;
    const nextActionAt = isPlanned ? attempt.nextActionAt : nextWatchAt(attempt.absentSince, uow.now);
    await changeAttempt(uow, attempt, { leaseUntil: null, nextActionAt });
    return;
  }
  const jitter = 1 + cashier.tx.random.fraction();
  const nextActionAt = afterMs === null ? probeAt(uow, cashier, attempt) : new Date(uow.now.getTime() + afterMs * jitter);
  await changeAttempt(uow, attempt, { leaseUntil: null, nextActionAt });
}

function probeAt(uow: UnitOfWork, cashier: Cashier, attempt: PaymentAttemptRow, callDeadlineAt = attempt.callDeadlineAt): Date {
  const { status } = attempt;
  invariant(
    status === 'sent' || status === 'unknown' || status === 'requires_action' || status === 'processing',
    'only what is open is probed',
    {
      id: attempt.id,
      status,
    },
  );
  return nextProbeAt({
    status,
    probes: attempt.probes,
    callDeadlineAt: callDeadlineAt ?? uow.now,
    enteredAt: attempt.sentAt ?? uow.now,
    now: uow.now,
    jitter: cashier.tx.random.fraction(),
  });
}
