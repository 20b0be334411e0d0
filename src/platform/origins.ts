/** Web origins (scheme, host and port) that are trusted for one purpose. */
export interface OriginList {
  /** As a browser writes them, e.g. https://app.example.com. */
  origins: readonly string[];
  /** Any http or https address of this machine is trusted too (sandbox only). */
  includesLoopback: boolean;
}

const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Whether an address, or the value of an Origin header, belongs to the list. The whole origin must be equal: no prefix, suffix or
 * wildcard, and no user name in the address, which is how a link is made to look like another (OWASP, unvalidated redirects).
 */
export function isListedOrigin(list: OriginList, address: string): boolean {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) return false;
  return list.origins.includes(url.origin) || (list.includesLoopback && LOOPBACK_HOSTS.has(url.hostname));
}
