/** Intents, attempts and the lines of the user's money history. Every status change is conditional on the version that was read. */
import { In, Not } from 'typeorm';
import {
  bucketOf,
  type InvoiceId,
  type PaymentIntentId,
  type PaymentMethodId,
  type PurchaseId,
  type SubscriptionId,
  type TransactionId,
} from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { DisputeRow, PaymentAttemptRow, PaymentIntentRow, RefundRow, TransactionRow } from '../entities/payment.entity.js';
import { entityStatement, statement } from './statement.js';
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

const ADD_ATTEMPT = statement<
  [number, string, string, string, number, number, string, bigint, string, string, string, string | null, Buffer, Date],
  never
>(
  'add_attempt',
  `insert into payment_attempt (bucket, id, user_id, payment_intent_id, number, provider_account_id, payment_method_id, amount, currency,
     cause, is_off_session, idempotency_key, return_url, request_fingerprint, status, next_action_at)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10 <> 'user', $11, $12, $13, 'created', $14)`,
);
const ADD_FIRST_ATTEMPT = statement<
  [number, string, string, string, string, bigint, string, number, string, string, string, Buffer, Date],
  never
>(
  'add_first_attempt',
  `with intent as (
     insert into payment_intent (bucket, id, user_id, invoice_id, amount, currency, status) values ($1, $2, $4, $5, $6, $7, 'created'))
   insert into payment_attempt (bucket, id, user_id, payment_intent_id, number, provider_account_id, payment_method_id, amount, currency,
     cause, is_off_session, idempotency_key, return_url, request_fingerprint, status, next_action_at)
   values ($1, $3, $4, $2, 1, $8, $9, $6, $7, 'user', false, $10, $11, $12, 'created', $13)`,
);

/** Writes intent, attempt 1 and its pending transaction, and tells the feed. */
export async function insertFirstAttempt(uow: UnitOfWork, attempt: NewAttempt): Promise<void> {
  const { userId, currency } = attempt;
  await uow.run(ADD_FIRST_ATTEMPT, [
    bucketOf(attempt.id),
    attempt.intentId,
    attempt.id,
    userId,
    attempt.invoiceId,
    attempt.amountMinor,
    currency,
    attempt.providerAccountId,
    attempt.paymentMethodId,
    attempt.idempotencyKey,
    attempt.returnUrl,
    attempt.requestFingerprint,
    attempt.nextActionAt,
  ]);
  await insertTransaction(uow, chargeLine(attempt, 'user'));
}

/** A further attempt for an intent that has had some. */
export interface NextAttempt extends Omit<NewAttempt, 'returnUrl'> {
  /** Its place in the order, from 2. */
  number: number;
  cause: 'renewal' | 'retry';
  returnUrl: string | null;
}

/** Writes a further attempt and its pending transaction, and tells the feed. */
export async function insertAttempt(uow: UnitOfWork, attempt: NextAttempt): Promise<void> {
  await uow.run(ADD_ATTEMPT, [
    bucketOf(attempt.id),
    attempt.id,
    attempt.userId,
    attempt.intentId,
    attempt.number,
    attempt.providerAccountId,
    attempt.paymentMethodId,
    attempt.amountMinor,
    attempt.currency,
    attempt.cause,
    attempt.idempotencyKey,
    attempt.returnUrl,
    attempt.requestFingerprint,
    attempt.nextActionAt,
  ]);
  await insertTransaction(uow, chargeLine(attempt, attempt.cause));
}

/** The pending line of history of a new attempt. */
function chargeLine(attempt: Omit<NewAttempt, 'returnUrl'>, cause: TransactionCause): NewTransaction {
  return {
    id: attempt.id,
    userId: attempt.userId,
    kind: 'charge',
    status: 'pending',
    amountMinor: attempt.amountMinor,
    currency: attempt.currency,
    providerAccountId: attempt.providerAccountId,
    paymentMethodId: attempt.paymentMethodId,
    subscriptionId: attempt.subscriptionId,
    purchaseId: attempt.purchaseId,
    invoiceId: attempt.invoiceId,
    originalId: null,
    cause,
    settledAt: null,
  };
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

const ADD_TRANSACTION = statement<
  [
    bucket: number,
    id: string,
    userId: string,
    kind: string,
    status: string,
    amount: bigint,
    currency: string,
    providerAccountId: number,
    paymentMethodId: string | null,
    subscriptionId: string | null,
    purchaseId: string | null,
    invoiceId: string | null,
    originalId: string | null,
    settledAt: Date | null,
    at: Date,
    cause: string,
  ],
  never
>(
  'add_transaction',
  `with line as (
     insert into transaction (bucket, id, user_id, kind, status, amount, currency, provider_account_id, payment_method_id,
       subscription_id, purchase_id, invoice_id, original_id, settled_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14))
   insert into transaction_event (bucket, transaction_id, version, user_id, status, at, cause) values ($1, $2, 0, $3, $5, $15, $16)`,
);

/** Writes a transaction with its first event, and tells the feed. */
export async function insertTransaction(uow: UnitOfWork, transaction: NewTransaction): Promise<void> {
  await uow.run(ADD_TRANSACTION, [
    bucketOf(transaction.id),
    transaction.id,
    transaction.userId,
    transaction.kind,
    transaction.status,
    transaction.amountMinor,
    transaction.currency,
    transaction.providerAccountId,
    transaction.paymentMethodId,
    transaction.subscriptionId,
    transaction.purchaseId,
    transaction.invoiceId,
    transaction.originalId,
    transaction.settledAt,
    uow.now,
    transaction.cause,
  ]);
  uow.emit({
    change: 'payment_status',
    userId: transaction.userId,
    subjectId: transaction.id,
    version: 0,
    status: transaction.status,
    previousStatus: null,
  });
}

const CHANGE_TRANSACTION = statement<
  [number, string, number, string, Date | null, string | null, Date, string],
  { transaction_id: string }
>(
  'change_transaction',
  `with changed as (
     update transaction set status = $4, version = version + 1, settled_at = coalesce($5, settled_at),
       statement_descriptor = coalesce($6, statement_descriptor)
     where bucket = $1 and id = $2 and version = $3 returning bucket, id, version, user_id, status)
   insert into transaction_event (bucket, transaction_id, version, user_id, status, at, cause)
   select bucket, id, version, user_id, status, $7, $8 from changed returning transaction_id`,
);

/** Moves a transaction to another status with its event, and tells the feed. The customer's lock is held. */
export async function changeTransaction(
  uow: UnitOfWork,
  row: TransactionRow,
  change: { status: string; cause: TransactionCause; settledAt?: Date; statementDescriptor?: string | null },
): Promise<void> {
  const done = await uow.run(CHANGE_TRANSACTION, [
    row.bucket,
    row.id,
    row.version,
    change.status,
    change.settledAt ?? null,
    change.statementDescriptor ?? null,
    uow.now,
    change.cause,
  ]);
  invariant(done.length === 1, 'a transaction changes only under its customer lock', { id: row.id });
  uow.emit({
    change: 'payment_status',
    userId: row.userId,
    subjectId: row.id,
    version: row.version + 1,
    status: change.status,
    previousStatus: row.status,
  });
}

const LOAD_TRANSACTION = entityStatement<[number, string], TransactionRow>(
  'load_transaction',
  'select * from transaction where bucket = $1 and id = $2',
);
const LOAD_ATTEMPT = entityStatement<[number, string], PaymentAttemptRow>(
  'load_attempt',
  'select * from payment_attempt where bucket = $1 and id = $2',
);
const LOAD_INTENT = entityStatement<[number, string], PaymentIntentRow>(
  'load_intent',
  'select * from payment_intent where bucket = $1 and id = $2',
);
/** One transaction by id; row security hides other users' from a customer. */
export async function loadTransaction(uow: UnitOfWork, id: string): Promise<TransactionRow | null> {
  return (await uow.run(LOAD_TRANSACTION, [bucketOf(id), id]))[0] ?? null;
}

/** One attempt by id. */
export async function loadAttempt(uow: UnitOfWork, id: string): Promise<PaymentAttemptRow | null> {
  return (await uow.run(LOAD_ATTEMPT, [bucketOf(id), id]))[0] ?? null;
}

/** One intent by id. */
export async function loadIntent(uow: UnitOfWork, id: string): Promise<PaymentIntentRow | null> {
  return (await uow.run(LOAD_INTENT, [bucketOf(id), id]))[0] ?? null;
}

/** The decision to collect an invoice that has neither failed nor been canceled; null without one. */
export async function loadLiveIntent(uow: UnitOfWork, invoiceId: string): Promise<PaymentIntentRow | null> {
  return uow.manager.findOneBy(PaymentIntentRow, {
    bucket: bucketOf(invoiceId),
    invoiceId,
    status: Not(In(['failed', 'canceled'])),
  });
}

const HASTEN = statement<[number, string, Date], never>(
  'hasten_attempt',
  `update payment_attempt set next_action_at = $3, version = version + 1
   where bucket = $1 and payment_intent_id = $2 and status in ('created', 'requires_action') and next_action_at > $3
     and (lease_until is null or lease_until < $3)`,
);

/** Has the worker look now at an attempt that nobody wants any more: one not sent yet, or one that waits for its payer. The customer's lock is held. */
export async function hastenLook(uow: UnitOfWork, intent: PaymentIntentRow): Promise<void> {
  await uow.run(HASTEN, [intent.bucket, intent.id, uow.now]);
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
  `select t.id from transaction t left join invoice i on i.bucket = t.bucket and i.id = t.invoice_id
   where t.bucket = $1 and t.kind = 'charge' and (t.purchase_id = $2 or (t.subscription_id = $2 and i.epoch = 0 and i.period_number = 0))
   order by t.id limit 1`,
);

/** The first charge of a purchase, or of the period with which a subscription began; null when nothing was due then. */
export async function loadFirstCharge(uow: UnitOfWork, ownerId: string): Promise<TransactionId | null> {
  const [row] = await uow.run(FIRST_TRANSACTION, [bucketOf(ownerId), ownerId]);
  return row?.id ?? null;
}

const PAID_CHARGES = entityStatement<[number, string[]], TransactionRow>(
  'paid_charges',
  `select * from transaction where bucket = $1 and invoice_id = any($2) and kind = 'charge' and status = 'succeeded' order by id`,
);

/** The charges that paid these invoices of one customer, in the order in which they were made. */
export async function listPaidCharges(uow: UnitOfWork, invoiceIds: string[]): Promise<TransactionRow[]> {
  const [first] = invoiceIds;
  return first === undefined ? [] : uow.run(PAID_CHARGES, [bucketOf(first), invoiceIds]);
}

/** New columns of an attempt; status and the rest only together with a raised version. */
export type AttemptColumns = Partial<Omit<PaymentAttemptRow, 'bucket' | 'id' | 'version' | 'userId'>>;

/** Changes an attempt if it still has the version that was read; false when somebody else was first. Whoever changes one alone holds it by its lease alone. */
export async function changeAttempt(uow: UnitOfWork, row: PaymentAttemptRow, set: AttemptColumns): Promise<boolean> {
  const done = await uow.manager.update(
    PaymentAttemptRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { claimedBy: null, ...set, version: row.version + 1 },
  );
  return done.affected === 1;
}

const CHANGE_INTENT = statement<[number, string, number, string | null, Date | null], { id: string }>(
  'change_intent',
  `update payment_intent set status = coalesce($4, status), cancel_requested_at = coalesce($5, cancel_requested_at), version = version + 1
   where bucket = $1 and id = $2 and version = $3 returning id`,
);

/** Moves an intent on, version + 1. The customer's lock or the attempt's version is held. */
export async function changeIntent(
  uow: UnitOfWork,
  row: PaymentIntentRow,
  set: { status?: string; cancelRequestedAt?: Date },
): Promise<void> {
  const done = await uow.run(CHANGE_INTENT, [row.bucket, row.id, row.version, set.status ?? null, set.cancelRequestedAt ?? null]);
  invariant(done.length === 1, 'an intent changes together with its attempt', { id: row.id });
}

/** Rows that wait for the worker, by slot: claimed ones are skipped, so two workers share the load and never a row. */
const DUE_ATTEMPTS = statement<[Slot, Date, number], { id: TransactionId; user_id: string }>(
  'due_attempts',
  `select id, user_id from payment_attempt
   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)
     and (status <> 'created' or cause <> 'renewal')
     and not (cause = 'renewal' and status = 'sent' and probes < 4 and coalesce(lease_until, '-infinity') > $2::timestamptz - interval '1 min')
   order by next_action_at limit $3`,
);
const DUE_REFUNDS = statement<[Slot, Date, number], { id: TransactionId; user_id: string }>(
  'due_refunds',
  `select id, user_id from refund
   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)
   order by next_action_at limit $3`,
);

/**
 * Up to `limit` attempts of these buckets that are due; each is claimed by its version before anything is done. Renewals not sent yet, or whose
 * worker has just gone, are for the collector, which does many at a time.
 */
export async function listDueAttempts(
  uow: UnitOfWork,
  buckets: Slot,
  limit: number,
): Promise<{ id: TransactionId; userId: string }[]> {
  const rows = await uow.run(DUE_ATTEMPTS, [buckets, uow.now, limit]);
  return rows.map((row) => ({ id: row.id, userId: row.user_id }));
}

/** The same for refunds. */
export async function listDueRefunds(
  uow: UnitOfWork,
  buckets: Slot,
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

/** One dispute by id. */
export async function loadDispute(uow: UnitOfWork, id: string): Promise<DisputeRow | null> {
  return uow.manager.findOneBy(DisputeRow, { bucket: bucketOf(id), id });
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
