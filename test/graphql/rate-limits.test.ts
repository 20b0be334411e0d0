import { beforeEach, describe, expect, test } from '@jest/globals';
import { RateLimits } from '../../src/graphql/rate-limits.js';

let nowMs = 0;
let limits: RateLimits;
beforeEach(() => {
  nowMs = 1_000_000;
  limits = new RateLimits({ now: () => new Date(nowMs) });
});

let addresses = 0;
/** From a network of its own, so that the limits of networks do not come into it. */
const anywhere = (): string => `10.${Math.floor(addresses / 256)}.${addresses++ % 256}.1`;
const spend = (cost: number, caller = 'user:ana'): number | null =>
  limits.take({ caller, address: anywhere(), hasToken: true, cost, verbs: [] });
const verb = (field: string, idempotencyKey: string | null = null, caller = 'user:ana'): number | null =>
  limits.take({ caller, address: anywhere(), hasToken: true, cost: 50, verbs: [{ field, idempotencyKey }] });

test('a burst of 3,000 is let through, then 600 a second', () => {
  for (let sent = 0; sent < 3; sent += 1) expect(spend(1_000)).toBeNull();
  expect(spend(600)).toBe(1_000);
  nowMs += 999;
  expect(spend(600)).toBe(1);
  nowMs += 1;
  expect(spend(600)).toBeNull();
});

test('a rest does not save up more than the burst', () => {
  nowMs += 86_400_000;
  for (let sent = 0; sent < 3; sent += 1) expect(spend(1_000)).toBeNull();
  expect(spend(1)).not.toBeNull();
});

test('one caller does not spend for another', () => {
  expect(spend(3_000)).toBeNull();
  expect(spend(1)).not.toBeNull();
  expect(spend(3_000, 'user:bob')).toBeNull();
  expect(spend(300, 'address:127.0.0.1')).toBeNull();
});

test('an operation dearer than the burst takes all of it rather than waiting for ever', () => {
  expect(spend(5_000)).toBeNull();
  expect(spend(3_000)).toBe(5_000);
});

test.each`
  field                           | perWindow | windowMs
  ${'subscribe'}                  | ${10}     | ${60_000}
  ${'refund'}                     | ${10}     | ${60_000}
  ${'changeTier'}                 | ${10}     | ${60_000}
  ${'resumeSubscription'}         | ${10}     | ${60_000}
  ${'cancelSubscription'}         | ${10}     | ${60_000}
  ${'applyCoupon'}                | ${10}     | ${3_600_000}
  ${'claimGift'}                  | ${10}     | ${3_600_000}
  ${'startPaymentMethodSetup'}    | ${10}     | ${3_600_000}
  ${'completePaymentMethodSetup'} | ${10}     | ${3_600_000}
`('$field may be sent $perWindow times in $windowMs ms', ({ field, perWindow, windowMs }) => {
  for (let sent = 0; sent < Number(perWindow); sent += 1) expect(verb(String(field))).toBeNull();
  const waitMs = verb(String(field));
  expect(waitMs).toBe(Number(windowMs) / Number(perWindow));
  expect(verb('purchase')).toBeNull();
  nowMs += waitMs ?? 0;
  expect(verb(String(field))).toBeNull();
  expect(verb(String(field))).not.toBeNull();
});

test('a repeat under the same idempotency key costs no turn', () => {
  for (let sent = 0; sent < 10; sent += 1) expect(verb('subscribe', `key-${sent}`)).toBeNull();
  for (let sent = 0; sent < 10; sent += 1) expect(verb('subscribe', `key-${sent}`)).toBeNull();
  expect(verb('subscribe', 'key-new')).not.toBeNull();
  expect(verb('purchase', 'key-0')).toBeNull();
});

test('what was refused took nothing', () => {
  for (let sent = 0; sent < 10; sent += 1) verb('subscribe', `key-${sent}`);
  nowMs += 60_000;
  expect(spend(2_990)).toBeNull();
  const before = spend(3_000);
  for (let sent = 0; sent < 5; sent += 1) spend(3_000);
  expect(spend(3_000)).toBe(before);
});

test('a clock that is set back gives nothing away and takes nothing', () => {
  expect(spend(3_000)).toBeNull();
  nowMs -= 500_000;
  expect(spend(600)).toBe(1_000);
});

describe('one network', () => {
  const ask = (address: string, { hasToken = true, user = 'ana', field = '' } = {}): number | null =>
    limits.take({
      caller: hasToken ? `user:${user}` : `address:${address}`,
      address,
      hasToken,
      cost: 0,
      verbs: field === '' ? [] : [{ field, idempotencyKey: null }],
    });

  test.each([
    ['203.0.113.1', '203.0.113.200', '203.0.114.1'],
    ['::ffff:203.0.113.1', '203.0.113.9', '::ffff:203.0.114.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:3::1'],
    ['2001:db8::1', '2001:db8:0:0:5::1', '2001:db8:0:1::1'],
  ])('holds %s and %s, and not %s', (one, same, other) => {
    for (let sent = 0; sent < 100; sent += 1) expect(ask(one, { user: `user-${sent}` })).toBeNull();
    expect(ask(same)).toBe(20);
    expect(ask(other)).toBeNull();
    nowMs += 20;
    expect(ask(same)).toBeNull();
  });

  test('may send ten requests a second without a token, and more with one', () => {
    for (let sent = 0; sent < 20; sent += 1) expect(ask('203.0.113.1', { hasToken: false })).toBeNull();
    expect(ask('203.0.113.2', { hasToken: false })).toBe(100);
    expect(ask('203.0.113.2')).toBeNull();
  });

  test('adds no more than twenty payment methods an hour, whoever they are for', () => {
    const setup = (user: string): number | null => ask('203.0.113.1', { user, field: 'startPaymentMethodSetup' });
    for (let sent = 0; sent < 20; sent += 1) expect(setup(`user-${sent}`)).toBeNull();
    nowMs += 2_000; // requests are not what is missing
    expect(setup('user-21')).toBe(180_000 - 2_000);
    expect(ask('203.0.113.1', { field: 'subscribe' })).toBeNull();
  });
});
