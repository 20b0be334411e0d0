import { BlockList, isIP } from 'node:net';

/** An address, or a network of them as `10.0.0.0/8`. */
const NETWORK_FORM = /^([^/]+)(?:\/(\d{1,3}))?$/;
/** Addresses remembered. */
const KNOWN_KEPT = 10_000;
const LONGEST_PREFIX = { 4: 32, 6: 128 } as const;

/** Whether a text is an address of IPv4 or IPv6, or a network of them. */
export function isNetwork(text: string): boolean {
  const [, address = '', prefix] = NETWORK_FORM.exec(text) ?? [];
  const family = isIP(address);
  return (family === 4 || family === 6) && (prefix === undefined || Number(prefix) <= LONGEST_PREFIX[family]);
}

/**
 * Who really asks where proxies stand in between. Each proxy adds to `x-forwarded-for` the address that it was asked from; what stands
 * before that of the first one that is trusted may be made up by anybody.
 */
export class ClientAddresses {
  readonly #proxies = new BlockList();
  /** Asking the list costs more than all the rest, and the same few ask again and again. */
  readonly #known = new Map<string, boolean>();

  /** @param proxies addresses and networks of those that are trusted, each as `isNetwork` takes it */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies) {
      const [, address = '', prefix] = NETWORK_FORM.exec(proxy) ?? [];
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#proxies.addAddress(address, family);
      else this.#proxies.addSubnet(address, Number(prefix), family);
    }
  }

  /** The address of the client. @param connected the other end of the connection; '' when it has gone */
  of(connected: string | undefined, forwardedFor: string | string[] | undefined): string {
    let client = plain(connected ?? '');
    if (forwardedFor === undefined) return client;
    const told = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
    for (let end = told.length; end >= 0 && this.#isProxy(client);) {
      const comma = told.lastIndexOf(',', end - 1);
      const before = plain(told.slice(comma + 1, end).trim());
      if (isIP(before) === 0) return client;
      client = before;
      end = comma;
    }
    return client;
  }

  #isProxy(address: string): boolean {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const family = isIP(address);
    const isProxy = family !== 0 && this.#proxies.check(address, family === 6 ? 'ipv6' : 'ipv4');
    if (this.#known.size >= KNOWN_KEPT) this.#known.clear();
    this.#known.set(address, isProxy);
    return isProxy;
  }
}

/** IPv4 as it is, also where it comes in the form of IPv6. */
function plain(address: string): string {
  return address.startsWith(':') ? address.replace(/^::ffff:(?=\d+\.)/i, '') : address;
}
