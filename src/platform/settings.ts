/**
 * Settings come from the environment, once, at the start of a process. Each is checked; the first wrong one stops the start with
 * one line that says what to do. Everything has a default while the sandbox is on, so `npm start` needs no setting at all.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { isNetwork } from './client-address.js';
import { parseDatabaseUrl, type DatabaseOptions } from './database-options.js';
import { embeddedPostgresAddress } from './embedded-postgres.js';
import { keptFile } from './kept-file.js';
import { OneLineError } from './one-line-error.js';
import type { OriginList } from './origins.js';
import { Secret } from './secret.js';

/** Process roles the launcher can start. */
export type Role = 'gateway' | 'worker';

/** Whose tokens are believed. */
export interface AuthSettings {
  /** https, or a file (the sandbox's own issuer, outside production). */
  jwksUrl: URL;
  issuer: string;
  audience: string;
}

/** How Stripe is reached; the stand-in answers to the sandbox's values. */
export interface StripeSettings {
  apiKey: Secret;
  apiBase: URL;
  /** One, or two while it is being rotated: a signature by either is good. */
  webhookSecrets: readonly Secret[];
  publishableKey: string;
}

/** Everything a process may know about where and how it runs. */
export interface Settings {
  environment: 'development' | 'test' | 'production';
  port: number;
  /** Health and metrics of the worker. */
  workerPort: number;
  host: string;
  /** null: the embedded server under `dataDir`. */
  database: DatabaseOptions | null;
  /** Most connections with which one process writes; null: as many as suit its role. */
  databasePool: number | null;
  /** Absolute path. */
  dataDir: string;
  roles: ReadonlySet<Role>;
  /** This cell's name, in every metric and in every row that moves money. */
  region: string;
  isSandbox: boolean;
  stripe: StripeSettings;
  sandboxStripePort: number;
  renewals: {
    /** Renewals are charged within this of the moment their period begins, spread evenly. */
    spreadMs: number;
    /** Most renewals charged in a second, all workers together. */
    perSecond: number;
  };
  /** How far this process's clock is ahead of the sandbox's; 0 outside of it. */
  sandboxClockOffsetMs: number;
  usersPort: number;
  postsPort: number;
  supergraphPort: number;
  auth: AuthSettings;
  /** Accepted proofs of the router, none = the router's fields are open. Two while it is being rotated. */
  routerSecrets: readonly Secret[];
  hasRateLimits: boolean;
  /** Addresses and networks of proxies that are believed about whom they were asked by; none = no proxy stands before this process. */
  trustedProxies: readonly string[];
  /** Whether requests are refused while the process has more to do than it can. */
  hasLoadShedding: boolean;
  /** What happens to documents that clients were not built with. */
  trustedDocuments: 'off' | 'log' | 'enforce';
  /** The list of those that they were built with. */
  trustedDocumentsFile: string;
  /** Whether known queries are answered without Apollo Server. */
  hasShortPath: boolean;
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Signs page cursors and quotes; the same in every gateway of a cell. */
  cursorSecret: Secret;
  /** Where a provider may send a payer back to. */
  returnOrigins: OriginList;
  /** Whose pages may call the gateway from a browser. */
  corsOrigins: OriginList;
  /** Below which addresses a router may have live updates delivered; none = the callback protocol is off. */
  callbackAllowlist: readonly URL[];
}

/** A setting is wrong or missing. The message holds no secret. */
export class SettingsError extends OneLineError {
  constructor(message: string) {
    super(message);
    this.name = 'SettingsError';
  }
}

/** Issuer name in the tokens of the sandbox; refused in production. */
export const SANDBOX_ISSUER = 'http://127.0.0.1/sandbox';
/** Audience of the tokens, unless AUTH_AUDIENCE says otherwise. */
export const DEFAULT_AUDIENCE = 'monetization';

const SANDBOX_STRIPE = {
  apiKey: 'sk_test_sandbox',
  webhookSecret: 'whsec_sandbox_0123456789abcdefghijklmnopqrstuv',
  publishableKey: 'pk_test_sandbox',
};
const STRIPE_SETTINGS = ['STRIPE_API_KEY', 'STRIPE_WEBHOOK_SECRET', 'STRIPE_PUBLISHABLE_KEY'] as const;
const SECRET_NAMES = new Set(['STRIPE_API_KEY', 'STRIPE_WEBHOOK_SECRET', 'ROUTER_SECRET', 'CURSOR_SECRET', 'DATABASE_URL']);
/** The worker's health port lies this far above the gateway's. */
const WORKER_PORT_OFFSET = 1000;
const HIGHEST_PORT = 65_535;
/** 128 bits in hexadecimal: what nobody guesses. */
const LEAST_SECRET_LENGTH = 32;
const MOST_ACTIVE_SECRETS = 2;
/** An hour: no two machines of one cell differ more. */
const LARGEST_CLOCK_OFFSET_MS = 3_600_000;
/** PostgreSQL works through what is given to it with as many connections as it has cores and disks; more only wait inside it. */
const LARGEST_POOL = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

const portText = z
  .string()
  .regex(/^\d{1,5}$/)
  .transform(Number)
  .refine((port) => port >= 1 && port <= HIGHEST_PORT);
const poolText = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number)
  .refine((size) => size >= 1 && size <= LARGEST_POOL);
const switchText = z.enum(['on', 'off']).transform((text) => text === 'on');
const httpUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))
  .transform((text) => new URL(text));
const listText = z.string().transform((text) =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean),
);
const originsText = listText.refine((list) => list.every((each) => URL.canParse(each) && new URL(each).origin === each));
const proxiesText = listText.refine((list) => list.every(isNetwork));
const callbackText = listText
  .refine((list) =>
    list.every((each) => {
      const url = URL.canParse(each) ? new URL(each) : null;
      return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
    }),
  )
  .transform((list) => list.map((each) => new URL(each)));
const secretsText = listText
  .refine((list) => list.length >= 1 && list.length <= MOST_ACTIVE_SECRETS)
  .transform((list) => list.map((each) => new Secret(each)));

/** Reads `.env` of the working directory, in development, where there is one. What the environment has already wins. */
export function loadDotEnv(): void {
  if ((process.env['NODE_ENV'] || 'development') === 'development' && existsSync('.env')) process.loadEnvFile('.env');
}

/**
 * The settings of this environment. In the sandbox the secret of the page cursors is made at the first call and kept under DATA_DIR.
 * @throws SettingsError with one line about the first setting that is wrong or missing
 */
export function readSettings(env: Environment): Settings {
  const environment =
    read(env, 'NODE_ENV', z.enum(['development', 'test', 'production']), 'development, test or production') ?? 'development';
  const isProduction = environment === 'production';
  const isSandbox = readSandboxSwitch(env, isProduction);
  const dataDir = path.resolve(env['DATA_DIR'] || '.data');
  const sandboxStripePort = readPort(env, 'SANDBOX_STRIPE_PORT', 4010);
  const roles = readRoles(env);
  const port = readPort(env, 'PORT', 4000);
  if (roles.has('worker') && port + WORKER_PORT_OFFSET > HIGHEST_PORT) {
    throw new SettingsError(
      `PORT must be at most ${HIGHEST_PORT - WORKER_PORT_OFFSET}, because the worker listens on PORT+${WORKER_PORT_OFFSET}, got "${port}".`,
    );
  }
  return {
    environment,
    port,
    workerPort: port + WORKER_PORT_OFFSET,
    host: env['HOST'] || (isSandbox ? '127.0.0.1' : '0.0.0.0'),
    database: readDatabase(env),
    databasePool: read(env, 'DATABASE_POOL', poolText, `a whole number from 1 to ${LARGEST_POOL}`) ?? null,
    dataDir,
    roles,
    region: read(env, 'REGION', z.string().regex(/^[a-z0-9-]{1,32}$/), '1 to 32 of a-z, 0-9 and "-"') ?? 'local',
    isSandbox,
    stripe: readStripe(env, { isProduction, isSandbox, sandboxStripePort }),
    sandboxStripePort,
    renewals: readRenewals(env, isSandbox),
    sandboxClockOffsetMs: readClockOffset(env, isSandbox),
    usersPort: readPort(env, 'USERS_PORT', 4001),
    postsPort: readPort(env, 'POSTS_PORT', 4002),
    supergraphPort: readPort(env, 'SUPERGRAPH_PORT', 4100),
    auth: readAuth(env, { isProduction, dataDir }),
    routerSecrets: read(env, 'ROUTER_SECRET', secretsText, 'one secret, or two with a comma between') ?? [],
    hasRateLimits: read(env, 'RATE_LIMITS', switchText, 'on or off') ?? !isSandbox,
    trustedProxies:
      read(env, 'TRUSTED_PROXIES', proxiesText, 'addresses or networks such as 10.0.0.0/8 with commas between') ?? [],
    hasLoadShedding: read(env, 'LOAD_SHEDDING', switchText, 'on or off') ?? !isSandbox,
    trustedDocuments: read(env, 'TRUSTED_DOCUMENTS', z.enum(['off', 'log', 'enforce']), 'off, log or enforce') ?? 'off',
    trustedDocumentsFile: env['TRUSTED_DOCUMENTS_FILE'] || 'schema/persisted-documents.json',
    hasShortPath: read(env, 'GRAPHQL_SHORT_PATH', switchText, 'on or off') ?? true,
    logLevel:
      read(
        env,
        'LOG_LEVEL',
        z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
        'fatal, error, warn, info, debug, trace or silent',
      ) ?? 'info',
    cursorSecret: readCursorSecret(env, { isSandbox, dataDir }),
    returnOrigins: readOrigins(env, 'RETURN_URL_ALLOWLIST', isSandbox),
    corsOrigins: readOrigins(env, 'CORS_ORIGINS', isSandbox),
    callbackAllowlist:
      read(
        env,
        'SUBSCRIPTION_CALLBACK_ALLOWLIST',
        callbackText,
        'addresses such as https://router.example.com/callback with commas between',
      ) ?? [],
  };
}

/** Where the database is: the one that DATABASE_URL names, else the embedded server's maintenance database. */
export function databaseOptions(settings: Pick<Settings, 'database' | 'dataDir'>): DatabaseOptions {
  if (settings.database) return settings.database;
  const { host, port, user } = embeddedPostgresAddress(settings.dataDir);
  return { host, port, username: user, database: 'postgres' };
}

/** The value of a setting, undefined where it is not set (an empty text counts as not set). */
function read<T>(env: Environment, name: string, form: z.ZodType<T>, expected: string): T | undefined {
  const text = env[name];
  if (!text) return undefined;
  const result = form.safeParse(text);
  if (result.success) return result.data;
  throw new SettingsError(`${name} must be ${expected}${SECRET_NAMES.has(name) ? '' : `, got "${text}"`}.`);
}

function readPort(env: Environment, name: string, byDefault: number): number {
  return read(env, name, portText, `a whole number from 1 to ${HIGHEST_PORT}`) ?? byDefault;
}

const LONGEST_SPREAD_S = 86_400;
/** Four hours, or none where one wants to see what one has done. */
const USUAL_SPREAD_S = 4 * 3_600;
const MOST_RENEWALS_PER_SECOND = 10_000;
/** Most of what Stripe lets a live account write in a second, with room left for people. */
const USUAL_RENEWALS_PER_SECOND = 80;

function readRenewals(env: Environment, isSandbox: boolean): Settings['renewals'] {
  const whole = (name: string, least: number, most: number): number | null => {
    const wanted = `a whole number from ${least} to ${most}`;
    const count = z
      .string()
      .regex(/^\d{1,6}$/)
      .transform(Number);
    return (
      read(
        env,
        name,
        count.refine((value) => value >= least && value <= most),
        wanted,
      ) ?? null
    );
  };
  const spreadSeconds = whole('RENEWAL_SPREAD_SECONDS', 0, LONGEST_SPREAD_S) ?? (isSandbox ? 0 : USUAL_SPREAD_S);
  const perSecond = whole('RENEWALS_PER_SECOND', 1, MOST_RENEWALS_PER_SECOND);
  return {
    spreadMs: spreadSeconds * 1_000,
    perSecond: perSecond ?? (isSandbox ? MOST_RENEWALS_PER_SECOND : USUAL_RENEWALS_PER_SECOND),
  };
}

function readClockOffset(env: Environment, isSandbox: boolean): number {
  const name = 'SANDBOX_CLOCK_OFFSET_MS';
  const offset = z
    .string()
    .regex(/^-?\d{1,7}$/)
    .transform(Number)
    .refine((ms) => Math.abs(ms) <= LARGEST_CLOCK_OFFSET_MS);
  const offsetMs = read(env, name, offset, `a whole number from -${LARGEST_CLOCK_OFFSET_MS} to ${LARGEST_CLOCK_OFFSET_MS}`) ?? 0;
  if (offsetMs !== 0 && !isSandbox) throw new SettingsError(`${name} must not be set when SANDBOX is off.`);
  return offsetMs;
}

function readSandboxSwitch(env: Environment, isProduction: boolean): boolean {
  const isSandbox = read(env, 'SANDBOX', switchText, 'on or off') ?? !STRIPE_SETTINGS.some((name) => env[name]);
  if (isProduction && isSandbox) {
    throw new SettingsError(`NODE_ENV=production refuses the sandbox: set SANDBOX=off and ${STRIPE_SETTINGS.join(', ')}.`);
  }
  return isSandbox;
}

function readRoles(env: Environment): ReadonlySet<Role> {
  const roles = listText.pipe(z.array(z.enum(['gateway', 'worker'])).min(1));
  return new Set(read(env, 'ROLES', roles, 'gateway, worker or gateway,worker') ?? ['gateway', 'worker']);
}

function readDatabase(env: Environment): DatabaseOptions | null {
  const text = env['DATABASE_URL'];
  if (!text) return null;
  try {
    return parseDatabaseUrl(text);
  } catch (error) {
    throw new SettingsError(`DATABASE_URL ${error instanceof Error ? error.message : 'is wrong'}.`);
  }
}

function readStripe(
  env: Environment,
  { isProduction, isSandbox, sandboxStripePort }: { isProduction: boolean; isSandbox: boolean; sandboxStripePort: number },
): StripeSettings {
  const missing = STRIPE_SETTINGS.filter((name) => !env[name]);
  if (!isSandbox && missing.length > 0) {
    throw new SettingsError(`Missing ${missing.join(', ')}: set all of ${STRIPE_SETTINGS.join(', ')}, or SANDBOX=on.`);
  }
  const isTestKey = z.string().regex(/^(sk|rk)_test_\w+$/);
  const isLiveKey = z.string().regex(/^(sk|rk)_live_\w+$/);
  const apiKey = isProduction
    ? read(env, 'STRIPE_API_KEY', isLiveKey, 'a live key (sk_live_...) when NODE_ENV=production')
    : read(env, 'STRIPE_API_KEY', isTestKey, 'a test key (sk_test_...) unless NODE_ENV=production');
  const publishable = z.string().regex(isProduction ? /^pk_live_\w+$/ : /^pk_test_\w+$/);
  const publishableKey = read(env, 'STRIPE_PUBLISHABLE_KEY', publishable, `a ${isProduction ? 'live' : 'test'} key (pk_...)`);
  const base = isSandbox ? `http://127.0.0.1:${sandboxStripePort}` : 'https://api.stripe.com';
  const apiBase = read(env, 'STRIPE_API_BASE', httpUrl, 'an http or https address') ?? new URL(base);
  if (isProduction && apiBase.protocol !== 'https:')
    throw new SettingsError('STRIPE_API_BASE must be https when NODE_ENV=production.');
  return {
    apiKey: new Secret(apiKey ?? SANDBOX_STRIPE.apiKey),
    apiBase,
    webhookSecrets: read(env, 'STRIPE_WEBHOOK_SECRET', secretsText, 'one secret, or two with a comma between') ?? [
      new Secret(SANDBOX_STRIPE.webhookSecret),
    ],
    publishableKey: publishableKey ?? SANDBOX_STRIPE.publishableKey,
  };
}

function readAuth(env: Environment, { isProduction, dataDir }: { isProduction: boolean; dataDir: string }): AuthSettings {
  const issuer = env['AUTH_ISSUER'];
  const audience = env['AUTH_AUDIENCE'] || DEFAULT_AUDIENCE;
  const url = read(
    env,
    'AUTH_JWKS_URL',
    z.url({ protocol: /^(https|file)$/ }),
    'an https address (or, outside production, a file: address)',
  );
  if (isProduction && (!url || !issuer)) {
    throw new SettingsError(
      `${url ? 'AUTH_ISSUER' : 'AUTH_JWKS_URL'} must be set when NODE_ENV=production: it names whose tokens are believed.`,
    );
  }
  if (isProduction && !url?.startsWith('https:')) {
    throw new SettingsError(`AUTH_JWKS_URL must be https when NODE_ENV=production, got "${url}".`);
  }
  if (isProduction && issuer === SANDBOX_ISSUER) {
    throw new SettingsError('AUTH_ISSUER must not be the issuer of the sandbox when NODE_ENV=production.');
  }
  if (url && !issuer)
    throw new SettingsError('AUTH_ISSUER must be set together with AUTH_JWKS_URL: it names whose tokens are believed.');
  if (issuer && !url)
    throw new SettingsError('AUTH_JWKS_URL must be set together with AUTH_ISSUER: it holds the keys of that issuer.');
  return { jwksUrl: url ? new URL(url) : sandboxJwksUrl(dataDir), issuer: issuer || SANDBOX_ISSUER, audience };
}

/** Where the sandbox's own issuer publishes its keys. */
export function sandboxJwksUrl(dataDir: string): URL {
  return pathToFileURL(path.join(path.resolve(dataDir), 'issuer', 'jwks.json'));
}

function readOrigins(env: Environment, name: string, isSandbox: boolean): OriginList {
  const origins = read(env, name, originsText, 'origins such as https://app.example.com with commas between');
  // The playground is on this machine too, whatever its port.
  return { origins: origins ?? [], includesLoopback: isSandbox };
}

function readCursorSecret(env: Environment, { isSandbox, dataDir }: { isSandbox: boolean; dataDir: string }): Secret {
  const given = read(env, 'CURSOR_SECRET', z.string().min(LEAST_SECRET_LENGTH), `at least ${LEAST_SECRET_LENGTH} characters`);
  if (given) return new Secret(given);
  if (!isSandbox) {
    throw new SettingsError(
      'CURSOR_SECRET must be set when SANDBOX is off: any 32 or more random characters, the same for every gateway.',
    );
  }
  return new Secret(keptFile(path.join(dataDir, 'cursor-secret'), () => randomBytes(LEAST_SECRET_LENGTH).toString('hex')));
}
