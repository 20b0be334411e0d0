/** Intents, attempts and the lines of the user's money history. Every status change is conditional on the version that was read. */
import {
  bucketOf,
  type InvoiceId,
  type PaymentIntentId,
  type PaymentMethodId,
  type PurchaseId,
  type SubscriptionId,
  type TransactionId,
} from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import {
  DisputeRow,
  PaymentAttemptRow,
  PaymentIntentRow,
  RefundRow,
  TransactionEventRow,
  TransactionRow,
} from '../entities/payment.entity.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { DisputeRow, PaymentAttemptRow, PaymentIntentRow, RefundRow, TransactionRow };

/** What a first attempt needs: intent, attempt and transaction are written together, before any call. */
export interface NewAttempt {
  intentId: PaymentIntentId;
  /** Id of the attempt and of its transaction. */
  id: TransactionId;
  userId: string;
  invoiceId: InvoiceId;
  subscriptionId: SubscriptionId | null;
  purchaseId: PurchaseId | null;
  amountMinor: bigint;
  currency: string;
  providerAccountId: number;
  paymentMethodId: PaymentMethodId;
  idempotencyKey: string;
  returnUrl: string;
  requestFingerprint: Buffer;
  /** When the worker sends it if nobody did. */
  nextActionAt: Date;
}

/** Writes intent, attempt 1 and its pending transaction, and tells the feed. */
export async function insertFirstAttempt(uow: UnitOfWork, attempt: NewAttempt): Promise<void> {
  const bucket = bucketOf(attempt.id);
  const { userId, currency } = attempt;
  await uow.manager.insert(PaymentIntentRow, {
    bucket,
    id: attempt.intentId,
    userId,
    invoiceId: attempt.invoiceId,
    amount: attempt.amountMinor,
    currency,
    status: 'created',
    version: 0,
  });
  await uow.manager.insert(PaymentAttemptRow, {
    bucket,
    id: attempt.id,
    userId,
    paymentIntentId: attempt.intentId,
    number: 1,
    providerAccountId: attempt.providerAccountId,
    paymentMethodId: attempt.paymentMethodId,
    amount: attempt.amountMinor,
    currency,
    cause: 'user',
    isOffSession: false,
    idempotencyKey: attempt.idempotencyKey,
    returnUrl: attempt.returnUrl,
    requestFingerprint: attempt.requestFingerprint,
    status: 'created',
    nextActionAt: attempt.nextActionAt,
    version: 0,
  });
  await insertTransaction(uow, {
    id: attempt.id,
    userId,
    kind: 'charge',
    status: 'pending',
    amountMinor: attempt.amountMinor,
    currency,
    providerAccountId: attempt.providerAccountId,
    paymentMethodId: attempt.paymentMethodId,
    subscriptionId: attempt.subscriptionId,
    purchaseId: attempt.purchaseId,
    invoiceId: attempt.invoiceId,
    originalId: null,
    cause: 'user',
    settledAt: null,
  });
}

/** Why a transaction changed its status. */
export type TransactionCause = 'user' | 'renewal' | 'retry' | 'provider_event' | 'staff' | 'reconciliation' | 'timeout';

/** A new line of the user's money history. */
export interface NewTransaction {
  id: TransactionId;
  userId: string;
  kind: 'charge' | 'refund' | 'dispute' | 'dispute_reversal';
  status: 'pending' | 'processing' | 'succeeded';
  amountMinor: bigint;
  currency: string;
  providerAccountId: number;
  paymentMethodId: string | null;
  subscriptionId: string | null;
  purchaseId: string | null;
  invoiceId: string | null;
  originalId: string | null;
  cause: TransactionCause;
  settledAt: Date | null;
}

/** Writes a transaction with its first event, and tells the feed. */
export async function insertTransaction(uow: UnitOfWork, transaction: NewTransaction): Promise<void> {
  const { amountMinor, cause, ...columns } = transaction;
  const bucket = bucketOf(transaction.id);
  await uow.manager.insert(TransactionRow, { ...columns, bucket, amount: amountMinor, version: 0 });
  await uow.manager.insert(TransactionEventRow, {
    bucket,
    transactionId: transaction.id,
    version: 0,
    userId: transaction.userId,
    status: transaction.status,
    at: uow.now,
    cause,
  });
  uow.emit({
    userId: transaction.userId,
    transactionId: transaction.id,
    version: 0,
    status: transaction.status,
    previousStatus: null,
  });
}

/** Moves a transaction to another status with its event, and tells the feed. The customer's lock is held. */
export async function changeTransaction(
  uow: UnitOfWork,
  row: TransactionRow,
  change: { status: string; cause: TransactionCause; settledAt?: Date; statementDescriptor?: string | null },
): Promise<void> {
  const version = row.version + 1;
  const done = await uow.manager.update(
    TransactionRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    {
      status: change.status,
      version,
      ...(change.settledAt === undefined ? {} : { settledAt: change.settledAt }),
      ...(change.statementDescriptor == null ? {} : { statementDescriptor: change.statementDescriptor }),
    },
  );
  invariant(done.affected === 1, 'a transaction changes only under its customer lock', { id: row.id });
  await uow.manager.insert(TransactionEventRow, {
    bucket: row.bucket,
    transactionId: row.id,
    version,
    userId: row.userId,
    status: change.status,
    at: uow.now,
    cause: change.cause,
  });
  // The row's id is the transaction's: a row of this table names nothing else.
  uow.emit({
    userId: row.userId,
    transactionId: row.id as TransactionId,
    version,
    status: change.status,
    previousStatus: row.status,
  });
}

/** One transaction by id; row security hides other users' from a customer. */
export async function loadTransaction(uow: UnitOfWork, id: string): Promise<TransactionRow | null> {
  return uow.manager.findOneBy(TransactionRow, { bucket: bucketOf(id), id });
}

/** One attempt by id. */
export async function loadAttempt(uow: UnitOfWork, id: string): Promise<PaymentAttemptRow | null> {
  return uow.manager.findOneBy(PaymentAttemptRow, { bucket: bucketOf(id), id });
}

/** One intent by id. */
export async function loadIntent(uow: UnitOfWork, id: string): Promise<PaymentIntentRow | null> {
  return uow.manager.findOneBy(PaymentIntentRow, { bucket: bucketOf(id), id });
}

/** The newest attempt of an intent, whatever became of it. */
export async function loadLatestAttempt(uow: UnitOfWork, intentId: string): Promise<PaymentAttemptRow | null> {
  return uow.manager.findOne(PaymentAttemptRow, {
    where: { bucket: bucketOf(intentId), paymentIntentId: intentId },
    order: { number: 'DESC' },
  });
}

/** The first attempt's id of a subscription or purchase: what a repeated request answers with. */
const FIRST_TRANSACTION = statement<[number, string], { id: TransactionId }>(
  'first_transaction',
  `select t.id from transaction t where t.bucket = $1 and (t.subscription_id = $2 or t.purchase_id = $2) and t.kind = 'charge' order by t.id limit 1`,
);

/** The first charge of a subscription or purchase; null when nothing was due. */
export async function loadFirstCharge(uow: UnitOfWork, ownerId: string): Promise<TransactionId | null> {
  const [row] = await uow.run(FIRST_TRANSACTION, [bucketOf(ownerId), ownerId]);
  return row?.id ?? null;
}

/** New columns of an attempt; status and the rest only together with a raised version. */
export type AttemptColumns = Partial<Omit<PaymentAttemptRow, 'bucket' | 'id' | 'version' | 'userId'>>;

/** Changes an attempt if it still has the version that was read; false when somebody else was first. */
export async function changeAttempt(uow: UnitOfWork, row: PaymentAttemptRow, set: AttemptColumns): Promise<boolean> {
  const done = await uow.manager.update(
    PaymentAttemptRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { ...set, version: row.version + 1 },
  );
  return done.affected === 1;
}

/** Moves an intent on, version + 1. The customer's lock or the attempt's version is held. */
export async function changeIntent(
  uow: UnitOfWork,
  row: PaymentIntentRow,
  set: Partial<Pick<PaymentIntentRow, 'status' | 'cancelRequestedAt'>>,
): Promise<void> {
  const done = await uow.manager.update(
    PaymentIntentRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { ...set, version: row.version + 1 },
  );
  invariant(done.affected === 1, 'an intent changes together with its attempt', { id: row.id });
}

/** Rows that wait for the worker, by slot: claimed ones are skipped, so two workers share the load and never a row. */
const DUE_ATTEMPTS = statement<[number[], Date, number], { id: TransactionId; user_id: string }>(
  'due_attempts',
  `select id, user_id from payment_attempt
   where bucket = any($1) and next_action_at <= $2 and (lease_until is null or lease_until < $2)
   order by next_action_at limit $3`,
);
const DUE_REFUNDS = statement<[number[], Date, number], { id: TransactionId; user_id: string }>(
  'due_refunds',
  `select id, user_id from refund
   where bucket = any($1) and next_action_at <= $2 and (lease_until is null or lease_until < $2)
   order by next_action_at limit $3`,
);

/** Up to `limit` attempts of these buckets that are due; each is claimed by its version before anything is done. */
export async function listDueAttempts(
  uow: UnitOfWork,
  buckets: number[],
  limit: number,
): Promise<{ id: TransactionId; userId: string }[]> {
  const rows = await uow.run(DUE_ATTEMPTS, [buckets, uow.now, limit]);
  return rows.map((row) => ({ id: row.id, userId: row.user_id }));
}

/** The same for refunds. */
export async function listDueRefunds(
  uow: UnitOfWork,
  buckets: number[],
  limit: number,
): Promise<{ id: TransactionId; userId: string }[]> {
  const rows = await uow.run(DUE_REFUNDS, [buckets, uow.now, limit]);
  return rows.map((row) => ({ id: row.id, userId: row.user_id }));
}

/** What a new refund needs. */
export interface NewRefund {
  id: TransactionId;
  charge: TransactionRow;
  amountMinor: bigint;
  reason: 'requested' | 'duplicate' | 'fraudulent' | 'service_failure' | 'legal';
  note: string | null;
  /** Who asked, e.g. staff:sue or system. */
  requestedBy: string;
  idempotencyKey: string;
  nextActionAt: Date;
  cause: TransactionCause;
}

/** Writes a refund and its pending transaction, and tells the feed. */
export async function insertRefund(uow: UnitOfWork, refund: NewRefund): Promise<void> {
  const { charge } = refund;
  await uow.manager.insert(RefundRow, {
    bucket: charge.bucket,
    id: refund.id,
    userId: charge.userId,
    paymentAttemptId: charge.id,
    amount: refund.amountMinor,
    currency: charge.currency,
    reason: refund.reason,
    note: refund.note,
    requestedBy: refund.requestedBy,
    status: 'created',
    idempotencyKey: refund.idempotencyKey,
    nextActionAt: refund.nextActionAt,
    version: 0,
  });
  await insertTransaction(uow, {
    id: refund.id,
    userId: charge.userId,
    kind: 'refund',
    status: 'pending',
    amountMinor: refund.amountMinor,
    currency: charge.currency,
    providerAccountId: charge.providerAccountId,
    paymentMethodId: charge.paymentMethodId,
    subscriptionId: charge.subscriptionId,
    purchaseId: charge.purchaseId,
    invoiceId: charge.invoiceId,
    originalId: charge.id,
    cause: refund.cause,
    settledAt: null,
  });
}

/** One refund by id. */
export async function loadRefund(uow: UnitOfWork, id: string): Promise<RefundRow | null> {
  return uow.manager.findOneBy(RefundRow, { bucket: bucketOf(id), id });
}

/** Every refund of a charge. */
export async function listRefunds(uow: UnitOfWork, chargeId: string): Promise<RefundRow[]> {
  return uow.manager.find(RefundRow, { where: { bucket: bucketOf(chargeId), paymentAttemptId: chargeId }, order: { id: 'ASC' } });
}

/** Changes a refund if it still has the version that was read; false when somebody else was first. */
export async function changeRefund(
  uow: UnitOfWork,
  row: RefundRow,
  set: Partial<Omit<RefundRow, 'bucket' | 'id' | 'version' | 'userId'>>,
): Promise<boolean> {
  const done = await uow.manager.update(
    RefundRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { ...set, version: row.version + 1 },
  );
  return done.affected === 1;
}

/** Every dispute of a charge. */
export async function listDisputes(uow: UnitOfWork, chargeId: string): Promise<DisputeRow[]> {
  return uow.manager.findBy(DisputeRow, { bucket: bucketOf(chargeId), paymentAttemptId: chargeId });
}

/** Writes a dispute as first heard of. */
export async function insertDispute(
  uow: UnitOfWork,
  dispute: {
    id: TransactionId;
    charge: TransactionRow;
    providerObjectId: string;
    amountMinor: bigint;
    reason: string | null;
    evidenceDueAt: Date | null;
    status: string;
  },
): Promise<DisputeRow> {
  const { charge } = dispute;
  await uow.manager.insert(DisputeRow, {
    bucket: charge.bucket,
    id: dispute.id,
    userId: charge.userId,
    paymentAttemptId: charge.id,
    providerAccountId: charge.providerAccountId,
    providerObjectId: dispute.providerObjectId,
    amount: dispute.amountMinor,
    currency: charge.currency,
    reason: dispute.reason,
    evidenceDueAt: dispute.evidenceDueAt,
    status: dispute.status,
    isWithdrawn: false,
    version: 0,
  });
  return uow.manager.findOneByOrFail(DisputeRow, { bucket: charge.bucket, id: dispute.id });
}

/** Changes a dispute, version + 1. The customer's lock is held. */
export async function changeDispute(
  uow: UnitOfWork,
  row: DisputeRow,
  set: Partial<Pick<DisputeRow, 'status' | 'isWithdrawn' | 'reversalId' | 'reason' | 'evidenceDueAt'>>,
): Promise<void> {
  const done = await uow.manager.update(
    DisputeRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { ...set, version: row.version + 1 },
  );
  invariant(done.affected === 1, 'a dispute changes only under its customer lock', { id: row.id });
}
