import type { Stripe } from 'stripe';
import { resourceMissing } from '../api-error.js';
import { CREATED, LIST_PARAMETERS, page } from '../lists.js';
import { type Operation, operation } from '../operations.js';
import { flag, listOf, text } from '../parameters.js';
import type { StoredEvent } from '../shapes.js';
import type { State } from '../state.js';

/** An event as Stripe tells it: the object as it was then, and how many deliveries still wait now. */
function presentEvent(state: State, event: StoredEvent): Stripe.Event {
  const told = JSON.parse(state.read(event.text)) as Stripe.Event;
  const waiting = state.deliveries.where('event', event.id).filter((delivery) => delivery.status === 'waiting').length;
  return { ...told, pending_webhooks: waiting };
}

/** `charge.*` names all types that begin so. */
function isNamed(type: string, names: readonly string[]): boolean {
  return names.some((name) => name === '*' || name === type || (name.endsWith('.*') && type.startsWith(name.slice(0, -1))));
}

/** Events, kept for 30 days. */
export const eventOperations: Operation[] = [
  operation({
    name: 'events.retrieve',
    method: 'GET',
    path: '/v1/events/:id',
    parameters: { expand: LIST_PARAMETERS.expand },
    run({ state, id }) {
      const found = state.events.get(id);
      if (!found) throw resourceMissing('event', id);
      return presentEvent(state, found);
    },
  }),
  operation({
    name: 'events.list',
    method: 'GET',
    path: '/v1/events',
    parameters: { ...LIST_PARAMETERS, ...CREATED, delivery_success: flag, type: text(), types: listOf(text()) },
    run({ state }, wanted) {
      const names = wanted.types ?? (wanted.type === undefined ? ['*'] : [wanted.type]);
      const isDelivered = (event: StoredEvent): boolean =>
        state.deliveries.where('event', event.id).every(({ status }) => status === 'delivered');
      const found = page(
        '/v1/events',
        state.events,
        wanted,
        undefined,
        (event) =>
          isNamed(event.type, names) && (wanted.delivery_success === undefined || wanted.delivery_success === isDelivered(event)),
      );
      return { ...found, data: found.data.map((event) => presentEvent(state, event)) };
    },
  }),
];
