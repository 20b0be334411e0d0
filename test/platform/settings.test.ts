import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { parseDatabaseUrl, socketDatabaseUrl } from '../../src/platform/database-options.js';
import { isListedOrigin } from '../../src/platform/origins.js';
import { databaseOptions, readSettings, SettingsError } from '../../src/platform/settings.js';

let dataDir: string;
beforeAll(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

const SECRET = 'c'.repeat(32);
const TEST_STRIPE = { STRIPE_API_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: 'whsec_1', STRIPE_PUBLISHABLE_KEY: 'pk_test_1' };
const PRODUCTION = {
  NODE_ENV: 'production',
  SANDBOX: 'off',
  STRIPE_API_KEY: 'sk_live_1',
  STRIPE_WEBHOOK_SECRET: 'whsec_1',
  STRIPE_PUBLISHABLE_KEY: 'pk_live_1',
  AUTH_JWKS_URL: 'https://login.example.com/jwks.json',
  AUTH_ISSUER: 'https://login.example.com',
  CURSOR_SECRET: SECRET,
};
const read = (env: Record<string, string>) => readSettings({ DATA_DIR: dataDir, ...env });

test('with no setting at all everything is the sandbox on this machine', () => {
  const settings = read({});
  expect(settings).toMatchObject({
    environment: 'development',
    port: 4000,
    workerPort: 5000,
    host: '127.0.0.1',
    database: null,
    databasePool: null,
    region: 'local',
    isSandbox: true,
    sandboxStripePort: 4010,
    usersPort: 4001,
    postsPort: 4002,
    callbackAllowlist: [],
    hasRateLimits: false,
    trustedProxies: [],
    hasLoadShedding: false,
    trustedDocuments: 'off',
    logLevel: 'info',
    routerSecrets: [],
  });
  expect([...settings.roles]).toEqual(['gateway', 'worker']);
  expect(settings.stripe.apiBase.href).toBe('http://127.0.0.1:4010/');
  expect(settings.auth.jwksUrl.href).toBe(`file://${dataDir}/issuer/jwks.json`);
  expect(databaseOptions(settings)).toMatchObject({ port: 5432, username: 'postgres', database: 'postgres' });
});

test('real Stripe is reached by setting its three values, and turns the sandbox off', () => {
  const settings = read({ ...TEST_STRIPE, CURSOR_SECRET: SECRET });
  expect(settings).toMatchObject({ isSandbox: false, host: '0.0.0.0', hasRateLimits: true, hasLoadShedding: true });
  expect(settings.stripe.apiBase.href).toBe('https://api.stripe.com/');
  expect(settings.stripe.apiKey.reveal()).toBe('sk_test_1');
});

test('while the sandbox is on a proxy may stand before the stand-in', () => {
  const settings = read({ SANDBOX: 'on', STRIPE_API_BASE: 'http://127.0.0.1:9999' });
  expect(settings).toMatchObject({ isSandbox: true, stripe: { apiBase: new URL('http://127.0.0.1:9999') } });
});

test('the clock of one process of the sandbox may go before or after that of the others', () => {
  expect(read({ SANDBOX_CLOCK_OFFSET_MS: '-20000' }).sandboxClockOffsetMs).toBe(-20_000);
  expect(read({}).sandboxClockOffsetMs).toBe(0);
});

test('addresses that live updates may be posted to are named one by one', () => {
  const { callbackAllowlist } = read({ SUBSCRIPTION_CALLBACK_ALLOWLIST: 'https://a.example/callback, http://10.0.0.1:4100' });
  expect(callbackAllowlist.map(({ href }) => href)).toEqual(['https://a.example/callback', 'http://10.0.0.1:4100/']);
});

test('the size of the writing pool may be set', () => {
  expect(read({ DATABASE_POOL: '10' }).databasePool).toBe(10);
});

test('production takes live keys and an https issuer', () => {
  expect(read(PRODUCTION)).toMatchObject({
    environment: 'production',
    isSandbox: false,
    auth: { issuer: 'https://login.example.com' },
  });
});

test.each<[Record<string, string>, string]>([
  [{ PORT: 'abc' }, 'PORT must be a whole number from 1 to 65535, got "abc".'],
  [{ PORT: '0' }, 'PORT must be a whole number from 1 to 65535, got "0".'],
  [{ PORT: '65536' }, 'PORT must be a whole number from 1 to 65535, got "65536".'],
  [{ PORT: '65000' }, 'PORT must be at most 64535, because the worker listens on PORT+1000, got "65000".'],
  ...['a.example/callback', 'ftp://a.example/', 'https://user@a.example/', 'https://a.example/?to=b'].map(
    (address): [Record<string, string>, string] => [
      { SUBSCRIPTION_CALLBACK_ALLOWLIST: address },
      `SUBSCRIPTION_CALLBACK_ALLOWLIST must be addresses such as https://router.example.com/callback with commas between, got "${address}".`,
    ],
  ),
  [
    { TRUSTED_PROXIES: '10.0.0.0/8,proxy' },
    'TRUSTED_PROXIES must be addresses or networks such as 10.0.0.0/8 with commas between, got "10.0.0.0/8,proxy".',
  ],
  [{ USERS_PORT: '4.5' }, 'USERS_PORT must be a whole number from 1 to 65535, got "4.5".'],
  [{ DATABASE_POOL: '0' }, 'DATABASE_POOL must be a whole number from 1 to 1000, got "0".'],
  [{ SANDBOX: 'yes' }, 'SANDBOX must be on or off, got "yes".'],
  [{ ROLES: 'gateway,cook' }, 'ROLES must be gateway, worker or gateway,worker, got "gateway,cook".'],
  [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be fatal, error, warn, info, debug, trace or silent, got "loud".'],
  [{ REGION: 'EU West' }, 'REGION must be 1 to 32 of a-z, 0-9 and "-", got "EU West".'],
  [{ NODE_ENV: 'prod' }, 'NODE_ENV must be development, test or production, got "prod".'],
  [{ DATABASE_URL: 'mysql://x:geheim@y/z' }, 'DATABASE_URL must look like postgres://user:password@host:5432/database.'],
  [
    { DATABASE_URL: 'postgres://ana:geheim@host/db?sslmode=maybe' },
    'DATABASE_URL has an unknown sslmode: use disable, require, verify-ca, verify-full.',
  ],
  [{ CURSOR_SECRET: 'short' }, 'CURSOR_SECRET must be at least 32 characters.'],
  [{ ROUTER_SECRET: 'a,b,c' }, 'ROUTER_SECRET must be one secret, or two with a comma between.'],
  [
    { CORS_ORIGINS: 'https://a.example/path' },
    'CORS_ORIGINS must be origins such as https://app.example.com with commas between, got "https://a.example/path".',
  ],
  [
    { AUTH_JWKS_URL: 'http://login.example.com/jwks.json' },
    'AUTH_JWKS_URL must be an https address (or, outside production, a file: address), got "http://login.example.com/jwks.json".',
  ],
  [
    { AUTH_JWKS_URL: 'https://login.example.com/jwks.json' },
    'AUTH_ISSUER must be set together with AUTH_JWKS_URL: it names whose tokens are believed.',
  ],
  [
    { SANDBOX: 'off' },
    'Missing STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY: set all of STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY, or SANDBOX=on.',
  ],
  [
    { STRIPE_API_KEY: 'sk_test_1' },
    'Missing STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY: set all of STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY, or SANDBOX=on.',
  ],
  [
    { ...TEST_STRIPE, STRIPE_API_KEY: 'sk_live_1' },
    'STRIPE_API_KEY must be a test key (sk_test_...) unless NODE_ENV=production.',
  ],
  [
    { ...TEST_STRIPE },
    'CURSOR_SECRET must be set when SANDBOX is off: any 32 or more random characters, the same for every gateway.',
  ],
  [
    { NODE_ENV: 'production' },
    'NODE_ENV=production refuses the sandbox: set SANDBOX=off and STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY.',
  ],
  [
    { ...PRODUCTION, SANDBOX: 'on' },
    'NODE_ENV=production refuses the sandbox: set SANDBOX=off and STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PUBLISHABLE_KEY.',
  ],
  [{ ...PRODUCTION, STRIPE_API_KEY: 'sk_test_1' }, 'STRIPE_API_KEY must be a live key (sk_live_...) when NODE_ENV=production.'],
  [
    { ...PRODUCTION, STRIPE_PUBLISHABLE_KEY: 'pk_test_1' },
    'STRIPE_PUBLISHABLE_KEY must be a live key (pk_...), got "pk_test_1".',
  ],
  [{ ...PRODUCTION, STRIPE_API_BASE: 'http://127.0.0.1:4010' }, 'STRIPE_API_BASE must be https when NODE_ENV=production.'],
  [
    { ...PRODUCTION, AUTH_JWKS_URL: 'file:///etc/jwks.json' },
    'AUTH_JWKS_URL must be https when NODE_ENV=production, got "file:///etc/jwks.json".',
  ],
  [
    { ...PRODUCTION, AUTH_JWKS_URL: '' },
    'AUTH_JWKS_URL must be set when NODE_ENV=production: it names whose tokens are believed.',
  ],
  [
    { ...PRODUCTION, AUTH_ISSUER: 'http://127.0.0.1/sandbox' },
    'AUTH_ISSUER must not be the issuer of the sandbox when NODE_ENV=production.',
  ],
  [
    { ...TEST_STRIPE, CURSOR_SECRET: SECRET, SANDBOX_CLOCK_OFFSET_MS: '20000' },
    'SANDBOX_CLOCK_OFFSET_MS must not be set when SANDBOX is off.',
  ],
  [
    { SANDBOX_CLOCK_OFFSET_MS: '3600001' },
    'SANDBOX_CLOCK_OFFSET_MS must be a whole number from -3600000 to 3600000, got "3600001".',
  ],
])('%j is refused in one line', (env, line) => {
  expect(() => read(env)).toThrow(new SettingsError(line));
});

test('no secret shows in text, JSON or inspection of the settings', () => {
  const settings = read({ ...TEST_STRIPE, CURSOR_SECRET: SECRET, ROUTER_SECRET: 'proof-of-the-router' });
  for (const text of [inspect(settings, { depth: 9 }), JSON.stringify(settings), String(settings.stripe.apiKey)]) {
    for (const secret of ['sk_test_1', 'whsec_1', SECRET, 'proof-of-the-router']) expect(text).not.toContain(secret);
    expect(text).toContain('[secret]');
  }
});

test('the secret of the page cursors is made once and kept for its owner alone', () => {
  const first = read({}).cursorSecret.reveal();
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(read({}).cursorSecret.reveal()).toBe(first);
  expect(statSync(path.join(dataDir, 'cursor-secret')).mode & 0o777).toBe(0o600);
});

test('the address of a socket and its URL say the same', () => {
  const url = socketDatabaseUrl({ host: '/var/lib/a b/run', port: 5432, user: 'postgres' }, 'main');
  expect(parseDatabaseUrl(url)).toEqual({ host: '/var/lib/a b/run', port: 5432, database: 'main', username: 'postgres' });
});

test('a database address keeps escaped characters, and asks for a checked certificate when told', () => {
  expect(parseDatabaseUrl('postgresql://ana:p%40ss@db.example.com:6543/main?sslmode=verify-full')).toEqual({
    host: 'db.example.com',
    port: 6543,
    database: 'main',
    username: 'ana',
    password: 'p@ss',
    ssl: { rejectUnauthorized: true },
  });
});

test.each([
  ['https://app.example.com/paid?x=1', true],
  ['http://app.example.com/paid', false],
  ['https://app.example.com.evil.example/', false],
  ['https://app.example.com@evil.example/', false],
  ['https://user@app.example.com/', false],
  ['https://app.example.com:8443/', false],
  ['javascript:alert(1)', false],
  ['//app.example.com', false],
  ['http://localhost:3000/back', true],
  ['http://127.0.0.1.evil.example/', false],
])('with https://app.example.com listed and loopback allowed, %s is listed: %s', (address, isListed) => {
  expect(isListedOrigin({ origins: ['https://app.example.com'], includesLoopback: true }, address)).toBe(isListed);
});
