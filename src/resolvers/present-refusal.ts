import { failureOf } from '../domain/payment/decline.js';
import type { Refusal } from '../usecases/contract.js';
import type { GraphContext } from './context.js';
import { presentSubscription } from './present-account.js';
import type { InvalidInputError, PaymentDeclinedError, StateConflictError, TryAgainError } from './types/billing-error.js';

/** What a refusal becomes in the graph. */
export type PresentedRefusal = InvalidInputError | StateConflictError | PaymentDeclinedError | TryAgainError;

/** Delay that is named when the refusal names none, milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** A decline of which no codes are at hand. */
const UNEXPLAINED = failureOf({ codes: null, attemptStatus: 'declined', reader: 'owner', isFirstPayment: true });

/** One refusal of a command to `userId`, as the type of the graph that its code calls for. */
async function presentRefusal(refusal: Refusal, userId: string, context: GraphContext): Promise<PresentedRefusal> {
  const { code, message, field } = refusal;
  switch (code) {
    case 'PAYMENT_DECLINED':
      return { __typename: 'PaymentDeclinedError', code, message, field, failure: refusal.failure ?? UNEXPLAINED };
    case 'IDEMPOTENCY_IN_PROGRESS':
    case 'PROVIDER_UNAVAILABLE':
    case 'RATE_LIMITED':
      return { __typename: 'TryAgainError', code, message, field, retryAfterMs: refusal.retryAfterMs ?? RETRY_AFTER_MS };
    case 'INVALID_STATE':
    case 'ALREADY_SUBSCRIBED':
    case 'STALE_VERSION': {
      const inTheWay = refusal.subscriptionId ? await context.reads.subscriptionOf(userId, refusal.subscriptionId) : null;
      return { __typename: 'StateConflictError', code, message, field, subscription: inTheWay && presentSubscription(inTheWay) };
    }
    default:
      return { __typename: 'InvalidInputError', code, message, field };
  }
}

/** All refusals of one command. */
export function presentRefusals(
  refusals: readonly Refusal[],
  userId: string,
  context: GraphContext,
): Promise<PresentedRefusal[]> {
  return Promise.all(refusals.map((refusal) => presentRefusal(refusal, userId, context)));
}
