/**
 * The one door through which every fact about a payment enters: our own answer, a webhook, a probe, a listing. Decides by rank, so that
 * older news does nothing, and writes attempt, intent, invoice, subscription or purchase, transaction, ledger and feed in one unit of work.
 * The customer's lock is held by the caller.
 */
import { publicId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { orphanReceipt, paymentSucceeded } from '../domain/ledger/journals.js';
import {
  decideAttempt,
  firstPaymentEnd,
  intentStatusOf,
  transactionStatusOf,
  type AttemptStatus,
  type FirstPaymentEnd,
} from '../domain/payment/attempt.js';
import { classifyDecline, tellingCode } from '../domain/payment/decline.js';
import { CANCEL_AFTER_MS, nextProbeAt } from '../domain/payment/schedule.js';
import { renewalEnd, unpaid } from '../domain/subscription/renewal.js';
import { hasEnded, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import type { PaymentFact } from '../ports/provider.js';
import { releaseCoupon } from '../store/coupons.store.js';
import { closeInvoice, countVoidPeriods, requireInvoice } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import {
  changeAttempt,
  changeIntent,
  changeTransaction,
  loadTransaction,
  type AttemptColumns,
  type PaymentAttemptRow,
  type PaymentIntentRow,
  type TransactionCause,
} from '../store/payments.store.js';
import { ORPHAN } from '../store/orphans.store.js';
import { recordFinding, recordRef } from '../store/provider.store.js';
import { changeSubscription, loadSubscription, setPurchaseStatus } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { bookRecord } from './book-record.js';
import { findingId, type Cashier } from './cashier.js';
import { dropGift } from './deliver-gift.js';
import { deliver } from './deliver.js';
import { giveBackChange } from './give-back-change.js';
import { requestRefund } from './request-refund.js';
import { voidInvoice } from './void-invoice.js';

/** What a fact did. `cancelFirst`: the provider's object could still take money and must be cancelled, and its word applied, before anything else counts. */
export type Applied = 'applied' | 'nothing' | 'cancelFirst' | 'contradiction';

/** Attempt and intent as read under the customer's lock. */
export interface OpenPayment {
  attempt: PaymentAttemptRow;
  intent: PaymentIntentRow;
}

/** Applies a provider's fact to an attempt. */
export async function applyPaymentFact(
  uow: UnitOfWork,
  cashier: Cashier,
  payment: OpenPayment,
  fact: PaymentFact,
  cause: TransactionCause,
): Promise<Applied> {
  const { attempt, intent } = payment;
  if (fact.amountMinor !== attempt.amount || fact.currency !== attempt.currency) {
    await open(uow, cashier, payment, 'amount', fact.amountMinor);
    return 'contradiction';
  }
  const status = attempt.status as AttemptStatus;
  const decision = decideAttempt(status, {
    status: fact.status,
    hasPaymentError: fact.decline !== null,
    wasSecretGiven: status === 'requires_action',
    isCancelAsked: false,
  });
  switch (decision.kind) {
    case 'nothing':
      return 'nothing';
    case 'cancel_first':
      return 'cancelFirst';
    case 'contradiction':
      await open(uow, cashier, payment, decision.finding, fact.amountMinor);
      if (fact.status === 'succeeded' || decision.remedy !== null) await keepLateObject(uow, payment, fact);
      if (fact.status === 'succeeded') await bookOrphan(uow, cashier, payment, fact, decision.remedy === 'refund');
      return decision.remedy === 'cancel' ? 'cancelFirst' : 'contradiction';
    case 'apply':
      await recordRef(uow, {
        objectId: fact.objectId,
        providerAccountId: attempt.providerAccountId,
        kind: 'payment_intent',
        id: intent.id,
      });
      return (await move(uow, cashier, payment, decision.to, fact, cause)) ? 'applied' : 'nothing';
  }
}

/** Ends an attempt that the provider surely never carried out. `watchAt`: when to look for it all the same; none when the provider refused it. */
export async function endNotExecuted(
  uow: UnitOfWork,
  cashier: Cashier,
  payment: OpenPayment,
  { cause, code = null, watchAt = null }: { cause: TransactionCause; code?: string | null; watchAt?: Date | null },
): Promise<boolean> {
  return finish(uow, cashier, payment, 'not_executed', { declineCode: code, nextActionAt: watchAt }, cause);
}

/** Ends an attempt that was never sent: nobody has to be asked. */
export async function endNeverSent(
  uow: UnitOfWork,
  cashier: Cashier,
  payment: OpenPayment,
  cause: TransactionCause,
): Promise<boolean> {
  invariant(payment.attempt.sentAt === null, 'only what was never sent ends without the provider', { id: payment.attempt.id });
  return finish(uow, cashier, payment, 'canceled', {}, cause);
}

async function move(
  uow: UnitOfWork,
  cashier: Cashier,
  payment: OpenPayment,
  to: AttemptStatus,
  fact: PaymentFact,
  cause: TransactionCause,
): Promise<boolean> {
  const known: AttemptColumns = {
    providerObjectId: fact.objectId,
    ...(fact.chargeId === null ? {} : { providerChargeId: fact.chargeId }),
  };
  switch (to) {
    case 'succeeded':
      return succeed(uow, cashier, payment, fact, known, cause);
    case 'requires_action':
    case 'processing':
      return waitFor(uow, cashier, payment, to, fact, known, cause);
    case 'declined':
    case 'canceled':
    case 'not_executed':
      return finish(uow, cashier, payment, to, { ...known, ...declineColumns(to, fact) }, cause);
    default:
      invariant(false, 'a fact leads to a status that a provider can tell', { to });
  }
}

/** Money moved: everything that follows from it. */
async function succeed(
  uow: UnitOfWork,
  cashier: Cashier,
  { attempt, intent }: OpenPayment,
  fact: PaymentFact,
  known: AttemptColumns,
  cause: TransactionCause,
): Promise<boolean> {
  const done = await changeAttempt(uow, attempt, { ...known, ...AT_REST, status: 'succeeded' });
  if (!done) return false;
  const invoice = await requireInvoice(uow, intent.invoiceId);
  const wasGivenUp = intent.cancelRequestedAt !== null;
  await changeIntent(uow, intent, { status: 'succeeded' });
  await closeInvoice(uow, invoice.id, 'paid');
  const transaction = await requireTransaction(uow, attempt.id);
  await changeTransaction(uow, transaction, {
    status: 'succeeded',
    cause,
    settledAt: uow.now,
    statementDescriptor: fact.statementDescriptor,
  });
  if (fact.chargeId !== null) {
    await recordRef(uow, {
      objectId: fact.chargeId,
      providerAccountId: attempt.providerAccountId,
      kind: 'charge',
      id: attempt.id,
    });
  }
  await bookCharge(uow, cashier, attempt, intent, fact);
  // A change that was given up leaves the old tier; a first payment that was gives its period, which ends with the refund.
  const isGiven = !(wasGivenUp && invoice.kind === 'change') && (await deliver(uow, cashier, invoice, cause));
  cashier.events.statusChanged('charge', 'succeeded');
  if (invoice.kind === 'change' && !isGiven) await giveBackChange(uow, cashier, invoice, intent.id, attempt.id);
  else if (wasGivenUp || !isGiven) {
    // The customer gave the payment up, or the subscription had ended, and the provider was faster: what was taken goes back.
    const isFirstPeriod = invoice.epoch === 0 && invoice.periodNumber === 0;
    if (wasGivenUp && isFirstPeriod && invoice.subscriptionId !== null) await releaseCoupon(uow, invoice.subscriptionId);
    const charge = await requireTransaction(uow, attempt.id);
    await requestRefund(uow, cashier, {
      charge,
      attempt: { status: 'succeeded' },
      amount: null,
      reason: 'requested',
      note: 'Given up by the customer before it was paid.',
      requestedBy: 'system',
      cause: 'user',
      endSubscription: true,
    });
  }
  return true;
}

/** The charge in the books: what the provider owes us now, and what it kept of it. */
async function bookCharge(
  uow: UnitOfWork,
  cashier: Cashier,
  attempt: PaymentAttemptRow,
  intent: PaymentIntentRow,
  fact: PaymentFact,
): Promise<void> {
  const record = fact.records.find((one) => one.kind === 'charge') ?? null;
  const isForeign = record !== null && record.currency !== attempt.currency;
  await postJournal(uow, {
    sourceId: attempt.id,
    movements: paymentSucceeded(attempt.amount, attempt.currency, isForeign),
    userId: attempt.userId,
    invoiceId: intent.invoiceId,
    effectiveAt: record?.occurredAt ?? uow.now,
    providerAccountId: attempt.providerAccountId,
  });
  if (record) await bookRecord(uow, cashier, { owner: attempt, record, ourRef: intent.id, matchedId: attempt.id, isForeign });
}

/** Still under way: the customer has a step to do, or the provider takes its time. */
async function waitFor(
  uow: UnitOfWork,
  cashier: Cashier,
  { attempt, intent }: OpenPayment,
  to: 'requires_action' | 'processing',
  fact: PaymentFact,
  known: AttemptColumns,
  cause: TransactionCause,
): Promise<boolean> {
  const done = await changeAttempt(uow, attempt, {
    ...known,
    status: to,
    leaseUntil: null,
    nextAction:
      to === 'requires_action' && fact.nextAction
        ? { ...fact.nextAction, expiresAt: new Date(uow.now.getTime() + CANCEL_AFTER_MS).toISOString() }
        : null,
    nextActionAt: nextProbeAt({
      status: to,
      probes: 0,
      callDeadlineAt: attempt.callDeadlineAt ?? uow.now,
      enteredAt: uow.now,
      now: uow.now,
      jitter: cashier.tx.random.fraction(),
    }),
  });
  if (!done) return false;
  await changeIntent(uow, intent, { status: intentStatusOf(to) as 'requires_action' | 'processing' });
  await changeTransaction(uow, await requireTransaction(uow, attempt.id), { status: to, cause });
  cashier.events.statusChanged('charge', to);
  return true;
}

/** A payment that ends without money. */
async function finish(
  uow: UnitOfWork,
  cashier: Cashier,
  { attempt, intent }: OpenPayment,
  to: FirstPaymentEnd,
  columns: AttemptColumns,
  cause: TransactionCause,
): Promise<boolean> {
  const done = await changeAttempt(uow, attempt, { ...AT_REST, ...columns, status: to });
  if (!done) return false;
  await (attempt.cause === 'user'
    ? finishFirstPayment(uow, { attempt, intent }, to, cause)
    : finishRenewal(uow, { attempt, intent }, to, cause));
  await changeTransaction(uow, await requireTransaction(uow, attempt.id), {
    status: transactionStatusOf(to),
    cause,
    settledAt: uow.now,
  });
  cashier.events.statusChanged('charge', to);
  return true;
}

/** Nothing is owed any more: the customer begins anew. */
async function finishFirstPayment(
  uow: UnitOfWork,
  { attempt, intent }: OpenPayment,
  to: FirstPaymentEnd,
  cause: TransactionCause,
): Promise<void> {
  const end = firstPaymentEnd(to);
  await changeIntent(uow, intent, { status: end.intent });
  const invoice = await requireInvoice(uow, intent.invoiceId);
  await voidInvoice(uow, invoice, attempt.providerAccountId);
  if (invoice.subscriptionId !== null) {
    const subscription = await loadSubscription(uow, invoice.subscriptionId);
    invariant(subscription !== null, 'an invoice of a subscription has it', { id: invoice.id });
    if (subscription.status === 'incomplete') {
      await releaseCoupon(uow, subscription.id);
      await changeSubscription(uow, subscription, {
        kind: intent.cancelRequestedAt === null ? 'payment_failed' : 'gave_up',
        cause,
        set: {
          status: end.subscription,
          endedAt: uow.now,
          endReason: to === 'canceled' ? 'not_paid' : 'payment_failed',
          nextActionAt: null,
        },
      });
    }
  } else if (invoice.purchaseId !== null) {
    await setPurchaseStatus(uow, invoice.purchaseId, end.purchase);
  } else if (invoice.giftId !== null) {
    await dropGift(uow, invoice.giftId);
  }
}

/** A renewal that was not paid: it stays owed while the subscription lives, and what happened decides what comes next. */
async function finishRenewal(
  uow: UnitOfWork,
  { attempt, intent }: OpenPayment,
  to: FirstPaymentEnd,
  cause: TransactionCause,
): Promise<void> {
  const invoice = await requireInvoice(uow, intent.invoiceId);
  const subscription = invoice.subscriptionId === null ? null : await loadSubscription(uow, invoice.subscriptionId);
  invariant(subscription !== null, 'a renewal is of a subscription', { id: attempt.id });
  const { resumesAt } = subscription;
  const pausedUntil = subscription.status === 'paused' ? resumesAt : null;
  const failedCount = pausedUntil === null ? 0 : (await countVoidPeriods(uow, subscription.id, subscription.epoch + 1)) + 1;
  const end = renewalEnd(to, {
    isOver: hasEnded(subscription.status as SubscriptionStatus),
    pause: pausedUntil && { resumesAt: pausedUntil, failedCount },
    now: uow.now,
  });
  await changeIntent(uow, intent, { status: end.intent });
  if (end.isVoid) await voidInvoice(uow, invoice, attempt.providerAccountId);
  if (end.subscription === 'past_due')
    await changeSubscription(uow, subscription, { kind: 'past_due', cause, set: unpaid(subscription) });
  else if (end.subscription !== null)
    await changeSubscription(uow, subscription, {
      kind: 'renewal_put_off',
      cause,
      set: { nextActionAt: end.subscription.again },
    });
}

/** The object that appeared for an ended attempt: what is told of it later finds its way here. */
async function keepLateObject(uow: UnitOfWork, { attempt, intent }: OpenPayment, fact: PaymentFact): Promise<void> {
  const { providerAccountId } = attempt;
  await recordRef(uow, { objectId: fact.objectId, providerAccountId, kind: 'payment_intent', id: intent.id });
  const isWatched = attempt.status === 'not_executed' || attempt.status === 'canceled';
  await changeAttempt(uow, attempt, {
    providerObjectId: fact.objectId,
    ...(isWatched && fact.status === 'succeeded' ? { leaseUntil: null, nextActionAt: nextLookAtTaken(uow, fact) } : {}),
  });
}

/** Money that was taken is looked at no more once it is booked, which it can be when the provider has. */
function nextLookAtTaken(uow: UnitOfWork, fact: PaymentFact): Date | null {
  return fact.records.some((record) => record.kind === 'charge') ? null : new Date(uow.now.getTime() + BOOKED_SOON_MS);
}

/**
 * A charge that succeeded for an attempt taken for dead: its money is ours to explain, so it goes to suspense. Where the customer was told
 * that nothing happened it is given back; else a person rules.
 */
async function bookOrphan(
  uow: UnitOfWork,
  cashier: Cashier,
  { attempt, intent }: OpenPayment,
  fact: PaymentFact,
  isGivenBack: boolean,
): Promise<void> {
  const record = fact.records.find((one) => one.kind === 'charge');
  if (!record) return;
  const id = await bookRecord(uow, cashier, { owner: attempt, record, ourRef: intent.id, matchedId: null, isForeign: false });
  if (id === null) return;
  const orphanId = findingId(ORPHAN, id, uow.now);
  if (fact.chargeId !== null) {
    await recordRef(uow, {
      objectId: fact.chargeId,
      providerAccountId: attempt.providerAccountId,
      kind: 'orphan',
      id: orphanId,
    });
  }
  await recordFinding(uow, {
    id: orphanId,
    providerAccountId: attempt.providerAccountId,
    kind: ORPHAN,
    severity: 1,
    currency: record.currency,
    oursMinor: 0n,
    theirsMinor: record.grossMinor,
    recordId: id,
    subjectType: 'transaction',
    subjectId: attempt.id,
    ...(isGivenBack ? { nextActionAt: uow.now } : {}),
  });
  cashier.events.findingOpened(ORPHAN, 1);
  await postJournal(uow, {
    sourceId: orphanId,
    movements: orphanReceipt(record.grossMinor, record.currency),
    userId: attempt.userId,
    invoiceId: null,
    effectiveAt: record.occurredAt,
    providerAccountId: attempt.providerAccountId,
  });
}

async function open(
  uow: UnitOfWork,
  cashier: Cashier,
  { attempt }: OpenPayment,
  kind: string,
  theirsMinor: bigint,
): Promise<void> {
  await recordFinding(uow, {
    // Of one attempt it is told once, however often it is met.
    id: findingId(kind, attempt.id, attempt.sentAt ?? uow.now),
    providerAccountId: attempt.providerAccountId,
    kind,
    severity: 1,
    currency: attempt.currency,
    oursMinor: attempt.amount,
    theirsMinor,
    recordId: null,
    subjectType: 'transaction',
    subjectId: attempt.id,
  });
  cashier.events.findingOpened(kind, 1);
}

/** A charge's line in the provider's books may come a while after it (Stripe: up to an hour). */
const BOOKED_SOON_MS = 5 * 60_000;

/** Columns of an attempt that waits for nothing any more. */
const AT_REST = { nextAction: null, nextActionAt: null, leaseUntil: null } satisfies AttemptColumns;

function declineColumns(to: AttemptStatus, fact: PaymentFact): AttemptColumns {
  if (to !== 'declined' || fact.decline === null) return {};
  const { adviceCode, networkDeclineCode, networkAdviceCode } = fact.decline;
  return {
    declineClass: classifyDecline(fact.decline),
    declineCode: tellingCode(fact.decline),
    adviceCode,
    networkDeclineCode,
    networkAdviceCode,
  };
}

async function requireTransaction(uow: UnitOfWork, id: string) {
  const transaction = await loadTransaction(uow, id);
  invariant(transaction !== null, 'an attempt has its transaction', { id: publicId('txn', id) });
  return transaction;
}
