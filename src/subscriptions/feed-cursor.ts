import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../platform/secret.js';

/** Changes when the bytes below change their meaning; cursors of another version are refused. */
const VERSION = 1;
const HASH_BYTES = 8;
const SEAL_BYTES = 12;
const SEQUENCE_AT = 1 + HASH_BYTES;
const SEAL_AT = SEQUENCE_AT + 8;
const LENGTH = SEAL_AT + SEAL_BYTES;

/**
 * The place in one user's feed as clients hold it: version, hash of the user, sequence, seal (HMAC-SHA256, shortened), as base64url.
 * A cursor is no permission, so the seal only keeps clients from making cursors up; the user's hash keeps one user from using another's.
 */
export class FeedCursors {
  readonly #secret: Secret;

  /** @param secret the process group's own, the same in every gateway */
  constructor(secret: Secret) {
    this.#secret = secret;
  }

  /** The cursor right behind change `sequence` of this user; 0 is the beginning. */
  write(userId: string, sequence: bigint): string {
    const bytes = Buffer.alloc(SEAL_AT);
    bytes.writeUInt8(VERSION);
    hashOf(userId).copy(bytes, 1);
    bytes.writeBigInt64BE(sequence, SEQUENCE_AT);
    return Buffer.concat([bytes, this.#seal(bytes)]).toString('base64url');
  }

  /** The sequence in a cursor; null unless it was written here for this user. */
  read(userId: string, cursor: string): bigint | null {
    const bytes = Buffer.from(cursor, 'base64url');
    if (bytes.length !== LENGTH || bytes.toString('base64url') !== cursor || bytes.readUInt8() !== VERSION) return null;
    const body = bytes.subarray(0, SEAL_AT);
    if (!timingSafeEqual(bytes.subarray(SEAL_AT), this.#seal(body))) return null;
    if (!body.subarray(1, SEQUENCE_AT).equals(hashOf(userId))) return null;
    return body.readBigInt64BE(SEQUENCE_AT);
  }

  #seal(body: Buffer): Buffer {
    return createHmac('sha256', this.#secret.reveal()).update('feed cursor').update(body).digest().subarray(0, SEAL_BYTES);
  }
}

function hashOf(userId: string): Buffer {
  return createHash('sha256').update(userId).digest().subarray(0, HASH_BYTES);
}
