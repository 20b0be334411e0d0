/** Where the database is, in the words that pg and TypeORM share. */
export interface DatabaseOptions {
  /** A host name, or the folder of a unix socket (starts with /). */
  host: string;
  port: number;
  database: string;
  username: string;
  password?: string;
  /** Present: encrypted, and the server's certificate is checked unless the address says `sslmode=require`. */
  ssl?: { rejectUnauthorized: boolean };
}

const SSL_MODES = new Map<string, DatabaseOptions['ssl'] | null>([
  ['disable', null],
  ['require', { rejectUnauthorized: false }], // libpq's meaning: encrypted, unchecked
  ['verify-ca', { rejectUnauthorized: true }],
  ['verify-full', { rejectUnauthorized: true }],
]);

/**
 * Reads `postgres://user:password@host:port/database?sslmode=verify-full`, or a unix socket as
 * `postgres:///database?host=/folder&port=5432&user=postgres` (the form that libpq takes too).
 * @throws Error with one line that says what is wrong; it never repeats the address, which may hold a password
 */
export function parseDatabaseUrl(text: string): DatabaseOptions {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    throw new Error('must look like postgres://user:password@host:5432/database');
  }
  const query = url.searchParams;
  const host = decodeURIComponent(url.hostname) || query.get('host') || '';
  if (!host) throw new Error('names no host');
  const port = Number(url.port || query.get('port') || '5432');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('has a port that is not a number from 1 to 65535');
  const username = decodeURIComponent(url.username) || query.get('user') || '';
  if (!username) throw new Error('names no user');
  const database = decodeURIComponent(url.pathname.slice(1)) || username;
  const password = decodeURIComponent(url.password) || query.get('password') || '';
  const mode = query.get('sslmode') ?? 'disable';
  const ssl = SSL_MODES.get(mode);
  if (ssl === undefined) throw new Error(`has an unknown sslmode: use ${[...SSL_MODES.keys()].join(', ')}`);
  return { host, port, database, username, ...(password && { password }), ...(ssl && { ssl }) };
}

/** The address of a database behind a unix socket, as `parseDatabaseUrl` reads it. */
export function socketDatabaseUrl(address: { host: string; port: number; user: string }, database: string): string {
  const query = new URLSearchParams({ host: address.host, port: String(address.port), user: address.user });
  return `postgres:///${encodeURIComponent(database)}?${query.toString()}`;
}

/** The same, in pg's own words. */
export function pgConfig(options: DatabaseOptions): {
  host: string;
  port: number;
  database: string;
  user: string;
  password?: string;
  ssl?: { rejectUnauthorized: boolean };
} {
  const { username, ...rest } = options;
  return { ...rest, user: username };
}
