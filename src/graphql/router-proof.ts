import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../platform/secret.js';

/** Header in which a router sends the shared secret. */
export const ROUTER_HEADER = 'x-router-authorization';
/** Extension in which Hive Gateway signs what it sends. */
const SIGNATURE_EXTENSION = 'hmac-signature';

/** What a router signs or vouches for. */
export interface RouterRequest {
  header: string | undefined;
  source: string;
  variables: Readonly<Record<string, unknown>>;
  extensions: Readonly<Record<string, unknown>>;
}

/**
 * Tells the router from everybody else: by the shared secret in a header, or by Hive Gateway's signature (HMAC-SHA256 over the stable
 * JSON of query and variables, base64, in `extensions`). Comparisons take the same time whether right or wrong.
 */
export class RouterProof {
  readonly #secrets: readonly Secret[];

  /** @param secrets two while one is being replaced by the other */
  constructor(secrets: readonly Secret[]) {
    this.#secrets = secrets;
  }

  /** Whether the request comes from who knows the secret. */
  accepts({ header, source, variables, extensions }: RouterRequest): boolean {
    if (header !== undefined) return this.#secrets.some((secret) => isSame(header, secret.reveal()));
    const signature = extensions[SIGNATURE_EXTENSION];
    if (typeof signature !== 'string') return false;
    const signed = stableJson({ query: source, ...(Object.keys(variables).length > 0 && { variables }) });
    return this.#secrets.some((secret) =>
      isSame(signature, createHmac('sha256', secret.reveal()).update(signed).digest('base64')),
    );
  }
}

/** Hashed first, so that neither content nor length shows in the time it takes. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** JSON with the keys of every object in order, as the signer writes it. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
