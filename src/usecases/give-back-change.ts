/**
 * A change that was paid and did not take effect: the customer had given it up and the provider was faster, or it was not to be had any
 * more. What was taken for it goes back, to the card and to the balance, each what it gave.
 */
import { isService } from '../domain/invoice/line.js';
import { invariant } from '../domain/invariant.js';
import { refundParts } from '../domain/ledger/journals.js';
import type { InvoiceRow } from '../store/invoices.store.js';
import { changeIntent, loadIntent, loadTransaction } from '../store/payments.store.js';
import { listLines } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { giveNote, takeBackNote } from './proration-note.js';
import { requestRefund } from './request-refund.js';

/**
 * Gives back what a change that did not take effect was paid with. What its customer owed from before and paid with it stays paid. Its intent
 * is marked as given up, by which all who read the period's lines know that it never took effect. The customer's lock is held.
 */
export async function giveBackChange(
  uow: UnitOfWork,
  cashier: Cashier,
  invoice: InvoiceRow,
  intentId: string,
  chargeId: string,
): Promise<void> {
  const [intent, charge] = [await loadIntent(uow, intentId), await loadTransaction(uow, chargeId)];
  invariant(intent !== null && charge !== null, 'a charge has its intent and its transaction', { chargeId });
  if (intent.cancelRequestedAt === null) await changeIntent(uow, intent, { cancelRequestedAt: uow.now });
  const { userId, currency } = invoice;
  const amountMinor = charge.amount - invoice.debitCollected;
  if (invoice.creditApplied > 0n) {
    const service = (await listLines(uow, invoice.id)).find((line) => isService({ netMinor: line.amount, taxMinor: line.tax }));
    invariant(service !== undefined, 'a change has the line of its new price', { id: invoice.id });
    const { tax } = refundParts({
      amountMinor,
      currency,
      invoiceNetMinor: invoice.net,
      invoiceTaxMinor: invoice.tax,
      unearnedMinor: 0n,
    });
    const taxMinor = invoice.tax - tax;
    await giveNote(uow, {
      forInvoiceId: invoice.id,
      reason: 'change_not_made',
      userId,
      currency,
      line: service,
      credit: { netMinor: invoice.creditApplied - taxMinor, taxMinor },
      invoiceIds: [invoice.id],
      providerAccountId: cashier.provider.accountId,
    });
  }
  await takeBackNote(uow, invoice, cashier.provider.accountId);
  await requestRefund(uow, cashier, {
    charge,
    attempt: { status: 'succeeded' },
    amount: { minor: amountMinor, currency },
    reason: 'requested',
    note: 'The change of tier did not take effect.',
    requestedBy: 'system',
    cause: 'user',
    endSubscription: false,
  });
}
