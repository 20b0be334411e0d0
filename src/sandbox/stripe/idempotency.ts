import { createHash } from 'node:crypto';
import { ApiError } from './api-error.js';
import type { KeptAnswer } from './shapes.js';
import { KEY_LIFE_MS, type State, type Unit } from './state.js';

/**
 * What an idempotency key promises. The first request under a key runs; its answer, whatever it is, is kept for 24 hours and given
 * again to the same request. Nothing is kept of requests that did not begin: failed validation, 401, 429, a key in use.
 * Source: Stripe, "Idempotent requests".
 */

const MAX_KEY_LENGTH = 255;

/** What tells one request from another under the same key. */
export function fingerprintOf(method: string, path: string, form: string): string {
  return createHash('sha256')
    .update(`${method} ${path}\n${form.split('&').toSorted().join('&')}`)
    .digest('base64url');
}

/** Keys whose first request is still running, with its fingerprint. Not kept: a restart ends what was running. */
export class KeysInUse {
  readonly #running = new Map<string, string>();

  /** The answer kept under the key; null: this request is the first and may run, `release` ends that. */
  claim(state: State, key: string, fingerprint: string): KeptAnswer | null {
    if (key.length > MAX_KEY_LENGTH) {
      throw new ApiError(400, {
        type: 'invalid_request_error',
        message: `Your idempotency key is ${key.length} characters long, the limit is ${MAX_KEY_LENGTH}.`,
      });
    }
    const found = state.keys.get(key);
    const kept = found && found.keptAt > state.now - KEY_LIFE_MS ? found : null;
    const earlier = kept?.fingerprint ?? this.#running.get(key);
    if (earlier !== undefined && earlier !== fingerprint) {
      throw new ApiError(400, {
        type: 'idempotency_error',
        message: `Keys for idempotent requests can only be used with the same endpoint and the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      });
    }
    if (kept) return kept;
    if (this.#running.has(key)) {
      throw new ApiError(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message:
          'There is currently another in-progress request using this idempotent key (that probably means you submitted twice, and the other request is still going through).',
      });
    }
    this.#running.set(key, fingerprint);
    return null;
  }

  release(key: string): void {
    this.#running.delete(key);
  }
}

/** Keeps an answer under its key, in the same unit of work as what it tells of. */
export function keepAnswer(
  unit: Unit,
  key: string,
  answer: { fingerprint: string; status: number; body: string; requestId: string },
): void {
  const { fingerprint, status, requestId } = answer;
  unit.putWithText(unit.state.keys, answer.body, (text) => ({
    id: key,
    fingerprint,
    status,
    keptAt: unit.state.now,
    requestId,
    text,
  }));
}
