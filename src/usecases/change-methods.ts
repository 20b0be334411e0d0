import { publicId, type PaymentMethodId } from '../domain/ids.js';
import { lockCustomer, setDefaultMethod } from '../store/customers.store.js';
import { listMethods, loadMethod, setMethodStatus } from '../store/payment-methods.store.js';
import { listLiveSubscriptions } from '../store/subscriptions.store.js';
import { inTx } from '../store/unit-of-work.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, MethodAnswer, Refusal } from './contract.js';
import { unavailable } from './start-setup.js';

/** Chooses what renewals charge first. Refusals: NOT_FOUND, PAYMENT_METHOD_UNUSABLE. */
export const setDefaultPaymentMethod =
  (cashier: Cashier) =>
  async (actor: Actor, { paymentMethodId }: { paymentMethodId: PaymentMethodId }): Promise<MethodAnswer> => {
    const { userId } = actor;
    const refused = await inTx(cashier.tx, own(userId), async (uow): Promise<Refusal | null> => {
      await lockCustomer(uow, userId);
      const method = await loadMethod(uow, paymentMethodId);
      if (method?.userId !== userId || method.status === 'removed') return notFound();
      if (method.status !== 'active') {
        return refusal('PAYMENT_METHOD_UNUSABLE', 'Only a method that can be charged can be the default.', [
          'input',
          'paymentMethodId',
        ]);
      }
      await setDefaultMethod(uow, userId, paymentMethodId);
      return null;
    });
    return answer(paymentMethodId, refused);
  };

/**
 * Takes a method off file, at the provider first: a crash in between leaves a method that is asked to be removed again, never one that is
 * gone here and chargeable there. Removing it again is answered alike. Refusals: NOT_FOUND, INVALID_STATE (a subscription depends on it alone), PROVIDER_UNAVAILABLE.
 */
export const removePaymentMethod =
  (cashier: Cashier) =>
  async (actor: Actor, { paymentMethodId }: { paymentMethodId: PaymentMethodId }): Promise<MethodAnswer> => {
    const { userId } = actor;
    const decided = await inTx(cashier.tx, own(userId), async (uow) => {
      await lockCustomer(uow, userId);
      const method = await loadMethod(uow, paymentMethodId);
      if (method?.userId !== userId) return notFound();
      if (method.status === 'removed') return 'gone';
      const usable = (await listMethods(uow, userId)).filter((one) => one.status === 'active');
      const renewing = (await listLiveSubscriptions(uow, userId)).filter(
        (one) => !one.cancelAtPeriodEnd && (one.giftId === null || one.renewsAfterGift),
      );
      const isLast = usable.length === 1 && usable[0]?.id === paymentMethodId;
      if (isLast && renewing.length > 0) {
        return refusal(
          'INVALID_STATE',
          'A subscription depends on this method alone. Add another one first.',
          ['input', 'paymentMethodId'],
          {
            subscriptionId: renewing[0]?.id as NonNullable<Refusal['subscriptionId']>,
          },
        );
      }
      return { methodObjectId: method.providerObjectId };
    });
    // Asked again by somebody who never had the answer.
    if (decided === 'gone') return answer(paymentMethodId, null);
    if ('code' in decided) return answer(paymentMethodId, decided);
    const called = await cashier.provider.detachMethod({
      idempotencyKey: `det:${cashier.env}:${publicId('pm', paymentMethodId)}`,
      methodObjectId: decided.methodObjectId,
    });
    cashier.events.providerCalled('detachMethod', called.kind);
    if (called.kind !== 'fact') return answer(paymentMethodId, unavailable());
    await inTx(cashier.tx, own(userId), async (uow) => {
      const customer = await lockCustomer(uow, userId);
      await setMethodStatus(uow, paymentMethodId, 'removed');
      if (customer.defaultPaymentMethodId !== paymentMethodId) return;
      const next = (await listMethods(uow, userId)).find((one) => one.status === 'active');
      await setDefaultMethod(uow, userId, (next?.id ?? null) as PaymentMethodId | null);
    });
    return answer(paymentMethodId, null);
  };

function answer(paymentMethodId: PaymentMethodId, refused: Refusal | null): MethodAnswer {
  return {
    paymentMethodId: refused === null ? paymentMethodId : null,
    refusals: refused === null ? [] : [refused],
    isReplay: false,
  };
}

function notFound(): Refusal {
  return refusal('NOT_FOUND', 'There is no such payment method.', ['input', 'paymentMethodId']);
}
