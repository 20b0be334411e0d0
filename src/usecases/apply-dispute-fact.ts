/**
 * Disputes come from the provider alone. Money moves by the dispute's lines in the provider's books (none, one, or two), never by its
 * status: the first takes the amount and a fee, the second gives it back. The customer's lock is held by the caller.
 */
import type { TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { decideDisputeStep, decideHold, type DisputeStatus, type DisputeStep, type Hold } from '../domain/dispute/dispute.js';
import { disputeLost, disputeReinstated, disputeWithdrawn, type Movement } from '../domain/ledger/journals.js';
import { splitAfterPartialRefund, unearnedOn } from '../domain/ledger/revenue.js';
import { entitledUntilFor, hasEnded, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import { isoDay } from '../domain/time/periods.js';
import type { DisputeFact, ProviderRecordFact } from '../ports/provider.js';
import { listSchedules, openSchedule, requireInvoice, stopSchedule } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import { setMethodStatus } from '../store/payment-methods.store.js';
import {
  changeDispute,
  insertDispute,
  insertTransaction,
  listDisputes,
  loadTransaction,
  type DisputeRow,
  type TransactionRow,
} from '../store/payments.store.js';
import { recordRef } from '../store/provider.store.js';
import { changeSubscription, loadSubscription } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { bookRecord } from './book-record.js';
import { newId, type Cashier } from './cashier.js';
import { endSubscription } from './end-subscription.js';
import { cancelGift, readGiftOf } from './gift-value.js';
import { scheduleOf } from './revenue.js';

/** Applies how a dispute stands to the charge it is about; older news does nothing. */
export async function applyDisputeFact(uow: UnitOfWork, cashier: Cashier, chargeId: string, fact: DisputeFact): Promise<void> {
  const charge = await loadTransaction(uow, chargeId);
  invariant(charge !== null, 'a dispute is about a charge of ours', { chargeId });
  const known = (await listDisputes(uow, chargeId)).find((row) => row.providerObjectId === fact.objectId) ?? null;
  const withdrawn = fact.records.find((record) => record.kind === 'dispute') ?? null;
  const reinstated = fact.records.find((record) => record.kind === 'dispute_reversal') ?? null;
  const told = { status: fact.status, isWithdrawn: withdrawn !== null, isReinstated: reinstated !== null };
  const booked = known && {
    // Column check: one of these words.
    status: known.status as DisputeStatus,
    isWithdrawn: known.isWithdrawn,
    isReinstated: known.reversalId !== null,
  };
  const step = decideDisputeStep(booked, told);
  const { status } = step;
  const row =
    known ??
    (await insertDispute(uow, {
      id: newId(cashier, 'txn', charge.bucket),
      charge,
      providerObjectId: fact.objectId,
      amountMinor: fact.amountMinor,
      reason: fact.reason,
      evidenceDueAt: fact.evidenceDueAt,
      status,
    }));
  await recordRef(uow, { objectId: fact.objectId, providerAccountId: charge.providerAccountId, kind: 'dispute', id: row.id });
  const before = booked?.status ?? null;
  if (before === status && !step.withdraws && !step.reinstates) return;
  const reversalId = step.reinstates ? newId(cashier, 'txn', charge.bucket) : null;
  await changeDispute(uow, row, {
    status,
    reason: fact.reason,
    evidenceDueAt: fact.evidenceDueAt,
    ...(step.withdraws ? { isWithdrawn: true } : {}),
    ...(reversalId === null ? {} : { reversalId }),
  });
  if (step.withdraws && withdrawn) await withdraw(uow, cashier, charge, row, withdrawn);
  if (reversalId !== null && reinstated) await reinstate(uow, cashier, charge, row, reversalId, reinstated);
  if (step.loses) await bookLoss(uow, charge, row);
  await followUp(uow, cashier, charge, step, before);
  cashier.events.statusChanged('dispute', status);
}

/** The bank took the amount back: a line of its own in the customer's history. */
async function withdraw(
  uow: UnitOfWork,
  cashier: Cashier,
  charge: TransactionRow,
  row: DisputeRow,
  record: ProviderRecordFact,
): Promise<void> {
  await insertLine(uow, charge, row, row.id, 'dispute');
  const recordId = await book(uow, cashier, charge, row.id, record);
  if (recordId === null) return;
  await postJournal(uow, {
    sourceId: recordId,
    movements: withdrawal(row, charge, record),
    userId: charge.userId,
    invoiceId: charge.invoiceId,
    effectiveAt: record.occurredAt,
    providerAccountId: charge.providerAccountId,
  });
}

/** The bank gave it back. */
async function reinstate(
  uow: UnitOfWork,
  cashier: Cashier,
  charge: TransactionRow,
  row: DisputeRow,
  reversalId: string,
  record: ProviderRecordFact,
): Promise<void> {
  await insertLine(uow, charge, row, reversalId, 'dispute_reversal');
  const recordId = await book(uow, cashier, charge, reversalId, record);
  if (recordId === null) return;
  await postJournal(uow, {
    sourceId: recordId,
    movements: reinstatement(row, charge, record),
    userId: charge.userId,
    invoiceId: charge.invoiceId,
    effectiveAt: record.occurredAt,
    providerAccountId: charge.providerAccountId,
  });
}

/** The amount in the charge's currency, as the dispute has it; the fee in the currency of the provider's books. */
function withdrawal(row: DisputeRow, charge: TransactionRow, record: ProviderRecordFact): Movement[] {
  return [...disputeWithdrawn(row.amount, 0n, charge.currency), ...disputeWithdrawn(0n, record.feeMinor, record.currency)];
}

/** The same the other way; a fee is given back only where the provider says so. */
function reinstatement(row: DisputeRow, charge: TransactionRow, record: ProviderRecordFact): Movement[] {
  const feeReturned = record.feeMinor < 0n ? -record.feeMinor : 0n;
  return [...disputeReinstated(row.amount, 0n, charge.currency), ...disputeReinstated(0n, feeReturned, record.currency)];
}

async function insertLine(
  uow: UnitOfWork,
  charge: TransactionRow,
  row: DisputeRow,
  id: string,
  kind: 'dispute' | 'dispute_reversal',
): Promise<void> {
  await insertTransaction(uow, {
    // A dispute's id, and its reversal's, are made as ids of transactions.
    id: id as TransactionId,
    userId: charge.userId,
    kind,
    status: 'succeeded',
    amountMinor: row.amount,
    currency: charge.currency,
    providerAccountId: charge.providerAccountId,
    paymentMethodId: charge.paymentMethodId,
    subscriptionId: charge.subscriptionId,
    purchaseId: charge.purchaseId,
    invoiceId: charge.invoiceId,
    originalId: charge.id,
    cause: 'provider_event',
    settledAt: uow.now,
  });
}

function book(
  uow: UnitOfWork,
  cashier: Cashier,
  charge: TransactionRow,
  matchedId: string,
  record: ProviderRecordFact,
): Promise<string | null> {
  return bookRecord(uow, cashier, { owner: charge, record, ourRef: null, matchedId, isForeign: false });
}

/** What a dispute does to access: held while it runs, given back when won and the paid period still runs, ended when lost. */
async function followUp(
  uow: UnitOfWork,
  cashier: Cashier,
  charge: TransactionRow,
  { status }: DisputeStep,
  before: DisputeStatus | null,
): Promise<void> {
  if (status === before) return;
  const subscription = charge.subscriptionId === null ? null : await loadSubscription(uow, charge.subscriptionId);
  if (status === 'lost') {
    if (charge.paymentMethodId !== null) await setMethodStatus(uow, charge.paymentMethodId, 'failed');
    if (subscription) await endSubscription(uow, cashier, subscription.id, 'dispute', 'provider_event');
    const gift = charge.invoiceId === null ? null : await readGiftOf(uow, await requireInvoice(uow, charge.invoiceId));
    if (gift !== null) await cancelGift(uow, gift);
    return;
  }
  // Column check: one of these words.
  if (!subscription || hasEnded(subscription.status as SubscriptionStatus)) return;
  const isAnyRunning = (await listDisputes(uow, charge.id)).some((one) => one.status === 'open' || one.status === 'under_review');
  const { hold, needsConsent } = decideHold({ hold: subscription.hold as Hold, before, status, isAnyRunning });
  if (hold === subscription.hold && !needsConsent) return;
  // The renewal after a dispute needs the customer's yes: it ends with the period unless resumed.
  const entitledUntil = entitledUntilFor({ status: 'active', periodEnd: subscription.periodEnd, endsAtPeriodEnd: true });
  const ending = { cancelAtPeriodEnd: true, entitledUntil, nextActionAt: subscription.periodEnd };
  await changeSubscription(uow, subscription, {
    kind: isAnyRunning ? 'held' : 'released',
    cause: 'provider_event',
    set: needsConsent ? { hold, ...ending } : { hold },
  });
}

/** The withdrawn amount is gone: what was not yet earned of it is not owed any more, the rest is a loss. */
async function bookLoss(uow: UnitOfWork, charge: TransactionRow, row: DisputeRow): Promise<void> {
  if (charge.invoiceId === null) return;
  const today = isoDay(uow.now);
  const running = (await listSchedules(uow, charge.invoiceId)).find((one) => one.stoppedOn === null) ?? null;
  const unearned = running ? unearnedOn(scheduleOf(running), today) : 0n;
  await postJournal(uow, {
    sourceId: row.id,
    movements: disputeLost(row.amount, unearned, charge.currency),
    userId: charge.userId,
    invoiceId: charge.invoiceId,
    effectiveAt: uow.now,
    providerAccountId: charge.providerAccountId,
  });
  const taken = row.amount < unearned ? row.amount : unearned;
  if (!running || taken === 0n) return;
  const { stopped, next } = splitAfterPartialRefund(scheduleOf(running), today, taken);
  await stopSchedule(uow, running, stopped.stoppedOn, stopped.reversedMinor);
  if (next) await openSchedule(uow, running, next);
}
