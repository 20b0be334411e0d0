/** Issuing an invoice: its rows, its postings and what it does to the customer's balance, in one unit of work. */
import type { InvoiceId } from '../domain/ids.js';
import type { InvoiceSums } from '../domain/invoice/invoice.js';
import type { InvoiceLine } from '../domain/invoice/line.js';
import { balanceUsed, invoiceFinalized } from '../domain/ledger/journals.js';
import { daysOf } from '../domain/ledger/revenue.js';
import { isoDay } from '../domain/time/periods.js';
import { changeCredit } from '../store/credit.store.js';
import { insertInvoice, type InvoicePurpose, type NewInvoiceLine } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';

/** An invoice about to be issued: lines and sums as `composeInvoice` gave them, under the customer's lock. */
export interface InvoicePlan {
  id: InvoiceId;
  userId: string;
  currency: string;
  lines: readonly NewInvoiceLine[];
  sums: InvoiceSums;
  for: InvoicePurpose;
  /** The time over which its net is earned; null: at once. */
  earnedOver: { start: Date; end: Date } | null;
}

/** A decided line with the words that stand on the invoice. @param couponId the coupon that took its discount off; null: none */
export function describedLine(line: InvoiceLine, description: string, couponId: string | null = null): NewInvoiceLine {
  const { start, end, ...amounts } = line;
  const { priceId, netMinor, discountMinor, taxMinor, ratePpm, isProration } = amounts;
  return { priceId, description, netMinor, discountMinor, couponId, taxMinor, ratePpm, covers: { start, end }, isProration };
}

/** Issues an invoice. It is paid at once where no payment has to collect anything; else it is open until one has. */
export async function issueInvoice(uow: UnitOfWork, cashier: Cashier, plan: InvoicePlan): Promise<void> {
  const { id, userId, currency, sums } = plan;
  const { creditAppliedMinor, carriedMinor, debitCollectedMinor } = sums;
  await insertInvoice(uow, {
    id,
    userId,
    currency,
    lines: plan.lines,
    creditAppliedMinor,
    carriedMinor,
    debitCollectedMinor,
    status: sums.settlement === 'charge' ? 'open' : 'paid',
    for: plan.for,
    earned: plan.earnedOver && daysOf(plan.earnedOver, isoDay(uow.now)),
  });
  const kind = plan.for.kind === 'purchase' ? 'purchase' : 'period';
  const { netMinor, taxMinor } = sums;
  await postJournal(uow, {
    sourceId: id,
    movements: [...invoiceFinalized({ kind, netMinor, taxMinor, currency }), ...balanceUsed(sums, currency)],
    userId,
    invoiceId: id,
    effectiveAt: uow.now,
    providerAccountId: cashier.provider.accountId,
  });
  await changeCredit(uow, { userId, currency, byMinor: debitCollectedMinor - creditAppliedMinor - carriedMinor });
}
