import { listOpenInvoices, type InvoiceRow } from '../store/invoices.store.js';
import { changeIntent, hastenLook, loadLiveIntent } from '../store/payments.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { voidInvoice } from './void-invoice.js';

/**
 * Nobody is charged for a subscription that has ended: what it still owes is voided, a payment under way is given up. One that was not sent
 * ends at the worker's next look; one that was is cancelled at the provider or, if it was faster, given back in full (rules V6, V7).
 */
export async function dropRenewal(uow: UnitOfWork, cashier: Cashier, subscriptionId: string): Promise<void> {
  for (const invoice of await listOpenInvoices(uow, subscriptionId)) await giveUpInvoice(uow, cashier, invoice);
}

/** A change of tier that waits for its payment is given up in the same way; the old tier stays as it is (rules V4). */
export async function giveUpChange(uow: UnitOfWork, cashier: Cashier, subscriptionId: string): Promise<void> {
  for (const invoice of await listOpenInvoices(uow, subscriptionId))
    if (invoice.kind === 'change') await giveUpInvoice(uow, cashier, invoice);
}

async function giveUpInvoice(uow: UnitOfWork, cashier: Cashier, invoice: InvoiceRow): Promise<void> {
  const intent = await loadLiveIntent(uow, invoice.id);
  if (intent !== null && intent.status !== 'retry_wait') {
    if (intent.cancelRequestedAt === null) await changeIntent(uow, intent, { cancelRequestedAt: uow.now });
    await hastenLook(uow, intent);
    return;
  }
  if (intent !== null) await changeIntent(uow, intent, { status: 'canceled' });
  await voidInvoice(uow, invoice, cashier.provider.accountId);
}
