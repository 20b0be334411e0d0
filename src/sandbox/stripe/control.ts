import { z } from 'zod';
import { ApiError } from './api-error.js';
import { isCurrency } from './currencies.js';
import { runErrands } from './errands.js';
import { withStatus } from './expand.js';
import { type Faults, faultRequest } from './faults.js';
import { makeAutomaticPayout } from './objects/payouts.js';
import type { SandboxSettings } from './shapes.js';
import type { State } from './state.js';
import type { WebhookSender } from './webhooks.js';

/**
 * How tests and operators steer the stand-in, on its own port, from this machine only.
 *
 * - `GET /sandbox/truth`: what really happened here, in Stripe's own shapes, oldest first
 * - `GET|POST|DELETE /sandbox/faults`: faults in force; adds one; clears all
 * - `GET|POST|DELETE /sandbox/clock`: `{"now": instant}` stands the clock there, `{"aheadMs": n}` lets it run so far ahead of the
 *   machine's; deleting makes it the machine's again
 * - `POST /sandbox/advance`: does everything that waits for its time (pending and failing refunds, payouts), and tries every waiting
 *   webhook now; with `{"ms": n}` the clock is first stood n milliseconds ahead and only what is due then is done
 * - `GET|POST /sandbox/settings`: `settlementCurrency` (null: each currency settles as itself), `hasRateLimits`
 * - `GET|POST|DELETE /sandbox/webhook_endpoints`: further addresses for webhooks, `{"url", "secret"}`
 * - `POST /sandbox/payouts`: `{"currency"}` makes the daily automatic payout of all that is available
 * - `POST /sandbox/reset`: empties everything
 */

/** An answer: JSON, whole or in pieces. */
interface ControlAnswer {
  status: number;
  body: object | Iterable<string>;
}

/** What control acts on. */
interface Controlled {
  state: State;
  faults: Faults;
  webhooks: WebhookSender;
}

const clockRequest = z.union([
  z.strictObject({ now: z.union([z.iso.datetime({ offset: true }), z.int()]) }),
  z.strictObject({ aheadMs: z.int() }),
]);
const advanceRequest = z.strictObject({ ms: z.int().positive().optional() });
const settingsRequest = z.strictObject({
  settlementCurrency: z.string().toLowerCase().refine(isCurrency, { message: 'unknown currency' }).nullable().optional(),
  hasRateLimits: z.boolean().optional(),
});
const payoutRequest = z.strictObject({ currency: z.string().toLowerCase().refine(isCurrency, { message: 'unknown currency' }) });
const endpointRequest = z.strictObject({ url: z.url({ protocol: /^https?$/ }), secret: z.string().min(1) });

/** Answers a control request; null when there is no such route. @param sent the parsed JSON body; undefined without one */
export function control(
  { state, faults, webhooks }: Controlled,
  method: string,
  path: string,
  sent: unknown,
): ControlAnswer | null {
  switch (`${method} ${path}`) {
    case 'GET /sandbox/truth':
      return { status: 200, body: truth(state) };
    case 'GET /sandbox/faults':
      return { status: 200, body: { faults: faults.list() } };
    case 'POST /sandbox/faults':
      return parsed(faultRequest, sent, (fault) => {
        faults.add(fault);
        return { faults: faults.list() };
      });
    case 'DELETE /sandbox/faults':
      faults.clear();
      return { status: 200, body: { faults: [] } };
    case 'GET /sandbox/clock':
      return { status: 200, body: presentClock(state) };
    case 'POST /sandbox/clock':
      return parsed(clockRequest, sent, (time) => {
        set(
          state,
          'now' in time
            ? { clockStandsAt: new Date(time.now).getTime(), clockAheadMs: 0 }
            : { clockStandsAt: null, clockAheadMs: time.aheadMs },
        );
        runErrands(state);
        return presentClock(state);
      });
    case 'DELETE /sandbox/clock':
      set(state, { clockStandsAt: null, clockAheadMs: 0 });
      runErrands(state);
      return { status: 200, body: presentClock(state) };
    case 'POST /sandbox/advance':
      return parsed(advanceRequest, sent ?? {}, ({ ms }) => {
        if (ms !== undefined) set(state, { clockStandsAt: state.now + ms });
        runErrands(state, ms === undefined ? 'all' : 'due');
        webhooks.flush();
        return presentClock(state);
      });
    case 'GET /sandbox/settings':
      return { status: 200, body: presentSettings(state) };
    case 'POST /sandbox/settings':
      return parsed(settingsRequest, sent, (wanted) => {
        const { settlementCurrency, hasRateLimits } = state.settings;
        set(state, {
          settlementCurrency: wanted.settlementCurrency === undefined ? settlementCurrency : wanted.settlementCurrency,
          hasRateLimits: wanted.hasRateLimits ?? hasRateLimits,
        });
        return presentSettings(state);
      });
    case 'GET /sandbox/webhook_endpoints':
      return { status: 200, body: presentEndpoints(state) };
    case 'POST /sandbox/webhook_endpoints':
      return parsed(endpointRequest, sent, (endpoint) => {
        state.run(NOBODY, (unit) => unit.put(state.endpoints, { id: endpoint.url, ...endpoint }));
        return presentEndpoints(state);
      });
    case 'DELETE /sandbox/webhook_endpoints':
      state.run(NOBODY, (unit) => {
        for (const { id } of Array.from(state.endpoints.oldestFirst())) unit.remove(state.endpoints, id);
      });
      return { status: 200, body: presentEndpoints(state) };
    case 'POST /sandbox/payouts':
      return parsed(payoutRequest, sent, ({ currency }) => state.run(NOBODY, (unit) => makeAutomaticPayout(unit, currency)));
    case 'POST /sandbox/reset':
      faults.clear();
      state.reset();
      return { status: 200, body: { reset: true } };
    default:
      return null;
  }
}

const NOBODY = { requestId: null, idempotencyKey: null };

function parsed<T>(schema: z.ZodType<T>, sent: unknown, act: (value: T) => object): ControlAnswer {
  const read = schema.safeParse(sent);
  if (!read.success) return { status: 400, body: { error: z.prettifyError(read.error) } };
  try {
    return { status: 200, body: act(read.data) };
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, body: error.body };
    throw error;
  }
}

function set(state: State, changed: Partial<SandboxSettings>): void {
  state.run(NOBODY, (unit) => unit.put(state.settingsRow, { ...state.settings, ...changed }));
}

function presentClock(state: State): object {
  return { now: new Date(state.now).toISOString(), stands: state.settings.clockStandsAt !== null };
}

function presentSettings(state: State): object {
  const { settlementCurrency, hasRateLimits } = state.settings;
  return { settlementCurrency, hasRateLimits };
}

/** Secrets are not shown. */
function presentEndpoints(state: State): object {
  return { endpoints: [...state.standingEndpoints, ...state.endpoints.oldestFirst()].map(({ url }) => ({ url })) };
}

/** Piece by piece: a long run's truth is larger than one text may be. */
function* truth(state: State): Generator<string> {
  const lists: [name: string, rows: Iterable<object>][] = [
    ['paymentIntents', state.paymentIntents.oldestFirst()],
    ['charges', state.charges.oldestFirst()],
    ['refunds', state.refunds.oldestFirst()],
    ['disputes', state.disputes.oldestFirst()],
    ['setupIntents', state.setupIntents.oldestFirst()],
    ['balanceTransactions', state.balanceTransactions.oldestFirst()],
    ['payouts', state.payouts.oldestFirst()],
    ['webhooks', state.deliveries.oldestFirst()],
  ];
  for (const [position, [name, rows]] of lists.entries()) {
    yield `${position === 0 ? '{' : ','}${JSON.stringify(name)}:[`;
    let isFirst = true;
    for (const row of rows) {
      yield `${isFirst ? '' : ','}${JSON.stringify(withStatus(state, row))}`;
      isFirst = false;
    }
    yield ']';
  }
  yield '}';
}
