import type { TransactionId } from '../domain/ids.js';
import { inTx } from '../store/unit-of-work.js';
import { declinesOf } from './answer-payment.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Actor, ConfirmPaymentAnswer } from './contract.js';
import { resolvePayment } from './resolve-payment.js';
import { readPayment } from './send-payment.js';

/** Asks the provider how a payment stands, after the user has done a step; the client's word proves nothing. Refusals: NOT_FOUND, PAYMENT_DECLINED. */
export const confirmPayment =
  (cashier: Cashier) =>
  async (actor: Actor, { transactionId }: { transactionId: TransactionId }): Promise<ConfirmPaymentAnswer> => {
    const { userId } = actor;
    const payment = await inTx(cashier.tx, own(userId), (uow) => readPayment(uow, transactionId));
    if (payment?.attempt.userId !== userId) {
      const refusals = [refusal('NOT_FOUND', 'There is no such payment.', ['input', 'transactionId'])];
      return { transactionId: null, refusals, isReplay: false };
    }
    await resolvePayment(cashier, { id: transactionId, userId }, 'asked');
    return { transactionId, refusals: await declinesOf(cashier, userId, transactionId), isReplay: false };
  };
