import { expect, test } from '@jest/globals';
import { ClientAddresses, isNetwork } from '../../src/platform/client-address.js';

const behind = new ClientAddresses(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);

test.each<[string, string | undefined, string | string[] | undefined, string]>([
  ['the other end, where there is no proxy', '203.0.113.5', undefined, '203.0.113.5'],
  ['the other end, whatever it says of others, unless it is a trusted proxy', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
  ['what a trusted proxy was asked from', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  [
    'the last one that no trusted proxy stands behind, whatever stands before it',
    '10.1.2.3',
    '1.1.1.1, 198.51.100.1',
    '198.51.100.1',
  ],
  ['the client before a chain of proxies', 'fd00::1', '198.51.100.1, 192.0.2.7, 10.9.9.9', '198.51.100.1'],
  ['the client, in whatever header of several it stands', '10.1.2.3', ['198.51.100.1', '192.0.2.7'], '198.51.100.1'],
  ['IPv4 in the form of IPv6 like IPv4', '::ffff:10.1.2.3', '::ffff:198.51.100.1', '198.51.100.1'],
  ['an address of IPv6', '10.1.2.3', '2001:db8::1', '2001:db8::1'],
  ['the proxy, where it names nothing that is an address', '10.1.2.3', 'unknown', '10.1.2.3'],
  ['the farthest proxy, where all are trusted', '10.1.2.3', '10.4.4.4', '10.4.4.4'],
  ['nothing, when the other end has gone', undefined, '198.51.100.1', ''],
])('the address of a client is %s', (_what, connected, forwardedFor, expected) => {
  expect(behind.of(connected, forwardedFor)).toBe(expected);
});

test('without proxies nobody is believed about others', () => {
  expect(new ClientAddresses([]).of('10.1.2.3', '198.51.100.1')).toBe('10.1.2.3');
});

test.each(['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0'])('%s is a network', (text) => {
  expect(isNetwork(text)).toBe(true);
});

test.each(['', 'proxy', '10.0.0.0/33', '::1/129', '10.0.0.1/', '10.0.0', '10.0.0.0/8/8'])('%j is no network', (text) => {
  expect(isNetwork(text)).toBe(false);
});
