import { resourceMissing } from '../api-error.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { text } from '../parameters.js';
import type { Unit } from '../state.js';

/** Warns that a card's issuer calls a charge fraudulent. */
export function warnOfFraud(unit: Unit, chargeId: string): void {
  const charge = unit.state.charges.get(chargeId);
  if (!charge) return;
  const warning = unit.put(unit.state.warnings, {
    id: unit.id('issfr'),
    object: 'radar.early_fraud_warning',
    actionable: !charge.refunded && !charge.disputed,
    charge: charge.id,
    created: unit.seconds,
    fraud_type: 'misc',
    livemode: false,
    ...(charge.payment_intent !== null && { payment_intent: charge.payment_intent }),
  });
  unit.emit('radar.early_fraud_warning.created', warning);
}

/** Early fraud warnings, and reviews of charges at elevated risk. */
export const radarOperations: Operation[] = [
  operation({
    name: 'radar.early_fraud_warnings.retrieve',
    method: 'GET',
    path: '/v1/radar/early_fraud_warnings/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ state, id }) {
      const found = state.warnings.get(id);
      if (!found) throw resourceMissing('early fraud warning', id);
      return found;
    },
  }),
  operation({
    name: 'radar.early_fraud_warnings.list',
    method: 'GET',
    path: '/v1/radar/early_fraud_warnings',
    parameters: { ...LIST_PARAMETERS, ...CREATED, charge: text(), payment_intent: text() },
    run: ({ state }, wanted) =>
      page(
        '/v1/radar/early_fraud_warnings',
        state.warnings,
        wanted,
        wanted.charge === undefined ? undefined : { field: 'charge', value: wanted.charge },
        (row) => wanted.payment_intent === undefined || row.payment_intent === wanted.payment_intent,
      ),
  }),
  operation({
    name: 'reviews.retrieve',
    method: 'GET',
    path: '/v1/reviews/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ state, id }) {
      const found = state.reviews.get(id);
      if (!found) throw resourceMissing('review', id);
      return found;
    },
  }),
  operation({
    name: 'reviews.list',
    method: 'GET',
    path: '/v1/reviews',
    parameters: { ...LIST_PARAMETERS, ...CREATED },
    run: ({ state }, wanted) => page('/v1/reviews', state.reviews, wanted, undefined, (row) => row.open),
  }),
];
