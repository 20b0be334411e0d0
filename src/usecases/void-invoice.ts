import { balanceReleased, invoiceVoided } from '../domain/ledger/journals.js';
import { stopSchedule as decideStop } from '../domain/ledger/revenue.js';
import { isoDay } from '../domain/time/periods.js';
import { changeCredit } from '../store/credit.store.js';
import { closeInvoice, listSchedules, stopSchedule, type InvoiceRow } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { takeBackNote } from './proration-note.js';
import { scheduleOf } from './revenue.js';

/**
 * Voids an unpaid invoice: the receivable is undone, its schedule earns no more, and the balance is as it was (rules P7). A note that was
 * given for it is taken back.
 */
export async function voidInvoice(uow: UnitOfWork, invoice: InvoiceRow, providerAccountId: number): Promise<void> {
  const { userId, currency, net: netMinor, tax: taxMinor } = invoice;
  const { creditApplied: creditAppliedMinor, carried: carriedMinor, debitCollected: debitCollectedMinor } = invoice;
  const today = isoDay(uow.now);
  let unearned = 0n;
  for (const row of await listSchedules(uow, invoice.id)) {
    if (row.stoppedOn !== null) continue;
    const stop = decideStop(scheduleOf(row), today);
    unearned += stop.reversedMinor;
    await stopSchedule(uow, row, stop.stoppedOn, stop.reversedMinor);
  }
  await closeInvoice(uow, invoice.id, 'void');
  await postJournal(uow, {
    sourceId: invoice.id,
    movements: [
      ...invoiceVoided({ kind: invoice.kind === 'purchase' ? 'purchase' : 'period', netMinor, taxMinor, currency }, unearned),
      ...balanceReleased({ creditAppliedMinor, carriedMinor, debitCollectedMinor }, currency),
    ],
    userId,
    invoiceId: invoice.id,
    effectiveAt: uow.now,
    providerAccountId,
  });
  await changeCredit(uow, { userId, currency, byMinor: creditAppliedMinor + carriedMinor - debitCollectedMinor });
  if (invoice.kind === 'change') await takeBackNote(uow, invoice, providerAccountId);
}
