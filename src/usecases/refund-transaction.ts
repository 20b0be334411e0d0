import { bucketOf, publicId, type TransactionId } from '../domain/ids.js';
import { isWithinAgentLimit } from '../domain/refund/refund.js';
import { insertAuditEntry } from '../store/audit.store.js';
import { lockExistingCustomer } from '../store/customers.store.js';
import { loadAttempt, loadRefund, loadTransaction } from '../store/payments.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { hasLanded, isSending, stillRunning } from './answer-payment.js';
import { newId, refusal, staff, type Cashier } from './cashier.js';
import type { Actor, Refusal, RefundAnswer, RefundCommand } from './contract.js';
import { Forbidden } from './forbidden.js';
import { requestRefund } from './request-refund.js';
import { runCommand } from './run-command.js';
import { sendRefund } from './send-refund.js';

/**
 * Pays a charge back, wholly or in part, on the word of staff. Refusals: NOT_FOUND, and those of decideRefund.
 * @throws Forbidden when the amount is above what the agent's scopes allow
 */
export const refundTransaction =
  (cashier: Cashier) =>
  async (actor: Actor, command: RefundCommand): Promise<RefundAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { transactionId } = command;
    const refundId = newId(cashier, 'txn', bucketOf(transactionId));
    const end = await runCommand<TransactionId>(cashier, {
      scope: staff(actor),
      operation: 'refund',
      key: idempotencyKey,
      input,
      resultType: 'refund',
      resultId: refundId,
      work: async (uow) => {
        // Read without the lock for its owner alone; what decides is read again under it.
        const owner = (await loadTransaction(uow, transactionId))?.userId ?? null;
        if (owner === null || !(await lockExistingCustomer(uow, owner))) return [notFound()];
        const charge = await loadTransaction(uow, transactionId);
        const attempt = await loadAttempt(uow, transactionId);
        if (charge?.kind !== 'charge' || !attempt) {
          return [charge ? refusal('INVALID_STATE', 'Only a charge can be refunded.', ['input', 'transactionId']) : notFound()];
        }
        const asked = await requestRefund(uow, cashier, {
          id: refundId,
          charge,
          attempt,
          amount: command.amount,
          reason: command.reason,
          note: command.note,
          requestedBy: `staff:${actor.userId}`,
          cause: 'staff',
          endSubscription: command.endSubscription,
        });
        if ('refused' in asked) return [asked.refused];
        if (!isWithinAgentLimit(actor.scopes, asked.amount)) {
          throw new Forbidden('This amount is above what you may refund. Ask finance.');
        }
        await insertAuditEntry(uow, {
          id: newId(cashier, 'aud', charge.bucket),
          actor: actor.userId,
          actingFor: charge.userId,
          action: 'refund',
          objectId: publicId('txn', refundId),
          reason: command.note,
          requestId: actor.requestId,
        });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { refundId: null, originalId: null, refusals, isReplay };
    const owner = await inTx(cashier.tx, staff(actor), async (uow) => (await loadRefund(uow, resultId))?.userId ?? null);
    if (owner !== null) await sendRefund(cashier, { id: resultId, userId: owner });
    const isInFlight = async (uow: UnitOfWork) => isSending(uow, await loadRefund(uow, resultId));
    if (isReplay && !(await hasLanded(cashier, staff(actor), isInFlight))) {
      return { refundId: resultId, originalId: transactionId, refusals: [stillRunning()], isReplay };
    }
    return { refundId: resultId, originalId: transactionId, refusals, isReplay };
  };

function notFound(): Refusal {
  return refusal('NOT_FOUND', 'There is no such transaction.', ['input', 'transactionId']);
}
