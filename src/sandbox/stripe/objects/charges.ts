import { resourceMissing } from '../api-error.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { mergedMetadata, metadata, text } from '../parameters.js';
import type { StoredCharge } from '../shapes.js';
import type { State } from '../state.js';

/** The charge of this id. @throws ApiError 404, or 400 when a parameter named it */
export function requireCharge(state: State, id: string, param?: string): StoredCharge {
  const found = state.charges.get(id);
  if (!found) throw resourceMissing('charge', id, param);
  return found;
}

/** Charges: made by PaymentIntents only. */
export const chargeOperations: Operation[] = [
  operation({
    name: 'charges.retrieve',
    method: 'GET',
    path: '/v1/charges/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run: ({ state, id }) => requireCharge(state, id),
  }),
  operation({
    name: 'charges.update',
    method: 'POST',
    path: '/v1/charges/:id',
    parameters: { description: text(), metadata, receipt_email: text(), expand: LIST_PARAMETERS.expand },
    run({ unit, state, id }, given) {
      const before = requireCharge(state, id);
      const charge = unit.put(state.charges, {
        ...before,
        description: given.description ?? before.description,
        receipt_email: given.receipt_email ?? before.receipt_email,
        metadata: mergedMetadata(before.metadata, given.metadata),
      });
      unit.emit('charge.updated', charge);
      return charge;
    },
  }),
  operation({
    name: 'charges.list',
    method: 'GET',
    path: '/v1/charges',
    parameters: { ...LIST_PARAMETERS, ...CREATED, customer: text(), payment_intent: text() },
    run({ state }, wanted) {
      const of =
        wanted.payment_intent !== undefined
          ? ({ field: 'payment_intent', value: wanted.payment_intent } as const)
          : wanted.customer !== undefined
            ? ({ field: 'customer', value: wanted.customer } as const)
            : undefined;
      return page(
        '/v1/charges',
        state.charges,
        wanted,
        of,
        (row) => wanted.customer === undefined || row.customer === wanted.customer,
      );
    },
  }),
];
