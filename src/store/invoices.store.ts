import { bucketOf, type GiftId, type InvoiceId, type PurchaseId, type SubscriptionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { InvoiceLineRow, InvoiceRow, RevenueScheduleRow } from '../entities/invoice.entity.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { InvoiceRow, RevenueScheduleRow };

/** A line of a new invoice. Amounts in minor units; those of what is given back are negative. */
export interface NewInvoiceLine {
  priceId: string;
  description: string;
  /** Net of coupon and tax. */
  netMinor: bigint;
  discountMinor: bigint;
  /** The coupon that took it off; null: none. */
  couponId: string | null;
  taxMinor: bigint;
  /** Parts per million. */
  ratePpm: number;
  /** The time it covers; null for what is bought once. */
  covers: { start: Date; end: Date } | null;
  isProration: boolean;
}

/** What an invoice is for. */
export type InvoicePurpose =
  | {
      kind: 'period';
      subscriptionId: SubscriptionId;
      epoch: number;
      periodNumber: number;
      periodStart: Date;
      periodEnd: Date;
    }
  /** A change of tier: the rest of the period, or the first period of a new epoch. */
  | { kind: 'change'; subscriptionId: SubscriptionId; epoch: number; periodStart: Date; periodEnd: Date }
  | { kind: 'purchase'; purchaseId: PurchaseId }
  | { kind: 'gift'; giftId: GiftId };

/** What is owed, with its lines; their sums are the invoice. Amounts in minor units. */
export interface NewInvoice {
  id: InvoiceId;
  userId: string;
  currency: string;
  lines: readonly NewInvoiceLine[];
  /** Of the total, paid from the balance. */
  creditAppliedMinor: bigint;
  /** Of the total, too small to be charged: waits in the balance. */
  carriedMinor: bigint;
  /** Owed from before and collected beside the total. */
  debitCollectedMinor: bigint;
  status: 'open' | 'paid';
  for: InvoicePurpose;
  /** Days that earn the net: the first, and the one after the last; null: earned at once. */
  earned: { startsOn: string; endsOn: string } | null;
}

const ADD_INVOICE = statement<
  [
    bucket: number,
    id: string,
    userId: string,
    kind: string,
    subscriptionId: string | null,
    purchaseId: string | null,
    giftId: string | null,
    epoch: number | null,
    periodNumber: number | null,
    periodStart: Date | null,
    periodEnd: Date | null,
    currency: string,
    creditApplied: bigint,
    carried: bigint,
    debitCollected: bigint,
    status: string,
    at: Date,
    lines: string,
  ],
  never
>(
  'add_invoice',
  `with l as materialized (
     select * from rows from (json_to_recordset($18::json) as ("priceId" uuid, description text, net bigint, discount bigint, "couponId" uuid, tax bigint,
       rate int, "periodStart" timestamptz, "periodEnd" timestamptz, "isProration" boolean)) with ordinality as l ("priceId", description, net,
       discount, "couponId", tax, rate, "periodStart", "periodEnd", "isProration", position))
   , invoice as (
     insert into invoice (bucket, id, user_id, kind, subscription_id, purchase_id, gift_id, epoch, period_number, period_start, period_end,
       currency, net, tax, credit_applied, carried, debit_collected, status, finalized_at, paid_at)
     select $1, $2, $3, $4::text, $5::uuid, $6::uuid, $7::uuid, $8::int, $9::int, $10::timestamptz, $11::timestamptz, $12, coalesce(sum(net), 0),
       coalesce(sum(tax), 0), $13, $14, $15, $16::text, $17::timestamptz, case when $16::text = 'paid' then $17::timestamptz end from l)
   insert into invoice_line (bucket, invoice_id, position, user_id, description, price_id, amount, discount, coupon_id, tax, tax_rate_ppm, period_start,
     period_end, is_proration)
   select $1, $2, position, $3, description, "priceId", net, discount, "couponId", tax, rate, "periodStart", "periodEnd", "isProration" from l`,
);
const LOAD_INVOICE = entityStatement<[number, string], InvoiceRow>(
  'load_invoice',
  'select * from invoice where bucket = $1 and id = $2',
);
const CLOSE_INVOICE = statement<[number, string, string, Date | null], { user_id: string }>(
  'close_invoice',
  `update invoice set status = $3, paid_at = $4 where bucket = $1 and id = $2 and status = 'open' returning user_id`,
);

/** Writes an invoice with its lines and, where its net is earned over days, its revenue schedule, and tells the feed. */
export async function insertInvoice(uow: UnitOfWork, invoice: NewInvoice): Promise<void> {
  const bucket = bucketOf(invoice.id);
  const { userId, currency, earned } = invoice;
  const purpose = invoice.for;
  const period = 'subscriptionId' in purpose ? purpose : null;
  const lines = invoice.lines.map((line) => ({
    priceId: line.priceId,
    description: line.description,
    net: line.netMinor.toString(),
    discount: line.discountMinor.toString(),
    couponId: line.couponId,
    tax: line.taxMinor.toString(),
    rate: line.ratePpm,
    periodStart: line.covers?.start ?? null,
    periodEnd: line.covers?.end ?? null,
    isProration: line.isProration,
  }));
  await uow.run(ADD_INVOICE, [
    bucket,
    invoice.id,
    userId,
    purpose.kind,
    period?.subscriptionId ?? null,
    purpose.kind === 'purchase' ? purpose.purchaseId : null,
    purpose.kind === 'gift' ? purpose.giftId : null,
    period?.epoch ?? null,
    purpose.kind === 'period' ? purpose.periodNumber : null,
    period?.periodStart ?? null,
    period?.periodEnd ?? null,
    currency,
    invoice.creditAppliedMinor,
    invoice.carriedMinor,
    invoice.debitCollectedMinor,
    invoice.status,
    uow.now,
    JSON.stringify(lines),
  ]);
  uow.emit({ change: 'invoice', userId, subjectId: invoice.id, version: 0, status: invoice.status, previousStatus: null });
  const netMinor = invoice.lines.reduce((sum, line) => sum + line.netMinor, 0n);
  if (earned !== null && netMinor > 0n) {
    await uow.manager.insert(RevenueScheduleRow, {
      bucket,
      invoiceId: invoice.id,
      seq: 1,
      userId,
      currency,
      net: netMinor,
      ...earned,
    });
  }
}

/** The invoice; every attempt has one. */
export async function requireInvoice(uow: UnitOfWork, id: string): Promise<InvoiceRow> {
  const [invoice] = await uow.run(LOAD_INVOICE, [bucketOf(id), id]);
  invariant(invoice !== undefined, 'an attempt has its invoice', { id });
  return invoice;
}

/** What the first line of an invoice was sold as: the price, and the coupon that reduced it. */
export async function requireFirstLine(
  uow: UnitOfWork,
  invoiceId: string,
): Promise<{ priceId: string; couponId: string | null }> {
  const line = await uow.manager.findOneBy(InvoiceLineRow, { bucket: bucketOf(invoiceId), invoiceId, position: 1 });
  invariant(line !== null && line.priceId !== null, 'an invoice has a line with a price', { invoiceId });
  return { priceId: line.priceId, couponId: line.couponId };
}

/** How often a period of an epoch was invoiced and not paid. */
export async function countVoidPeriods(uow: UnitOfWork, subscriptionId: string, epoch: number): Promise<number> {
  return uow.manager.countBy(InvoiceRow, {
    bucket: bucketOf(subscriptionId),
    subscriptionId,
    kind: 'period',
    epoch,
    status: 'void',
  });
}

/** What a subscription still owes. */
export async function listOpenInvoices(uow: UnitOfWork, subscriptionId: string): Promise<InvoiceRow[]> {
  return uow.manager.findBy(InvoiceRow, { bucket: bucketOf(subscriptionId), subscriptionId, status: 'open' });
}

/** Sets an open invoice paid or void, and tells the feed. */
export async function closeInvoice(uow: UnitOfWork, id: string, status: 'paid' | 'void'): Promise<void> {
  const [closed] = await uow.run(CLOSE_INVOICE, [bucketOf(id), id, status, status === 'paid' ? uow.now : null]);
  if (!closed) return;
  uow.emit({ change: 'invoice', userId: closed.user_id, subjectId: id, version: 0, status, previousStatus: 'open' });
}

/** The schedules of an invoice, oldest first; at most one runs. */
export async function listSchedules(uow: UnitOfWork, invoiceId: string): Promise<RevenueScheduleRow[]> {
  return uow.manager.find(RevenueScheduleRow, { where: { bucket: bucketOf(invoiceId), invoiceId }, order: { seq: 'ASC' } });
}

/** Stops a schedule on a day; what was not earned by then is reversed. */
export async function stopSchedule(
  uow: UnitOfWork,
  row: RevenueScheduleRow,
  stoppedOn: string,
  reversedMinor: bigint,
): Promise<void> {
  await uow.manager.update(
    RevenueScheduleRow,
    { bucket: row.bucket, invoiceId: row.invoiceId, seq: row.seq },
    { stoppedOn, reversed: reversedMinor },
  );
}

/** Opens the schedule that earns what remains of another. */
export async function openSchedule(
  uow: UnitOfWork,
  after: RevenueScheduleRow,
  next: { seq: number; netMinor: bigint; startsOn: string; endsOn: string },
): Promise<void> {
  await uow.manager.insert(RevenueScheduleRow, {
    bucket: after.bucket,
    invoiceId: after.invoiceId,
    seq: next.seq,
    userId: after.userId,
    currency: after.currency,
    net: next.netMinor,
    startsOn: next.startsOn,
    endsOn: next.endsOn,
  });
}
