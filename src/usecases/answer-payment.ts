/** How a payment stands for the one who asked for it: first answer and repeats are built alike, from committed rows. */
import type { TransactionId } from '../domain/ids.js';
import { failureOf } from '../domain/payment/decline.js';
import { inTx } from '../store/unit-of-work.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Refusal } from './contract.js';
import { readPayment, sendPayment } from './send-payment.js';

/** A repeat waits this long for the first request to end, looking every POLL_MS. */
const WAIT_MS = 2_000;
const POLL_MS = 100;

/** Sends a payment just begun, or, for a repeat, whatever the first request left; then says how it stands. */
export async function payAndAnswer(cashier: Cashier, userId: string, id: TransactionId, isReplay: boolean): Promise<Refusal[]> {
  await sendPayment(cashier, { id, userId });
  if (isReplay) {
    for (let waitedMs = 0; await isInFlight(cashier, userId, id); waitedMs += POLL_MS) {
      if (waitedMs >= WAIT_MS) {
        return [
          refusal('IDEMPOTENCY_IN_PROGRESS', 'The first request with this key is still running.', ['input', 'idempotencyKey'], {
            retryAfterMs: WAIT_MS,
          }),
        ];
      }
      await cashier.pause(POLL_MS);
    }
  }
  return declinesOf(cashier, userId, id);
}

/** PAYMENT_DECLINED when the payment failed; nothing otherwise. */
export async function declinesOf(cashier: Cashier, userId: string, id: TransactionId): Promise<Refusal[]> {
  const payment = await inTx(cashier.tx, own(userId), (uow) => readPayment(uow, id));
  if (!payment) return [];
  const { status, declineCode, adviceCode, networkDeclineCode, networkAdviceCode, cause } = payment.attempt;
  if (status !== 'declined' && status !== 'not_executed') return [];
  const failure = failureOf({
    codes: status === 'declined' ? { code: null, declineCode, adviceCode, networkDeclineCode, networkAdviceCode } : null,
    attemptStatus: status,
    reader: 'owner',
    isFirstPayment: cause === 'user',
  });
  return [refusal('PAYMENT_DECLINED', 'The payment was declined.', null, { failure })];
}

async function isInFlight(cashier: Cashier, userId: string, id: TransactionId): Promise<boolean> {
  return inTx(cashier.tx, own(userId), async (uow) => {
    const payment = await readPayment(uow, id);
    return payment?.attempt.status === 'sent' && payment.attempt.leaseUntil !== null && payment.attempt.leaseUntil > uow.now;
  });
}
