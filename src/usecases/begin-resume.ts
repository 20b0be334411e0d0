/** The end of a pause on the customer's word: the period that begins is charged first, and only its payment makes the subscription active (rules V9, B5). */
import { bucketOf, type PriceId, type SubscriptionId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { decidePendingChange } from '../domain/subscription/change-tier.js';
import { decideResumption } from '../domain/subscription/pause.js';
import { quoteRenewal } from '../domain/subscription/renewal.js';
import { loadRunningCoupon } from '../store/coupons.store.js';
import { loadProviderCustomer, type CustomerRow } from '../store/customers.store.js';
import { listOpenInvoices } from '../store/invoices.store.js';
import { loadTierPrice, type PriceRow, type SubscriptionRow, type TierRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { beginPayment } from './begin-payment.js';
import { rankedPrice, targetPrice } from './billed-price.js';
import { newId, refusal, type Cashier } from './cashier.js';
import type { Refusal } from './contract.js';
import { describedLine, issueInvoice } from './issue-invoice.js';
import { loadTerms } from './load-terms.js';
import { openPeriod } from './open-period.js';
import { pauseFacts } from './pause-facts.js';
import { chargedMethod, unusable } from './subscribe.js';

/** What was begun: the charge on which the subscription waits; null when nothing was due, and it is active already. */
export type ResumeBegun = { transactionId: TransactionId | null } | { refused: Refusal };

/**
 * Charges the period with which a paused subscription goes on: a full one from now, of a new epoch, at the price that waited or else the
 * pinned one. Refuses STALE_VERSION, INVALID_STATE (held, or being charged for already), PAYMENT_METHOD_UNUSABLE. The customer's lock is held.
 * @param ask.transactionId the id that the charge will have
 */
export async function beginResume(
  uow: UnitOfWork,
  cashier: Cashier,
  customer: CustomerRow,
  subscription: SubscriptionRow,
  ask: { expectedVersion: number | null; transactionId: TransactionId },
): Promise<ResumeBegun> {
  const { userId } = subscription;
  // The id of a subscription's row names a subscription.
  const subscriptionId = subscription.id as SubscriptionId;
  const sold = await resumePrice(uow, subscription);
  const { price, tier } = sold;
  const method = await chargedMethod(uow, subscription, customer.defaultPaymentMethodId);
  const facts = await pauseFacts(uow, subscription, price, method !== null);
  const decision = decideResumption(facts, { expectedVersion: ask.expectedVersion, now: uow.now });
  if (decision.kind === 'refused')
    return { refused: refusal(decision.code, decision.message, decision.field, { subscriptionId }) };
  invariant(decision.kind === 'charge_first', 'only what is paused is charged to go on', { subscriptionId });
  if ((await listOpenInvoices(uow, subscriptionId)).length > 0) {
    const message = 'The payment that ends the pause is under way: finish it, or wait for it.';
    return { refused: refusal('INVALID_STATE', message, ['input', 'subscriptionId'], { subscriptionId }) };
  }
  const { period } = decision;
  const terms = await loadTerms(uow, customer, price.currency, period.start);
  const running = await loadRunningCoupon(uow, subscriptionId);
  const { line, sums, coupon } = quoteRenewal({ price: rankedPrice(sold), period, running, ...terms });
  const couponId = coupon?.id ?? null;
  const bucket = bucketOf(subscriptionId);
  const invoice = {
    id: newId(cashier, 'inv', bucket),
    userId,
    currency: price.currency,
    lines: [describedLine(line, tier.name, coupon?.id)],
    sums,
    for: {
      kind: 'period' as const,
      subscriptionId,
      epoch: period.epoch,
      periodNumber: period.n,
      periodStart: period.start,
      periodEnd: period.end,
    },
    earnedOver: period,
  };
  if (sums.dueMinor === 0n) {
    await issueInvoice(uow, cashier, invoice);
    const isEntered = await openPeriod(uow, subscription, { period, priceId: price.id, couponId }, 'user');
    invariant(isEntered, 'a pause ends with the period that was invoiced', { subscriptionId });
    return { transactionId: null };
  }
  const customerObjectId = await loadProviderCustomer(uow, userId, cashier.provider.accountId);
  if (method === null || customerObjectId === null) return { refused: unusable() };
  await beginPayment(uow, cashier, {
    ...invoice,
    intentId: newId(cashier, 'pin', bucket),
    transactionId: ask.transactionId,
    method,
    customerObjectId,
    returnUrl: cashier.defaultReturnUrl,
  });
  return { transactionId: ask.transactionId };
}

/** What a paused subscription goes on at: the price that waited, while it is sold, else the pinned one (rules V4, T2). */
async function resumePrice(uow: UnitOfWork, subscription: SubscriptionRow): Promise<{ price: PriceRow; tier: TierRow }> {
  // The ids of prices' rows name prices.
  const pinned = await loadTierPrice(uow, subscription.priceId as PriceId);
  invariant(pinned !== null, 'a subscription is at a price of a tier', { id: subscription.id });
  const { pendingPriceId } = subscription;
  const pending = pendingPriceId === null ? null : await loadTierPrice(uow, pendingPriceId as PriceId);
  if (pending === null) return pinned;
  const change = decidePendingChange(rankedPrice(pinned), targetPrice(pending), uow.now);
  return change.kind === 'take_effect' ? pending : pinned;
}
