/**
 * Whose tokens are believed. A token is a JWS in compact form (RFC 7515, RFC 9068), signed by a key of the one issuer we know:
 *
 *   token -> form and header -> key by `kid` from the issuer's JWKS -> signature -> claims -> user id, scopes, residence
 *
 * Nothing in a token says how it is checked: algorithms are ours, keys come from AUTH_JWKS_URL alone (RFC 8725, sections 3.1 to 3.10).
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { decodeJwt, decodeProtectedHeader, errors, importJWK, jwtVerify, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { isCountryCode, isZone } from './places.js';
import { LONGEST_SANDBOX_TTL_SECONDS } from './sandbox-issuer.js';
import { SANDBOX_ISSUER, type AuthSettings } from './settings.js';

/** A token that is believed. */
export interface VerifiedToken {
  userId: string;
  scopes: ReadonlySet<string>;
  /** Where the user lives: claim `country` (ISO 3166-1 alpha-2) and claim `zoneinfo` (IANA time zone); null without the claim. */
  residence: { country: string | null; zone: string | null };
  expiresAt: Date;
}

/** Why a token is not believed: it was good once, or it never was. */
export type TokenFault = 'expired' | 'invalid';

const LONGEST_TOKEN_CHARS = 8_192;
/** Users' tokens are short-lived, because a stolen one cannot be taken back. */
const LONGEST_LIFE_SECONDS = 15 * 60;
const SKEW_SECONDS = 30;
const MOST_REMEMBERED = 10_000;
/** A token is verified anew after so long, though it has not expired: another key may stand under its key's id by then. */
const REMEMBERED_MS = 60_000;
const USER_ID_FORM = /^[A-Za-z0-9_-]{1,64}$/;

const KEYS_FRESH_MS = 10 * 60_000;
/** While the issuer is down its known keys are used this long. */
const KEYS_STALE_MS = 24 * 60 * 60_000;
/** An unknown key id, or an issuer that is down, asks for the keys at most this often. */
const REFRESH_PAUSE_MS = 30_000;
const FETCH_LIMIT_MS = 5_000;
const LARGEST_KEY_SET_BYTES = 64 * 1024;
const MOST_KEYS = 50;

interface TrustedKey {
  key: CryptoKey | Uint8Array;
  alg: 'EdDSA' | 'ES256';
}

interface Remembered extends VerifiedToken {
  kid: string;
  verifiedAtMs: number;
}

/** Checks tokens against one issuer. Makes no request before the first token. */
export class TokenVerifier {
  readonly #auth: AuthSettings;
  readonly #clock: { now(): Date };
  readonly #keys: IssuerKeys;
  /** Verified tokens by their whole text, least recently used first. */
  readonly #remembered = new Map<string, Remembered>();

  /** @param clock the machine's: the life of a token is no billing time */
  constructor(auth: AuthSettings, clock: { now(): Date }) {
    this.#auth = auth;
    this.#clock = clock;
    this.#keys = new IssuerKeys(auth.jwksUrl, clock);
  }

  /** What the token says; null when it is not believed, whatever the reason. At once for one that was believed a moment ago. */
  verify(token: string): VerifiedToken | null | Promise<VerifiedToken | null> {
    return this.#recall(token) ?? this.check(token).then((outcome) => (typeof outcome === 'string' ? null : outcome));
  }

  /** As `verify`, with the reason. An issuer that cannot be reached and whose keys are too old makes every token invalid. */
  async check(token: string): Promise<VerifiedToken | TokenFault> {
    if (token.length > LONGEST_TOKEN_CHARS) return 'invalid';
    const known = this.#remembered.get(token);
    if (known) {
      // Whoever is kept for longest goes first; what is used is verified anew, and so kept anew, every minute.
      if (this.#hasExpired(known.expiresAt)) return 'expired';
      if (!(await this.#keys.find(known.kid))) return 'invalid'; // The issuer has withdrawn the key.
      if (this.#isFresh(known)) return known;
      this.#remembered.delete(token);
    }
    const outcome = await this.#examine(token);
    if (typeof outcome === 'string') return outcome;
    this.#remembered.set(token, outcome);
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= MOST_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    return outcome;
  }

  /** A token that needs no second look: verified less than a minute ago, not expired since, by a key that is known to be the issuer's now. */
  #recall(token: string): VerifiedToken | null {
    const known = token.length > LONGEST_TOKEN_CHARS ? undefined : this.#remembered.get(token);
    const isGood = known && this.#isFresh(known) && !this.#hasExpired(known.expiresAt) && this.#keys.isKnownNow(known.kid);
    return isGood ? known : null;
  }

  #isFresh({ verifiedAtMs }: Remembered): boolean {
    return this.#clock.now().getTime() - verifiedAtMs < REMEMBERED_MS;
  }

  async #examine(token: string): Promise<Remembered | TokenFault> {
    try {
      const { alg, kid } = decodeProtectedHeader(token);
      if (typeof kid !== 'string' || repeatsName(token, 0) || repeatsName(token, 1)) return 'invalid';
      const trusted = await this.#keys.find(kid);
      if (!trusted || trusted.alg !== alg) return 'invalid';
      const { payload } = await jwtVerify(token, trusted.key, {
        algorithms: [trusted.alg],
        issuer: this.#auth.issuer,
        audience: this.#auth.audience,
        typ: 'at+jwt',
        requiredClaims: ['exp', 'iat', 'sub'],
        clockTolerance: SKEW_SECONDS,
        currentDate: this.#clock.now(),
      });
      return this.#believe(payload, kid) ?? 'invalid';
    } catch (error) {
      if (error instanceof errors.JWTExpired) return this.#believe(decodeJwt(token), '') ? 'expired' : 'invalid';
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError) return 'invalid';
      throw error;
    }
  }

  /** What the claims say, when they keep our rules. */
  #believe(claims: JWTPayload, kid: string): Remembered | null {
    const { sub, exp, iat, scope, country = null, zoneinfo = null } = claims;
    if (exp === undefined || iat === undefined || !sub || !USER_ID_FORM.test(sub)) return null;
    const longestLife = this.#auth.issuer === SANDBOX_ISSUER ? LONGEST_SANDBOX_TTL_SECONDS : LONGEST_LIFE_SECONDS;
    if (exp - iat > longestLife || iat > this.#clock.now().getTime() / 1000 + SKEW_SECONDS) return null;
    if (scope !== undefined && typeof scope !== 'string') return null;
    const scopes = new Set((scope ?? '').split(' ').filter(Boolean));
    // A country's name instead of its code would leave everybody untaxed without a word; a zone that this machine does not know yet is no such harm.
    if (country !== null && !(typeof country === 'string' && isCountryCode(country))) return null;
    const residence = { country, zone: typeof zoneinfo === 'string' && isZone(zoneinfo) ? zoneinfo : null };
    return { userId: sub, scopes, residence, expiresAt: new Date(exp * 1000), kid, verifiedAtMs: this.#clock.now().getTime() };
  }

  #hasExpired(expiresAt: Date): boolean {
    return expiresAt.getTime() + SKEW_SECONDS * 1000 <= this.#clock.now().getTime();
  }
}

/** The issuer's published keys, kept and refreshed. */
class IssuerKeys {
  readonly #url: URL;
  readonly #clock: { now(): Date };
  #keys: ReadonlyMap<string, TrustedKey> = new Map();
  #fetchedAtMs: number | null = null;
  #triedAtMs: number | null = null;
  #refreshing: Promise<void> | null = null;

  constructor(url: URL, clock: { now(): Date }) {
    this.#url = url;
    this.#clock = clock;
  }

  /** The key of this id, null when the issuer has none. Asks the issuer when the keys are old or the id is new to us. */
  async find(kid: string): Promise<TrustedKey | null> {
    const nowMs = this.#clock.now().getTime();
    const mayTry = this.#triedAtMs === null || Math.abs(nowMs - this.#triedAtMs) >= REFRESH_PAUSE_MS;
    if (this.#refreshing || (mayTry && !this.#isFresh(kid, nowMs))) await this.#refresh(nowMs);
    if (this.#fetchedAtMs === null || nowMs - this.#fetchedAtMs > KEYS_STALE_MS) return null;
    return this.#keys.get(kid) ?? null;
  }

  /** Whether `find` would give the key without asking the issuer. */
  isKnownNow(kid: string): boolean {
    return !this.#refreshing && this.#isFresh(kid, this.#clock.now().getTime());
  }

  #isFresh(kid: string, nowMs: number): boolean {
    return this.#fetchedAtMs !== null && nowMs - this.#fetchedAtMs < KEYS_FRESH_MS && this.#keys.has(kid);
  }

  /** One request for all who wait. A failure leaves the known keys as they are. */
  #refresh(nowMs: number): Promise<void> {
    this.#refreshing ??= (async () => {
      this.#triedAtMs = nowMs;
      try {
        this.#keys = await trustedKeys(await readKeySet(this.#url));
        this.#fetchedAtMs = nowMs;
      } catch {
        // The issuer is down or answers rubbish: known keys serve on until they are too old.
      } finally {
        this.#refreshing = null;
      }
    })();
    return this.#refreshing;
  }
}

async function readKeySet(url: URL): Promise<JWK[]> {
  const text = url.protocol === 'file:' ? await readFile(fileURLToPath(url), 'utf8') : await download(url);
  if (Buffer.byteLength(text) > LARGEST_KEY_SET_BYTES) throw new Error('the key set is too large');
  const set: unknown = JSON.parse(text);
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys)) throw new Error('no key set');
  if (set.keys.length > MOST_KEYS) throw new Error('the key set has too many keys');
  return set.keys as JWK[];
}

async function download(url: URL): Promise<string> {
  const answer = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_LIMIT_MS),
    headers: { accept: 'application/json' },
  });
  if (!answer.ok || !answer.body) throw new Error(`the issuer answered ${answer.status}`);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > LARGEST_KEY_SET_BYTES) throw new Error('the key set is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Public signing keys of the two kinds that we take; everything else in the set is left alone. */
async function trustedKeys(set: JWK[]): Promise<ReadonlyMap<string, TrustedKey>> {
  const keys = new Map<string, TrustedKey>();
  for (const { kid, kty, crv, x, y, use } of set) {
    if (typeof kid !== 'string' || (use !== undefined && use !== 'sig')) continue;
    const kind = `${kty} ${crv}`;
    if (kind === 'OKP Ed25519' && x)
      keys.set(kid, { alg: 'EdDSA', key: await importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA') });
    if (kind === 'EC P-256' && x && y)
      keys.set(kid, { alg: 'ES256', key: await importJWK({ kty: 'EC', crv: 'P-256', x, y }, 'ES256') });
  }
  return keys;
}

/** Whether a part of the token names a field twice at its top level: readers differ in which one counts (RFC 8725, section 2.4). */
function repeatsName(token: string, part: 0 | 1): boolean {
  const json = Buffer.from(token.split('.')[part] ?? '', 'base64url').toString('utf8');
  const names = new Set<string>();
  let depth = 0;
  for (const [piece, name] of json.matchAll(/("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (name === undefined) {
      if (piece === '{' || piece === '[') depth++;
      if (piece === '}' || piece === ']') depth--;
    } else if (depth === 1) {
      const text = String(JSON.parse(name));
      if (names.has(text)) return true;
      names.add(text);
    }
  }
  return false;
}
