import type { Stripe } from 'stripe';
import { ApiError, invalidRequest, resourceMissing } from '../api-error.js';
import { DECLINES, type TestCard, cardDetails, cardNamed, cardOfToken } from '../cards.js';
import { LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, declineFields, operation } from '../operations.js';
import { oneOf, required, text } from '../parameters.js';
import type { CardOnFile, StoredPaymentMethod } from '../shapes.js';
import type { State, Unit } from '../state.js';
import { requireCustomer } from './require-customer.js';

const NO_BILLING_DETAILS: Stripe.PaymentMethod.BillingDetails = {
  address: { city: null, country: null, line1: null, line2: null, postal_code: null, state: null },
  email: null,
  name: null,
  phone: null,
  tax_id: null,
};

/** A payment method with what its test card does. */
export interface UsableMethod {
  method: StoredPaymentMethod;
  onFile: CardOnFile;
  card: TestCard;
}

/** The payment method that a parameter names: an id, or a test token, each use of which makes a new one. */
export function usableMethod(unit: Unit, idOrToken: string): UsableMethod {
  const card = cardOfToken(idOrToken);
  if (!card) return keptMethod(unit.state, idOrToken, 'payment_method');
  const method = unit.put(unit.state.paymentMethods, {
    id: unit.id('pm'),
    object: 'payment_method',
    allow_redisplay: 'unspecified',
    billing_details: NO_BILLING_DETAILS,
    card: cardDetails(card, new Date(unit.state.now).getUTCFullYear()),
    created: unit.seconds,
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: {},
    type: 'card',
  });
  const onFile = unit.put(unit.state.cards, { id: method.id, card: card.name, isSetUp: false, isDetached: false });
  return { method, onFile, card };
}

/** A payment method made earlier. @throws ApiError 404, or 400 when a parameter named it */
export function keptMethod(state: State, id: string, param?: string): UsableMethod {
  const method = state.paymentMethods.get(id);
  const onFile = state.cards.get(id);
  const card = onFile && cardNamed(onFile.card);
  if (!method || !card) throw resourceMissing('PaymentMethod', id, param);
  return { method, onFile, card };
}

/** Refuses a method that is somebody else's, or was taken off its customer. */
export function checkOwner({ method, onFile }: UsableMethod, customer: string | null): void {
  if (onFile.isDetached) {
    throw invalidRequest(
      'The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again.',
      { code: 'payment_method_unexpected_state', param: 'payment_method' },
    );
  }
  if (method.customer !== null && method.customer !== customer) {
    throw invalidRequest(
      customer === null
        ? `The payment method belongs to the Customer ${method.customer}. Please include the Customer in the \`customer\` parameter.`
        : `The payment method you provided is attached to another customer.`,
      { param: 'payment_method' },
    );
  }
}

/** Ties a method to a customer. */
export function attach(unit: Unit, method: StoredPaymentMethod, customer: string): StoredPaymentMethod {
  if (method.customer === customer) return method;
  const attached = unit.put(unit.state.paymentMethods, { ...method, customer });
  unit.emit('payment_method.attached', attached);
  return attached;
}

/** Takes a method off its customer, for good. */
export function detach(unit: Unit, method: StoredPaymentMethod): StoredPaymentMethod {
  const onFile = unit.state.cards.get(method.id);
  if (onFile) unit.put(unit.state.cards, { ...onFile, isDetached: true });
  const detached = unit.put(unit.state.paymentMethods, { ...method, customer: null });
  unit.emit('payment_method.detached', detached, { customer: method.customer });
  return detached;
}

/** Payment methods: cards, made from test tokens. */
export const paymentMethodOperations: Operation[] = [
  operation({
    name: 'payment_methods.retrieve',
    method: 'GET',
    path: '/v1/payment_methods/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => keptMethod(state, id).method,
  }),
  operation({
    name: 'payment_methods.list',
    method: 'GET',
    path: '/v1/payment_methods',
    parameters: { ...LIST_PARAMETERS, customer: text(), type: oneOf('card') },
    run({ state }, wanted) {
      if (wanted.customer !== undefined) requireCustomer(state, wanted.customer, 'customer');
      return page('/v1/payment_methods', state.paymentMethods, wanted, { field: 'customer', value: wanted.customer ?? null });
    },
  }),
  operation({
    name: 'customers.list_payment_methods',
    method: 'GET',
    path: '/v1/customers/:id/payment_methods',
    parameters: { ...LIST_PARAMETERS, type: oneOf('card') },
    run({ state, id }, wanted) {
      requireCustomer(state, id);
      return page(`/v1/customers/${id}/payment_methods`, state.paymentMethods, wanted, { field: 'customer', value: id });
    },
  }),
  operation({
    name: 'payment_methods.attach',
    method: 'POST',
    path: '/v1/payment_methods/:id/attach',
    parameters: { customer: required(text()), expand: LIST_PARAMETERS.expand },
    run({ unit, state, id, forcedDecline }, { customer }) {
      requireCustomer(state, customer, 'customer');
      const usable = cardOfToken(id) ? usableMethod(unit, id) : keptMethod(state, id);
      checkOwner(usable, customer);
      const decline = forcedDecline ?? (usable.card.declinesSetup ? DECLINES[usable.card.decline ?? 'generic_decline'] : null);
      if (decline) throw new ApiError(402, declineFields(decline));
      return attach(unit, usable.method, customer);
    },
  }),
  operation({
    name: 'payment_methods.detach',
    method: 'POST',
    path: '/v1/payment_methods/:id/detach',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }) {
      const { method } = keptMethod(state, id);
      if (method.customer === null) {
        throw invalidRequest('The payment method you provided is not attached to a customer so detachment is impossible.', {
          code: 'payment_method_unexpected_state',
          param: 'payment_method',
        });
      }
      return detach(unit, method);
    },
  }),
];
