import { bucketOf, type InvoiceId, type PriceId, type PurchaseId, type SubscriptionId } from '../domain/ids.js';
import { InvoiceLineRow, InvoiceRow, RevenueScheduleRow } from '../entities/invoice.entity.js';
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

/** Writes an open invoice and its line and, for a period with something to earn, its revenue schedule. Tax is 0: no rates are known yet. */
export async function insertInvoice(uow: UnitOfWork, invoice: NewInvoice): Promise<void> {
  const bucket = bucketOf(invoice.id);
  const { userId, currency } = invoice;
  const period = invoice.for.kind === 'period' ? invoice.for : null;
  await uow.manager.insert(InvoiceRow, {
    bucket,
    id: invoice.id,
    userId,
    kind: invoice.for.kind,
    subscriptionId: period?.subscriptionId ?? null,
    purchaseId: invoice.for.kind === 'purchase' ? invoice.for.purchaseId : null,
    epoch: period?.epoch ?? null,
    periodNumber: period?.periodNumber ?? null,
    periodStart: period?.periodStart ?? null,
    periodEnd: period?.periodEnd ?? null,
    currency,
    net: invoice.netMinor,
    tax: 0n,
    status: 'open',
    finalizedAt: uow.now,
  });
  await uow.manager.insert(InvoiceLineRow, {
    bucket,
    invoiceId: invoice.id,
    position: 1,
    userId,
    description: invoice.description,
    priceId: invoice.priceId,
    amount: invoice.netMinor,
    periodStart: period?.periodStart ?? null,
    periodEnd: period?.periodEnd ?? null,
  });
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
  return uow.manager.findOneByOrFail(InvoiceRow, { bucket: bucketOf(id), id });
}

/** Sets an open invoice paid or void. */
export async function closeInvoice(uow: UnitOfWork, id: string, status: 'paid' | 'void'): Promise<void> {
  await uow.manager.update(
    InvoiceRow,
    { bucket: bucketOf(id), id, status: 'open' },
    { status, paidAt: status === 'paid' ? uow.now : null },
  );
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
