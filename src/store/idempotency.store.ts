import { IdempotencyKeyRow } from '../entities/customer.entity.js';
import { keyBucket } from '../platform/json.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** What a client's key led to. Exactly one of result and refusals is there. */
export interface KeptKey {
  inputHash: Buffer;
  resultType: string | null;
  resultId: string | null;
  /** The stored refusals, as they were answered. */
  refusals: unknown;
}

/** What a key leads to. `charge`: of a verb that charges only if something is due, so that there may be none of this id. */
export type ResultType = 'subscription' | 'purchase' | 'refund' | 'payment_method_setup' | 'charge' | 'gift' | 'grant';

/** A client's key, as claimed before anything is decided. */
export interface KeyClaim {
  userId: string;
  operation: string;
  key: string;
  inputHash: Buffer;
  resultType: ResultType;
  resultId: string;
  expiresAt: Date;
}

const CLAIM_KEY = statement<[number, string, string, string, Buffer, string, string, Date], { key: string }>(
  'claim_idempotency_key',
  `insert into idempotency_key (bucket, user_id, operation, key, input_hash, result_type, result_id, expires_at)
   values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (bucket, user_id, operation, key) do nothing returning key`,
);
const PURGE_KEYS = statement<[Date, number], never>(
  'purge_idempotency_keys',
  `with old as (select bucket, user_id, operation, key from idempotency_key where expires_at < $1 limit $2)
   delete from idempotency_key k using old
   where k.bucket = old.bucket and k.user_id = old.user_id and k.operation = old.operation and k.key = old.key`,
);

/**
 * Takes the key for this unit of work, with the result it will have; null when it is new. A unit that still runs with the same key is
 * waited for. Otherwise what the key led to.
 */
export async function claimKey(uow: UnitOfWork, claim: KeyClaim): Promise<KeptKey | null> {
  const bucket = keyBucket(claim.userId);
  const claimed = await uow.run(CLAIM_KEY, [
    bucket,
    claim.userId,
    claim.operation,
    claim.key,
    claim.inputHash,
    claim.resultType,
    claim.resultId,
    claim.expiresAt,
  ]);
  if (claimed.length > 0) return null;
  const row = await uow.manager.findOneByOrFail(IdempotencyKeyRow, {
    bucket,
    userId: claim.userId,
    operation: claim.operation,
    key: claim.key,
  });
  return { inputHash: row.inputHash, resultType: row.resultType, resultId: row.resultId, refusals: row.userErrors };
}

/** Turns a claimed key into one that leads to another object than was thought when it was claimed. */
export async function keepResult(uow: UnitOfWork, claim: KeyClaim, resultType: ResultType, resultId: string): Promise<void> {
  await uow.manager.update(
    IdempotencyKeyRow,
    { bucket: keyBucket(claim.userId), userId: claim.userId, operation: claim.operation, key: claim.key },
    { resultType, resultId },
  );
}

/** Turns a claimed key into one that answers with these refusals: nothing was begun. */
export async function keepRefusals(uow: UnitOfWork, claim: KeyClaim, refusals: readonly object[]): Promise<void> {
  await uow.manager.update(
    IdempotencyKeyRow,
    { bucket: keyBucket(claim.userId), userId: claim.userId, operation: claim.operation, key: claim.key },
    { resultType: null, resultId: null, userErrors: refusals },
  );
}

/** Forgets up to `limit` keys past their life (30 days); the fences on the objects themselves stay. */
export async function purgeKeys(uow: UnitOfWork, limit: number): Promise<void> {
  await uow.run(PURGE_KEYS, [uow.now, limit]);
}
