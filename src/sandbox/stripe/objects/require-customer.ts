import { resourceMissing } from '../api-error.js';
import type { StoredCustomer } from '../shapes.js';
import type { State } from '../state.js';

/** The customer of this id. @throws ApiError 404, or 400 when a parameter named it; a deleted one is unknown too */
export function requireCustomer(state: State, id: string, param?: string): StoredCustomer {
  const found = state.customers.get(id);
  if (!found) throw resourceMissing('customer', id, param);
  return found;
}
