/**
 * What clients see of trouble. Codes are stable (a client may branch on them); messages are for developers. What we did not foresee
 * is "Internal error" with the request id, and its cause stands in the log alone.
 */
import { GraphQLError, Kind, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import type { LimitBreach } from './limits.js';

/** Codes of `errors[].extensions.code`. */
export const ERROR_CODES = [
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
  'BAD_REQUEST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'OPERATION_NOT_ALLOWED',
  'OPERATION_TOO_COMPLEX',
  'RATE_LIMITED',
  'CURSOR_INVALID',
  'TIMEOUT',
  'SERVICE_UNAVAILABLE',
  'INTERNAL_SERVER_ERROR',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Extensions that may leave besides code and requestId. */
const OPEN_EXTENSIONS = ['limit', 'actual', 'maximum', 'retryAfterMs', 'reason'] as const;

/** HTTP status of an answer without any data, by what went wrong while resolving. Field-level codes keep 200. */
const STATUS_WITHOUT_DATA: Partial<Record<ErrorCode, number>> = {
  SERVICE_UNAVAILABLE: 503,
  TIMEOUT: 504,
  INTERNAL_SERVER_ERROR: 500,
};

/** Other libraries' words for our codes. */
const SAME_AS: Readonly<Record<string, ErrorCode>> = { UNAUTHORIZED: 'FORBIDDEN' };

/** Seconds after which a client may try again when the database is away. */
export const RETRY_AFTER_S = 2;

/** The request as a whole is refused because a limit is passed. HTTP 400. */
export function tooComplex(breach: LimitBreach): GraphQLError {
  return refusal(
    'OPERATION_TOO_COMPLEX',
    400,
    `The operation passes the limit "${breach.limit}": ${breach.actual} of ${breach.maximum}.`,
    {
      limit: breach.limit,
      actual: breach.actual,
      maximum: breach.maximum,
    },
  );
}

/** The document is not one of those that clients were built with. HTTP 400. */
export function operationNotAllowed(): GraphQLError {
  return refusal('OPERATION_NOT_ALLOWED', 400, 'The document is not in the list of trusted documents.');
}

/** The caller asks for too much over time. HTTP 429 with Retry-After. */
export function rateLimited(retryAfterMs: number): GraphQLError {
  return refusal('RATE_LIMITED', 429, 'Too many requests: wait and send the same request again.', { retryAfterMs }, [
    ['retry-after', String(Math.ceil(retryAfterMs / 1000))],
  ]);
}

/** Card data was met somewhere in the request. HTTP 400. */
export function cardDataRefused(): GraphQLError {
  return refusal(
    'BAD_USER_INPUT',
    400,
    'The request holds what looks like card data; card data must only be sent to the payment provider.',
    {
      reason: 'CARD_DATA',
    },
  );
}

/** A token that is bad or expired. HTTP 401. */
export function unauthenticated(): GraphQLError {
  return refusal('UNAUTHENTICATED', 401, 'The access token is not valid or has expired.', {}, [
    ['www-authenticate', 'Bearer error="invalid_token"'],
  ]);
}

/** The caller is not the router. HTTP 403. */
export function routerOnly(): GraphQLError {
  return refusal('FORBIDDEN', 403, 'These fields are for the router: its proof is missing or wrong.');
}

/** The budget of time is spent. HTTP 504. */
export function timedOut(): GraphQLError {
  return refusal('TIMEOUT', 504, 'The operation took too long; it may still take effect: read the state before trying again.');
}

/** The process is going away. HTTP 503 with Retry-After. */
export function draining(): GraphQLError {
  return refusal('SERVICE_UNAVAILABLE', 503, 'The server is going away: send the request again.', {}, [
    ['retry-after', String(RETRY_AFTER_S)],
  ]);
}

/** No more streams fit into this process. HTTP 503 with Retry-After. */
export function tooManyStreams(): GraphQLError {
  return refusal('SERVICE_UNAVAILABLE', 503, 'Too many live streams here: try again elsewhere.', {}, [
    ['retry-after', String(RETRY_AFTER_S)],
  ]);
}

/** A request that is not GraphQL over HTTP: unreadable JSON (400), too big (413), wrong media type (415). */
export function badRequest(status: number, message: string): GraphQLError {
  return refusal('BAD_REQUEST', status, message);
}

/** The document is not GraphQL. HTTP 400. */
export function unreadableDocument({ message, source, positions }: GraphQLError): GraphQLError {
  const place = { ...(source && { source }), ...(positions && { positions }) };
  return new GraphQLError(message, { ...place, extensions: { code: 'GRAPHQL_PARSE_FAILED', ...asHttp(400) } });
}

/** The document does not fit the schema. HTTP 400. */
export function invalidDocument({ message, nodes }: GraphQLError): GraphQLError {
  return new GraphQLError(message, {
    ...(nodes && { nodes }),
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED', ...asHttp(400) },
  });
}

/** The document holds several operations and the request does not say which, or names one that is not there. HTTP 400. */
export function unresolvedOperation(): GraphQLError {
  return refusal('OPERATION_RESOLUTION_FAILURE', 400, 'The document does not tell which operation to run.');
}

/** Status and headers as Apollo Server takes them from `extensions`. */
function asHttp(status: number, headers: readonly [string, string][] = []): Record<string, unknown> {
  return { http: { status, headers: new Map(headers) } };
}

/** An error for the whole request. */
function refusal(
  code: ErrorCode,
  status: number,
  message: string,
  extensions: Record<string, unknown> = {},
  headers: readonly [string, string][] = [],
): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...extensions, ...asHttp(status, headers) } });
}

/** HTTP status and headers that an error asks for; 500 when it asks for none. */
export function httpOf(error: GraphQLError): { status: number; headers: ReadonlyMap<string, string> } {
  const http = error.extensions['http'];
  const status = isRecord(http) && typeof http['status'] === 'number' ? http['status'] : 500;
  const headers = isRecord(http) && http['headers'] instanceof Map ? http['headers'] : new Map<string, string>();
  return { status, headers };
}

/** Status of an answer of which nothing could be resolved; null when 200 stays right. The most serious error decides. */
export function statusWithoutData(codes: readonly unknown[]): number | null {
  const statuses = ERROR_CODES.filter((code) => codes.includes(code)).map((code) => STATUS_WITHOUT_DATA[code]);
  return statuses.find((status) => status === 500) ?? statuses.find((status) => status !== undefined) ?? null;
}

/** What the formatter needs from outside. */
export interface ErrorFormatting {
  /** Takes card numbers out of a text: messages quote documents and variables. */
  redact: (text: string) => string;
  /** Told once per error that is shown. */
  count: (code: ErrorCode) => void;
  /** Told of each error that we did not foresee, with its cause. */
  report: (error: unknown, where: { requestId: string; path: string; code: ErrorCode }) => void;
}

/** A result as executors and transports hand it on. */
interface LooseResult {
  data?: Record<string, unknown> | null | undefined;
  errors?: readonly GraphQLError[] | undefined;
  extensions?: Record<string, unknown> | undefined;
}

/** Makes a result fit for the client: its errors formatted. */
export function formatResult(
  { data, errors, extensions }: LooseResult,
  format: (error: GraphQLError) => GraphQLFormattedError,
): FormattedExecutionResult {
  return {
    ...(errors && { errors: errors.map(format) }),
    ...(data !== undefined && { data }),
    ...(extensions && { extensions }),
  };
}

/** The one formatter of errors, for every transport. */
export function formatError(
  thrown: unknown,
  requestId: string,
  { redact, count, report }: ErrorFormatting,
): GraphQLFormattedError {
  const error = thrown instanceof GraphQLError ? thrown : new GraphQLError(String(thrown), { originalError: asError(thrown) });
  const code = codeOf(error);
  count(code);
  const isOurFault = code === 'INTERNAL_SERVER_ERROR' || (code === 'SERVICE_UNAVAILABLE' && error.originalError !== undefined);
  if (isOurFault) report(rootCause(error), { requestId, path: (error.path ?? []).join('.'), code });
  const open = OPEN_EXTENSIONS.filter((name) => error.extensions[name] !== undefined).map((name) => [
    name,
    error.extensions[name],
  ]);
  return {
    message: redact(messageOf(error, code)),
    ...(error.locations && { locations: error.locations }),
    ...(error.path && { path: error.path }),
    extensions: { code, ...Object.fromEntries(open), requestId },
  };
}

/** The stable code of an error, whoever threw it. */
export function codeOf(error: GraphQLError): ErrorCode {
  const said = error.extensions['code'];
  const known = ERROR_CODES.find((code) => code === said) ?? (typeof said === 'string' ? SAME_AS[said] : undefined);
  if (known && known !== 'INTERNAL_SERVER_ERROR') return known;
  if (said === undefined && httpOf(error).status < 500) return 'BAD_REQUEST'; // Apollo Server's words about a wrong hash carry a status alone
  if (isBadVariable(error)) return 'BAD_USER_INPUT';
  const cause = rootCause(error);
  if (cause instanceof Error && cause.name === 'Forbidden') return 'FORBIDDEN';
  return databaseCode(cause) ?? 'INTERNAL_SERVER_ERROR';
}

function messageOf(error: GraphQLError, code: ErrorCode): string {
  if (code === 'INTERNAL_SERVER_ERROR') return 'Internal error';
  if (code === 'SERVICE_UNAVAILABLE' && error.originalError) return 'The service is not available: send the request again.';
  if (code === 'TIMEOUT' && error.originalError) return 'The operation took too long.';
  return error.message.replace(/ ?Did you mean .*\?$/s, ''); // a suggestion tells the schema to whoever guesses
}

/** graphql-js throws these without a code: a variable's value does not fit its type. */
function isBadVariable(error: GraphQLError): boolean {
  return (
    error.nodes?.length === 1 && error.nodes[0]?.kind === Kind.VARIABLE_DEFINITION && error.message.startsWith('Variable "$')
  );
}

/** SQLSTATE classes and network errors that mean "not now" rather than "never"; null for every other cause. */
function databaseCode(cause: unknown): ErrorCode | null {
  const code = isRecord(cause) && typeof cause['code'] === 'string' ? cause['code'] : '';
  if (code === '57014') return 'TIMEOUT'; // query_canceled: statement_timeout
  if (/^(08...|57P0[1-5]|53...|25006)$/.test(code)) return 'SERVICE_UNAVAILABLE'; // connection, shutdown, resources, read-only replica
  if (/^(ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/.test(code) && isFromSocket(cause))
    return 'SERVICE_UNAVAILABLE';
  const text = cause instanceof Error ? cause.message : '';
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(text)
    ? 'SERVICE_UNAVAILABLE'
    : null;
}

/** A missing file is ENOENT too; a socket's error names the call. */
function isFromSocket(cause: unknown): boolean {
  return isRecord(cause) && typeof cause['syscall'] === 'string' && /^(connect|read|write|getaddrinfo)$/.test(cause['syscall']);
}

/** Follows `originalError`, TypeORM's `driverError` and `cause` down to what was thrown first. */
function rootCause(thrown: unknown): unknown {
  let cause: unknown = thrown;
  for (let depth = 0; depth < 10 && isRecord(cause); depth += 1) {
    const inner: unknown = cause['originalError'] ?? cause['driverError'] ?? cause['cause'];
    if (inner === undefined || inner === null) return cause;
    cause = inner;
  }
  return cause;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
