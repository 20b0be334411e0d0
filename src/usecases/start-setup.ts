import { publicId, type SetupId } from '../domain/ids.js';
import { keyBucket } from '../platform/json.js';
import { loadProviderCustomer, lockCustomer, recordProviderCustomer } from '../store/customers.store.js';
import { changeSetup, insertSetup, listMethods, loadSetup, type PaymentMethodSetupRow } from '../store/payment-methods.store.js';
import { recordRef } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { newId, own, refusal, returnUrlOf, type Cashier } from './cashier.js';
import type { Actor, NextActionForOwner, Refusal, StartSetupAnswer, StartSetupCommand } from './contract.js';
import { runCommand } from './run-command.js';
import type { ProviderNextAction } from '../ports/provider.js';

/** A user keeps at most so many methods. */
export const MAX_METHODS = 20;
/** A setup that was not completed by then is void. */
const SETUP_LIFE_MS = 24 * 3_600_000;

/**
 * Begins to add a payment method: the provider's setup object, whose secret the client hands to the provider's SDK.
 * Refusals: INVALID_INPUT (kind not offered, return address), INVALID_STATE (too many methods), PROVIDER_UNAVAILABLE (same key again).
 */
export const startSetup =
  (cashier: Cashier) =>
  async (actor: Actor, command: StartSetupCommand): Promise<StartSetupAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const refuse = (one: Refusal): StartSetupAnswer => ({ setupId: null, nextAction: null, refusals: [one], isReplay: false });
    if (command.kind !== 'card') return refuse(refusal('INVALID_INPUT', 'Only cards can be added.', ['input', 'kind']));
    const returnUrl = returnUrlOf(cashier, command.returnUrl);
    if (typeof returnUrl !== 'string') return refuse(returnUrl);
    const { resultId, refusals, isReplay } = await runCommand<SetupId>(cashier, {
      scope: own(userId),
      operation: 'startPaymentMethodSetup',
      key: idempotencyKey,
      input,
      resultType: 'payment_method_setup',
      resultId: newId(cashier, 'set', keyBucket(userId)),
      async work(uow) {
        await lockCustomer(uow, userId);
        if ((await listMethods(uow, userId)).length >= MAX_METHODS) {
          return [refusal('INVALID_STATE', `At most ${MAX_METHODS} payment methods are kept; remove one first.`)];
        }
        await insertSetup(uow, {
          id: this.resultId,
          userId,
          kind: command.kind,
          providerAccountId: cashier.provider.accountId,
          returnUrl,
          makesDefault: command.makeDefault,
          expiresAt: new Date(uow.now.getTime() + SETUP_LIFE_MS),
        });
        return [];
      },
    });
    if (resultId === null) return { setupId: null, nextAction: null, refusals, isReplay };
    const setup = await openAtProvider(cashier, userId, resultId);
    if ('code' in setup) return { setupId: null, nextAction: null, refusals: [setup], isReplay };
    return { setupId: resultId, nextAction: nextActionOf(cashier, setup), refusals, isReplay };
  };

/** Makes customer and setup at the provider unless they are there; every call has its own key, so a repeat after a crash makes neither twice. */
async function openAtProvider(cashier: Cashier, userId: string, setupId: SetupId): Promise<PaymentMethodSetupRow | Refusal> {
  const { provider, env } = cashier;
  const before = await inTx(cashier.tx, own(userId), async (uow) => ({
    setup: await loadSetup(uow, setupId),
    customerObjectId: await loadProviderCustomer(uow, userId, provider.accountId),
  }));
  if (before.setup === null) return unavailable();
  if (before.setup.providerObjectId !== null) return before.setup;
  let { customerObjectId } = before;
  if (customerObjectId === null) {
    const made = await provider.createCustomer({ idempotencyKey: `cus:${env}:${provider.accountId}:${userId}`, userId, env });
    cashier.events.providerCalled('createCustomer', made.kind);
    if (made.kind !== 'fact') return unavailable();
    const { objectId } = made.fact;
    customerObjectId = await inTx(cashier.tx, own(userId), async (uow) => {
      await lockCustomer(uow, userId);
      await recordProviderCustomer(uow, userId, provider.accountId, objectId);
      return loadProviderCustomer(uow, userId, provider.accountId);
    });
  }
  if (customerObjectId === null) return unavailable();
  const setupRef = publicId('set', setupId);
  const opened = await provider.startSetup({ idempotencyKey: `set:${env}:${setupRef}`, customerObjectId, setupRef, env });
  cashier.events.providerCalled('startSetup', opened.kind);
  if (opened.kind !== 'fact') return unavailable();
  const { objectId, nextAction } = opened.fact;
  const setup = await inTx(cashier.tx, own(userId), async (uow) => {
    await lockCustomer(uow, userId);
    await changeSetup(uow, setupId, { providerObjectId: objectId, nextAction });
    await recordRef(uow, { objectId, providerAccountId: provider.accountId, kind: 'payment_method_setup', id: setupId });
    return loadSetup(uow, setupId);
  });
  return setup ?? unavailable();
}

/** The step of a setup as handed to its owner; null once it is done. */
export function nextActionOf(cashier: Cashier, setup: PaymentMethodSetupRow): NextActionForOwner | null {
  if (setup.status !== 'open' || setup.nextAction === null) return null;
  return {
    // Written from the provider's fact by this use case alone.
    ...(setup.nextAction as ProviderNextAction),
    provider: cashier.provider.name,
    publishableKey: cashier.provider.publishableKey,
    expiresAt: setup.expiresAt,
  };
}

/** The provider could not be reached; nothing was charged, and the same key goes on where this ended. */
export function unavailable(): Refusal {
  return refusal('PROVIDER_UNAVAILABLE', 'The payment provider can not be reached. Send the same request again.', null, {
    retryAfterMs: 2_000,
  });
}
