import type { Stripe } from 'stripe';
import { ApiError, invalidRequest, resourceMissing } from '../api-error.js';
import { DECLINES, type Decline } from '../cards.js';
import { checkChargeAmount, isCurrency } from '../currencies.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Call, type Operation, declineFields, operation } from '../operations.js';
import {
  anything,
  either,
  flag,
  group,
  integer,
  listOf,
  mergedMetadata,
  metadata,
  oneOf,
  required,
  text,
} from '../parameters.js';
import type { StoredCharge, StoredPaymentIntent } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { type ChargeResult, authenticationNeed, charge } from './charging.js';
import { AUTOMATIC_METHODS, METHOD_TYPES, automaticMethods } from './method-choice.js';
import { authenticationStep, requireReturnUrl } from './next-action.js';
import { type UsableMethod, attach, checkOwner, keptMethod, usableMethod } from './payment-methods.js';
import { requireCustomer } from './require-customer.js';

/**
 * PaymentIntents: requires_payment_method -> requires_confirmation -> requires_action -> succeeded, or canceled. One succeeds at most
 * once; after a decline it waits for another method and keeps its id. Source: Stripe, "How PaymentIntents work".
 */

const THREE_D_SECURE = oneOf('automatic', 'any', 'challenge');

const CONFIRMATION = {
  error_on_requires_action: flag,
  expand: LIST_PARAMETERS.expand,
  mandate_data: anything,
  off_session: either(flag, oneOf('recurring', 'one_off')),
  payment_method: text(),
  payment_method_options: group({
    card: group({
      request_three_d_secure: THREE_D_SECURE,
      stored_credential_usage: oneOf('recurring', 'installment', 'unscheduled'),
      setup_credential_usage: oneOf('recurring', 'installment', 'unscheduled'),
    }),
  }),
  receipt_email: text(),
  return_url: text(),
  setup_future_usage: oneOf('off_session', 'on_session'),
  allowed_payment_method_types: listOf(METHOD_TYPES),
  use_stripe_sdk: flag,
};

/** How long a payment stays processing when a fault asks for it, by the stand-in's clock. */
const PROCESSING_MS = 60_000;

/** How one confirmation is meant. */
interface Confirmation {
  isOffSession: boolean;
  failsOnAction: boolean;
  isThreeDSecureAsked: boolean;
  returnUrl: string | null;
}

/** The intent in the address. */
function requireIntent(state: State, id: string): StoredPaymentIntent {
  const found = state.paymentIntents.get(id);
  if (!found) throw resourceMissing('payment_intent', id);
  return found;
}

function wrongState(intent: StoredPaymentIntent, what: string): ApiError {
  return new ApiError(400, {
    type: 'invalid_request_error',
    code: 'payment_intent_unexpected_state',
    message: `This PaymentIntent's ${what} because it has a status of ${intent.status}.`,
    payment_intent: intent,
  });
}

/** Confirms: charges, asks for authentication, or fails with a 402 that leaves the intent waiting for another method. */
function confirm(call: Call, intent: StoredPaymentIntent, how: Confirmation): StoredPaymentIntent {
  const { unit, state } = call;
  if (!['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(intent.status)) {
    throw wrongState(intent, 'status does not allow confirming it');
  }
  if (intent.payment_method === null) {
    throw invalidRequest(
      "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
      { code: 'payment_intent_unexpected_state' },
    );
  }
  const usable = keptMethod(state, intent.payment_method, 'payment_method');
  checkOwner(usable, intent.customer);
  const automatic = intent.automatic_payment_methods;
  if (automatic?.enabled && automatic.allow_redirects !== 'never' && !how.isOffSession && how.returnUrl === null) {
    throw invalidRequest(
      'This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`.',
      { param: 'return_url' },
    );
  }
  const need = authenticationNeed(usable.card.authentication, {
    isOffSession: how.isOffSession,
    isSetUp: usable.onFile.isSetUp,
    isAsked: how.isThreeDSecureAsked,
  });
  if (need === 'challenge' && call.forcedDecline === null) {
    if (how.failsOnAction) throw failed(unit, intent, usable, DECLINES.authentication_required, null);
    const waiting = unit.put(state.paymentIntents, {
      ...intent,
      status: 'requires_action',
      last_payment_error: null,
      next_action: authenticationStep(call.baseUrl, intent, how.returnUrl),
    });
    unit.emit('payment_intent.requires_action', waiting);
    return waiting;
  }
  if (call.isSlowPayment) {
    const slow = unit.put(state.paymentIntents, { ...intent, last_payment_error: null, next_action: null, status: 'processing' });
    unit.put(state.errands, {
      id: unit.id('errand'),
      dueAt: state.now + PROCESSING_MS,
      kind: 'finish_payment',
      subject: intent.id,
      reason: '',
      isInquiry: false,
      parts: 1,
    });
    unit.emit('payment_intent.processing', slow);
    return slow;
  }
  const decline = call.forcedDecline ?? (need === 'declines' ? DECLINES.authentication_required : null);
  return settled(unit, intent, usable, charge(unit, intent, usable, { isAuthenticated: false, decline }));
}

/** The intent after a try; a decline is thrown, and leaves its trace. */
function settled(unit: Unit, intent: StoredPaymentIntent, usable: UsableMethod, result: ChargeResult): StoredPaymentIntent {
  if (result.decline) throw failed(unit, intent, usable, result.decline, result.charge);
  const paid = unit.put(unit.state.paymentIntents, {
    ...intent,
    amount_received: intent.amount,
    last_payment_error: null,
    latest_charge: result.charge.id,
    next_action: null,
    review: result.charge.review,
    status: 'succeeded',
  });
  if (intent.setup_future_usage && intent.customer !== null) {
    attach(unit, usable.method, intent.customer);
    if (intent.setup_future_usage === 'off_session') unit.put(unit.state.cards, { ...usable.onFile, isSetUp: true });
  }
  unit.emit('payment_intent.succeeded', paid);
  return paid;
}

/** Puts the intent back to waiting for a method, and gives the 402 to answer with. */
function failed(
  unit: Unit,
  intent: StoredPaymentIntent,
  { method }: UsableMethod,
  decline: Decline,
  made: StoredCharge | null,
): ApiError {
  const fields = { ...declineFields(decline), ...(made && { charge: made.id }), payment_method: method };
  const waiting = unit.put(unit.state.paymentIntents, {
    ...intent,
    last_payment_error: { ...fields, type: 'card_error', code: paymentErrorCode(decline.code) },
    latest_charge: made?.id ?? intent.latest_charge,
    next_action: null,
    payment_method: null,
    status: 'requires_payment_method',
  });
  unit.emit('payment_intent.payment_failed', waiting);
  return new ApiError(402, { ...fields, payment_intent: waiting }, true);
}

function paymentErrorCode(code: string): Stripe.PaymentIntent.LastPaymentError.Code {
  return code;
}

/**
 * The payer's answer on the authentication page: the charge is made, or the intent goes back to waiting for a method.
 * @returns whether the payment succeeded; null when the intent no longer waits for an answer
 */
export function answerPaymentAuthentication(unit: Unit, id: string, isPassed: boolean): boolean | null {
  const intent = unit.state.paymentIntents.get(id);
  if (intent?.status !== 'requires_action' || intent.payment_method === null) return null;
  const usable = keptMethod(unit.state, intent.payment_method);
  if (!isPassed) {
    failed(unit, intent, usable, AUTHENTICATION_FAILED, null);
    return false;
  }
  return tryCharge(unit, intent, usable, true);
}

/** A payment that took its time is charged after all, or declined. */
export function finishPayment(unit: Unit, id: string): void {
  const intent = unit.state.paymentIntents.get(id);
  if (intent?.status !== 'processing' || intent.payment_method === null) return;
  tryCharge(unit, intent, keptMethod(unit.state, intent.payment_method), false);
}

/** Charges outside of a request: nobody is told of a decline but by the intent and its events. Whether the money moved. */
function tryCharge(unit: Unit, intent: StoredPaymentIntent, usable: UsableMethod, isAuthenticated: boolean): boolean {
  const result = charge(unit, intent, usable, { isAuthenticated, decline: null });
  if (result.decline) failed(unit, intent, usable, result.decline, result.charge);
  else settled(unit, intent, usable, result);
  return result.decline === null;
}

const AUTHENTICATION_FAILED: Decline = {
  code: 'payment_intent_authentication_failure',
  declineCode: 'authentication_not_handled',
  message: 'We are unable to authenticate your payment method. Please choose a different payment method and try again.',
  adviceCode: null,
  networkDeclineCode: null,
  networkAdviceCode: null,
};

/** The method that a request names, checked; null when it names none. */
function givenMethod(
  unit: Unit,
  given: string | undefined,
  customer: string | null,
  allowed: readonly string[] | null,
): UsableMethod | null {
  if (given === undefined) return null;
  const usable = usableMethod(unit, given);
  checkOwner(usable, customer);
  if (allowed && !allowed.includes(usable.method.type)) {
    throw invalidRequest(`The PaymentMethod provided (${usable.method.type}) is not allowed for this PaymentIntent.`, {
      param: 'payment_method',
    });
  }
  return usable;
}

function confirmationOf(
  given: { [K in keyof typeof CONFIRMATION]?: unknown },
  options: { card?: { request_three_d_secure?: string | undefined } | undefined } | undefined,
): Confirmation {
  const asked = options?.card?.request_three_d_secure;
  return {
    isOffSession: given.off_session !== undefined && given.off_session !== false,
    failsOnAction: given.error_on_requires_action === true,
    isThreeDSecureAsked: asked === 'any' || asked === 'challenge',
    returnUrl: typeof given.return_url === 'string' ? requireReturnUrl(given.return_url) : null,
  };
}

export const paymentIntentOperations: Operation[] = [
  operation({
    name: 'payment_intents.create',
    method: 'POST',
    path: '/v1/payment_intents',
    parameters: {
      ...CONFIRMATION,
      amount: required(integer({ min: 0 })),
      automatic_payment_methods: AUTOMATIC_METHODS,
      capture_method: oneOf('automatic', 'automatic_async'),
      confirm: flag,
      confirmation_method: oneOf('automatic', 'manual'),
      currency: required(text(3)),
      customer: text(),
      description: text(1000),
      metadata,
      statement_descriptor: text(22),
      statement_descriptor_suffix: text(22),
    },
    run(call, given) {
      const { unit, state } = call;
      const currency = given.currency.toLowerCase();
      if (!isCurrency(currency)) throw invalidRequest(`Invalid currency: ${currency}.`, { param: 'currency' });
      checkChargeAmount(given.amount, currency, state.settings.settlementCurrency);
      if (given.customer !== undefined) requireCustomer(state, given.customer, 'customer');
      if (given.automatic_payment_methods && given.allowed_payment_method_types) {
        throw invalidRequest(
          'You may only specify one of these parameters: automatic_payment_methods, allowed_payment_method_types.',
          {
            param: 'automatic_payment_methods',
          },
        );
      }
      for (const param of ['off_session', 'error_on_requires_action', 'return_url', 'mandate_data'] as const) {
        if (given[param] !== undefined && given.confirm !== true) {
          throw invalidRequest(`You can only set \`${param}\` when \`confirm\` is true.`, { param });
        }
      }
      const allowed = given.allowed_payment_method_types ?? null;
      const customer = given.customer ?? null;
      const method = givenMethod(unit, given.payment_method, customer, allowed);
      const how = confirmationOf(given, given.payment_method_options);
      const id = unit.id('pi');
      const asked = given.payment_method_options?.card?.request_three_d_secure;
      const intent = unit.put(state.paymentIntents, {
        id,
        object: 'payment_intent',
        allowed_payment_method_types: allowed,
        amount: given.amount,
        amount_capturable: 0,
        amount_received: 0,
        application: null,
        application_fee_amount: null,
        automatic_payment_methods: automaticMethods(allowed, given.automatic_payment_methods),
        canceled_at: null,
        cancellation_reason: null,
        capture_method: given.capture_method ?? 'automatic_async',
        client_secret: `${id}_secret_${unit.secret()}`,
        confirmation_method: given.confirmation_method ?? 'automatic',
        created: unit.seconds,
        currency,
        customer,
        customer_account: null,
        description: given.description ?? null,
        excluded_payment_method_types: null,
        last_payment_error: null,
        latest_charge: null,
        livemode: false,
        managed_payments: null,
        metadata: mergedMetadata({}, given.metadata),
        next_action: null,
        on_behalf_of: null,
        payment_method: method?.method.id ?? null,
        payment_method_configuration_details: null,
        payment_method_options: {
          card: { installments: null, mandate_options: null, network: null, request_three_d_secure: asked ?? 'automatic' },
        },
        payment_method_types: allowed ?? ['card'],
        payment_record: null,
        processing: null,
        receipt_email: given.receipt_email ?? null,
        review: null,
        setup_future_usage: given.setup_future_usage ?? null,
        shipping: null,
        source: null,
        statement_descriptor: given.statement_descriptor ?? null,
        statement_descriptor_suffix: given.statement_descriptor_suffix ?? null,
        status: method ? 'requires_confirmation' : 'requires_payment_method',
        transfer_data: null,
        transfer_group: null,
      });
      unit.emit('payment_intent.created', intent);
      return given.confirm === true ? confirm(call, intent, how) : intent;
    },
  }),
  operation({
    name: 'payment_intents.confirm',
    method: 'POST',
    path: '/v1/payment_intents/:id/confirm',
    parameters: CONFIRMATION,
    run(call, given) {
      const { unit, state, id } = call;
      const before = requireIntent(state, id);
      const allowed = given.allowed_payment_method_types ?? before.allowed_payment_method_types;
      const how = confirmationOf(given, given.payment_method_options);
      const method = givenMethod(unit, given.payment_method, before.customer, allowed);
      return confirm(
        call,
        {
          ...before,
          allowed_payment_method_types: allowed,
          payment_method: method?.method.id ?? before.payment_method,
          setup_future_usage: given.setup_future_usage ?? before.setup_future_usage,
          receipt_email: given.receipt_email ?? before.receipt_email,
        },
        how,
      );
    },
  }),
  operation({
    name: 'payment_intents.update',
    method: 'POST',
    path: '/v1/payment_intents/:id',
    parameters: { description: text(1000), metadata, receipt_email: text(), expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }, given) {
      const before = requireIntent(state, id);
      return unit.put(state.paymentIntents, {
        ...before,
        description: given.description ?? before.description,
        receipt_email: given.receipt_email ?? before.receipt_email,
        metadata: mergedMetadata(before.metadata, given.metadata),
      });
    },
  }),
  operation({
    name: 'payment_intents.cancel',
    method: 'POST',
    path: '/v1/payment_intents/:id/cancel',
    parameters: {
      cancellation_reason: oneOf('abandoned', 'duplicate', 'fraudulent', 'requested_by_customer'),
      expand: LIST_PARAMETERS.expand,
    },
    run({ unit, state, id }, given) {
      const before = requireIntent(state, id);
      if (['succeeded', 'processing', 'canceled'].includes(before.status)) {
        throw new ApiError(400, {
          type: 'invalid_request_error',
          code: 'payment_intent_unexpected_state',
          message: `You cannot cancel this PaymentIntent because it has a status of ${before.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action.`,
          payment_intent: before,
        });
      }
      const canceled = unit.put(state.paymentIntents, {
        ...before,
        canceled_at: unit.seconds,
        cancellation_reason: given.cancellation_reason ?? null,
        next_action: null,
        status: 'canceled',
      });
      unit.emit('payment_intent.canceled', canceled);
      return canceled;
    },
  }),
  operation({
    name: 'payment_intents.retrieve',
    method: 'GET',
    path: '/v1/payment_intents/:id',
    parameters: { client_secret: text(), expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => requireIntent(state, id),
  }),
  operation({
    name: 'payment_intents.list',
    method: 'GET',
    path: '/v1/payment_intents',
    parameters: { ...LIST_PARAMETERS, ...CREATED, customer: text() },
    run: ({ state }, wanted) =>
      page(
        '/v1/payment_intents',
        state.paymentIntents,
        wanted,
        wanted.customer === undefined ? undefined : { field: 'customer', value: wanted.customer },
      ),
  }),
];
