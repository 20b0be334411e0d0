import { randomUUID } from 'node:crypto';
import { ApiError, invalidRequest } from './api-error.js';
import type { Decline } from './cards.js';
import { expanded } from './expand.js';
import { type Faults, declineOf } from './faults.js';
import { KeysInUse, fingerprintOf, keepAnswer } from './idempotency.js';
import { balanceOperations } from './objects/balance.js';
import { chargeOperations } from './objects/charges.js';
import { customerOperations } from './objects/customers.js';
import { disputeOperations } from './objects/disputes.js';
import { eventOperations } from './objects/events.js';
import { paymentIntentOperations } from './objects/payment-intents.js';
import { paymentMethodOperations } from './objects/payment-methods.js';
import { payoutOperations } from './objects/payouts.js';
import { radarOperations } from './objects/radar.js';
import { refundOperations } from './objects/refunds.js';
import { setupIntentOperations } from './objects/setup-intents.js';
import type { Call, Operation } from './operations.js';
import { listOf, parseForm, refuseCardNumbers, text } from './parameters.js';
import type { RateLimits } from './rate-limits.js';
import { API_VERSION } from './shapes.js';
import type { State } from './state.js';

/** Every operation of the API that the stand-in knows. */
export const OPERATIONS: readonly Operation[] = [
  ...customerOperations,
  ...paymentMethodOperations,
  ...setupIntentOperations,
  ...paymentIntentOperations,
  ...chargeOperations,
  ...refundOperations,
  ...disputeOperations,
  ...balanceOperations,
  ...payoutOperations,
  ...radarOperations,
  ...eventOperations,
];

/** A request to the API. */
interface ApiRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: string;
  form: string;
  authorization: string | null;
  version: string | null;
  idempotencyKey: string | null;
}

/** An answer; `silence` keeps the connection open without one, `reset` breaks it. */
export type Reply = { status: number; headers: Record<string, string>; body: string } | 'silence' | 'reset';

/** The parts an API call works with. */
export interface Sandbox {
  state: State;
  faults: Faults;
  limits: RateLimits;
  baseUrl: string;
  log: (line: string) => void;
}

const SERVER_ERROR = new ApiError(500, {
  type: 'api_error',
  message: 'An error occurred with our connection to the service. (a fault of the sandbox)',
});

/** Answers calls of one stand-in. */
export class Api {
  readonly #keys = new KeysInUse();
  readonly #routes = new Map<string, Operation[]>();

  constructor(readonly sandbox: Sandbox) {
    for (const each of OPERATIONS) {
      const route = routeOf(each.method, each.path);
      this.#routes.set(route, [...(this.#routes.get(route) ?? []), each]);
    }
  }

  /** Never rejects: what goes wrong inside is a 500, and a line in the log. */
  async answer(request: ApiRequest): Promise<Reply> {
    const requestId = `req_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
    const headers: Record<string, string> = { 'request-id': requestId, 'stripe-version': API_VERSION };
    if (request.idempotencyKey !== null) headers['idempotency-key'] = request.idempotencyKey;
    try {
      return await this.#answer(request, requestId, headers);
    } catch (error) {
      if (!(error instanceof ApiError))
        this.sandbox.log(
          `stripe stand-in: ${request.method} ${request.path}: ${error instanceof Error ? error.stack : String(error)}`,
        );
      const known = error instanceof ApiError ? error : SERVER_ERROR;
      if (known.status === 429) headers['stripe-rate-limited-reason'] = 'endpoint-rate';
      return { status: known.status, headers, body: JSON.stringify(known.body) };
    }
  }

  async #answer(request: ApiRequest, requestId: string, headers: Record<string, string>): Promise<Reply> {
    const { state, faults } = this.sandbox;
    checkKey(request.authorization);
    checkVersion(request.version);
    const { operation, id } = this.#route(request);
    const fault = faults.take(operation.name, ['timeout_before', 'reset', 'rate_limit', 'slow']);
    if (fault?.kind === 'timeout_before') return 'silence';
    if (fault?.kind === 'reset') return 'reset';
    if (fault?.kind === 'rate_limit' || (state.settings.hasRateLimits && !this.sandbox.limits.allows(operation.name)))
      throw rateLimited();

    const form = request.method === 'POST' ? request.form : request.query;
    const key = request.method === 'POST' ? request.idempotencyKey : null;
    const fingerprint = key === null ? '' : fingerprintOf(request.method, request.path, form);
    const kept = key === null ? null : this.#keys.claim(state, key, fingerprint);
    if (kept) {
      return {
        status: kept.status,
        headers: { ...headers, 'idempotent-replayed': 'true', 'original-request': kept.requestId },
        body: state.read(kept.text),
      };
    }
    try {
      const tree = parseForm(form);
      refuseCardNumbers(tree);
      const run = operation.prepare(tree);
      const expand = tree['expand'] === undefined ? [] : listOf(text()).read(tree['expand'], 'expand');
      if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms ?? 0));
      const effect = faults.take(operation.name, ['timeout_after', 'error_before', 'error_after']);
      const answer = state.run({ requestId, idempotencyKey: key }, (unit) => {
        let forced: Decline | null | undefined;
        const call: Call = {
          unit,
          state,
          id,
          baseUrl: this.sandbox.baseUrl,
          get forcedDecline() {
            const asked = forced === undefined ? faults.take(operation.name, ['decline']) : null;
            return (forced ??= asked && declineOf(asked));
          },
          get isSlowPayment() {
            return faults.take(operation.name, ['processing']) !== null;
          },
        };
        const mark = unit.mark();
        let answered: { status: number; body: string };
        try {
          if (effect?.kind === 'error_before') throw SERVER_ERROR;
          answered = { status: 200, body: JSON.stringify(expanded(state, run(call), expand)) };
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (!error.keepsEffects) unit.undoTo(mark);
          answered = { status: error.status, body: JSON.stringify(error.body) };
        }
        if (effect?.kind === 'error_after') answered = { status: 500, body: JSON.stringify(SERVER_ERROR.body) };
        if (key !== null) keepAnswer(unit, key, { fingerprint, ...answered, requestId });
        return answered;
      });
      return effect?.kind === 'timeout_after' ? 'silence' : { ...answer, headers };
    } finally {
      if (key !== null) this.#keys.release(key);
    }
  }

  #route({ method, path }: ApiRequest): { operation: Operation; id: string } {
    const steps = path.split('/');
    for (const operation of this.#routes.get(routeOf(method, path)) ?? []) {
      let id = '';
      const isMatch = operation.path.split('/').every((step, position) => {
        if (step !== ':id') return step === steps[position];
        id = decodeURIComponent(steps[position] ?? '');
        return id !== '';
      });
      if (isMatch) return { operation, id };
    }
    throw new ApiError(404, {
      type: 'invalid_request_error',
      message: `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
    });
  }
}

/** Addresses that may be the same: method, resource, number of steps. */
function routeOf(method: string, path: string): string {
  const steps = path.split('/');
  return `${method} ${steps[1]} ${steps[2]} ${steps.length}`;
}

function rateLimited(): ApiError {
  return new ApiError(429, {
    type: 'invalid_request_error',
    code: 'rate_limit',
    message: 'Request rate limit exceeded. Learn more about rate limits in the documentation.',
  });
}

function checkKey(authorization: string | null): void {
  const key = /^Bearer (.*)$/.exec(authorization ?? '')?.[1]?.trim() ?? '';
  if (/^(sk|rk)_(test|sandbox)(_\w+)?$/.test(key)) return;
  throw new ApiError(401, {
    type: 'invalid_request_error',
    message:
      key === ''
        ? "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        : 'Invalid API Key provided. The sandbox takes secret keys of test mode only.',
  });
}

function checkVersion(version: string | null): void {
  if (version !== null && version !== API_VERSION)
    throw invalidRequest(`Invalid Stripe API version: ${version}. The sandbox speaks ${API_VERSION} only.`);
}
