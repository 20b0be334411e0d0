/** Keeps card data out: what holds some is refused unread, so it reaches neither a resolver nor a log. */
import type { IncomingHttpHeaders } from 'node:http';
import { findCardDataIn } from '../platform/card-data.js';

/** Part of a request that held card data; the only thing that is written down about it. */
export type CardSurface = 'body' | 'url' | 'headers' | 'frame';

/** Tokens are random-looking text, and the platform's user ids may be long numbers: neither is searched. */
const EXEMPT_KEYS = new Set(['authorization', 'Authorization', 'token', 'x-router-authorization', 'userId']);
/** No card number, and no security code with its name, is written in fewer characters. */
const SHORTEST_SURFACE = 14;
const NOTHING_EXEMPT: ReadonlySet<string> = new Set();

/** A body or message as it came, and what it says where it is JSON. */
export interface SentText {
  readonly text: string;
  readonly json: { readonly value: unknown } | null;
}

/** Reads a text that a client sent, once for everybody who looks at it. */
export function readText(text: string): SentText {
  try {
    return { text, json: { value: JSON.parse(text) } };
  } catch {
    return { text, json: null };
  }
}

/** Where in an HTTP request card data stands; null when nowhere. */
export function findCardSurface(request: {
  url: string;
  headers: IncomingHttpHeaders;
  body: SentText | null;
}): CardSurface | null {
  if (hasCardDataInUrl(request.url)) return 'url';
  if (findCardDataIn(request.headers, { exemptKeys: EXEMPT_KEYS })) return 'headers';
  return request.body && hasCardData(request.body) ? 'body' : null;
}

/** Whether a text that a client sent, JSON or not, holds card data: a body, a WebSocket message, a parameter. */
export function hasCardData({ text, json }: SentText): boolean {
  if (!json) return isCard(text);
  return findCardDataIn(json.value, { exemptKeys: EXEMPT_KEYS, isExempt: isIdOfUser }) !== null;
}

function hasCardDataInUrl(url: string): boolean {
  if (url.length < SHORTEST_SURFACE) return false;
  const { searchParams, pathname } = new URL(url, 'http://localhost');
  return isCard(pathname) || [...searchParams].some(([name, value]) => isCard(name) || hasCardData(readText(value)));
}

function isCard(text: string): boolean {
  return findCardDataIn(text, { exemptKeys: NOTHING_EXEMPT }) !== null;
}

/** Ids of users that a router asks about. */
function isIdOfUser(key: string, owner: object): boolean {
  return key === 'id' && '__typename' in owner && owner.__typename === 'User';
}
