import { bucketOf, type InvoiceId, type PriceId, type PurchaseId, type SubscriptionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { InvoiceRow, RevenueScheduleRow } from '../entities/invoice.entity.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { InvoiceRow, RevenueScheduleRow };

/** What is owed, with its one line. */
export interface NewInvoice {
  id: InvoiceId;
  userId: string;
  currency: string;
  netMinor: bigint;
  priceId: PriceId;
  description: string;
  for:
    | {
        kind: 'period';
        subscriptionId: SubscriptionId;
        epoch: number;
        periodNumber: number;
        periodStart: Date;
        periodEnd: Date;
        startsOn: string;
        endsOn: string;
      }
    | { kind: 'purchase'; purchaseId: PurchaseId };
}

const ADD_INVOICE = statement<
  [
    bucket: number,
    id: string,
    userId: string,
    kind: string,
    subscriptionId: string | null,
    purchaseId: string | null,
    epoch: number | null,
    periodNumber: number | null,
    periodStart: Date | null,
    periodEnd: Date | null,
    currency: string,
    net: bigint,
    at: Date,
    description: string,
    priceId: string,
  ],
  never
>(
  'add_invoice',
  `with invoice as (
     insert into invoice (bucket, id, user_id, kind, subscription_id, purchase_id, epoch, period_number, period_start, period_end,
       currency, net, tax, status, finalized_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 'open', $13))
   insert into invoice_line (bucket, invoice_id, position, user_id, description, price_id, amount, period_start, period_end)
   values ($1, $2, 1, $3, $14, $15, $12, $9, $10)`,
);
const LOAD_INVOICE = entityStatement<[number, string], InvoiceRow>(
  'load_invoice',
  'select * from invoice where bucket = $1 and id = $2',
);
const CLOSE_INVOICE = statement<[number, string, string, Date | null], never>(
  'close_invoice',
  `update invoice set status = $3, paid_at = $4 where bucket = $1 and id = $2 and status = 'open'`,
);

/** Writes an open invoice and its line and, for a period with something to earn, its revenue schedule. Tax is 0: no rates are known yet. */
export async function insertInvoice(uow: UnitOfWork, invoice: NewInvoice): Promise<void> {
  const bucket = bucketOf(invoice.id);
  const { userId, currency } = invoice;
  const period = invoice.for.kind === 'period' ? invoice.for : null;
  await uow.run(ADD_INVOICE, [
    bucket,
    invoice.id,
    userId,
    invoice.for.kind,
    period?.subscriptionId ?? null,
    invoice.for.kind === 'purchase' ? invoice.for.purchaseId : null,
    period?.epoch ?? null,
    period?.periodNumber ?? null,
    period?.periodStart ?? null,
    period?.periodEnd ?? null,
    currency,
    invoice.netMinor,
    uow.now,
    invoice.description,
    invoice.priceId,
  ]);
  if (period) {
    await uow.manager.insert(RevenueScheduleRow, {
      bucket,
      invoiceId: invoice.id,
      seq: 1,
      userId,
      currency,
      net: invoice.netMinor,
      startsOn: period.startsOn,
      endsOn: period.endsOn,
    });
  }
}

/** The invoice; every attempt has one. */
export async function requireInvoice(uow: UnitOfWork, id: string): Promise<InvoiceRow> {
  const [invoice] = await uow.run(LOAD_INVOICE, [bucketOf(id), id]);
  invariant(invoice !== undefined, 'an attempt has its invoice', { id });
  return invoice;
}

/** What a subscription still owes. */
export async function listOpenInvoices(uow: UnitOfWork, subscriptionId: string): Promise<InvoiceRow[]> {
  return uow.manager.findBy(InvoiceRow, { bucket: bucketOf(subscriptionId), subscriptionId, status: 'open' });
}

/** Sets an open invoice paid or void. */
export async function closeInvoice(uow: UnitOfWork, id: string, status: 'paid' | 'void'): Promise<void> {
  await uow.run(CLOSE_INVOICE, [bucketOf(id), id, status, status === 'paid' ? uow.now : null]);
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
