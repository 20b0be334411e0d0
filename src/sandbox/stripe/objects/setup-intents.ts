import type { Stripe } from 'stripe';
import { ApiError, invalidRequest, resourceMissing } from '../api-error.js';
import { DECLINES, type Decline } from '../cards.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Call, type Operation, declineFields, operation } from '../operations.js';
import { anything, flag, group, listOf, mergedMetadata, metadata, oneOf, required, text } from '../parameters.js';
import type { StoredSetupIntent } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { authenticationNeed } from './charging.js';
import { AUTOMATIC_METHODS, METHOD_TYPES, automaticMethods } from './method-choice.js';
import { authenticationStep, requireReturnUrl } from './next-action.js';
import { type UsableMethod, attach, checkOwner, keptMethod, usableMethod } from './payment-methods.js';
import { requireCustomer } from './require-customer.js';

/** SetupIntents: a payment method made ready for later charges, with the payer's authentication where the card asks for it. */

function requireSetup(state: State, id: string): StoredSetupIntent {
  const found = state.setupIntents.get(id);
  if (!found) throw resourceMissing('setupintent', id);
  return found;
}

const CONFIRMATION = {
  allowed_payment_method_types: listOf(METHOD_TYPES),
  expand: LIST_PARAMETERS.expand,
  mandate_data: anything,
  payment_method: text(),
  payment_method_options: group({
    card: group({
      request_three_d_secure: oneOf('automatic', 'any', 'challenge'),
      setup_credential_usage: oneOf('recurring', 'installment', 'unscheduled'),
    }),
  }),
  return_url: text(),
  use_stripe_sdk: flag,
};

/** Confirms: sets the method up, asks for authentication, or fails with a 402. */
function confirm(
  call: Call,
  setup: StoredSetupIntent,
  how: { isThreeDSecureAsked: boolean; returnUrl: string | null },
): StoredSetupIntent {
  const { unit, state } = call;
  if (!['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(setup.status)) {
    throw new ApiError(400, {
      type: 'invalid_request_error',
      code: 'setup_intent_unexpected_state',
      message: `You cannot confirm this SetupIntent because it has a status of ${setup.status}.`,
      setup_intent: setup,
    });
  }
  if (setup.payment_method === null) {
    throw invalidRequest("You cannot confirm this SetupIntent because it's missing a payment method.", {
      code: 'setup_intent_unexpected_state',
    });
  }
  const usable = keptMethod(state, setup.payment_method, 'payment_method');
  checkOwner(usable, setup.customer);
  const { card } = usable;
  const decline = call.forcedDecline ?? (card.declinesSetup && card.decline ? DECLINES[card.decline] : null);
  if (decline) throw setupFailed(unit, setup, usable, decline);
  const isChallenged =
    card.authentication !== 'with_payer_only' &&
    authenticationNeed(card.authentication, { isOffSession: false, isSetUp: false, isAsked: how.isThreeDSecureAsked }) ===
      'challenge';
  if (!isChallenged) return setUp(unit, setup, usable, false);
  const attempted = attempt(unit, setup, usable, 'requires_action', null, false);
  const waiting = unit.put(state.setupIntents, {
    ...setup,
    last_setup_error: null,
    latest_attempt: attempted,
    next_action: authenticationStep(call.baseUrl, setup, how.returnUrl),
    status: 'requires_action',
  });
  unit.emit('setup_intent.requires_action', waiting);
  return waiting;
}

function setUp(unit: Unit, setup: StoredSetupIntent, usable: UsableMethod, isAuthenticated: boolean): StoredSetupIntent {
  if (setup.customer !== null) attach(unit, usable.method, setup.customer);
  if (setup.usage === 'off_session') unit.put(unit.state.cards, { ...usable.onFile, isSetUp: true });
  const done = unit.put(unit.state.setupIntents, {
    ...setup,
    last_setup_error: null,
    latest_attempt: attempt(unit, setup, usable, 'succeeded', null, isAuthenticated),
    next_action: null,
    status: 'succeeded',
  });
  unit.emit('setup_intent.succeeded', done);
  return done;
}

function setupFailed(unit: Unit, setup: StoredSetupIntent, usable: UsableMethod, decline: Decline): ApiError {
  const fields = { ...declineFields(decline), payment_method: usable.method };
  const error = { ...fields, type: 'card_error' as const, code: setupErrorCode(decline.code) };
  const waiting = unit.put(unit.state.setupIntents, {
    ...setup,
    last_setup_error: error,
    latest_attempt: attempt(unit, setup, usable, 'failed', error, false),
    next_action: null,
    payment_method: null,
    status: 'requires_payment_method',
  });
  unit.emit('setup_intent.setup_failed', waiting);
  return new ApiError(402, { ...fields, setup_intent: waiting }, true);
}

function setupErrorCode(code: string): Stripe.SetupIntent.LastSetupError.Code & Stripe.SetupAttempt.SetupError.Code {
  return code;
}

/** Writes down one try, or what became of the one that waits; gives back its id. */
function attempt(
  unit: Unit,
  setup: StoredSetupIntent,
  { method }: UsableMethod,
  status: string,
  error: Stripe.SetupAttempt.SetupError | null,
  isAuthenticated: boolean,
): string {
  const waiting =
    setup.status === 'requires_action' && setup.latest_attempt ? unit.state.setupAttempts.get(setup.latest_attempt) : null;
  const { brand, checks, country, exp_month, exp_year, fingerprint, funding, last4 } = method.card;
  return unit.put(unit.state.setupAttempts, {
    id: waiting?.id ?? unit.id('setatt'),
    object: 'setup_attempt',
    application: null,
    created: waiting?.created ?? unit.seconds,
    customer: setup.customer,
    customer_account: null,
    flow_directions: null,
    livemode: false,
    on_behalf_of: null,
    payment_method: method.id,
    payment_method_details: {
      card: {
        brand,
        checks,
        country,
        exp_month,
        exp_year,
        ...(fingerprint !== undefined && { fingerprint }),
        funding,
        last4,
        network: brand,
        three_d_secure: isAuthenticated
          ? {
              authentication_flow: 'challenge',
              electronic_commerce_indicator: '05',
              result: 'authenticated',
              result_reason: null,
              transaction_id: unit.secret().slice(0, 20),
              version: '2.2.0',
            }
          : null,
        wallet: null,
      },
      type: 'card',
    },
    setup_error: error,
    setup_intent: setup.id,
    status,
    usage: setup.usage,
  }).id;
}

const AUTHENTICATION_FAILED: Decline = {
  code: 'setup_intent_authentication_failure',
  declineCode: 'authentication_not_handled',
  message: 'We are unable to authenticate your payment method. Please choose a different payment method and try again.',
  adviceCode: null,
  networkDeclineCode: null,
  networkAdviceCode: null,
};

/**
 * The payer's answer on the authentication page.
 * @returns whether the method is set up; null when the intent no longer waits for an answer
 */
export function answerSetupAuthentication(unit: Unit, id: string, isPassed: boolean): boolean | null {
  const setup = unit.state.setupIntents.get(id);
  if (setup?.status !== 'requires_action' || setup.payment_method === null) return null;
  const usable = keptMethod(unit.state, setup.payment_method);
  if (isPassed) setUp(unit, setup, usable, true);
  else setupFailed(unit, setup, usable, AUTHENTICATION_FAILED);
  return isPassed;
}

function givenMethod(unit: Unit, given: string | undefined, customer: string | null): UsableMethod | null {
  if (given === undefined) return null;
  const usable = usableMethod(unit, given);
  checkOwner(usable, customer);
  return usable;
}

export const setupIntentOperations: Operation[] = [
  operation({
    name: 'setup_intents.create',
    method: 'POST',
    path: '/v1/setup_intents',
    parameters: {
      ...CONFIRMATION,
      automatic_payment_methods: AUTOMATIC_METHODS,
      confirm: flag,
      customer: text(),
      description: text(1000),
      metadata,
      usage: oneOf('off_session', 'on_session'),
    },
    run(call, given) {
      const { unit, state } = call;
      if (given.customer !== undefined) requireCustomer(state, given.customer, 'customer');
      if (given.return_url !== undefined && given.confirm !== true) {
        throw invalidRequest('You can only set `return_url` when `confirm` is true.', { param: 'return_url' });
      }
      const method = givenMethod(unit, given.payment_method, given.customer ?? null);
      const id = unit.id('seti');
      const asked = given.payment_method_options?.card?.request_three_d_secure;
      const allowed = given.allowed_payment_method_types ?? null;
      const setup = unit.put(state.setupIntents, {
        id,
        object: 'setup_intent',
        allowed_payment_method_types: allowed,
        application: null,
        automatic_payment_methods: automaticMethods(allowed, given.automatic_payment_methods),
        cancellation_reason: null,
        client_secret: `${id}_secret_${unit.secret()}`,
        created: unit.seconds,
        customer: given.customer ?? null,
        customer_account: null,
        description: given.description ?? null,
        excluded_payment_method_types: null,
        flow_directions: null,
        last_setup_error: null,
        latest_attempt: null,
        livemode: false,
        mandate: null,
        metadata: mergedMetadata({}, given.metadata),
        next_action: null,
        on_behalf_of: null,
        payment_method: method?.method.id ?? null,
        payment_method_configuration_details: null,
        payment_method_options: { card: { mandate_options: null, network: null, request_three_d_secure: asked ?? 'automatic' } },
        payment_method_types: allowed ?? ['card'],
        single_use_mandate: null,
        status: method ? 'requires_confirmation' : 'requires_payment_method',
        usage: given.usage ?? 'off_session',
      });
      unit.emit('setup_intent.created', setup);
      return given.confirm === true ? confirm(call, setup, confirmationOf(given.return_url, asked)) : setup;
    },
  }),
  operation({
    name: 'setup_intents.confirm',
    method: 'POST',
    path: '/v1/setup_intents/:id/confirm',
    parameters: CONFIRMATION,
    run(call, given) {
      const before = requireSetup(call.state, call.id);
      const how = confirmationOf(given.return_url, given.payment_method_options?.card?.request_three_d_secure);
      const method = givenMethod(call.unit, given.payment_method, before.customer);
      return confirm(call, { ...before, payment_method: method?.method.id ?? before.payment_method }, how);
    },
  }),
  operation({
    name: 'setup_intents.cancel',
    method: 'POST',
    path: '/v1/setup_intents/:id/cancel',
    parameters: { cancellation_reason: oneOf('abandoned', 'duplicate', 'requested_by_customer'), expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }, given) {
      const before = requireSetup(state, id);
      if (!['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(before.status)) {
        throw new ApiError(400, {
          type: 'invalid_request_error',
          code: 'setup_intent_unexpected_state',
          message: `You cannot cancel this SetupIntent because it has a status of ${before.status}.`,
          setup_intent: before,
        });
      }
      const canceled = unit.put(state.setupIntents, {
        ...before,
        cancellation_reason: given.cancellation_reason ?? null,
        next_action: null,
        status: 'canceled',
      });
      unit.emit('setup_intent.canceled', canceled);
      return canceled;
    },
  }),
  operation({
    name: 'setup_intents.retrieve',
    method: 'GET',
    path: '/v1/setup_intents/:id',
    parameters: { client_secret: text(), expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => requireSetup(state, id),
  }),
  operation({
    name: 'setup_intents.list',
    method: 'GET',
    path: '/v1/setup_intents',
    parameters: { ...LIST_PARAMETERS, ...CREATED, customer: text(), payment_method: text() },
    run: ({ state }, wanted) =>
      page(
        '/v1/setup_intents',
        state.setupIntents,
        wanted,
        wanted.customer === undefined ? undefined : { field: 'customer', value: wanted.customer },
        (row) => wanted.payment_method === undefined || row.payment_method === wanted.payment_method,
      ),
  }),
  operation({
    name: 'setup_attempts.list',
    method: 'GET',
    path: '/v1/setup_attempts',
    parameters: { ...LIST_PARAMETERS, ...CREATED, setup_intent: required(text()) },
    run: ({ state }, wanted) =>
      page('/v1/setup_attempts', state.setupAttempts, wanted, { field: 'setup_intent', value: wanted.setup_intent }),
  }),
];

function confirmationOf(
  returnUrl: string | undefined,
  asked: string | undefined,
): { isThreeDSecureAsked: boolean; returnUrl: string | null } {
  return {
    isThreeDSecureAsked: asked === 'any' || asked === 'challenge',
    returnUrl: returnUrl === undefined ? null : requireReturnUrl(returnUrl),
  };
}
