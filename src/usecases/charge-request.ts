import { publicId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { canonicalJson, sha256 } from '../platform/json.js';
import type { ChargeRequest } from '../ports/provider.js';

/** What a request to charge is made of: stored columns alone, so that whoever builds it again builds the same. */
export interface ChargeParts extends Omit<ChargeRequest, 'intentRef' | 'invoiceRef' | 'env'> {
  intentId: string;
  invoiceId: string;
}

/** The exact request of an attempt. */
export function chargeRequest({ intentId, invoiceId, ...parts }: ChargeParts): ChargeRequest {
  const refs = { intentRef: publicId('pin', intentId), invoiceRef: publicId('inv', invoiceId) };
  return { ...parts, ...refs, env: envOfKey(parts.idempotencyKey) };
}

/** The request of a renewal: nobody is there to come back from a redirect. */
export function renewalRequest(parts: Omit<ChargeParts, 'isOffSession' | 'returnUrl'>): ChargeRequest {
  return chargeRequest({ ...parts, isOffSession: true, returnUrl: null });
}

/** Key of a charge: of the attempt's id alone, never of time, card, token or user text. */
export function chargeKey(env: string, attemptId: TransactionId): string {
  return `att:${env}:${publicId('txn', attemptId)}`;
}

/** The cell that made an attempt stands in its key: another cell that takes over must send the same. */
export function envOfKey(key: string): string {
  const env = key.split(':')[1];
  invariant(env !== undefined, 'a key names its cell', { key });
  return env;
}

/** Hash of the exact request: a request that was rebuilt differently must not go out under the old key. */
export function fingerprintOf(request: ChargeRequest): Buffer {
  return sha256(canonicalJson({ ...request }));
}
