import { bucketOf } from '../domain/ids.js';
import { keyBucket } from '../platform/json.js';

/** Users whose bucket is remembered: a hash each, and a feed asks for a hundred users at once. */
const USERS_KEPT = 50_000;
const buckets = new Map<string, number>();

/** A user's bucket, as the database's key_bucket computes it. */
export function bucketOfUser(userId: string): number {
  let bucket = buckets.get(userId);
  if (bucket === undefined) {
    bucket = keyBucket(userId);
    if (buckets.size >= USERS_KEPT) buckets.clear();
    buckets.set(userId, bucket);
  }
  return bucket;
}

/** An object, asked for as one of this user: of anybody else it is not found. */
export interface OwnedKey {
  readonly id: string;
  readonly userId: string;
}

/** Parameters $1..$3 of statements over OwnedKey: bucket, id, owner. */
export function ownedColumns(keys: readonly OwnedKey[]): unknown[][] {
  return [keys.map((key) => bucketOf(key.id)), keys.map((key) => key.id), keys.map((key) => key.userId)];
}

/** Parameters $1..$2 of statements over users: bucket, user. */
export function userColumns(users: readonly string[]): unknown[][] {
  return [users.map(bucketOfUser), [...users]];
}

/** A user, at an instant. */
export interface UserAt {
  readonly userId: string;
  readonly at: Date;
}

/** Parameters $1..$3 of statements over UserAt: bucket, user, instant. */
export function userAtColumns(keys: readonly UserAt[]): unknown[][] {
  return [...userColumns(keys.map((key) => key.userId)), keys.map((key) => key.at)];
}
