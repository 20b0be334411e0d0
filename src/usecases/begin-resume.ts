/** The end of a pause: the period that begins is charged first, and only its payment makes the subscription active (rules V9, B5). */
import { bucketOf, type PriceId, type SubscriptionId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { composeInvoice } from '../domain/invoice/invoice.js';
import { refuseUnsold } from '../domain/catalogue/price.js';
import { decideResumption } from '../domain/subscription/pause.js';
import { periodLine } from '../domain/subscription/proration.js';
import { loadCredit } from '../store/credit.store.js';
import { loadProviderCustomer, lockCustomer } from '../store/customers.store.js';
import { listOpenInvoices } from '../store/invoices.store.js';
import { loadTierPrice, type PriceRow, type SubscriptionRow, type TierRow } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { beginPayment } from './begin-payment.js';
import { newId, refusal, type Cashier } from './cashier.js';
import type { Refusal } from './contract.js';
import { endPause } from './end-pause.js';
import { describedLine, issueInvoice } from './issue-invoice.js';
import { chargedMethod, pauseFacts } from './pause-facts.js';
import { offered, unusable } from './subscribe.js';

/** How the end of a pause is asked for. */
export interface ResumeAsk {
  /** The customer is not there: the worker sends the charge, and no step can be asked for. */
  isOffSession: boolean;
  /** The version that the customer saw; left out: any. */
  expectedVersion?: number | null;
  /** The id that the charge will have; left out: a new one. */
  transactionId?: TransactionId;
}

/** What was begun: the charge on which the subscription waits; null when nothing was due, and it is active already. */
export type ResumeBegun = { transactionId: TransactionId | null } | { refused: Refusal };

/**
 * Charges the period with which a paused subscription goes on: a full one from now, of a new epoch, at the price that waited or else the
 * pinned one. Refuses STALE_VERSION, INVALID_STATE (not paused, held, or being charged for already), PAYMENT_METHOD_UNUSABLE.
 * The customer's lock is held.
 */
export async function beginResume(
  uow: UnitOfWork,
  cashier: Cashier,
  subscription: SubscriptionRow,
  ask: ResumeAsk,
): Promise<ResumeBegun> {
  const { userId } = subscription;
  // The id of a subscription's row names a subscription.
  const subscriptionId = subscription.id as SubscriptionId;
  const customer = await lockCustomer(uow, userId);
  const { price, tier } = await resumePrice(uow, subscription);
  const method = await chargedMethod(uow, subscription, customer.defaultPaymentMethodId);
  const facts = await pauseFacts(uow, subscription, price, method !== null);
  const decision = decideResumption(facts, { expectedVersion: ask.expectedVersion ?? null, now: uow.now });
  if (decision.kind === 'refused')
    return { refused: refusal(decision.code, decision.message, decision.field, { subscriptionId }) };
  invariant(decision.kind === 'charge_first', 'only what is paused is charged to go on', { subscriptionId });
  const open = await listOpenInvoices(uow, subscriptionId);
  if (open.length > 0) {
    const message = 'The payment that ends the pause is under way: finish it, or wait for it.';
    return { refused: refusal('INVALID_STATE', message, ['input', 'subscriptionId'], { subscriptionId }) };
  }
  const { period } = decision;
  const billed = {
    id: price.id,
    amountMinor: price.amount,
    currency: price.currency,
    // Column checks: a tier's price has a unit, and one of these words.
    intervalUnit: price.intervalUnit as 'month',
    taxBehavior: price.taxBehavior as 'inclusive',
  };
  const line = periodLine(billed, period, null, 0);
  const sums = composeInvoice([line], price.currency, await loadCredit(uow, userId, price.currency));
  const bucket = bucketOf(subscriptionId);
  const plan = {
    id: newId(cashier, 'inv', bucket),
    userId,
    currency: price.currency,
    lines: [describedLine(line, tier.name)],
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
    await issueInvoice(uow, cashier, plan);
    await endPause(uow, subscription, { ...period, number: period.n }, price, ask.isOffSession ? 'retry' : 'user');
    return { transactionId: null };
  }
  const customerObjectId = await loadProviderCustomer(uow, userId, cashier.provider.accountId);
  if (method === null || customerObjectId === null) return { refused: unusable() };
  const transactionId = ask.transactionId ?? newId(cashier, 'txn', bucket);
  await beginPayment(uow, cashier, {
    ...plan,
    intentId: newId(cashier, 'pin', bucket),
    transactionId,
    method,
    customerObjectId,
    returnUrl: ask.isOffSession ? null : cashier.defaultReturnUrl,
  });
  return { transactionId };
}

/** What a paused subscription goes on at: the price that waited, while it is sold, else the pinned one (rules V4, T2). */
async function resumePrice(uow: UnitOfWork, subscription: SubscriptionRow): Promise<{ price: PriceRow; tier: TierRow }> {
  const { pendingPriceId } = subscription;
  // The ids of prices' rows name prices.
  const pending = pendingPriceId === null ? null : await loadTierPrice(uow, pendingPriceId as PriceId);
  if (pending !== null && refuseUnsold(offered(pending.price, pending.tier.status), uow.now) === null) return pending;
  const pinned = await loadTierPrice(uow, subscription.priceId as PriceId);
  invariant(pinned !== null, 'a subscription is at a price of a tier', { id: subscription.id });
  return pinned;
}
