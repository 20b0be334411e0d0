/** A consumer's right to withdraw (rules V8): what goes back when a subscription is ended at once in its first fourteen days. */
import { idTimeMs, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { partOf } from '../domain/invoice/line.js';
import { refundableAmount } from '../domain/refund/refundable.js';
import { spreadRefund } from '../domain/refund/spread.js';
import { decideWithdrawal } from '../domain/subscription/cancel.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { listPaidCharges } from '../store/payments.store.js';
import { requirePrice, type SubscriptionRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { readLines } from './period-lines.js';
import { giveNote } from './proration-note.js';
import { readCharge, requestRefund } from './request-refund.js';

/**
 * Gives back the unused share of the period to who may withdraw, spread over the charges that paid for it; what the balance had paid goes to the
 * balance. Whether a benefit was used is not known here, so it counts as used. Nothing for who may not. The customer's lock is held.
 * @returns the refunds, to be sent once they are committed
 */
export async function giveBackWithdrawn(
  uow: UnitOfWork,
  cashier: Cashier,
  country: string | null,
  subscription: SubscriptionRow,
): Promise<TransactionId[]> {
  if (country === null) return [];
  const { currency } = await requirePrice(uow, subscription.priceId);
  const lines = await readLines(uow, subscription);
  const decision = decideWithdrawal({
    // Column check: one of these words.
    status: subscription.status as SubscriptionStatus,
    country,
    firstPurchaseAt: new Date(idTimeMs(subscription.id)),
    isUsed: true,
    lines,
    currency,
    now: uow.now,
  });
  if (decision.kind === 'refused') return [];
  const backMinor = decision.refunds.reduce((all, { netMinor, taxMinor }) => all + netMinor + taxMinor, 0n);
  const charges = await listPaidCharges(uow, [...new Set(lines.map(({ invoiceId }) => invoiceId))]);
  const refundable: bigint[] = [];
  for (const charge of charges) refundable.push(refundableAmount(await readCharge(uow, charge, 'succeeded')));
  const { perChargeMinor, toBalanceMinor } = spreadRefund(
    backMinor,
    refundable.map((refundableMinor) => ({ refundableMinor })),
  );
  const refunds: TransactionId[] = [];
  for (const [at, charge] of charges.entries()) {
    const minor = perChargeMinor[at] ?? 0n;
    if (minor === 0n) continue;
    const asked = await requestRefund(uow, cashier, {
      charge,
      attempt: { status: 'succeeded' },
      amount: { minor, currency },
      reason: 'legal',
      note: 'Withdrawn from by its customer.',
      requestedBy: 'system',
      cause: 'user',
      endSubscription: false,
    });
    // A charge that is disputed is the bank's to rule on.
    if ('refundId' in asked) refunds.push(asked.refundId);
  }
  const [credited] = decision.refunds;
  if (toBalanceMinor > 0n && credited)
    await giveToBalance(uow, cashier, subscription, { position: credited.position, amountMinor: toBalanceMinor, currency });
  return refunds;
}

/** What the balance had paid is the customer's to spend again, by a note on the line. */
async function giveToBalance(
  uow: UnitOfWork,
  cashier: Cashier,
  subscription: SubscriptionRow,
  given: { position: number; amountMinor: bigint; currency: string },
): Promise<void> {
  const { position, amountMinor, currency } = given;
  // Read again: what was refunded just now has left the lines.
  const line = (await readLines(uow, subscription))[position];
  invariant(line !== undefined, 'what is given back is of a line', { id: subscription.id, position });
  await giveNote(uow, {
    forInvoiceId: line.invoiceId,
    reason: 'withdrawal',
    userId: subscription.userId,
    currency,
    line,
    credit: partOf({ ...line, taxBehavior: 'inclusive' }, amountMinor, currency),
    invoiceIds: [line.invoiceId],
    providerAccountId: cashier.provider.accountId,
  });
}
