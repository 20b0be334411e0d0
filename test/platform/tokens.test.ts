import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SignJWT } from 'jose';
import { issueSandboxToken, prepareSandboxIssuer } from '../../src/platform/sandbox-issuer.js';
import { SANDBOX_ISSUER, sandboxJwksUrl, type AuthSettings } from '../../src/platform/settings.js';
import { TokenVerifier } from '../../src/platform/tokens.js';
import { TestClock } from '../support/clock.js';

const NOW = '2027-01-10T12:00:00.000Z';
const NOW_SECONDS = Date.parse(NOW) / 1000;
const ISSUER = 'https://login.example.com';
const MINUTE_MS = 60_000;

interface Key {
  kid: string;
  alg: 'EdDSA' | 'ES256';
  privateKey: KeyObject;
  published: Record<string, unknown>;
}

function makeKey(kid: string, alg: 'EdDSA' | 'ES256' = 'EdDSA', curve = 'P-256'): Key {
  const pair = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: curve });
  return { kid, alg, privateKey: pair.privateKey, published: { ...pair.publicKey.export({ format: 'jwk' }), kid } };
}

const current = makeKey('current');
const elliptic = makeKey('elliptic', 'ES256');
const foreign = makeKey('current');

const CLAIMS = {
  iss: ISSUER,
  aud: 'monetization',
  sub: 'ana',
  iat: NOW_SECONDS,
  exp: NOW_SECONDS + 900,
  scope: 'monetization:support openid',
};

const base64 = (text: string) => Buffer.from(text).toString('base64url');

async function sign(
  options: { key?: Key; header?: Record<string, unknown>; claims?: Record<string, unknown> } = {},
): Promise<string> {
  const { key = current, header = {}, claims = {} } = options;
  const all = Object.fromEntries(Object.entries({ ...CLAIMS, ...claims }).filter(([, value]) => value !== undefined));
  const full = { alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header };
  const fields = Object.fromEntries(Object.entries(full).filter(([, value]) => value !== undefined));
  return await new SignJWT(all).setProtectedHeader({ alg: key.alg, ...fields }).sign(key.privateKey);
}

/** Signed text exactly as given, for what no library would write. */
async function signRaw(header: string, payload: string): Promise<string> {
  const data = `${base64(header)}.${base64(payload)}`;
  const { sign: signBytes } = await import('node:crypto');
  return `${data}.${signBytes(null, Buffer.from(data), current.privateKey).toString('base64url')}`;
}

let folder: string;
let keyFile: string;
const publish = (...keys: Key[]) => writeFileSync(keyFile, JSON.stringify({ keys: keys.map((key) => key.published) }));

function verifierFor(clock: TestClock, over: Partial<AuthSettings> = {}): TokenVerifier {
  return new TokenVerifier({ jwksUrl: new URL(`file://${keyFile}`), issuer: ISSUER, audience: 'monetization', ...over }, clock);
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokens-'));
  keyFile = path.join(folder, 'jwks.json');
  publish(current, elliptic);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([current, elliptic])('a good token by $alg tells user, scopes and end', async (key) => {
  const verifier = verifierFor(new TestClock(NOW));
  const token = await sign({ key });
  const believed = { userId: 'ana', scopes: new Set(['monetization:support', 'openid']), expiresAt: new Date(CLAIMS.exp * 1000) };
  expect(await verifier.check(token)).toMatchObject(believed);
  expect(await verifier.verify(token)).toMatchObject(believed); // now from memory
});

test.each([
  ['nothing', {}, { country: null, zone: null }],
  ['a country and a zone', { country: 'DE', zoneinfo: 'Europe/Berlin' }, { country: 'DE', zone: 'Europe/Berlin' }],
  ['a zone of another name for it', { zoneinfo: 'Europe/Kyiv' }, { country: null, zone: 'Europe/Kyiv' }],
  ['a zone that nobody knows', { country: 'DE', zoneinfo: 'Mars/Olympus' }, { country: 'DE', zone: null }],
  ['an offset, which is no zone', { zoneinfo: '+01:00' }, { country: null, zone: null }],
  ['a zone that is no text', { zoneinfo: 60 }, { country: null, zone: null }],
])('a token that says %s of where its user lives', async (_, claims, residence) => {
  expect(await verifierFor(new TestClock(NOW)).check(await sign({ claims }))).toMatchObject({ residence });
});

const longKid = 'x'.repeat(300);
const claimsText = JSON.stringify(CLAIMS);
const bad: [string, () => Promise<string> | string][] = [
  ['no token at all', () => ''],
  ['one part', () => 'abc'],
  ['two dots and nothing else', () => '..'],
  ['algorithm none', () => `${base64('{"alg":"none","typ":"at+jwt","kid":"current"}')}.${base64(claimsText)}.`],
  [
    'HS256 with the public key as its secret',
    () => {
      const data = `${base64('{"alg":"HS256","typ":"at+jwt","kid":"current"}')}.${base64(claimsText)}`;
      return `${data}.${createHmac('sha256', JSON.stringify(current.published)).update(data).digest('base64url')}`;
    },
  ],
  ['another key under the known id', () => sign({ key: foreign })],
  ['the algorithm of another kind of key', () => sign({ key: { ...elliptic, kid: 'current' } })],
  ['a key id nobody has', () => sign({ header: { kid: 'other' } })],
  ['no key id', () => sign({ header: { kid: undefined } })],
  ['a key id that is a path', () => sign({ header: { kid: '../../../../dev/null' } })],
  ['a key id that is SQL', () => sign({ header: { kid: "' or 1=1 --" } })],
  ['a very long key id', () => sign({ header: { kid: longKid } })],
  ['a key id of the object prototype', () => sign({ header: { kid: '__proto__' } })],
  ['a key of its own in the header', () => sign({ key: foreign, header: { jwk: foreign.published } })],
  [
    'an address of its own for keys',
    () => sign({ key: foreign, header: { jku: 'https://evil.example/jwks.json', kid: 'evil' } }),
  ],
  ['type JWT instead of at+jwt', () => sign({ header: { typ: 'JWT' } })],
  ['no type', () => sign({ header: { typ: undefined } })],
  ['another issuer', () => sign({ claims: { iss: 'https://login.example.com.evil.example' } })],
  ['the issuer with a slash', () => sign({ claims: { iss: `${ISSUER}/` } })],
  ['no issuer', () => sign({ claims: { iss: undefined } })],
  ['another audience', () => sign({ claims: { aud: 'photos' } })],
  ['no audience', () => sign({ claims: { aud: undefined } })],
  ['no end', () => sign({ claims: { exp: undefined } })],
  ['an end that is no number', () => sign({ claims: { exp: 'tomorrow' } })],
  ['a life of more than 15 minutes', () => sign({ claims: { exp: NOW_SECONDS + 901 } })],
  ['a far end and a start far ahead', () => sign({ claims: { iat: NOW_SECONDS + 10_000, exp: NOW_SECONDS + 10_100 } })],
  ['no time of issue', () => sign({ claims: { iat: undefined } })],
  ['issued more than 30 s ahead', () => sign({ claims: { iat: NOW_SECONDS + 31, exp: NOW_SECONDS + 300 } })],
  ['not valid before more than 30 s ahead', () => sign({ claims: { nbf: NOW_SECONDS + 31 } })],
  ['no user', () => sign({ claims: { sub: undefined } })],
  ['an empty user', () => sign({ claims: { sub: '' } })],
  ['a user id of a wrong form', () => sign({ claims: { sub: 'ana; drop table customer' } })],
  ['a user id of 65 characters', () => sign({ claims: { sub: 'a'.repeat(65) } })],
  ["a country's name instead of its code", () => sign({ claims: { country: 'Germany' } })],
  ['a country in small letters', () => sign({ claims: { country: 'de' } })],
  ['the country that stands for any', () => sign({ claims: { country: 'ZZ' } })],
  ['a country that is no text', () => sign({ claims: { country: 49 } })],
  ['scopes as a list', () => sign({ claims: { scope: ['monetization:finance'] } })],
  [
    'a claim given twice',
    () => signRaw('{"alg":"EdDSA","typ":"at+jwt","kid":"current"}', `${claimsText.slice(0, -1)},"sub":"bob"}`),
  ],
  [
    'a claim given twice, once escaped',
    () => signRaw('{"alg":"EdDSA","typ":"at+jwt","kid":"current"}', `{"s\\u0075b":"bob",${claimsText.slice(1)}`),
  ],
  ['a header field given twice', () => signRaw('{"alg":"EdDSA","typ":"at+jwt","kid":"evil","kid":"current"}', claimsText)],
  ['a critical extension', () => signRaw('{"alg":"EdDSA","typ":"at+jwt","kid":"current","crit":["x"],"x":1}', claimsText)],
  ['claims that are a list', () => signRaw('{"alg":"EdDSA","typ":"at+jwt","kid":"current"}', '[]')],
  ['more than 8 kB', () => sign({ claims: { scope: 'a '.repeat(5_000) } })],
  ['one changed letter', async () => (await sign()).replace(/.(?=\.[^.]*$)/, (letter) => (letter === 'A' ? 'B' : 'A'))],
];

test.each(bad)('a token with %s is invalid', async (_what, make) => {
  expect(await verifierFor(new TestClock(NOW)).check(await make())).toBe('invalid');
});

test('a key on another curve is not taken', async () => {
  const wide = makeKey('wide', 'ES256', 'P-384');
  publish(current, elliptic, wide);
  const data = `${base64('{"alg":"ES256","typ":"at+jwt","kid":"wide"}')}.${base64(claimsText)}`;
  expect(await verifierFor(new TestClock(NOW)).check(`${data}.${base64('x'.repeat(64))}`)).toBe('invalid');
  publish(current, elliptic);
});

test('a token ends 30 s after its exp, remembered or not, and is then called expired', async () => {
  const clock = new TestClock(NOW);
  const verifier = verifierFor(clock);
  const token = await sign();
  clock.advance(900_000 + 29_000);
  expect(await verifier.check(token)).toMatchObject({ userId: 'ana' });
  clock.advance(1_000);
  expect(await verifier.check(token)).toBe('expired');
  expect(await verifier.check(token)).toBe('expired');
  expect(await verifierFor(clock).check(await sign({ key: foreign }))).toBe('invalid');
});

test('after a rotation old and new keys are good, and a withdrawn key is refused within 10 minutes', async () => {
  const clock = new TestClock(NOW);
  const verifier = verifierFor(clock);
  const next = makeKey('next');
  const fresh = (key: Key) => {
    const iat = Math.floor(clock.now().getTime() / 1000);
    return sign({ key, claims: { iat, exp: iat + 900 } });
  };
  const old = await fresh(current);
  expect(await verifier.check(old)).toMatchObject({ userId: 'ana' });
  publish(current, next);
  clock.advance(30_000);
  expect(await verifier.check(await fresh(next))).toMatchObject({ userId: 'ana' });
  expect(await verifier.check(old)).toMatchObject({ userId: 'ana' });
  publish(next);
  clock.advance(10 * MINUTE_MS);
  expect(await verifier.check(old)).toBe('invalid');
  publish(current, elliptic);
});

test('a key that was replaced under its own id takes with it what was verified by it', async () => {
  const clock = new TestClock(NOW);
  const verifier = verifierFor(clock);
  const token = await sign();
  expect(await verifier.check(token)).toMatchObject({ userId: 'ana' });
  publish(foreign);
  clock.advance(10 * MINUTE_MS);
  expect(await verifier.check(token)).toBe('invalid');
  publish(current, elliptic);
});

test('an issuer that is down is asked at most every 30 s, and its keys serve on for a day', async () => {
  let requests = 0;
  let isUp = true;
  const server: Server = createServer((_request, response) => {
    requests++;
    if (isUp) response.end(JSON.stringify({ keys: [current.published] }));
    else response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const clock = new TestClock(NOW);
  const verifier = verifierFor(clock, { jwksUrl: new URL(`http://127.0.0.1:${port}/`) });
  const fresh = (kid?: string) => {
    const iat = Math.floor(clock.now().getTime() / 1000);
    return sign({ claims: { iat, exp: iat + 900 }, header: kid ? { kid } : {} });
  };
  await Promise.all([1, 2, 3].map(async () => expect(await verifier.check(await fresh())).toMatchObject({ userId: 'ana' })));
  expect(requests).toBe(1);
  isUp = false;
  for (let i = 0; i < 100; i++) expect(await verifier.check(await fresh(`unknown${i}`))).toBe('invalid');
  expect(requests).toBe(1);
  clock.advance(23 * 60 * MINUTE_MS);
  expect(await verifier.check(await fresh())).toMatchObject({ userId: 'ana' });
  expect(requests).toBe(2);
  clock.advance(61 * MINUTE_MS);
  expect(await verifier.check(await fresh())).toBe('invalid');
  isUp = true;
  clock.advance(30_000);
  expect(await verifier.check(await fresh())).toMatchObject({ userId: 'ana' });
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  [
    'more than 50 keys',
    () =>
      JSON.stringify({ keys: Array.from({ length: 51 }, (_, i) => ({ ...current.published, kid: i ? `k${i}` : 'current' })) }),
  ],
  ['more than 64 kB', () => JSON.stringify({ keys: [current.published], padding: 'x'.repeat(70_000) })],
  ['no key set', () => '"hello"'],
])('a key set with %s is not taken', async (_what, content) => {
  writeFileSync(keyFile, content());
  expect(await verifierFor(new TestClock(NOW)).check(await sign())).toBe('invalid');
  publish(current, elliptic);
});

test('the own issuer of the sandbox: private key unreadable for others, a day is the longest life, short scopes get their prefix', async () => {
  const dataDir = path.join(folder, 'sandbox');
  prepareSandboxIssuer(dataDir);
  expect(statSync(path.join(dataDir, 'issuer', 'key.json')).mode & 0o777).toBe(0o600);
  const clock = new TestClock(NOW);
  const auth = { jwksUrl: sandboxJwksUrl(dataDir), issuer: SANDBOX_ISSUER, audience: 'monetization' };
  const asked = { dataDir, userId: 'sue', scopes: ['support', 'monetization:finance'], ttlSeconds: 86_400, now: clock.now() };
  const verifier = new TokenVerifier(auth, clock);
  expect(await verifier.check(await issueSandboxToken({ ...asked, country: 'DE', zone: 'Europe/Berlin' }))).toMatchObject({
    userId: 'sue',
    residence: { country: 'DE', zone: 'Europe/Berlin' },
    scopes: new Set(['monetization:support', 'monetization:finance']),
    expiresAt: new Date(clock.now().getTime() + 86_400_000),
  });
  await expect(issueSandboxToken({ ...asked, ttlSeconds: 86_401 })).rejects.toThrow('A token lives from 1 second to 24 hours.');
  await expect(issueSandboxToken({ ...asked, userId: 'a b' })).rejects.toThrow('A user id is');
  await expect(issueSandboxToken({ ...asked, scopes: ['Finance '] })).rejects.toThrow('A scope is');
  await expect(issueSandboxToken({ ...asked, country: 'Germany' })).rejects.toThrow('A country is two capital letters');
  await expect(issueSandboxToken({ ...asked, zone: 'Berlin' })).rejects.toThrow("A zone is one of IANA's");
});
