import { decidePurchase } from '../domain/catalogue/purchase.js';
import type { PriceId, PurchaseId } from '../domain/ids.js';
import { composeInvoice } from '../domain/invoice/invoice.js';
import { lineOf } from '../domain/invoice/line.js';
import type { TaxBehavior } from '../domain/tax/tax.js';
import { keyBucket } from '../platform/json.js';
import { loadProviderCustomer, lockCustomer } from '../store/customers.store.js';
import { loadFirstCharge } from '../store/payments.store.js';
import { insertPurchase, loadProductPrice } from '../store/subscriptions.store.js';
import { inTx } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { newId, own, refusal, returnUrlOf, type Cashier } from './cashier.js';
import type { Actor, PurchaseAnswer, PurchaseCommand } from './contract.js';
import { describedLine } from './issue-invoice.js';
import { runCommand } from './run-command.js';
import { methodFor, offered, unusable } from './subscribe.js';

/** Buys a product once. Refusals: those of decidePurchase, and INVALID_INPUT for a return address not allowed. */
export const purchase =
  (cashier: Cashier) =>
  async (actor: Actor, command: PurchaseCommand): Promise<PurchaseAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const bucket = keyBucket(userId);
    const ids = {
      purchase: newId(cashier, 'pur', bucket),
      invoice: newId(cashier, 'inv', bucket),
      intent: newId(cashier, 'pin', bucket),
      transaction: newId(cashier, 'txn', bucket),
    };
    const returnUrl = returnUrlOf(cashier, command.returnUrl);
    if (typeof returnUrl !== 'string') return { purchaseId: null, transactionId: null, refusals: [returnUrl], isReplay: false };
    const end = await runCommand<PurchaseId>(cashier, {
      scope: own(userId),
      operation: 'purchase',
      key: idempotencyKey,
      input,
      resultType: 'purchase',
      resultId: ids.purchase,
      work: async (uow) => {
        const customer = await lockCustomer(uow, userId);
        const found = await loadProductPrice(uow, command.priceId);
        const method = await methodFor(uow, customer, command.paymentMethodId);
        const decision = decidePurchase({
          price: found && offered(found.price, 'active'),
          quantity: command.quantity,
          expectedAmount: command.expectedAmount,
          method: method && { kind: method.kind, status: method.status as 'active' },
          isMethodAsked: command.paymentMethodId !== null,
          now: uow.now,
        });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field)];
        const customerObjectId = await loadProviderCustomer(uow, userId, cashier.provider.accountId);
        if (!found || !method || customerObjectId === null) return [unusable()];
        const { price, product } = found;
        await insertPurchase(uow, { id: ids.purchase, userId, priceId: price.id as PriceId, quantity: command.quantity });
        const line = lineOf({
          priceId: price.id,
          start: uow.now,
          end: uow.now,
          listMinor: decision.amount.minor,
          discountMinor: 0n,
          currency: price.currency,
          ratePpm: 0,
          // Column check: one of these words.
          taxBehavior: price.taxBehavior as TaxBehavior,
          isProration: false,
        });
        await beginPayment(uow, cashier, {
          id: ids.invoice,
          intentId: ids.intent,
          transactionId: ids.transaction,
          userId,
          currency: price.currency,
          lines: [{ ...describedLine(line, product.name), covers: null }],
          sums: composeInvoice([line], price.currency, 0n),
          for: { kind: 'purchase', purchaseId: ids.purchase },
          earnedOver: null,
          method,
          customerObjectId,
          returnUrl,
        });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { purchaseId: null, transactionId: null, refusals, isReplay };
    const transactionId = isReplay
      ? await inTx(cashier.tx, own(userId), (uow) => loadFirstCharge(uow, resultId))
      : ids.transaction;
    const declines = transactionId === null ? [] : await payAndAnswer(cashier, userId, transactionId, isReplay);
    return { purchaseId: resultId, transactionId, refusals: declines, isReplay };
  };
