/** Keeps card numbers out: what holds one is refused unread, so it reaches neither a resolver nor a log. */
import type { IncomingHttpHeaders } from 'node:http';
import { findCardDataIn, findCardNumber } from '../platform/card-data.js';

/** Part of a request that held card data; the only thing that is written down about it. */
export type CardSurface = 'body' | 'url' | 'headers' | 'frame';

/** Keys of a WebSocket's first message under which the token travels. A token is random-looking text, so it is left out of the search. */
const TOKEN_KEYS = new Set(['authorization', 'token']);

/** Where in an HTTP request card data stands; null when nowhere. `body` is the text as it came. */
export function findCardSurface(request: { url: string; headers: IncomingHttpHeaders; body: string | null }): CardSurface | null {
  if (findCardNumber(request.url) || findCardNumber(decoded(request.url))) return 'url';
  for (const [name, value] of Object.entries(request.headers)) {
    if (name === 'authorization') continue;
    const text = Array.isArray(value) ? value.join(', ') : (value ?? '');
    if (findCardNumber(text) || findCardNumber(decoded(text))) return 'headers';
  }
  return request.body !== null && hasCardData(request.body) ? 'body' : null;
}

/** Whether a WebSocket message holds card data. */
export function isFrameWithCardData(frame: string): boolean {
  return hasCardData(frame);
}

function hasCardData(text: string): boolean {
  const value = parsed(text);
  return value === undefined ? findCardNumber(text) !== null : findCardDataIn(withoutTokens(value)) !== null;
}

function withoutTokens(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value) || value.type !== 'connection_init') return value;
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (TOKEN_KEYS.has(key.toLowerCase()) ? '' : inner)));
}

/** undefined when the text is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
