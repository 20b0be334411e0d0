import type { GiftId } from '../domain/ids.js';
import { composeInvoice } from '../domain/invoice/invoice.js';
import type { InvoiceLine } from '../domain/invoice/line.js';
import { giftCode } from '../domain/subscription/gift-code.js';
import { decideGift } from '../domain/subscription/gift.js';
import { keyBucket, sha256 } from '../platform/json.js';
import { loadProviderCustomer, lockCaller } from '../store/customers.store.js';
import { insertGift, loadGift, loadGiftCharge, type GiftRow } from '../store/gifts.store.js';
import { loadTierPrice } from '../store/subscriptions.store.js';
import { inTx } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { targetPrice } from './billed-price.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, GiftSubscriptionAnswer, GiftSubscriptionCommand } from './contract.js';
import { describedLine } from './issue-invoice.js';
import { loadTerms } from './load-terms.js';
import { runCommand } from './run-command.js';
import { methodFor, unusable } from './subscribe.js';

/** Pays a membership for somebody else, by name or for a code. Refusals: those of decideGift, and PAYMENT_DECLINED. */
export const giftSubscription =
  (cashier: Cashier) =>
  async (actor: Actor, command: GiftSubscriptionCommand): Promise<GiftSubscriptionAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const bucket = keyBucket(userId);
    const ids = {
      gift: newId(cashier, 'gift', bucket),
      invoice: newId(cashier, 'inv', bucket),
      intent: newId(cashier, 'pin', bucket),
      transaction: newId(cashier, 'txn', bucket),
    };
    const end = await runCommand<GiftId>(cashier, {
      scope: own(userId),
      operation: 'giftSubscription',
      key: idempotencyKey,
      input,
      resultType: 'gift',
      resultId: ids.gift,
      work: async (uow) => {
        const customer = await lockCaller(uow, actor);
        const found = await loadTierPrice(uow, command.priceId);
        const method = await methodFor(uow, customer, command.paymentMethodId);
        // The balance takes no part: what is unused goes back to where it came from.
        const ratePpm = found === null ? 0 : (await loadTerms(uow, customer, found.price.currency, uow.now)).ratePpm;
        const decision = decideGift({
          price: found && targetPrice(found),
          periods: command.periods,
          giverId: userId,
          recipientId: command.recipientId,
          country: customer.country,
          ratePpm,
          method: method && { kind: method.kind, status: method.status as 'active' },
          isMethodAsked: command.paymentMethodId !== null,
          now: uow.now,
        });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field)];
        const customerObjectId = await loadProviderCustomer(uow, userId, cashier.provider.accountId);
        if (!found || !method || customerObjectId === null) return [unusable()];
        const { price, tier } = found;
        const { perPeriod, claimBy } = decision;
        const line: InvoiceLine = {
          priceId: price.id,
          start: uow.now,
          end: uow.now,
          // So many times one period, so that each unused one can be given back exactly.
          netMinor: perPeriod.netMinor * BigInt(command.periods),
          taxMinor: perPeriod.taxMinor * BigInt(command.periods),
          discountMinor: 0n,
          ratePpm,
          // Column check: one of these words.
          taxBehavior: price.taxBehavior as InvoiceLine['taxBehavior'],
          isProration: false,
        };
        const sums = composeInvoice([line], price.currency, 0n);
        if (sums.dueMinor === 0n) {
          return [refusal('INVALID_INPUT', 'It costs less than one payment can take.', ['input', 'priceId'])];
        }
        await insertGift(uow, {
          id: ids.gift,
          userId,
          recipientId: command.recipientId,
          isAnonymous: command.isAnonymous,
          priceId: price.id,
          periods: command.periods,
          claimSecretHash: sha256(cashier.giftSecret(ids.gift)),
          claimBy,
        });
        await beginPayment(uow, cashier, {
          id: ids.invoice,
          intentId: ids.intent,
          transactionId: ids.transaction,
          userId,
          currency: price.currency,
          lines: [{ ...describedLine(line, `${tier.name}, a gift of ${command.periods}`), covers: null }],
          sums,
          for: { kind: 'gift', giftId: ids.gift },
          // Nothing of it is earned before it is claimed, or, if nobody does, ever.
          earnedOver: { start: claimBy, end: claimBy },
          method,
          customerObjectId,
          returnUrl: cashier.defaultReturnUrl,
        });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { giftId: null, transactionId: null, claimCode: null, refusals, isReplay };
    const transactionId = isReplay
      ? await inTx(cashier.tx, own(userId), (uow) => loadGiftCharge(uow, resultId))
      : ids.transaction;
    const declines = transactionId === null ? [] : await payAndAnswer(cashier, userId, transactionId, isReplay);
    const gift = await inTx(cashier.tx, own(userId), (uow) => loadGift(uow, resultId));
    return {
      giftId: resultId,
      transactionId,
      claimCode: gift && codeOf(cashier, gift),
      refusals: declines,
      isReplay,
    };
  };

/** The code of a gift that is for whoever has it; the same at each repeat, as long as the key that its secret is made with is the same. */
function codeOf(cashier: Cashier, gift: GiftRow): string | null {
  if (gift.recipientId !== null || gift.status === 'canceled') return null;
  const secret = cashier.giftSecret(gift.id);
  return sha256(secret).equals(gift.claimSecretHash) ? giftCode(gift.id, secret) : null;
}
