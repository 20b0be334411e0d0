import { createHash, hash } from 'node:crypto';

/**
 * One text for one value: keys in code unit order, no spaces, bigint as a plain number, dates as ISO text, fields that are undefined
 * left out. For hashes and comparisons (after RFC 8785, with bigint).
 * @throws TypeError for what JSON cannot say: functions, symbols, NaN, infinities, undefined in a list or alone
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object')
    throw new TypeError(`canonical JSON cannot hold ${typeof value === 'number' ? String(value) : typeof value}`);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
}

/** SHA-256; a text counts as its UTF-8 bytes. */
export function sha256(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

/** The bucket (0..4095) of a user id, event id or provider's object id: the first 12 bits of its SHA-256, as SQL's key_bucket. */
export function keyBucket(text: string): number {
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 3), 16);
}
