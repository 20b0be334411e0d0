import type { OfferedPrice } from '../domain/catalogue/price.js';
import type { PaymentMethodId, PriceId, SubscriptionId, TierId } from '../domain/ids.js';
import { composeInvoice } from '../domain/invoice/invoice.js';
import { periodLine } from '../domain/subscription/proration.js';
import { decideSubscribe } from '../domain/subscription/subscription.js';
import { anchorLocalOf, periodOf, type PeriodUnit } from '../domain/time/periods.js';
import { keyBucket } from '../platform/json.js';
import { loadProviderCustomer, lockCustomer, type CustomerRow } from '../store/customers.store.js';
import { loadMethod, type PaymentMethodRow } from '../store/payment-methods.store.js';
import { loadFirstCharge } from '../store/payments.store.js';
import { insertSubscription, loadLiveSubscription, loadTierPrice, type PriceRow } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { newId, own, refusal, returnUrlOf, type Cashier } from './cashier.js';
import type { Actor, Refusal, SubscribeAnswer, SubscribeCommand } from './contract.js';
import { describedLine } from './issue-invoice.js';
import { runCommand } from './run-command.js';

/** Starts a subscription and charges its first period. Refusals: those of decideSubscribe, and INVALID_INPUT for a return address not allowed. */
export const subscribe =
  (cashier: Cashier) =>
  async (actor: Actor, command: SubscribeCommand): Promise<SubscribeAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const bucket = keyBucket(userId);
    const ids = {
      subscription: newId(cashier, 'sub', bucket),
      invoice: newId(cashier, 'inv', bucket),
      intent: newId(cashier, 'pin', bucket),
      transaction: newId(cashier, 'txn', bucket),
    };
    const returnUrl = returnUrlOf(cashier, command.returnUrl);
    if (typeof returnUrl !== 'string')
      return { subscriptionId: null, transactionId: null, refusals: [returnUrl], isReplay: false };
    const end = await runCommand<SubscriptionId>(cashier, {
      scope: own(userId),
      operation: 'subscribe',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: ids.subscription,
      work: async (uow) => {
        const customer = await lockCustomer(uow, userId);
        const found = await loadTierPrice(uow, command.priceId);
        const method = await methodFor(uow, customer, command.paymentMethodId);
        const live = found ? await loadLiveSubscription(uow, userId, found.tier.tierGroup) : null;
        const decision = decideSubscribe({
          price: found && offered(found.price, found.tier.status),
          // Ids of rows are ids of their kind.
          live: live && { id: live.id as SubscriptionId },
          coupon: command.coupon,
          useTrial: command.useTrial,
          expectedAmount: command.expectedAmount,
          method: method && { kind: method.kind, status: method.status as 'active' },
          isMethodAsked: command.paymentMethodId !== null,
          now: uow.now,
        });
        if (decision.kind === 'refused') {
          const { code, message, field, subscriptionId } = decision;
          return [refusal(code, message, field, subscriptionId === undefined ? {} : { subscriptionId })];
        }
        const customerObjectId = await loadProviderCustomer(uow, userId, cashier.provider.accountId);
        if (!found || !method || customerObjectId === null) return [unusable()];
        const { price, tier } = found;
        const anchorLocal = anchorLocalOf(uow.now, customer.zone);
        // Column checks: a tier's price has a unit and a count.
        const rule = {
          anchorLocal,
          zone: customer.zone,
          unit: price.intervalUnit as PeriodUnit,
          count: price.intervalCount ?? 1,
        };
        const period = periodOf({ ...rule, n: 0 });
        await insertSubscription(uow, {
          id: ids.subscription,
          userId,
          tierGroup: tier.tierGroup,
          tierId: tier.id as TierId,
          priceId: price.id as PriceId,
          paymentMethodId: command.paymentMethodId,
          anchorLocal,
          zone: customer.zone,
          periodStart: period.start,
          periodEnd: period.end,
        });
        const billed = {
          id: price.id,
          amountMinor: price.amount,
          currency: price.currency,
          intervalUnit: price.intervalUnit as 'month',
          taxBehavior: price.taxBehavior as 'inclusive',
        };
        const line = periodLine(billed, period, null, 0);
        await beginPayment(uow, cashier, {
          id: ids.invoice,
          intentId: ids.intent,
          transactionId: ids.transaction,
          userId,
          currency: price.currency,
          lines: [describedLine(line, tier.name)],
          sums: composeInvoice([line], price.currency, 0n),
          for: {
            kind: 'period',
            subscriptionId: ids.subscription,
            epoch: 0,
            periodNumber: 0,
            periodStart: period.start,
            periodEnd: period.end,
          },
          earnedOver: period,
          method,
          customerObjectId,
          returnUrl,
        });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { subscriptionId: null, transactionId: null, refusals, isReplay };
    const transactionId = isReplay
      ? await inTx(cashier.tx, own(userId), (uow) => loadFirstCharge(uow, resultId))
      : ids.transaction;
    const declines = transactionId === null ? [] : await payAndAnswer(cashier, userId, transactionId, isReplay);
    return { subscriptionId: resultId, transactionId, refusals: declines, isReplay };
  };

/** The method a request names, if it is the user's own; else the user's default. */
export async function methodFor(
  uow: UnitOfWork,
  customer: CustomerRow,
  asked: PaymentMethodId | null,
): Promise<PaymentMethodRow | null> {
  const id = asked ?? customer.defaultPaymentMethodId;
  const method = id === null ? null : await loadMethod(uow, id);
  return method?.userId === customer.userId ? method : null;
}

/** A price's row as the facts that selling looks at. */
export function offered(price: PriceRow, status: string): OfferedPrice {
  return {
    amount: { minor: price.amount, currency: price.currency },
    validFrom: price.validFrom,
    validTo: price.validTo,
    // Column check: one of these words.
    status: status as OfferedPrice['status'],
    acceptedKinds: price.acceptedKinds,
  };
}

/** The refusal of a method that the provider does not know. */
export function unusable(): Refusal {
  return refusal('PAYMENT_METHOD_UNUSABLE', 'Add a payment method first.', ['input', 'paymentMethodId']);
}
