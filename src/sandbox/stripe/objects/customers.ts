import { invalidRequest } from '../api-error.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { clearableText, group, listOf, mergedMetadata, metadata, oneOf, text } from '../parameters.js';
import { detach } from './payment-methods.js';
import { requireCustomer } from './require-customer.js';

const DETAILS = {
  description: clearableText,
  email: clearableText,
  invoice_settings: group({ default_payment_method: clearableText }),
  metadata,
  name: clearableText,
  phone: clearableText,
  preferred_locales: listOf(text()),
  tax_exempt: oneOf('none', 'exempt', 'reverse'),
  expand: LIST_PARAMETERS.expand,
};

/** Customers. Deleting keeps the id known, as deleted, and takes the payment methods off. */
export const customerOperations: Operation[] = [
  operation({
    name: 'customers.create',
    method: 'POST',
    path: '/v1/customers',
    parameters: DETAILS,
    run({ unit, state }, given) {
      const customer = unit.put(state.customers, {
        id: unit.id('cus'),
        object: 'customer',
        address: null,
        balance: 0,
        created: unit.seconds,
        currency: null,
        default_source: null,
        delinquent: false,
        description: given.description ?? null,
        discount: null,
        email: given.email ?? null,
        invoice_prefix: unit.secret().slice(0, 8).toUpperCase(),
        invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
        livemode: false,
        metadata: mergedMetadata({}, given.metadata),
        name: given.name ?? null,
        phone: given.phone ?? null,
        preferred_locales: given.preferred_locales ?? [],
        shipping: null,
        tax_exempt: given.tax_exempt ?? 'none',
        test_clock: null,
      });
      unit.emit('customer.created', customer);
      return customer;
    },
  }),
  operation({
    name: 'customers.update',
    method: 'POST',
    path: '/v1/customers/:id',
    parameters: DETAILS,
    run({ unit, state, id }, given) {
      const before = requireCustomer(state, id);
      const method = given.invoice_settings?.default_payment_method;
      if (method && state.paymentMethods.get(method)?.customer !== id) {
        throw invalidRequest(`The customer does not have a payment method with the ID ${method}.`, {
          code: 'resource_missing',
          param: 'invoice_settings[default_payment_method]',
        });
      }
      const customer = unit.put(state.customers, {
        ...before,
        ...(given.description !== undefined && { description: given.description }),
        ...(given.email !== undefined && { email: given.email }),
        ...(given.name !== undefined && { name: given.name }),
        ...(given.phone !== undefined && { phone: given.phone }),
        ...(given.preferred_locales !== undefined && { preferred_locales: given.preferred_locales }),
        ...(given.tax_exempt !== undefined && { tax_exempt: given.tax_exempt }),
        ...(method !== undefined && { invoice_settings: { ...before.invoice_settings, default_payment_method: method } }),
        metadata: mergedMetadata(before.metadata, given.metadata),
      });
      unit.emit('customer.updated', customer);
      return customer;
    },
  }),
  operation({
    name: 'customers.retrieve',
    method: 'GET',
    path: '/v1/customers/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) =>
      state.deletedCustomers.get(id) ? { id, object: 'customer', deleted: true } : requireCustomer(state, id),
  }),
  operation({
    name: 'customers.list',
    method: 'GET',
    path: '/v1/customers',
    parameters: { ...LIST_PARAMETERS, ...CREATED, email: text() },
    run: ({ state }, wanted) =>
      page(
        '/v1/customers',
        state.customers,
        wanted,
        undefined,
        (row) => wanted.email === undefined || row.email === wanted.email,
      ),
  }),
  operation({
    name: 'customers.del',
    method: 'DELETE',
    path: '/v1/customers/:id',
    parameters: {},
    run({ unit, state, id }) {
      const customer = requireCustomer(state, id);
      for (const method of state.paymentMethods.where('customer', id)) detach(unit, method);
      unit.remove(state.customers, id);
      unit.put(state.deletedCustomers, { id });
      unit.emit('customer.deleted', customer);
      return { id, object: 'customer', deleted: true };
    },
  }),
];
