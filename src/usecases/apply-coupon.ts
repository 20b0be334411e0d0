import { decideApplyCoupon } from '../domain/catalogue/coupon.js';
import type { PaymentMethodId, PriceId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { identitiesOf } from '../domain/subscription/trial.js';
import { keyBucket } from '../platform/json.js';
import { claimCoupon, endCoupon, loadRunningCoupon } from '../store/coupons.store.js';
import { lockExistingCustomer } from '../store/customers.store.js';
import { changeSubscription, loadSubscription, loadTierPrice } from '../store/subscriptions.store.js';
import { beginInTx } from '../store/unit-of-work.js';
import { notFound } from './cancel-subscription.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, ApplyCouponCommand, Refusal, SubscriptionAnswer } from './contract.js';
import { targetPrice } from './billed-price.js';
import { loadCouponFacts, personOf } from './load-terms.js';
import { methodFor } from './subscribe.js';

/**
 * Puts a coupon on a running subscription, from the next invoice on, in the place of the one that works. It needs no key: the coupon
 * that works already is left as it is. Refusals: NOT_FOUND, and those of decideApplyCoupon.
 */
export const applyCoupon =
  (cashier: Cashier) =>
  async (actor: Actor, { subscriptionId, code }: ApplyCouponCommand): Promise<SubscriptionAnswer> => {
    const { userId } = actor;
    const redemptionId = newId(cashier, 'cpn', keyBucket(userId));
    const refusals = await beginInTx(cashier.tx, own(userId), async (uow): Promise<Refusal[]> => {
      const customer = await lockExistingCustomer(uow, userId);
      const subscription = customer && (await loadSubscription(uow, subscriptionId));
      if (customer === null || subscription?.userId !== userId) return [notFound()];
      // Ids of rows are ids of their kind.
      const found = await loadTierPrice(uow, subscription.priceId as PriceId);
      invariant(found !== null, "the price of a subscription is a tier's", { subscriptionId });
      const method = await methodFor(uow, customer, subscription.paymentMethodId as PaymentMethodId | null);
      const person = personOf(userId, method);
      const running = await loadRunningCoupon(uow, subscriptionId);
      const decision = decideApplyCoupon(
        // Column check: one of these words.
        { status: subscription.status as SubscriptionStatus, running },
        { ...(await loadCouponFacts(uow, code, person)), price: targetPrice(found), now: uow.now },
      );
      if (decision.kind === 'unchanged') return [];
      if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field, { subscriptionId })];
      if (running !== null) await endCoupon(uow, subscriptionId);
      const identities = identitiesOf(person);
      await claimCoupon(uow, { id: redemptionId, userId, subscriptionId, running: decision.running, identities });
      await changeSubscription(uow, subscription, {
        kind: 'coupon_applied',
        cause: 'user',
        set: {},
        data: { couponId: decision.running.coupon.id, replacesCouponId: decision.replacesCouponId },
      });
      return [];
    });
    return { subscriptionId: refusals.length > 0 ? null : subscriptionId, refusals, isReplay: false };
  };
