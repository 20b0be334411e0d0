/**
 * Finds out how an open payment stands: the safety net of one that was not sent, the resolver of one whose answer was lost, the probe of one
 * that waits for the customer or the bank. Claims by a short lease, asks outside any transaction, and lets the same record decide.
 */
import { idTimeMs } from '../domain/ids.js';
import { isEnd, type AttemptStatus } from '../domain/payment/attempt.js';
import { afterEmptyListing, CANCEL_AFTER_MS, decideMeans, LEASE_MS, nextWatchAt } from '../domain/payment/schedule.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeAttempt, type TransactionCause } from '../store/payments.store.js';
import { isMentioned } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { endNotExecuted } from './apply-payment-fact.js';
import { mayStillAsk, mayStillSend, own, type Cashier } from './cashier.js';
import { fingerprintOf } from './charge-request.js';
import {
  holdsClaim,
  readPayment,
  rebuildRequest,
  recordPayment,
  sendPayment,
  settleAtProvider,
  type ClaimedPayment,
  type PaymentRef,
} from './send-payment.js';

/** Listings look this far before the sending, against clocks that differ. */
const LISTING_MARGIN_MS = 5 * 60_000;
/** Looks at one open payment now. `asked`: the client wants to know, whether it is due or not. */
export async function resolvePayment(cashier: Cashier, ref: PaymentRef, why: 'due' | 'asked'): Promise<void> {
  const claimed = await claimForProbe(cashier, ref, why);
  if (claimed === 'unsent') return void (await sendPayment(cashier, ref));
  if (claimed === null) return;
  const { attempt, intent } = claimed;
  // An attempt that was called absent is only looked for: it must not be sent any more, and what appears must not stay.
  const isWanted = intent.cancelRequestedAt === null && !isEnd(attempt.status as AttemptStatus);
  const isExpired =
    attempt.status === 'requires_action' && cashier.tx.clock.now().getTime() >= idTimeMs(attempt.id) + CANCEL_AFTER_MS;
  if (attempt.providerObjectId !== null && attempt.status !== 'processing' && (!isWanted || isExpired)) {
    await settleAtProvider(cashier, claimed, {
      objectId: null,
      cause: isExpired ? 'timeout' : 'user',
      decidedAtMs: claimed.claimedAtMs,
    });
    return;
  }
  const facts = {
    hasObject: attempt.providerObjectId !== null,
    isKeyAlive: attempt.keyValidUntil !== null && cashier.tx.clock.now() < attempt.keyValidUntil,
    // A request that would now be built differently must not go out under the old key.
    isWanted: isWanted && fingerprintOf(claimed.request).equals(attempt.requestFingerprint),
  };
  const cause: TransactionCause = why === 'asked' ? 'user' : attempt.cause === 'user' ? 'user' : 'renewal';
  let means = decideMeans({ ...facts, lastWasReplayed500: false });
  if (means === 'resend') {
    if (!mayStillSend(cashier, claimed.claimedAtMs)) return;
    const called = await cashier.provider.charge(claimed.request);
    cashier.events.providerCalled('charge', called.kind);
    const isReplayed500 = called.kind === 'unknown' && called.isReplay;
    if (!isReplayed500) {
      await recordPayment(cashier, claimed, called, cause);
      return;
    }
    means = decideMeans({ ...facts, lastWasReplayed500: true });
  }
  if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;
  if (means === 'list') return lookInListing(cashier, claimed, cause);
  const called = await cashier.provider.readPayment(attempt.providerObjectId ?? '');
  cashier.events.providerCalled('read', called.kind);
  await recordPayment(cashier, claimed, called, cause);
}

async function claimForProbe(cashier: Cashier, ref: PaymentRef, why: 'due' | 'asked'): Promise<ClaimedPayment | 'unsent' | null> {
  return inTx(cashier.tx, own(ref.userId), async (uow) => {
    await lockCustomer(uow, ref.userId);
    const payment = await readPayment(uow, ref.id);
    if (!payment) return null;
    const { attempt } = payment;
    const isFree = attempt.leaseUntil === null || attempt.leaseUntil < uow.now;
    const isDue = attempt.nextActionAt !== null && (why === 'asked' || attempt.nextActionAt <= uow.now);
    if (!isFree || !isDue) return null;
    if (attempt.status === 'created') return 'unsent';
    const done = await changeAttempt(uow, attempt, {
      leaseUntil: new Date(uow.now.getTime() + LEASE_MS),
      probes: Math.min(attempt.probes + 1, 32_000),
    });
    if (!done) return null;
    const held = await readPayment(uow, ref.id);
    return held && { ...ref, ...held, request: await rebuildRequest(uow, held), claimedAtMs: cashier.monotonicMs() };
  });
}

/** Searches the provider's complete listing. Found: applied. Twice surely not there: it was never carried out. */
async function lookInListing(cashier: Cashier, claimed: ClaimedPayment, cause: TransactionCause): Promise<void> {
  const { attempt, request } = claimed;
  const listedAt = cashier.tx.clock.now();
  const since = new Date((attempt.sentAt ?? listedAt).getTime() - LISTING_MARGIN_MS);
  const called = await cashier.provider.findPayment({
    customerObjectId: request.customerObjectId,
    intentRef: request.intentRef,
    since,
  });
  cashier.events.providerCalled('find', called.kind);
  if (called.kind !== 'fact') {
    await recordPayment(cashier, claimed, called, cause);
    return;
  }
  if (called.fact !== null) {
    const { applied, recordedAtMs } = await recordPayment(
      cashier,
      claimed,
      { kind: 'fact', fact: called.fact, requestId: called.requestId },
      cause,
    );
    // It is there and nothing was tried on it: it stands in the way of nothing, but must not be paid later.
    if (applied === 'nothing' && called.fact.status === 'not_executed')
      await settleAtProvider(cashier, claimed, { objectId: called.fact.objectId, cause, decidedAtMs: recordedAtMs });
    return;
  }
  await recordAbsence(cashier, claimed, listedAt, cause);
}

async function recordAbsence(cashier: Cashier, claimed: ClaimedPayment, listedAt: Date, cause: TransactionCause): Promise<void> {
  await inTx(cashier.tx, own(claimed.userId), async (uow) => {
    await lockCustomer(uow, claimed.userId);
    const payment = await readPayment(uow, claimed.id);
    if (!payment || !holdsClaim(uow, claimed.attempt, payment.attempt)) return;
    const { attempt } = payment;
    if (isEnd(attempt.status as AttemptStatus)) {
      await changeAttempt(uow, attempt, { leaseUntil: null, nextActionAt: nextWatchAt(attempt.absentSince, uow.now) });
      return;
    }
    const next = afterEmptyListing({
      listedAt,
      callDeadlineAt: attempt.callDeadlineAt ?? uow.now,
      absentSince: attempt.absentSince,
      isInInbox: await isMentioned(uow, claimed.request.intentRef, attempt.sentAt ?? uow.now),
    });
    if (next.kind === 'absent')
      await endNotExecuted(uow, cashier, payment, { cause, watchAt: nextWatchAt(attempt.absentSince, uow.now) });
    else await changeAttempt(uow, attempt, { leaseUntil: null, absentSince: next.absentSince, nextActionAt: next.at });
  });
}
