import { createHash } from 'node:crypto';
import { bucketOf } from '../domain/ids.js';

/** For whom rows are read: those of this user alone, or of anyone for staff. */
export interface Viewer {
  readonly userId: string;
  /** Staff whose look at this row has been written to the audit log. */
  readonly isStaff: boolean;
}

/** One object, asked for by a viewer. */
export interface ViewedKey {
  readonly id: string;
  readonly viewer: Viewer;
}

/** A user's bucket: the first 12 bits of SHA-256 of the id, as the database's key_bucket computes it. */
export function bucketOfUser(userId: string): number {
  const hash = createHash('sha256').update(userId, 'utf8').digest();
  return hash.readUInt16BE(0) >> 4;
}

/** Parameters $1..$4 of statements over ViewedKey: bucket, id, viewer, whether staff. */
export function viewedColumns(keys: readonly ViewedKey[]): unknown[][] {
  return [
    keys.map((key) => bucketOf(key.id)),
    keys.map((key) => key.id),
    keys.map((key) => key.viewer.userId),
    keys.map((key) => key.viewer.isStaff),
  ];
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
