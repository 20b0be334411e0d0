import { quotePurchase } from '../domain/catalogue/purchase.js';
import type { PriceId, PurchaseId, TransactionId } from '../domain/ids.js';
import type { TaxBehavior } from '../domain/tax/tax.js';
import { keyBucket } from '../platform/json.js';
import { loadProviderCustomer, lockCaller } from '../store/customers.store.js';
import { loadFirstCharge } from '../store/payments.store.js';
import { insertPurchase, loadProductPrice, type PriceRow } from '../store/subscriptions.store.js';
import { inTx } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { newId, own, refusal, returnUrlOf, type Cashier } from './cashier.js';
import type { Actor, PurchaseAnswer, PurchaseCommand } from './contract.js';
import { deliverPurchase } from './deliver-purchase.js';
import { describedLine, issueInvoice, type InvoicePlan } from './issue-invoice.js';
import { loadTerms } from './load-terms.js';
import { runCommand } from './run-command.js';
import { methodFor, unusable } from './subscribe.js';

/** Buys a product once; what the balance pays in full is handed over at once, without a payment. Refusals: those of quotePurchase, and INVALID_INPUT for a return address not allowed. */
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
    let begun: TransactionId | null = null;
    const end = await runCommand<PurchaseId>(cashier, {
      scope: own(userId),
      operation: 'purchase',
      key: idempotencyKey,
      input,
      resultType: 'purchase',
      resultId: ids.purchase,
      work: async (uow) => {
        begun = null;
        const customer = await lockCaller(uow, actor);
        const found = await loadProductPrice(uow, command.priceId);
        const method = await methodFor(uow, customer, command.paymentMethodId);
        const terms = found && (await loadTerms(uow, customer, found.price.currency, uow.now));
        const decision = quotePurchase({
          price: found && offered(found.price),
          quantity: command.quantity,
          country: customer.country,
          ratePpm: terms?.ratePpm ?? 0,
          balanceMinor: terms?.balanceMinor ?? 0n,
          expectedAmount: command.expectedAmount,
          method: method && { kind: method.kind, status: method.status as 'active' },
          isMethodAsked: command.paymentMethodId !== null,
          now: uow.now,
        });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field)];
        const { line, sums } = decision;
        const isDue = sums.dueMinor > 0n;
        const customerObjectId = isDue ? await loadProviderCustomer(uow, userId, cashier.provider.accountId) : null;
        if (!found || (isDue && (!method || customerObjectId === null))) return [unusable()];
        const { price, product } = found;
        await insertPurchase(uow, { id: ids.purchase, userId, priceId: price.id as PriceId, quantity: command.quantity });
        const invoice: InvoicePlan = {
          id: ids.invoice,
          userId,
          currency: price.currency,
          lines: [{ ...describedLine(line, product.name), covers: null }],
          sums,
          for: { kind: 'purchase', purchaseId: ids.purchase },
          earnedOver: null,
        };
        if (!isDue || !method || customerObjectId === null) {
          await issueInvoice(uow, cashier, invoice);
          await deliverPurchase(uow, cashier, { id: ids.purchase, userId });
          return [];
        }
        begun = ids.transaction;
        await beginPayment(uow, cashier, {
          ...invoice,
          intentId: ids.intent,
          transactionId: begun,
          method,
          customerObjectId,
          returnUrl,
        });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { purchaseId: null, transactionId: null, refusals, isReplay };
    const transactionId = isReplay ? await inTx(cashier.tx, own(userId), (uow) => loadFirstCharge(uow, resultId)) : begun;
    const declines = transactionId === null ? [] : await payAndAnswer(cashier, userId, transactionId, isReplay);
    return { purchaseId: resultId, transactionId, refusals: declines, isReplay };
  };

/** A product's price as the facts that selling looks at. */
function offered(price: PriceRow) {
  return {
    id: price.id,
    amount: { minor: price.amount, currency: price.currency },
    country: price.country,
    // Column check: one of these words.
    taxBehavior: price.taxBehavior as TaxBehavior,
    validFrom: price.validFrom,
    validTo: price.validTo,
    status: 'active' as const,
    acceptedKinds: price.acceptedKinds,
  };
}
