/**
 * Ids. Inside: a lower-case UUIDv7 text whose 12 `rand_a` bits are the owner's bucket (0..4095), so an id leads to its
 * shard without a look-up. Outside: `<prefix>_<26 characters of Crockford base32, lower case>` of the same 128 bits.
 */
declare const brand: unique symbol;

/** Prefixes of public ids; fixed for ever. `pin` (payment intent) appears in provider metadata only. */
export const ID_PREFIXES = [
  'tier',
  'price',
  'prod',
  'sub',
  'txn',
  'pur',
  'inv',
  'pm',
  'set',
  'whe',
  'aud',
  'pin',
  'gift',
  'cpn',
] as const;
export type IdPrefix = (typeof ID_PREFIXES)[number];

/** A UUID known to name an object of this kind. */
export type Id<Kind extends IdPrefix> = string & { readonly [brand]: Kind };
export type TierId = Id<'tier'>;
export type PriceId = Id<'price'>;
export type SubscriptionId = Id<'sub'>;
/** Names a charge, refund, dispute or reversal; an attempt, refund or dispute row shares the id of its transaction. */
export type TransactionId = Id<'txn'>;
export type PurchaseId = Id<'pur'>;
export type InvoiceId = Id<'inv'>;
export type PaymentMethodId = Id<'pm'>;
export type SetupId = Id<'set'>;
export type WebhookEventId = Id<'whe'>;
export type AuditEntryId = Id<'aud'>;
export type PaymentIntentId = Id<'pin'>;
export type GiftId = Id<'gift'>;
export type CouponId = Id<'cpn'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const [DASH, DIGIT_ZERO, LETTER_A] = [45, 48, 97]; // codes of -, 0 and a
const PUBLIC_FORM = /^([a-z]+)_([0-7][0-9a-hjkmnp-tv-z]{25})$/;
const UUID_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Longest and shortest form of a user id: the platform's own string. */
export const USER_ID_FORM = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * A new id: 48 bits of time, version 7, 12 bits of bucket, variant, 62 random bits.
 * @param random at least 8 random bytes
 */
export function makeId<K extends IdPrefix>(_kind: K, bucket: number, atMs: number, random: Uint8Array): Id<K> {
  const time = BigInt(Math.floor(atMs)).toString(16).padStart(12, '0').slice(-12);
  const bits = Array.from(random.subarray(0, 8), (b) => b.toString(16).padStart(2, '0')).join('');
  const variant = ((Number.parseInt(bits.slice(0, 1), 16) & 3) | 8).toString(16);
  const hex = `${time}7${(bucket & 0xfff).toString(16).padStart(3, '0')}${variant}${bits.slice(1, 16)}`;
  return dashed(hex) as Id<K>;
}

/** The bucket (0..4095) of the owner, as written into the id. */
export function bucketOf(id: string): number {
  return Number.parseInt(id.slice(15, 18), 16);
}

/** The instant an id was made: its first 48 bits, milliseconds since 1970 UTC. */
export function idTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Same parent, purpose and instant: same id, in the parent's bucket. `hashHex` is a hash of parent and purpose, at least 15 hex digits. */
export function deriveId<K extends IdPrefix>(_kind: K, parent: string, hashHex: string, atMs: number): Id<K> {
  const time = BigInt(Math.floor(atMs)).toString(16).padStart(12, '0').slice(-12);
  return dashed(`${time}7${parent.slice(15, 18)}8${hashHex.slice(0, 15)}`) as Id<K>;
}

/** The public text of an id, e.g. sub_01j.... */
export function publicId(kind: IdPrefix, id: string): string {
  let text = '';
  let held = 0;
  let bits = 2; // 26 characters are 130 bits: the first two are zeros
  for (let i = 0; i < id.length; i++) {
    const char = id.charCodeAt(i);
    if (char === DASH) continue;
    held = (held << 4) | (char < LETTER_A ? char - DIGIT_ZERO : char - LETTER_A + 10);
    bits += 4;
    if (bits < 5) continue;
    bits -= 5;
    text += ALPHABET[held >> bits];
    held &= (1 << bits) - 1;
  }
  return `${kind}_${text}`;
}

/** The only door from text to an id: null for another kind's prefix or a wrong form. */
export function parsePublicId<K extends IdPrefix>(kind: K, text: string): Id<K> | null {
  const any = parseAnyPublicId(text);
  return any?.kind === kind ? (any.id as Id<K>) : null;
}

/** An id of whatever kind, told by its prefix; null when the form is wrong or the prefix unknown. */
export function parseAnyPublicId(text: string): { kind: IdPrefix; id: string } | null {
  const match = PUBLIC_FORM.exec(text);
  const kind = ID_PREFIXES.find((prefix) => prefix === match?.[1]);
  if (!match?.[2] || !kind) return null;
  let bits = 0n;
  for (const char of match[2]) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(char));
  return { kind, id: dashed(bits.toString(16).padStart(32, '0')) };
}

/** Whether the text is a UUID in lower case. */
export function isUuid(text: string): boolean {
  return UUID_FORM.test(text);
}

function dashed(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
