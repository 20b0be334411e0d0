/** How a payment stands for the one who asked for it: first answer and repeats are built alike, from committed rows. */
import type { TransactionId } from '../domain/ids.js';
import { failureOf } from '../domain/payment/decline.js';
import { beginInTx, inTx, type Scope, type UnitOfWork } from '../store/unit-of-work.js';
import { own, refusal, type Cashier } from './cashier.js';
import type { Refusal } from './contract.js';
import { readPayment, sendPayment } from './send-payment.js';

/** A repeat waits this long for the first request to end, looking every POLL_MS. */
const WAIT_MS = 2_000;
const POLL_MS = 100;

/** Sends a payment just begun, or, for a repeat, whatever the first request left; then says how it stands. */
export async function payAndAnswer(cashier: Cashier, userId: string, id: TransactionId, isReplay: boolean): Promise<Refusal[]> {
  if (await sendPayment(cashier, { id, userId })) return [];
  const isInFlight = (uow: UnitOfWork) => readPayment(uow, id).then((payment) => isSending(uow, payment?.attempt ?? null));
  if (isReplay && !(await hasLanded(cashier, own(userId), isInFlight))) return [stillRunning()];
  return declinesOf(cashier, userId, id);
}

/** Waits, for a repeat, until the first request is no longer sending; false when it still is. A look lets all work that moves on go first. */
export async function hasLanded(
  cashier: Cashier,
  scope: Scope,
  isInFlight: (uow: UnitOfWork) => Promise<boolean>,
): Promise<boolean> {
  for (let waitedMs = 0; await beginInTx(cashier.tx, scope, isInFlight); waitedMs += POLL_MS) {
    if (waitedMs >= WAIT_MS) return false;
    await cashier.pause(POLL_MS);
  }
  return true;
}

/** Whether a charge or refund is being sent by somebody who still holds it. */
export function isSending(uow: UnitOfWork, row: { status: string; leaseUntil: Date | null } | null): boolean {
  return row?.status === 'sent' && row.leaseUntil !== null && row.leaseUntil > uow.now;
}

/** The refusal of a repeat that came while the first request was still sending. */
export function stillRunning(): Refusal {
  return refusal('IDEMPOTENCY_IN_PROGRESS', 'The first request with this key is still running.', ['input', 'idempotencyKey'], {
    retryAfterMs: WAIT_MS,
  });
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
