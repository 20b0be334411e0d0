import { publicId, type PaymentMethodId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { failureOf } from '../domain/payment/decline.js';
import type { SetupFact } from '../ports/provider.js';
import { lockCustomer, setDefaultMethod } from '../store/customers.store.js';
import {
  changeSetup,
  insertMethod,
  loadMethod,
  loadMethodByObject,
  loadSetup,
  setMethodStatus,
  type PaymentMethodSetupRow,
} from '../store/payment-methods.store.js';
import { recordRef } from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, CompleteSetupAnswer, CompleteSetupCommand, Refusal } from './contract.js';
import { nextActionOf, unavailable } from './start-setup.js';

/**
 * Finishes adding a payment method: confirms the provider's setup with a token the client holds, or asks how it stands after a step.
 * Refusals: NOT_FOUND, INVALID_INPUT (token), INVALID_STATE (setup failed or over), PAYMENT_DECLINED, PROVIDER_UNAVAILABLE.
 */
export const completeSetup =
  (cashier: Cashier) =>
  async (actor: Actor, command: CompleteSetupCommand): Promise<CompleteSetupAnswer> => {
    const { userId } = actor;
    const { provider } = cashier;
    const setup = await inTx(cashier.tx, own(userId), (uow) => loadSetup(uow, command.setupId));
    if (setup?.userId !== userId) return refuse(refusal('NOT_FOUND', 'There is no such setup.', ['input', 'setupId']));
    if (setup.status === 'succeeded') {
      // Ids of rows are ids of their kind.
      return { paymentMethodId: setup.paymentMethodId as PaymentMethodId | null, nextAction: null, refusals: [], isReplay: true };
    }
    const isOver = setup.status !== 'open' || setup.expiresAt <= cashier.tx.clock.now();
    if (isOver) return refuse(refusal('INVALID_STATE', 'This setup has ended. Start a new one.', ['input', 'setupId']));
    const { providerToken } = command;
    if (providerToken !== null && !provider.isMethodToken(providerToken)) {
      return refuse(refusal('INVALID_INPUT', 'This is no token of a payment method.', ['input', 'providerToken']));
    }
    if (setup.providerObjectId === null) return refuse(unavailable());
    // A method that waits for its step is only asked about: confirming again would begin another.
    const isConfirming = providerToken !== null && setup.paymentMethodId === null;
    const called = isConfirming
      ? await provider.confirmSetup({
          idempotencyKey: `sec:${cashier.env}:${publicId('set', setup.id)}`,
          setupObjectId: setup.providerObjectId,
          methodToken: providerToken,
          returnUrl: setup.returnUrl ?? cashier.defaultReturnUrl,
        })
      : await provider.readSetup(setup.providerObjectId);
    cashier.events.providerCalled(isConfirming ? 'confirmSetup' : 'readSetup', called.kind);
    switch (called.kind) {
      case 'fact': {
        const { fact } = called;
        return inTx(cashier.tx, own(userId), (uow) => applySetupFact(uow, cashier, setup.id, fact));
      }
      case 'refused':
        return refuse(refusal('INVALID_INPUT', 'The payment provider does not know this token.', ['input', 'providerToken']));
      case 'not_now':
      case 'unknown':
        return refuse(unavailable());
    }
  };

/** Writes how a setup stands: the method it made, or why there is none. Takes the customer's lock. */
export async function applySetupFact(
  uow: UnitOfWork,
  cashier: Cashier,
  setupId: string,
  fact: SetupFact,
): Promise<CompleteSetupAnswer> {
  const unlocked = await loadSetup(uow, setupId);
  invariant(unlocked !== null, 'a setup that was read is there', { setupId });
  await lockCustomer(uow, unlocked.userId);
  const setup = await loadSetup(uow, setupId);
  invariant(setup !== null, 'a setup that was read is there', { setupId });
  if (setup.status === 'succeeded') {
    return { paymentMethodId: setup.paymentMethodId as PaymentMethodId | null, nextAction: null, refusals: [], isReplay: true };
  }
  switch (fact.status) {
    case 'open':
      return { paymentMethodId: null, nextAction: nextActionOf(cashier, setup), refusals: [], isReplay: false };
    case 'canceled':
      await changeSetup(uow, setupId, { status: 'expired', nextAction: null });
      if (setup.paymentMethodId !== null) await setMethodStatus(uow, setup.paymentMethodId, 'failed');
      return refuse(refusal('INVALID_STATE', 'This setup has ended. Start a new one.', ['input', 'setupId']));
    case 'declined': {
      if (setup.status === 'open') {
        await changeSetup(uow, setupId, { status: 'failed', nextAction: null });
        if (setup.paymentMethodId !== null) await setMethodStatus(uow, setup.paymentMethodId, 'failed');
      }
      const failure = failureOf({ codes: fact.decline, attemptStatus: 'declined', reader: 'owner', isFirstPayment: true });
      return refuse(refusal('PAYMENT_DECLINED', 'The card was declined.', null, { failure }));
    }
    case 'requires_action': {
      // What has ended here comes back only by a success: the answer may be older than the end.
      if (setup.status !== 'open')
        return refuse(refusal('INVALID_STATE', 'This setup has ended. Start a new one.', ['input', 'setupId']));
      const paymentMethodId = await keepMethod(uow, cashier, setup, fact, 'pending_verification');
      await changeSetup(uow, setupId, { nextAction: fact.nextAction, ...(paymentMethodId === null ? {} : { paymentMethodId }) });
      const waiting = await loadSetup(uow, setupId);
      return { paymentMethodId, nextAction: waiting && nextActionOf(cashier, waiting), refusals: [], isReplay: false };
    }
    case 'succeeded': {
      const paymentMethodId = await keepMethod(uow, cashier, setup, fact, 'active');
      invariant(paymentMethodId !== null, 'a setup that succeeded has a method', { setupId });
      await changeSetup(uow, setupId, { status: 'succeeded', nextAction: null, paymentMethodId });
      const customer = await lockCustomer(uow, setup.userId);
      if (setup.makesDefault || customer.defaultPaymentMethodId === null)
        await setDefaultMethod(uow, setup.userId, paymentMethodId);
      return { paymentMethodId, nextAction: null, refusals: [], isReplay: false };
    }
  }
}

/** The row of the provider's method: the one that is there, or a new one, in this status. */
async function keepMethod(
  uow: UnitOfWork,
  cashier: Cashier,
  setup: PaymentMethodSetupRow,
  fact: SetupFact,
  status: 'pending_verification' | 'active',
): Promise<PaymentMethodId | null> {
  if (fact.method === null) return null;
  const { userId, providerAccountId } = setup;
  const known =
    (await loadMethodByObject(uow, userId, providerAccountId, fact.method.objectId)) ??
    (setup.paymentMethodId === null ? null : await loadMethod(uow, setup.paymentMethodId));
  if (known) {
    await setMethodStatus(uow, known.id, status);
    return known.id as PaymentMethodId;
  }
  const id = newId(cashier, 'pm', setup.bucket);
  await insertMethod(uow, {
    id,
    userId,
    providerAccountId,
    status,
    fact: fact.method,
    mandate: { setupId: publicId('set', setup.id), agreedAt: uow.now.toISOString(), usage: 'off_session' },
  });
  await recordRef(uow, { objectId: fact.method.objectId, providerAccountId, kind: 'payment_method', id });
  return id;
}

function refuse(one: Refusal): CompleteSetupAnswer {
  return { paymentMethodId: null, nextAction: null, refusals: [one], isReplay: false };
}
