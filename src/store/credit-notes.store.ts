/** Credit notes and what they take of the lines of an invoice. The customer's lock is held by whoever writes them. */
import { bucketOf } from '../domain/ids.js';
import type { CreditNote } from '../domain/invoice/credit-note.js';
import type { PastLine } from '../domain/invoice/line.js';
import type { TaxBehavior } from '../domain/tax/tax.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A line of an invoice as crediting looks at it, with its place on the invoice. */
export interface InvoicedLine extends PastLine {
  /** From 1. */
  place: number;
}

const LIST_LINES = statement<
  [number, string],
  {
    place: number;
    priceId: string | null;
    start: Date | null;
    end: Date | null;
    net: bigint;
    discount: bigint;
    tax: bigint;
    ratePpm: number;
    taxBehavior: TaxBehavior;
    isProration: boolean;
    isPaid: boolean;
    credited: bigint;
    creditedTax: bigint;
    at: Date;
  }
>(
  'list_invoiced_lines',
  `select l.position as place, l.price_id as "priceId", l.period_start as start, l.period_end as "end", l.amount as net, l.discount, l.tax,
     l.tax_rate_ppm as "ratePpm", coalesce(p.tax_behavior, 'exclusive') as "taxBehavior", l.is_proration as "isProration",
     i.status = 'paid' as "isPaid", l.credited, l.credited_tax as "creditedTax", id_time(i.id) as at
   from invoice i join invoice_line l on l.bucket = i.bucket and l.invoice_id = i.id left join price p on p.id = l.price_id
   where i.bucket = $1 and i.id = $2 order by l.position`,
);

/** The lines of an invoice with what was given back of them so far, in their order. */
export async function listInvoicedLines(uow: UnitOfWork, invoiceId: string): Promise<InvoicedLine[]> {
  const rows = await uow.run(LIST_LINES, [bucketOf(invoiceId), invoiceId]);
  return rows.map((row) => ({
    place: row.place,
    priceId: row.priceId ?? '',
    // What is bought once covers no time.
    start: row.start ?? row.at,
    end: row.end ?? row.at,
    netMinor: row.net,
    discountMinor: row.discount,
    taxMinor: row.tax,
    ratePpm: row.ratePpm,
    taxBehavior: row.taxBehavior,
    isProration: row.isProration,
    isPaid: row.isPaid,
    creditedNetMinor: row.credited - row.creditedTax,
    creditedTaxMinor: row.creditedTax,
  }));
}

const LOAD_NOTED = statement<[number, string], { noted: bigint }>(
  'load_noted',
  `select greatest(coalesce(sum(n.net + n.tax), 0) - max(i.credit_applied + i.carried), 0)::bigint as noted
   from invoice i left join credit_note n on n.bucket = i.bucket and n.invoice_id = i.id and n.refund_id is null and n.canceled_at is null
     and n.voided_at is null
   where i.bucket = $1 and i.id = $2`,
);

/** Of what a charge paid of an invoice, given to the customer's balance by notes that stand, minor units: what the balance had paid goes back to it first. */
export async function loadNoted(uow: UnitOfWork, invoiceId: string | null): Promise<bigint> {
  if (invoiceId === null) return 0n;
  return (await uow.run(LOAD_NOTED, [bucketOf(invoiceId), invoiceId]))[0]?.noted ?? 0n;
}

/** A note to be written. */
export interface NewCreditNote extends Pick<CreditNote, 'netMinor' | 'taxMinor'> {
  id: string;
  /** Place of its line on the invoice, from 1. */
  place: number;
}

/** What notes are about. */
export interface CreditNotesOf {
  userId: string;
  invoiceId: string;
  reason: string;
  /** The refund by which it is given back; null: it goes to the balance. */
  refundId: string | null;
}

const ADD_NOTES = statement<
  [
    bucket: number,
    userId: string,
    invoiceId: string,
    reason: string,
    refundId: string | null,
    ids: string[],
    places: number[],
    nets: bigint[],
    taxes: bigint[],
  ],
  { position: number }
>(
  'add_credit_notes',
  `with n as materialized (select * from unnest($6::uuid[], $7::smallint[], $8::bigint[], $9::bigint[]) as n (id, position, net, tax))
   , note as (
     insert into credit_note (bucket, id, user_id, invoice_id, position, net, tax, reason, refund_id)
     select $1, id, $2, $3, position, net, tax, $4, $5 from n)
   update invoice_line l set credited = l.credited + n.net + n.tax, credited_tax = l.credited_tax + n.tax from n
   where l.bucket = $1 and l.invoice_id = $3 and l.position = n.position returning l.position`,
);

/** Writes the notes of one refund or credit, one for a line, and takes them off what is left of their lines. */
export async function insertCreditNotes(uow: UnitOfWork, of: CreditNotesOf, notes: readonly NewCreditNote[]): Promise<void> {
  if (notes.length === 0) return;
  await uow.run(ADD_NOTES, [
    bucketOf(of.invoiceId),
    of.userId,
    of.invoiceId,
    of.reason,
    of.refundId,
    notes.map(({ id }) => id),
    notes.map(({ place }) => place),
    notes.map(({ netMinor }) => netMinor),
    notes.map(({ taxMinor }) => taxMinor),
  ]);
}

const CANCEL_NOTES = statement<[number, string, Date], { id: string }>(
  'cancel_credit_notes',
  `with n as (
     update credit_note set canceled_at = $3 where bucket = $1 and refund_id = $2 and canceled_at is null and number is null
     returning bucket, invoice_id, position, net, tax, id)
   , line as (
     update invoice_line l set credited = l.credited - n.net - n.tax, credited_tax = l.credited_tax - n.tax from n
     where l.bucket = n.bucket and l.invoice_id = n.invoice_id and l.position = n.position)
   select id from n`,
);

/** The refund was never carried out: its notes will not be issued, and what they took of their lines is left of them again. */
export async function cancelCreditNotes(uow: UnitOfWork, refundId: string): Promise<void> {
  await uow.run(CANCEL_NOTES, [bucketOf(refundId), refundId, uow.now]);
}
