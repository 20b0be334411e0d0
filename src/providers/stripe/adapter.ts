/**
 * Stripe behind the provider port, on the official SDK. Every POST carries an explicit idempotency key: the SDK sends a request once more
 * on a closed connection even at `maxNetworkRetries: 0`, possibly after it was executed, and only the key makes that harmless.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import Stripe from 'stripe';
import { invariant } from '../../domain/invariant.js';
import { isInsideTransaction } from '../../platform/inside-transaction.js';
import type { Called, PaymentFact, PaymentProvider, ProviderEvent, RefundFact, SetupFact } from '../../ports/provider.js';
import { toStripeAmount } from './amounts.js';
import { classifyTrouble } from './classify.js';
import { isSigned } from './signature.js';
import { disputeOf, eventOf, objectKindOf, paymentOf, readEvent, refundOf, setupOf, SUCCESS_EVENTS } from './translate.js';

/** What the adapter needs to know. */
export interface StripeOptions {
  apiKey: string;
  /** Secrets that sign webhooks: the current one, and the next or last while they are rolled. */
  webhookSecrets: readonly string[];
  publishableKey: string | null;
  /** Base address of the API; null for Stripe's own. */
  apiBase: string | null;
  /** Row id of the merchant account. */
  accountId: number;
  /** Time limit of one call, milliseconds. */
  timeoutMs: number;
}

/** The version the code was written for; an upgrade of the SDK shows as a change here. */
const API_VERSION = '2026-10-28.endive';
/** Stripe keeps v1 keys at least 24 h; ours end an hour before. */
const KEY_LIFE_MS = 23 * 3_600_000;
/** Form of a PaymentMethod's id, test tokens included (docs.stripe.com/testing). */
const METHOD_TOKEN = /^pm_[A-Za-z0-9_]{3,80}$/;
/** Sockets kept to Stripe: wanted calls a second times latency, with room. */
const MAX_SOCKETS = 320;
/** Pages of a listing that is followed: 100 objects each. A user with more payments in a window than this is looked at by a person. */
const MAX_PAGES = 20;
const PAGE = 100;
const PAYMENT_EXPAND = ['latest_charge.balance_transaction'];
const REFUND_EXPAND = ['balance_transaction', 'failure_balance_transaction'];

/** Makes the provider of one Stripe account. */
export function stripeProvider(options: StripeOptions): PaymentProvider {
  const base = options.apiBase === null ? null : new URL(options.apiBase);
  const agentOptions = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const stripe = new Stripe(options.apiKey, {
    apiVersion: API_VERSION,
    timeout: options.timeoutMs,
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent: base?.protocol === 'http:' ? new HttpAgent(agentOptions) : new HttpsAgent(agentOptions),
    ...(base
      ? { host: base.hostname, port: base.port || (base.protocol === 'http:' ? 80 : 443), protocol: protocolOf(base) }
      : {}),
  });

  /** Runs one call and turns its end into a class of answer. */
  async function call<Fact>(run: () => Promise<{ fact: Fact; requestId: string | undefined }>): Promise<Called<Fact>> {
    invariant(!isInsideTransaction(), 'no provider is called inside a database transaction');
    try {
      const { fact, requestId } = await withoutStacks(run);
      return { kind: 'fact', fact, requestId: requestId ?? null };
    } catch (error) {
      return classifyTrouble(error);
    }
  }

  /** The same for calls whose decline comes as an error that carries the object. */
  async function callPayment(run: () => Promise<Stripe.Response<Stripe.PaymentIntent>>): Promise<Called<PaymentFact>> {
    return call(async () => {
      try {
        const intent = await run();
        return { fact: paymentOf(intent), requestId: intent.lastResponse.requestId };
      } catch (error) {
        if (error instanceof Stripe.errors.StripeCardError && error.payment_intent) {
          return { fact: paymentOf(error.payment_intent, error), requestId: error.requestId };
        }
        throw error;
      }
    });
  }

  async function callSetup(run: () => Promise<Stripe.Response<Stripe.SetupIntent>>): Promise<Called<SetupFact>> {
    return call(async () => {
      try {
        const setup = await run();
        return { fact: setupOf(setup), requestId: setup.lastResponse.requestId };
      } catch (error) {
        if (error instanceof Stripe.errors.StripeCardError && error.setup_intent) {
          return { fact: setupOf(error.setup_intent, error), requestId: error.requestId };
        }
        throw error;
      }
    });
  }

  const readRefund = async (refundObjectId: string): Promise<Called<RefundFact>> =>
    call(async () => {
      const refund = await stripe.refunds.retrieve(refundObjectId, { expand: REFUND_EXPAND });
      return { fact: refundOf(refund), requestId: refund.lastResponse.requestId };
    });

  return {
    name: 'stripe',
    accountId: options.accountId,
    keyLifeMs: KEY_LIFE_MS,
    publishableKey: options.publishableKey,

    createCustomer: ({ idempotencyKey, userId, env }) =>
      call(async () => {
        const customer = await stripe.customers.create({ metadata: { user_id: userId, env } }, { idempotencyKey });
        return { fact: { objectId: customer.id }, requestId: customer.lastResponse.requestId };
      }),

    startSetup: ({ idempotencyKey, customerObjectId, setupRef, env }) =>
      callSetup(() =>
        stripe.setupIntents.create(
          {
            customer: customerObjectId,
            usage: 'off_session',
            allowed_payment_method_types: ['card'],
            metadata: { setup_id: setupRef, env },
          },
          { idempotencyKey },
        ),
      ),

    confirmSetup: ({ idempotencyKey, setupObjectId, methodToken, returnUrl }) =>
      callSetup(() =>
        stripe.setupIntents.confirm(
          setupObjectId,
          { payment_method: methodToken, return_url: returnUrl, expand: ['payment_method'] },
          { idempotencyKey },
        ),
      ),

    isMethodToken: (text) => METHOD_TOKEN.test(text),

    readSetup: (setupObjectId) => callSetup(() => stripe.setupIntents.retrieve(setupObjectId, { expand: ['payment_method'] })),

    detachMethod: async ({ idempotencyKey, methodObjectId }) => {
      const answer = await call(async () => {
        const method = await stripe.paymentMethods.detach(methodObjectId, {}, { idempotencyKey });
        return { fact: { objectId: method.id }, requestId: method.lastResponse.requestId };
      });
      // Refused means: not attached any more, or gone. That is what was wanted.
      return answer.kind === 'refused'
        ? { kind: 'fact', fact: { objectId: methodObjectId }, requestId: answer.requestId }
        : answer;
    },

    charge: async (request) => {
      const amount = toStripeAmount(request.amountMinor, request.currency);
      const answer = await callPayment(() =>
        stripe.paymentIntents.create(
          {
            amount,
            currency: request.currency.toLowerCase(),
            customer: request.customerObjectId,
            payment_method: request.methodObjectId,
            confirm: true,
            ...(request.isOffSession ? { off_session: true, error_on_requires_action: true } : {}),
            ...(request.returnUrl === null || request.isOffSession
              ? {}
              : { allowed_payment_method_types: ['card'], return_url: request.returnUrl }),
            metadata: { intent_id: request.intentRef, invoice_id: request.invoiceRef, env: request.env },
            expand: PAYMENT_EXPAND,
          },
          { idempotencyKey: request.idempotencyKey },
        ),
      );
      if (answer.kind !== 'fact') return answer;
      const { fact, requestId } = answer;
      const isAsAsked =
        fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.intentRef === request.intentRef;
      return isAsAsked ? answer : { kind: 'unknown', reason: 'mismatch', isReplay: false, requestId };
    },

    readPayment: (paymentObjectId) =>
      callPayment(() => stripe.paymentIntents.retrieve(paymentObjectId, { expand: PAYMENT_EXPAND })),

    findPayment: ({ customerObjectId, intentRef, since }) =>
      call(async () => {
        let startingAfter: string | undefined;
        for (let page = 0; page < MAX_PAGES; page++) {
          const list = await stripe.paymentIntents.list({
            customer: customerObjectId,
            created: { gte: Math.floor(since.getTime() / 1000) },
            limit: PAGE,
            ...(startingAfter === undefined ? {} : { starting_after: startingAfter }),
            expand: ['data.latest_charge.balance_transaction'],
          });
          const found = list.data.find((intent) => intent.metadata['intent_id'] === intentRef);
          if (found) return { fact: paymentOf(found), requestId: list.lastResponse.requestId };
          startingAfter = list.data.at(-1)?.id;
          if (!list.has_more || startingAfter === undefined) return { fact: null, requestId: list.lastResponse.requestId };
        }
        invariant(false, 'a listing of one customer ends within its pages', { customerObjectId });
      }),

    cancelPayment: ({ idempotencyKey, paymentObjectId }) =>
      callPayment(() =>
        stripe.paymentIntents.cancel(
          paymentObjectId,
          { cancellation_reason: 'abandoned', expand: PAYMENT_EXPAND },
          { idempotencyKey },
        ),
      ),

    refund: async (request) => {
      const answer = await call<RefundFact>(async () => {
        const refund = await stripe.refunds.create(
          {
            payment_intent: request.paymentObjectId,
            amount: toStripeAmount(request.amountMinor, request.currency),
            ...(request.reason === 'duplicate' || request.reason === 'fraudulent' ? { reason: request.reason } : {}),
            metadata: { refund_id: request.refundRef, env: request.env },
            expand: REFUND_EXPAND,
          },
          { idempotencyKey: request.idempotencyKey },
        );
        return { fact: refundOf(refund), requestId: refund.lastResponse.requestId };
      });
      if (answer.kind !== 'fact') return answer;
      const { fact, requestId } = answer;
      const isAsAsked =
        fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.refundRef === request.refundRef;
      return isAsAsked ? answer : { kind: 'unknown', reason: 'mismatch', isReplay: false, requestId };
    },

    readRefund,

    findRefund: ({ paymentObjectId, refundRef }) =>
      call(async () => {
        const list = await stripe.refunds.list({
          payment_intent: paymentObjectId,
          limit: PAGE,
          expand: ['data.balance_transaction'],
        });
        const found = list.data.find((refund) => refund.metadata?.['refund_id'] === refundRef);
        return { fact: found ? refundOf(found) : null, requestId: list.lastResponse.requestId };
      }),

    readDispute: (disputeObjectId) =>
      call(async () => {
        const dispute = await stripe.disputes.retrieve(disputeObjectId);
        return { fact: disputeOf(dispute), requestId: dispute.lastResponse.requestId };
      }),

    objectKindOf,
    successEvents: SUCCESS_EVENTS,
    openEvent: (rawBody, headers, now) => openEvent(options.webhookSecrets, rawBody, headers, now),

    listEvents: ({ from, to, after }) =>
      call(async () => {
        const list = await stripe.events.list({
          created: { gte: Math.floor(from.getTime() / 1000), lt: Math.ceil(to.getTime() / 1000) },
          limit: PAGE,
          ...(after === null ? {} : { starting_after: after }),
        });
        const events = list.data.map((event) => ({ event: eventOf(event), raw: JSON.stringify(event) }));
        const next = list.has_more ? (list.data.at(-1)?.id ?? null) : null;
        return { fact: { events, next }, requestId: list.lastResponse.requestId };
      }),
  };
}

/** Checks `Stripe-Signature` over the raw bytes under any of the secrets, and only then reads them. */
function openEvent(
  secrets: readonly string[],
  rawBody: Uint8Array,
  headers: Readonly<Record<string, string | undefined>>,
  now: Date,
): ProviderEvent | null {
  return isSigned(rawBody, headers['stripe-signature'], secrets, now) ? readEvent(Buffer.from(rawBody).toString('utf8')) : null;
}

/**
 * Begins a call. The SDK notes for each one where it was begun, which with source maps costs as much as the call itself; what it throws later has its
 * own place.
 */
function withoutStacks<T>(begin: () => Promise<T>): Promise<T> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return begin();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function protocolOf(base: URL): 'http' | 'https' {
  return base.protocol === 'http:' ? 'http' : 'https';
}
