import { hash, timingSafeEqual } from 'node:crypto';
import type { ChangeTiming, ShownQuote } from '../domain/subscription/change-tier.js';
import { MessageKey } from '../platform/hmac.js';

/** A quote as its id carries it: what was shown, to whom it is of use, and for which change. */
export interface QuoteOfChange extends ShownQuote {
  subscriptionId: string;
  priceId: string;
}

const VERSION = 1;
const MAC_BYTES = 16;
/** Signed in front of each quote, because others sign by the same secret. */
const PURPOSE = 'quote of a change';
/** No quote of ours is longer; longer text is not even decoded. */
const MAX_CHARS = 512;

/**
 * Ids of quotes: nothing is stored, the id itself carries what was shown, and a code that nobody else can make. A quote is good for the
 * user it was made for alone.
 */
export class Quotes {
  readonly #key: MessageKey;

  constructor(secret: string | Uint8Array) {
    this.#key = new MessageKey(secret);
  }

  /** The id of a quote that this user is shown. */
  seal(userId: string, quote: QuoteOfChange): string {
    const { subscriptionId, priceId, subscriptionVersion, timing, quotedAt, digest } = quote;
    const parts = [VERSION, subscriptionId, priceId, subscriptionVersion, timing, quotedAt.getTime(), digest];
    const body = Buffer.from(JSON.stringify(parts));
    return Buffer.concat([body, this.#mac(userId, body)]).toString('base64url');
  }

  /** What the id carries; null for a forged one, or one of another user. */
  open(userId: string, quoteId: string): QuoteOfChange | null {
    const bytes = quoteId.length > MAX_CHARS ? Buffer.alloc(0) : Buffer.from(quoteId, 'base64url');
    if (bytes.length <= MAC_BYTES) return null;
    const body = bytes.subarray(0, -MAC_BYTES);
    if (!timingSafeEqual(bytes.subarray(-MAC_BYTES), this.#mac(userId, body))) return null;
    // Only seal makes what is signed.
    const parts = JSON.parse(body.toString()) as [number, string, string, number, ChangeTiming | null, number, string];
    const [version, subscriptionId, priceId, subscriptionVersion, timing, quotedAtMs, digest] = parts;
    if (version !== VERSION) return null;
    return { subscriptionId, priceId, subscriptionVersion, timing, quotedAt: new Date(quotedAtMs), digest };
  }

  #mac(userId: string, body: Uint8Array): Buffer {
    return this.#key.sign(Buffer.concat([Buffer.from(`${PURPOSE} ${userId} `), body])).subarray(0, MAC_BYTES);
  }
}

/** The digest of a quote's key, as its id carries it. */
export function digestOf(key: string): string {
  return hash('sha256', key, 'base64url');
}
