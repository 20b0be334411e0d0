import { createHash } from 'node:crypto';

/** SHA-256 of a text (UTF-8) or of bytes. */
export function sha256(input: string | Uint8Array): Buffer {
  return createHash('sha256').update(input).digest();
}

/** The bucket (0..4095) of a key: the first 12 bits of its SHA-256; the database's key_bucket() gives the same. */
export function keyBucket(key: string): number {
  const hash = sha256(key);
  return (hash.readUInt8(0) << 4) | (hash.readUInt8(1) >> 4);
}
