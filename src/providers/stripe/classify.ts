import Stripe from 'stripe';
import type { Called } from '../../ports/provider.js';

/** Everything but a fact. */
export type Trouble = Exclude<Called<never>, { kind: 'fact' }>;

/** Header that marks an answer played back from a key's store (docs.stripe.com/api/idempotent_requests). */
const REPLAYED = 'idempotent-replayed';

/**
 * The class of a failed call. A card error that carries its object is a fact and is handled before this.
 * - 429: the limiter stands before the idempotency layer, so nothing ran and the same key may go again.
 * - 401, 403: refused before anything ran.
 * - 409: the first request with this key still runs.
 * - other 4xx: the request itself was wrong; surely nothing ran.
 * - 5xx, timeouts, resets, unreadable bodies: money may have moved. A 500 is stored under its key and played back for the key's life.
 * @throws whatever is no error of Stripe's SDK: a bug of ours
 */
export function classifyTrouble(error: unknown): Trouble {
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  const requestId = error.requestId ?? null;
  if (error instanceof Stripe.errors.StripeRateLimitError || error.statusCode === 429) {
    return { kind: 'not_now', reason: 'rate_limited', retryAfterMs: retryAfterMs(error.headers), requestId };
  }
  if (error instanceof Stripe.errors.StripeAuthenticationError || error instanceof Stripe.errors.StripePermissionError) {
    return { kind: 'not_now', reason: 'unauthorized', retryAfterMs: 60_000, requestId };
  }
  if (error instanceof Stripe.errors.StripeConnectionError) {
    return { kind: 'unknown', reason: /timed? ?out/i.test(error.message) ? 'timeout' : 'connection', isReplay: false, requestId };
  }
  const status = error.statusCode ?? 0;
  if (status === 409 || error.code === 'idempotency_key_in_use' || error.code === 'lock_timeout') {
    return { kind: 'unknown', reason: 'in_flight', isReplay: false, requestId };
  }
  if (status >= 400 && status < 500)
    return { kind: 'refused', code: error.code ?? error.type, message: error.message, requestId };
  return { kind: 'unknown', reason: 'server_error', isReplay: error.headers?.[REPLAYED] === 'true', requestId };
}

function retryAfterMs(headers: Record<string, string> | undefined): number {
  const seconds = Number(headers?.['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1000 : 1000;
}
