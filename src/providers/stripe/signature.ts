/**
 * The signature of Stripe's webhooks, checked over the bytes as they came. The SDK checks it over the text they decode to, so that a byte
 * order mark, or a broken byte in the place of a replacement character, would pass; and it reads the header's numbers leniently.
 * Source: docs.stripe.com/webhooks/signature.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** A signature older than this is refused, and one from a clock further ahead of ours than FUTURE. */
const AGE_SECONDS = 300;
const FUTURE_SECONDS = 60;
/** Parts of a header: one instant, and a signature for each secret in use and each scheme; more is no header of Stripe's. */
const MAX_PARTS = 16;
/** An instant, or a signature under one of Stripe's schemes (v1; v0 of test events). */
const PART = /^(t|v\d)=([0-9a-f]+)$/;
const INSTANT = /^[1-9]\d{0,11}$/;
const SIGNATURE = /^[0-9a-f]{64}$/;

/** Whether the header `Stripe-Signature` (`t=<seconds>,v1=<hex>,...`) signs these bytes now, under any of the secrets. */
export function isSigned(rawBody: Uint8Array, header: string | undefined, secrets: readonly string[], now: Date): boolean {
  const read = header === undefined ? null : readHeader(header);
  if (read === null) return false;
  const ageSeconds = now.getTime() / 1000 - read.seconds;
  if (ageSeconds > AGE_SECONDS || ageSeconds < -FUTURE_SECONDS) return false;
  return secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(`${read.seconds}.`).update(rawBody).digest();
    return read.signatures.some((signature) => timingSafeEqual(expected, signature));
  });
}

/** Instant and signatures of scheme v1; null when the header is not as Stripe writes it. Signatures of other schemes say nothing. */
function readHeader(header: string): { seconds: number; signatures: Buffer[] } | null {
  const parts = header.split(',').map((part) => PART.exec(part));
  if (parts.length > MAX_PARTS) return null;
  const seconds: string[] = [];
  const signatures: string[] = [];
  for (const part of parts) {
    const [, scheme, value] = part ?? [];
    if (scheme === undefined || value === undefined) return null;
    if (scheme === 't') seconds.push(value);
    if (scheme === 'v1') signatures.push(value);
  }
  const [instant] = seconds;
  if (instant === undefined || seconds.length > 1 || !INSTANT.test(instant)) return null;
  if (signatures.length === 0 || !signatures.every((signature) => SIGNATURE.test(signature))) return null;
  if (new Set(signatures).size < signatures.length) return null;
  return { seconds: Number(instant), signatures: signatures.map((signature) => Buffer.from(signature, 'hex')) };
}
