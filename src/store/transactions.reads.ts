import type { DisputeStatus } from '../domain/dispute/dispute.js';
import type { AttemptStatus } from '../domain/payment/attempt.js';
import type { RefundStatus } from '../domain/refund/refund.js';
import { keyedStatement } from './reader.js';
import { statement } from './statement.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { bucketOf } from '../domain/ids.js';
import { ownedColumns, type OwnedKey } from './viewer.js';

/** Kinds of transaction, as stored. */
export type TransactionKindWord = 'charge' | 'refund' | 'dispute' | 'dispute_reversal';

/** States of a transaction, as stored. */
export type TransactionState = 'pending' | 'requires_action' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'unknown';

/** A transaction as the graph shows it. */
export interface TransactionRow {
  o: number;
  id: string;
  userId: string;
  kind: TransactionKindWord;
  status: TransactionState;
  /** Minor units of the currency, always positive. */
  amount: bigint;
  currency: string;
  providerAccountId: number;
  paymentMethodId: string | null;
  subscriptionId: string | null;
  purchaseId: string | null;
  invoiceId: string | null;
  originalId: string | null;
  statementDescriptor: string | null;
  settledAt: Date | null;
}

const COLUMNS = `t.id, t.user_id as "userId", t.kind, t.status, t.amount, t.currency, t.provider_account_id as "providerAccountId",
  t.payment_method_id as "paymentMethodId", t.subscription_id as "subscriptionId", t.purchase_id as "purchaseId",
  t.invoice_id as "invoiceId", t.original_id as "originalId", t.statement_descriptor as "statementDescriptor", t.settled_at as "settledAt"`;

const KEYS = `unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)`;

/** Transactions of their owners by id. */
export const transactionsById = keyedStatement<OwnedKey, TransactionRow>(
  'transactions_by_id',
  `select k.o::int as o, ${COLUMNS}
   from ${KEYS}
   join transaction t on t.bucket = k.bucket and t.id = k.id
   where t.user_id = k.user_id`,
  ownedColumns,
);

/** Transactions of anybody by id: for staff whose look at them has been written to the audit log, and for nobody else. */
export const transactionsForStaff = keyedStatement<string, TransactionRow>(
  'transactions_for_staff',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[]) with ordinality as k(bucket, id, o)
   join transaction t on t.bucket = k.bucket and t.id = k.id`,
  (ids) => [ids.map(bucketOf), [...ids]],
);

/** A stretch of a user's transactions; each condition is null for "any". */
export interface TransactionStretch extends Stretch {
  readonly kinds: readonly TransactionKindWord[] | null;
  readonly statuses: readonly TransactionState[] | null;
  readonly providerAccountIds: readonly number[] | null;
  readonly subscriptionId: string | null;
  /** At least so much, in this currency. */
  readonly minAmount: { minor: bigint; currency: string } | null;
}

const pageText = (direction: 'asc' | 'desc'): string =>
  `select k.o::int as o, t.*
   from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::bigint[], $11::text[])
     with ordinality as k(bucket, user_id, below, above, limit_count, kinds, statuses, accounts, subscription_id, min_amount, currency, o)
   cross join lateral (
     select ${COLUMNS}
     from transaction t
     where t.bucket = k.bucket and t.user_id = k.user_id and t.id < k.below and t.id > k.above
       and (k.kinds is null or t.kind = any(string_to_array(k.kinds, ',')))
       and (k.statuses is null or t.status = any(string_to_array(k.statuses, ',')))
       and (k.accounts is null or t.provider_account_id = any(string_to_array(k.accounts, ',')::smallint[]))
       and (k.subscription_id is null or t.subscription_id = k.subscription_id)
       and (k.min_amount is null or (t.amount >= k.min_amount and t.currency = k.currency))
     order by t.id ${direction}
     limit k.limit_count) t`;

const pageColumns = (keys: readonly TransactionStretch[]): unknown[][] => [
  ...stretchColumns(keys),
  keys.map((key) => key.kinds?.join(',') ?? null),
  keys.map((key) => key.statuses?.join(',') ?? null),
  keys.map((key) => key.providerAccountIds?.join(',') ?? null),
  keys.map((key) => key.subscriptionId),
  keys.map((key) => key.minAmount?.minor ?? null),
  keys.map((key) => key.minAmount?.currency ?? null),
];

/** Stretches of users' transactions, newest first. */
export const transactionsDown = keyedStatement<TransactionStretch, TransactionRow>(
  'transactions_down',
  pageText('desc'),
  pageColumns,
);

/** Stretches of users' transactions, oldest first. */
export const transactionsUp = keyedStatement<TransactionStretch, TransactionRow>('transactions_up', pageText('asc'), pageColumns);

/** Conditions of a search as parameters $1..$9; each but the bounds and the limit is null for "any". */
export type SearchParams = readonly [
  below: string,
  above: string,
  limitCount: number,
  kinds: readonly string[] | null,
  statuses: readonly string[] | null,
  providerAccountIds: readonly number[] | null,
  subscriptionId: string | null,
  minAmount: bigint | null,
  currency: string | null,
];

const SEARCHED = `t.id < $1 and t.id > $2
     and ($4::text[] is null or t.kind = any($4))
     and ($5::text[] is null or t.status = any($5))
     and ($6::smallint[] is null or t.provider_account_id = any($6))
     and ($7::uuid is null or t.subscription_id = $7)
     and ($8::bigint is null or (t.amount >= $8 and t.currency = $9))
   order by t.id desc
   limit $3`;

/** Transactions of everybody, newest first: for staff whose search is written to the audit log, and for nobody else. */
export const transactionSearch = statement<SearchParams, TransactionRow>(
  'transaction_search',
  `select 1 as o, ${COLUMNS} from transaction t where ${SEARCHED}`,
);

/** The same of one user. */
export const transactionSearchOfUser = statement<readonly [...SearchParams, bucket: number, userId: string], TransactionRow>(
  'transaction_search_of_user',
  `select 1 as o, ${COLUMNS} from transaction t where t.bucket = $10 and t.user_id = $11 and ${SEARCHED}`,
);

/** The same with an id at the provider, of one user or of anybody: a payment, a charge of it, a refund or a dispute. */
export const transactionSearchByReference = statement<
  readonly [...SearchParams, bucket: number, objectId: string, userId: string | null],
  TransactionRow
>(
  'transaction_search_by_reference',
  `with named as materialized (
     select a.bucket, a.id from provider_ref r join payment_attempt a on a.bucket = id_bucket(r.id) and a.payment_intent_id = r.id
     where r.bucket = $10 and r.object_id = $11 and r.kind = 'payment_intent'
     union select id_bucket(r.id), r.id from provider_ref r
     where r.bucket = $10 and r.object_id = $11 and r.kind in ('charge', 'refund', 'dispute'))
   select 1 as o, ${COLUMNS} from named n join transaction t on t.bucket = n.bucket and t.id = n.id
   where ($12::text is null or t.user_id = $12) and ${SEARCHED}`,
);

/** The most recent charge for each subscription or purchase. */
export const latestCharges = keyedStatement<OwnedKey, TransactionRow>(
  'latest_charges',
  `select k.o::int as o, t.*
   from ${KEYS}
   cross join lateral (
     select ${COLUMNS}
     from transaction t
     where t.bucket = k.bucket and t.user_id = k.user_id and t.kind = 'charge'
       and (t.subscription_id = k.id or t.purchase_id = k.id)
     order by t.id desc
     limit 1) t`,
  ownedColumns,
);

/** The most recent charge for each gift, for its giver. */
export const giftCharges = keyedStatement<OwnedKey, TransactionRow>(
  'gift_charges',
  `select k.o::int as o, t.*
   from ${KEYS}
   cross join lateral (
     select ${COLUMNS}
     from invoice i
     join transaction t on t.bucket = i.bucket and t.invoice_id = i.id
     where i.bucket = k.bucket and i.gift_id = k.id and t.user_id = k.user_id and t.kind = 'charge'
     order by t.id desc
     limit 1) t`,
  ownedColumns,
);

/** The charges tried for each invoice, newest first. */
export const chargesOfInvoices = keyedStatement<OwnedKey, TransactionRow>(
  'charges_of_invoices',
  `select k.o::int as o, ${COLUMNS}
   from ${KEYS}
   join transaction t on t.bucket = k.bucket and t.invoice_id = k.id and t.kind = 'charge'
   where t.user_id = k.user_id
   order by t.id desc`,
  ownedColumns,
);

/** Refunds, disputes and returned disputes against each charge, oldest first. */
export const reversalsOf = keyedStatement<OwnedKey, TransactionRow>(
  'reversals_of',
  `select k.o::int as o, ${COLUMNS}
   from ${KEYS}
   join transaction t on t.bucket = k.bucket and t.original_id = k.id and t.kind <> 'charge'
   where t.user_id = k.user_id
   order by t.id`,
  ownedColumns,
);

/** One change of a transaction's status. */
export interface TransactionEventRow {
  o: number;
  status: TransactionState;
  at: Date;
  cause: 'user' | 'renewal' | 'retry' | 'provider_event' | 'staff' | 'reconciliation' | 'timeout';
}

/** Every status each transaction had, oldest first. */
export const transactionEvents = keyedStatement<OwnedKey, TransactionEventRow>(
  'transaction_events',
  `select k.o::int as o, e.status, e.at, e.cause
   from ${KEYS}
   join transaction_event e on e.bucket = k.bucket and e.transaction_id = k.id
   where e.user_id = k.user_id
   order by e.version`,
  ownedColumns,
);

/** A refund of a charge, a dispute about it, or notes for its invoice, as far as what is left to refund goes. Amounts in minor units. */
export type ReversalFactsRow =
  | { o: number; source: 'refund'; status: RefundStatus; amountMinor: bigint; isWithdrawn: false }
  | { o: number; source: 'dispute'; status: DisputeStatus; amountMinor: bigint; isWithdrawn: boolean }
  /** What notes gave to the balance beyond what the balance had paid, as `loadNoted` counts it. */
  | { o: number; source: 'note'; status: null; amountMinor: bigint; isWithdrawn: false };

/** Every refund and dispute of each charge, and what went to the balance of it. */
export const reversalFacts = keyedStatement<OwnedKey, ReversalFactsRow>(
  'reversal_facts',
  `select k.o::int as o, 'refund' as source, r.status, r.amount as "amountMinor", false as "isWithdrawn"
   from ${KEYS}
   join refund r on r.bucket = k.bucket and r.payment_attempt_id = k.id
   where r.user_id = k.user_id
   union all
   select k.o::int, 'dispute', d.status, d.amount, d.is_withdrawn
   from ${KEYS}
   join dispute d on d.bucket = k.bucket and d.payment_attempt_id = k.id
   where d.user_id = k.user_id
   union all
   select k.o::int, 'note', null, greatest(sum(n.net + n.tax) - max(i.credit_applied + i.carried), 0)::bigint, false
   from ${KEYS}
   join transaction t on t.bucket = k.bucket and t.id = k.id
   join invoice i on i.bucket = t.bucket and i.id = t.invoice_id
   join credit_note n on n.bucket = i.bucket and n.invoice_id = i.id and n.refund_id is null and n.canceled_at is null and n.voided_at is null
   where t.user_id = k.user_id
   group by k.o`,
  ownedColumns,
);

/** The try behind a charge: why it failed, or what the user must do. */
export interface AttemptRow {
  o: number;
  status: AttemptStatus;
  declineCode: string | null;
  adviceCode: string | null;
  networkDeclineCode: string | null;
  networkAdviceCode: string | null;
  /** JSON as stored; null unless the user must do a step. */
  nextAction: unknown;
  /** Its customer is there: of a first period, a change of tier, a purchase or gift, which no planned retry follows. */
  isFirstPayment: boolean;
}

/** The tries behind charges, which carry the charges' ids. */
export const attemptsById = keyedStatement<OwnedKey, AttemptRow>(
  'attempts_by_id',
  `select k.o::int as o, a.status, a.decline_code as "declineCode", a.advice_code as "adviceCode",
     a.network_decline_code as "networkDeclineCode", a.network_advice_code as "networkAdviceCode", a.next_action as "nextAction",
     (v.kind in ('purchase', 'change', 'gift') or (v.epoch = 0 and v.period_number = 0)) is true as "isFirstPayment"
   from ${KEYS}
   join payment_attempt a on a.bucket = k.bucket and a.id = k.id
   join payment_intent i on i.bucket = a.bucket and i.id = a.payment_intent_id
   join invoice v on v.bucket = i.bucket and v.id = i.invoice_id
   where a.user_id = k.user_id`,
  ownedColumns,
);
