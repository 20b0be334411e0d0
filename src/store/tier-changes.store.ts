/** What a change of tier looks at and writes: lines of the present period, credit notes of what was not used. */
import { bucketOf, type InvoiceId } from '../domain/ids.js';
import { CreditNoteRow, InvoiceLineRow, InvoiceRow } from '../entities/invoice.entity.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { CreditNoteRow, InvoiceLineRow };

/** A line that was invoiced for some of a period. Amounts in minor units. */
export interface PeriodLineRow {
  invoiceId: InvoiceId;
  position: number;
  /** Of its invoice. */
  kind: string;
  isPaid: boolean;
  currency: string;
  priceId: string;
  tierName: string;
  taxBehavior: string;
  amount: bigint;
  discount: bigint;
  couponId: string | null;
  tax: bigint;
  taxRatePpm: number;
  credited: bigint;
  creditedTax: bigint;
  periodStart: Date;
  periodEnd: Date;
  isProration: boolean;
  /** Given back of its whole invoice by refunds without a note, and taken by disputes. */
  returned: bigint;
}

const PERIOD_LINES = statement<[number, string, number, Date, Date], PeriodLineRow>(
  'period_lines',
  `select i.id as "invoiceId", l.position, i.kind, i.status = 'paid' as "isPaid", i.currency,
     l.price_id as "priceId", t.name as "tierName", p.tax_behavior as "taxBehavior", l.amount, l.discount, l.coupon_id as "couponId", l.tax,
     l.tax_rate_ppm as "taxRatePpm", l.credited, l.credited_tax as "creditedTax", l.period_start as "periodStart",
     l.period_end as "periodEnd", l.is_proration as "isProration", coalesce(b.returned, 0)::bigint as returned
   from invoice i
   join invoice_line l on l.bucket = i.bucket and l.invoice_id = i.id
   join price p on p.id = l.price_id
   join tier t on t.id = p.tier_id
   left join lateral (
     select sum(back.amount) as returned
     from payment_intent g
     join payment_attempt a on a.bucket = g.bucket and a.payment_intent_id = g.id and a.status = 'succeeded'
     cross join lateral (
       select r.amount from refund r
       where r.bucket = a.bucket and r.payment_attempt_id = a.id and r.status <> 'canceled' and r.reason <> 'duplicate'
         and not exists (select from credit_note n where n.bucket = r.bucket and n.invoice_id = i.id and n.refund_id = r.id)
       union all
       select d.amount from dispute d
       where d.bucket = a.bucket and d.payment_attempt_id = a.id and d.is_withdrawn and d.status <> 'won') back
     where g.bucket = i.bucket and g.invoice_id = i.id) b on true
   where i.bucket = $1 and i.subscription_id = $2 and i.epoch = $3 and i.status in ('open', 'paid', 'uncollectible')
     and l.period_start < $5 and l.period_end > $4
     and not (i.kind = 'change' and exists (
       select from payment_intent g where g.bucket = i.bucket and g.invoice_id = i.id and g.status = 'succeeded' and g.cancel_requested_at is not null))
   order by i.id, l.position`,
);

/**
 * Every line that was invoiced for some of the time, in the order in which they were invoiced. Not those of void invoices, nor of a change
 * that was paid and given back, as it never took effect. The customer's lock is held.
 */
export async function listPeriodLines(
  uow: UnitOfWork,
  subscriptionId: string,
  period: { epoch: number; start: Date; end: Date },
): Promise<PeriodLineRow[]> {
  return uow.run(PERIOD_LINES, [bucketOf(subscriptionId), subscriptionId, period.epoch, period.start, period.end]);
}

/** The invoice of a change that waits for its payment; fence 1 lets a subscription have one. */
export async function loadOpenChange(uow: UnitOfWork, subscriptionId: string): Promise<InvoiceRow | null> {
  return uow.manager.findOneBy(InvoiceRow, {
    bucket: bucketOf(subscriptionId),
    subscriptionId,
    kind: 'change',
    status: 'open',
  });
}

/** The lines of an invoice, in their order. */
export async function listLines(uow: UnitOfWork, invoiceId: string): Promise<InvoiceLineRow[]> {
  return uow.manager.find(InvoiceLineRow, { where: { bucket: bucketOf(invoiceId), invoiceId }, order: { position: 'ASC' } });
}

const CREDIT_LINE = statement<[number, string, number, bigint, bigint], never>(
  'credit_line',
  `update invoice_line set credited = credited + $4::bigint + $5::bigint, credited_tax = credited_tax + $5::bigint
   where bucket = $1 and invoice_id = $2 and position = $3`,
);

/** More of a line was given back; negative: less. A CHECK refuses more than the line. The customer's lock is held. */
export async function creditLine(
  uow: UnitOfWork,
  line: { invoiceId: string; position: number },
  credit: { netMinor: bigint; taxMinor: bigint },
): Promise<void> {
  await uow.run(CREDIT_LINE, [bucketOf(line.invoiceId), line.invoiceId, line.position, credit.netMinor, credit.taxMinor]);
}

/** A credit note that was not taken back; null where there is none. */
export async function loadCreditNote(uow: UnitOfWork, id: string): Promise<CreditNoteRow | null> {
  const note = await uow.manager.findOneBy(CreditNoteRow, { bucket: bucketOf(id), id });
  return note?.voidedAt === null ? note : null;
}

const VOID_NOTE = statement<[number, string, Date], never>(
  'void_credit_note',
  'update credit_note set voided_at = $3 where bucket = $1 and id = $2 and voided_at is null',
);

/** Marks a note as taken back. */
export async function voidCreditNote(uow: UnitOfWork, id: string): Promise<void> {
  await uow.run(VOID_NOTE, [bucketOf(id), id, uow.now]);
}
