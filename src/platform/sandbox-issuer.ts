import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import path from 'node:path';
import { importJWK, SignJWT, type JWK } from 'jose';
import { keptFile } from './kept-file.js';
import { OneLineError } from './one-line-error.js';
import { isCountryCode, isZone } from './places.js';
import { DEFAULT_AUDIENCE, SANDBOX_ISSUER } from './settings.js';

/** Longest life of a token of the sandbox, seconds: a day's work without logging in again. */
export const LONGEST_SANDBOX_TTL_SECONDS = 24 * 60 * 60;
/** What all scopes of this product begin with. */
const SCOPE_PREFIX = 'monetization:';
const USER_ID_FORM = /^[A-Za-z0-9_-]{1,64}$/;
const SCOPE_FORM = /^[a-z][a-z0-9_:.-]{0,63}$/;

interface PrivateKey extends JWK {
  kid: string;
}

/**
 * Makes sure that the sandbox's issuer has its key pair and its published keys under DATA_DIR/issuer. Its tokens take the same way
 * through the gateway like any other issuer's: there is no mode without authentication.
 */
export function prepareSandboxIssuer(dataDir: string): void {
  privateKey(dataDir);
}

/**
 * A token for this user, signed by the sandbox's issuer (EdDSA, RFC 9068 type at+jwt).
 * @param options.scopes full names, or short ones that get the prefix `monetization:`
 * @param options.country where the user lives: ISO 3166-1 alpha-2; left out: not said
 * @param options.zone the same: IANA time zone
 * @param options.now the machine's time, which is what tokens are checked against even while the sandbox's clock stands elsewhere
 * @throws OneLineError for a user id, scope or country of a wrong form, a zone that is not known, or a life of more than 24 hours
 */
export async function issueSandboxToken(options: {
  dataDir: string;
  userId: string;
  scopes: readonly string[];
  country?: string;
  zone?: string;
  ttlSeconds: number;
  now: Date;
}): Promise<string> {
  const { userId, ttlSeconds, country, zone } = options;
  if (!USER_ID_FORM.test(userId)) throw new OneLineError(`A user id is 1 to 64 of A-Z, a-z, 0-9, "-" and "_", got "${userId}".`);
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > LONGEST_SANDBOX_TTL_SECONDS) {
    throw new OneLineError('A token lives from 1 second to 24 hours.');
  }
  if (country !== undefined && !isCountryCode(country))
    throw new OneLineError(`A country is two capital letters such as DE (ISO 3166-1), got "${country}".`);
  if (zone !== undefined && !isZone(zone))
    throw new OneLineError(`A zone is one of IANA's such as Europe/Berlin, got "${zone}".`);
  const key = privateKey(options.dataDir);
  const issuedAt = Math.floor(options.now.getTime() / 1000);
  const told = { ...(country !== undefined && { country }), ...(zone !== undefined && { zoneinfo: zone }) };
  return await new SignJWT({ scope: options.scopes.map(fullScope).join(' '), ...told })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid })
    .setIssuer(SANDBOX_ISSUER)
    .setAudience(DEFAULT_AUDIENCE)
    .setSubject(userId)
    .setIssuedAt(issuedAt)
    .setNotBefore(issuedAt)
    .setExpirationTime(issuedAt + ttlSeconds)
    .setJti(randomUUID())
    .sign(await importJWK(key, 'EdDSA'));
}

function fullScope(scope: string): string {
  if (!SCOPE_FORM.test(scope))
    throw new OneLineError(`A scope is a word such as support or monetization:support, got "${scope}".`);
  return scope.includes(':') ? scope : `${SCOPE_PREFIX}${scope}`;
}

function privateKey(dataDir: string): PrivateKey {
  const folder = path.join(path.resolve(dataDir), 'issuer');
  const key = JSON.parse(keptFile(path.join(folder, 'key.json'), makeKey)) as PrivateKey;
  const { d: _d, ...published } = key;
  keptFile(path.join(folder, 'jwks.json'), () => JSON.stringify({ keys: [published] }));
  return key;
}

function makeKey(): string {
  const { kty, crv, x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url'); // RFC 7638: the key's thumbprint
  return JSON.stringify({ kty, crv, x, d, kid, alg: 'EdDSA', use: 'sig' });
}
