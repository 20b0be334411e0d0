/** Keeps card data out: what holds some is refused unread, so it reaches neither a resolver nor a log. */
import type { IncomingHttpHeaders } from 'node:http';
import { findCardDataIn } from '../platform/card-data.js';

/** Part of a request that held card data; the only thing that is written down about it. */
export type CardSurface = 'body' | 'url' | 'headers' | 'frame';

/** Tokens are random-looking text, and the platform's user ids may be long numbers: neither is searched. */
const EXEMPT_KEYS = new Set(['authorization', 'Authorization', 'token', 'x-router-authorization', 'userId']);
const NOTHING_EXEMPT: ReadonlySet<string> = new Set();

/** Where in an HTTP request card data stands; null when nowhere. `body` is the text as it came. */
export function findCardSurface(request: { url: string; headers: IncomingHttpHeaders; body: string | null }): CardSurface | null {
  const { searchParams, pathname } = new URL(request.url, 'http://localhost');
  if (isCard(pathname) || [...searchParams].some(([name, value]) => isCard(name) || hasCardData(value))) return 'url';
  if (findCardDataIn(request.headers, { exemptKeys: EXEMPT_KEYS })) return 'headers';
  return request.body !== null && hasCardData(request.body) ? 'body' : null;
}

/** Whether a text that a client sent, JSON or not, holds card data: a body, a WebSocket message, a parameter. */
export function hasCardData(text: string): boolean {
  const value = parsed(text);
  return value === undefined ? isCard(text) : findCardDataIn(value, { exemptKeys: EXEMPT_KEYS }) !== null;
}

function isCard(text: string): boolean {
  return findCardDataIn(text, { exemptKeys: NOTHING_EXEMPT }) !== null;
}

/** The JSON in a text, without the ids of users that a router asks about; undefined when it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown) => (isUserReference(value) ? { ...value, id: null } : value));
  } catch {
    return undefined;
  }
}

function isUserReference(value: unknown): value is { __typename: 'User' } {
  return typeof value === 'object' && value !== null && '__typename' in value && value.__typename === 'User';
}
