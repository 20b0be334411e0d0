import type { Slot } from '../platform/slots.js';
import type { ForEach } from '../platform/repeat.js';
import { listDueAttempts, listDueRefunds } from '../store/payments.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, SYSTEM } from './cashier.js';
import { resolvePayment } from './resolve-payment.js';
import { resolveRefund } from './send-refund.js';

/** Looks at every payment that is due: unsent, of unknown outcome, waiting for the customer or the bank. @returns whether there may be more */
export async function resolveDuePayments(cashier: Cashier, buckets: Slot, limit: number, forEach: ForEach): Promise<boolean> {
  const due = await inTx(cashier.tx, SYSTEM, (uow) => listDueAttempts(uow, buckets, limit));
  await forEach(due, (ref) => resolvePayment(cashier, ref, 'due'));
  return due.length === limit;
}

/** The same for refunds. */
export async function resolveDueRefunds(cashier: Cashier, buckets: Slot, limit: number, forEach: ForEach): Promise<boolean> {
  const due = await inTx(cashier.tx, SYSTEM, (uow) => listDueRefunds(uow, buckets, limit));
  await forEach(due, (ref) => resolveRefund(cashier, ref));
  return due.length === limit;
}
