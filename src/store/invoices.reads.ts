import type { InvoiceStatus } from '../domain/invoice/invoice.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { keyedStatement } from './reader.js';
import { ownedColumns, type OwnedKey } from './viewer.js';

/** An invoice as the graph shows it. Amounts in minor units. */
export interface InvoiceRow {
  o: number;
  id: string;
  userId: string;
  subscriptionId: string | null;
  currency: string;
  /** Sums of its lines: before the coupon, taken off by it, and tax. */
  subtotal: bigint;
  discount: bigint;
  tax: bigint;
  total: bigint;
  /** Of the total, paid from the balance. */
  creditApplied: bigint;
  status: InvoiceStatus;
  number: string | null;
  finalizedAt: Date | null;
  paidAt: Date | null;
}

const COLUMNS = `i.id, i.user_id as "userId", i.subscription_id as "subscriptionId", i.currency, i.net + l.discount as subtotal, l.discount,
  i.tax, i.total, i.credit_applied as "creditApplied", i.status, i.number, i.finalized_at as "finalizedAt", i.paid_at as "paidAt"`;

const DISCOUNT = `cross join lateral (
     select coalesce(sum(discount), 0)::bigint as discount from invoice_line l where l.bucket = i.bucket and l.invoice_id = i.id) l`;

const KEYS = `unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)`;

/** Invoices of those who owe them by id. */
export const invoicesById = keyedStatement<OwnedKey, InvoiceRow>(
  'invoices_by_id',
  `select k.o::int as o, ${COLUMNS}
   from ${KEYS}
   join invoice i on i.bucket = k.bucket and i.id = k.id
   ${DISCOUNT}
   where i.user_id = k.user_id`,
  ownedColumns,
);

/** A stretch of a user's invoices; each condition is null for "any". */
export interface InvoiceStretch extends Stretch {
  readonly statuses: readonly InvoiceStatus[] | null;
  readonly subscriptionId: string | null;
}

/** Stretches of users' invoices, newest first. */
export const invoicesDown = keyedStatement<InvoiceStretch, InvoiceRow>(
  'invoices_down',
  `select k.o::int as o, i.*
   from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::uuid[]) with ordinality
     as k(bucket, user_id, below, above, limit_count, statuses, subscription_id, o)
   cross join lateral (
     select ${COLUMNS}
     from (
       select * from invoice i
       where i.bucket = k.bucket and i.user_id = k.user_id and i.id < k.below and i.id > k.above
         and (k.statuses is null or i.status = any(string_to_array(k.statuses, ',')))
         and (k.subscription_id is null or i.subscription_id = k.subscription_id)
       order by i.id desc
       limit k.limit_count) i
     ${DISCOUNT}
     order by i.id desc) i`,
  (keys) => [...stretchColumns(keys), keys.map((key) => key.statuses?.join(',') ?? null), keys.map((key) => key.subscriptionId)],
);

/** A line of an invoice as the graph shows it. Amounts in minor units. */
export interface InvoiceLineRow {
  o: number;
  description: string;
  /** Net of coupon and tax. */
  net: bigint;
  discount: bigint;
  periodStart: Date | null;
  periodEnd: Date | null;
  isProration: boolean;
}

/** The lines of each invoice, in their order. */
export const invoiceLines = keyedStatement<OwnedKey, InvoiceLineRow>(
  'invoice_lines',
  `select k.o::int as o, l.description, l.amount as net, l.discount, l.period_start as "periodStart", l.period_end as "periodEnd",
     l.is_proration as "isProration"
   from ${KEYS}
   join invoice_line l on l.bucket = k.bucket and l.invoice_id = k.id
   where l.user_id = k.user_id
   order by l.position`,
  ownedColumns,
);
